"""Boosted trees: LightGBM learns them, and `Trees` applies what it has learned with numpy alone.

A model is stored as the text that LightGBM writes. Unlike a pickle it holds no code, and LightGBM is not needed to apply it. The
format is described with `Booster.save_model` of LightGBM; https://lightgbm.readthedocs.io.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.errors import MissingExtraError

_BLOCK = 8192  # rows that are scored together: their columns fit into the cache of a processor core
_CATEGORY, _MISSING_LEFT = 1, 2  # bits of `decision_type`
_MISSING_IS_ZERO, _MISSING_IS_OWN = (
    0,
    2,
)  # kinds of missing values, in the next two bits: NaN counts as 0, or has a side of its own


class Node(NamedTuple):
    """One inner node: rows with ``value <= threshold`` go left.

    Attributes:
        column: number of the column that is compared.
        threshold: what it is compared with.
        nan_left: whether rows without a value go left.
        left: the left child: a split if >= 0, else the leaf ``-left - 1``.
        right: the right child.
    """

    column: int
    threshold: float
    nan_left: bool
    left: int
    right: int


class Tree(NamedTuple):
    """One tree; the first split is the root, and a split stands before its children.

    Attributes:
        splits: s of them.
        leaves: s + 1 values, log-odds that the tree adds.
    """

    splits: tuple[Node, ...]
    leaves: tuple[float, ...]

    def add(self, columns: Floats) -> Floats | float:
        """Return what the tree adds to the log-odds of each row; columns are (f, n), the answer is (n,)."""
        value: list[Floats | float] = [*(0.0 for _ in self.splits), *reversed(self.leaves)]  # so that value[-1] is the first leaf
        for node in range(len(self.splits) - 1, -1, -1):  # children first
            split = self.splits[node]
            column = columns[split.column]
            left = ~(column > split.threshold) if split.nan_left else column <= split.threshold
            value[node] = np.where(left, value[split.left], value[split.right])
        return value[0]


@dataclass(frozen=True, slots=True)
class Trees:
    """A boosted model of two classes.

    Attributes:
        text: as LightGBM writes it; empty for no model, whose P is 0.
        trees: what the text says.

    Example:
        >>> Trees.read("").p(np.zeros((2, 1))).tolist()
        [0.0, 0.0]
    """

    text: str
    trees: tuple[Tree, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a model, and check that it is whole.

        Raises:
            ValueError: the text is damaged, or is a model of another kind. The message says where.
        """
        if not text:
            return cls("", ())
        head, *blocks = text.partition("\nend of trees\n")[0].split("\nTree=")
        fields = _fields(head)
        sizes = fields.get("tree_sizes", "").split()
        if not head.startswith("tree\nversion=v4\n") or fields.get("objective") != "binary sigmoid:1":
            raise ValueError("this is no LightGBM model of two classes in format v4")
        if len(sizes) != len(blocks) or "\nend of trees\n" not in text:
            raise ValueError(f"the LightGBM model holds {len(blocks)} trees where its head names {len(sizes)}")
        columns = int(fields["max_feature_idx"]) + 1
        return cls(text, tuple(_tree(number, block, columns) for number, block in enumerate(blocks)))

    def log_odds(self, columns: npt.NDArray[Any]) -> Floats:
        """Return the log-odds of each row, (n, f) -> (n,): what ``predict(raw_score=True)`` of LightGBM returns."""
        total = np.zeros(len(columns))
        for start in range(0, len(columns), _BLOCK):
            block = np.ascontiguousarray(columns[start : start + _BLOCK].T, dtype=np.float64)
            for tree in self.trees:
                total[start : start + _BLOCK] += tree.add(block)
        return total

    def p(self, columns: npt.NDArray[Any]) -> Floats:
        """Return P of each row, (n, f) -> (n,); NaN in a column stands for a value that is not known."""
        if not self.trees:
            return np.zeros(len(columns))
        return np.asarray(1 / (1 + np.exp(-self.log_odds(columns))), dtype=np.float64)


def _fields(block: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines())}


def _tree(number: int, block: str, columns: int) -> Tree:
    try:
        return _checked(_fields(block), columns)
    except (ValueError, KeyError) as error:
        raise ValueError(f"tree {number} of the LightGBM model: {error}") from error


def _checked(fields: Mapping[str, str], columns: int) -> Tree:
    """Read a tree.

    Raises:
        KeyError, ValueError: something is missing, or does not fit together.
    """
    if fields["num_cat"] != "0" or fields["is_linear"] != "0":
        raise ValueError("categories and linear leaves are not supported")
    count = int(fields["num_leaves"])
    leaves = _numbers(fields["leaf_value"])
    names = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
    column, threshold, decision, left, right = (_numbers(fields.get(name, "")) for name in names)
    if {len(leaves)} | {len(of) + 1 for of in (column, threshold, decision, left, right)} != {count}:
        raise ValueError(f"it does not have {count} leaves and one split less")
    splits = tuple(
        Node(int(c), t, _nan_left(int(d), t), int(a), int(b))
        for c, t, d, a, b in zip(column, threshold, decision, left, right, strict=True)
    )
    if not all(0 <= split.column < columns for split in splits):
        raise ValueError(f"it reads a column beyond the {columns} of the model")
    children = sorted(child for split in splits for child in (split.left, split.right))
    if children != [*range(-count, 0), *range(1, len(splits))] and splits:
        raise ValueError("not every node is the child of one split")
    if any(0 <= child <= node for node, split in enumerate(splits) for child in (split.left, split.right)):
        raise ValueError("a node stands before its parent")
    return Tree(splits, tuple(leaves))


def _numbers(values: str) -> list[float]:
    found = [float(value) for value in values.split()]
    if any(map(math.isnan, found)):
        raise ValueError("a number is missing")
    return found


def _nan_left(decision: int, threshold: float) -> bool:
    """Return the side to which a missing value goes: that of 0, or the side that training chose for it."""
    missing = decision >> 2
    if decision & _CATEGORY or missing not in (_MISSING_IS_ZERO, _MISSING_IS_OWN):
        raise ValueError(f"decision type {decision} is not supported")
    return bool(decision & _MISSING_LEFT) if missing == _MISSING_IS_OWN else threshold >= 0


FOLDS: Final = 4
"""Number of folds of the users. Each fold is scored by trees that were learned from the other folds."""
_MAX_ROWS = 200_000  # largest training set; of more rows a sample is drawn, which bounds time and memory
_MAX_LOG_ODDS = 9.2  # log-odds of 9,999 to 1; the trees cannot distinguish anything beyond that
_ROUNDS_LARGE, _ROUNDS_SMALL = 100, 60  # number of trees of a large and of a small model
# Small trees: figures on the training part of DSTC2 and on home_spoken hardly change from 4 to 16 leaves.
_LARGE = {"num_leaves": 8, "min_data_in_leaf": 20}
_SMALL = {"num_leaves": 5, "min_data_in_leaf": 10, "lambda_l2": 1.0}  # smaller trees for some hundred examples
_COMMON = {
    "objective": "binary",
    "learning_rate": 0.07,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}

Columns = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows to learn from.

    Attributes:
        row: (m,) numbers of the rows.
        label: (m,) bool.
        weight: (m,) >= 0.
    """

    row: Ints
    label: npt.NDArray[np.bool_]
    weight: Floats

    @classmethod
    def of(cls, row: Ints, label: npt.NDArray[np.bool_], weight: Floats | None = None) -> Self:
        """Return rows of some weight; of weight 1 if None."""
        return cls(row, label, np.ones(len(row)) if weight is None else weight)

    def with_soft(self, row: Ints, p: Floats, weight: Floats) -> "LabelledRows":
        """Return these and further rows, each positive with `p` of its weight and negative with the rest."""
        label = np.repeat([True, False], len(row))
        return LabelledRows(
            np.concatenate([self.row, row, row]),
            np.concatenate([self.label, label]),
            np.concatenate([self.weight, p * weight, (1 - p) * weight]),
        )


@dataclass(frozen=True, slots=True)
class Forest:
    """One boosted model for each fold of the users, learned from all other folds.

    Attributes:
        models: (FOLDS,) of them.
    """

    models: tuple[Trees, ...]

    @classmethod
    def fit(cls, columns: Columns, examples: LabelledRows, fold: Ints, seed: int, *, few: bool = False) -> Self:
        """Learn with LightGBM (Ke et al. 2017, NeurIPS 30).

        Args:
            columns: (n, f), NaN where a value is not known.
            examples: rows of `columns` with their labels.
            fold: (n,) the fold of the user of each row, 0..FOLDS-1.
            seed: seed of the training, and of the sample where there are more than 200,000 examples.
            few: whether there are only some hundred examples. Then the trees are smaller.

        Raises:
            MissingExtraError: LightGBM is not installed.
        """
        rng = np.random.default_rng(seed)
        models = []
        for k in range(FOLDS):
            rows = np.flatnonzero(fold[examples.row] != k)
            rows = np.sort(rng.choice(rows, _MAX_ROWS, replace=False)) if len(rows) > _MAX_ROWS else rows
            taken = LabelledRows(examples.row[rows], examples.label[rows], examples.weight[rows])
            models.append(Trees.read(_trained(columns, taken, seed, few=few)))
        return cls(tuple(models))

    def p(self, columns: Columns, fold: Ints) -> Floats:
        """Return P of each row by the model of its fold, (n,)."""
        p = np.zeros(len(columns))
        for k, trees in enumerate(self.models):
            rows = np.flatnonzero(fold == k)
            p[rows] = trees.p(columns[rows])
        return p

    def texts(self) -> list[str]:
        """Return the models as LightGBM writes them, which `of_texts` reads."""
        return [trees.text for trees in self.models]

    @classmethod
    def of_texts(cls, texts: object) -> Self:
        """Read what `texts` returned.

        Raises:
            ValueError: it is something else, or a model is damaged.
        """
        if not isinstance(texts, list) or len(texts) != FOLDS or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"a detector needs {FOLDS} models, one for each part of the users")
        return cls(tuple(Trees.read(text) for text in texts))


def fair_weights(users: npt.ArrayLike, k: int) -> Floats:
    """Return the weight of each row, 0..1, so that the k - 1 users with most rows weigh no more in all than the next user.

    Args:
        users: (n,) the user of each row.
        k: as in `Config.launch.min_users`.

    Example:
        >>> fair_weights(["ann", "ann", "ann", "ann", "ben", "ben", "cem"], 2).tolist()
        [0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]
    """
    _, user, rows = np.unique(np.asarray(users), return_inverse=True, return_counts=True)
    if not len(rows):
        return np.zeros(0)
    most = np.sort(rows)[::-1][min(k, len(rows)) - 1]
    return np.asarray(np.minimum(most / rows, 1.0)[user.reshape(-1)], dtype=np.float64)


def fold_of(user_no: Ints) -> Ints:
    """Return the fold of each user, (n,). Users are numbered by a keyed hash, so the folds are as good as random."""
    return np.asarray(user_no % FOLDS, dtype=np.int64)


def log_odds(p: Floats) -> Floats:
    """Return log(p / (1 - p)), cut to -9.2..9.2."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(p) - np.log1p(-p), -_MAX_LOG_ODDS, _MAX_LOG_ODDS), dtype=np.float64)


def _trained(columns: Columns, examples: LabelledRows, seed: int, *, few: bool) -> str:
    """Return a model as text; the empty text where all examples have one label."""
    if examples.label.all() or not examples.label.any():
        return ""
    try:
        import lightgbm  # noqa: PLC0415 - only learning needs it
    except ImportError as error:
        raise MissingExtraError(f"learning a detector needs {error.name}; pip install 'rewriter[learn]'") from error
    data = lightgbm.Dataset(columns[examples.row], examples.label, weight=examples.weight)
    parameters: dict[str, Any] = _COMMON | (_SMALL if few else _LARGE) | {"seed": seed}
    return str(lightgbm.train(parameters, data, _ROUNDS_SMALL if few else _ROUNDS_LARGE).model_to_string())
