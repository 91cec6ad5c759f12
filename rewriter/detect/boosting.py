"""Gradient-boosted trees that score each user by a model that was learned from other users only (cross-fitting)."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.detect.trees import Trees
from rewriter.errors import MissingExtraError

FOLDS: Final = 4
"""Parts of the users; each part is scored by trees that were learned from the other parts."""
_MAX_ROWS = 200_000  # of a training set; more are sampled, which bounds time and memory
_MAX_LOG_ODDS = 9.2  # log-odds of 9,999 to 1; beyond that the trees tell nothing apart
_ROUNDS_LARGE, _ROUNDS_SMALL = 100, 60  # trees of a model
# Small trees: figures on the training part of DSTC2 and on home_spoken hardly change from 4 to 16 leaves.
_LARGE = {"num_leaves": 8, "min_data_in_leaf": 20}
_SMALL = {"num_leaves": 5, "min_data_in_leaf": 10, "lambda_l2": 1.0}  # for some hundred examples
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
    def of(cls, row: Ints, label: npt.NDArray[np.bool_]) -> Self:
        """Return rows of weight 1."""
        return cls(row, label, np.ones(len(row)))

    def with_soft(self, row: Ints, p: Floats) -> "LabelledRows":
        """Return these and further rows, each of which is positive with weight `p` and negative with weight ``1 - p``."""
        label = np.repeat([True, False], len(row))
        return LabelledRows(
            np.concatenate([self.row, row, row]),
            np.concatenate([self.label, label]),
            np.concatenate([self.weight, p, 1 - p]),
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
            few: whether there are only some hundred examples, which smaller trees learn from.

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


def fold_of(user_no: Ints) -> Ints:
    """Return the fold of each user, (n,). Users are numbered by a keyed hash, so that folds are as good as drawn."""
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
