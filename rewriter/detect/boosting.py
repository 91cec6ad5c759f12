"""Gradient-boosted trees whose P of a user's rows comes from the other users: what is scored was never learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from rewriter.arrays import Floats, Ints

FOLDS = 4
_MOST = 200_000  # rows of a training set, drawn beyond
_FAR = 9.2  # log-odds of 1 in 10,000
_LARGE = {"max_iter": 100, "max_leaf_nodes": 8, "min_samples_leaf": 20}
_SMALL = {"max_iter": 60, "max_leaf_nodes": 5, "min_samples_leaf": 10, "l2_regularization": 1.0}

Columns = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows to learn from.

    Attributes:
        row: (m,) of the columns.
        label: (m,) bool.
        weight: (m,) >= 0.
    """

    row: Ints
    label: npt.NDArray[np.bool_]
    weight: Floats

    @classmethod
    def of(cls, row: Ints, label: npt.NDArray[np.bool_]) -> "Examples":
        """Return rows of weight 1."""
        return cls(row, label, np.ones(len(row)))

    def soft(self, row: Ints, p: Floats) -> "Examples":
        """Return these, and rows that are both: in the share `p` examples, in the rest counter-examples."""
        label = np.repeat([True, False], len(row))
        return Examples(
            np.concatenate([self.row, row, row]),
            np.concatenate([self.label, label]),
            np.concatenate([self.weight, p, 1 - p]),
        )


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted trees as arrays, which can be kept in a file; no trees, P 0, where there was nothing to tell apart.

    Attributes:
        start: log-odds that all rows begin with.
        nodes: of each tree, as scikit-learn lays them out; no column is a category.
    """

    start: float = 0.0
    nodes: tuple[npt.NDArray[Any], ...] = ()

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier) -> "Trees":
        """Take the trees out of a fitted model of two classes."""
        return cls(float(model._baseline_prediction.item()), tuple(tree.nodes for (tree,) in model._predictors))

    def p(self, columns: Columns) -> Floats:
        """Return P of each row, (n,): what `predict_proba` of the model says."""
        if not self.nodes:
            return np.zeros(len(columns))
        rows, none = np.ascontiguousarray(columns, dtype=np.float64), np.zeros((0, 8), dtype=np.uint32)
        places = np.zeros(rows.shape[1], dtype=np.uint32)
        grown = (TreePredictor(nodes, none, none).predict(rows, none, places, n_threads=1) for nodes in self.nodes)
        return np.asarray(expit(self.start + sum(grown)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees for each fold of the users, learned from all others; columns that say nothing are left out.

    Attributes:
        models: of the folds.
        used: (f,) which columns are looked at.
    """

    models: tuple[Trees, ...]
    used: npt.NDArray[np.bool_]

    @classmethod
    def fit(cls, columns: Columns, examples: Examples, fold: Ints, seed: int, *, few: bool = False) -> "Forest":
        """Learn.

        Args:
            columns: (n, f), NaN where something is not known.
            examples: rows of them.
            fold: of the user of each row of `columns`, (n,) in 0..FOLDS-1.
            seed: of the sample that many rows are cut to.
            few: whether there are only some hundred examples, which smaller trees learn from.
        """
        rng = np.random.default_rng(seed)
        with np.errstate(invalid="ignore"):
            used = np.asarray(
                [np.ptp(column[np.isfinite(column)]) > 0 if np.isfinite(column).any() else False for column in columns.T]
            )
        models = []
        for k in range(FOLDS):
            rows = np.flatnonzero(fold[examples.row] != k)
            rows = np.sort(rng.choice(rows, _MOST, replace=False)) if len(rows) > _MOST else rows
            models.append(_fitted(columns[examples.row[rows]][:, used], examples.label[rows], examples.weight[rows], seed, few))
        return cls(tuple(models), used)

    def p(self, columns: Columns, fold: Ints) -> Floats:
        """Return P of each row by the trees of its fold, (n,)."""
        p = np.zeros(len(columns))
        for k, trees in enumerate(self.models):
            rows = np.flatnonzero(fold == k)
            p[rows] = trees.p(columns[rows][:, self.used])
        return p

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return what `of_arrays` reads again, by names that begin with the one given."""
        found: dict[str, npt.NDArray[Any]] = {f"{name}.used": self.used}
        for k, trees in enumerate(self.models):
            found[f"{name}.{k}.start"] = np.array(trees.start)
            found[f"{name}.{k}.sizes"] = np.array([len(nodes) for nodes in trees.nodes], dtype=np.int64)
            if trees.nodes:
                found[f"{name}.{k}.nodes"] = np.concatenate(trees.nodes)
        return found

    @classmethod
    def of_arrays(cls, name: str, found: Mapping[str, npt.NDArray[Any]]) -> "Forest":
        """Return the forest of some arrays.

        Raises:
            KeyError: one is missing.
        """
        models = []
        for k in range(FOLDS):
            sizes = found[f"{name}.{k}.sizes"]
            nodes = np.split(found[f"{name}.{k}.nodes"], np.cumsum(sizes)[:-1]) if len(sizes) else []
            models.append(Trees(float(found[f"{name}.{k}.start"]), tuple(nodes)))
        return cls(tuple(models), found[f"{name}.used"])


def fold_of(user_no: Ints) -> Ints:
    """Return the fold of each user, (n,): by number, which is by the keyed hash of the user, so as good as drawn."""
    return np.asarray(user_no % FOLDS, dtype=np.int64)


def log_odds(p: Floats) -> Floats:
    """Return log(p / (1 - p)), bounded."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(p) - np.log1p(-p), -_FAR, _FAR), dtype=np.float64)


def _fitted(columns: Columns, label: npt.NDArray[np.bool_], weight: Floats, seed: int, few: bool) -> Trees:
    if not columns.shape[1] or label.all() or not label.any():
        return Trees()
    columns = np.where(np.isfinite(columns).any(axis=0), columns, 0.0)  # known outside this fold alone: the trees cannot bin it
    # Small trees: figures of the training part of DSTC2 and of home_spoken hardly change from 4 to 16 leaves.
    size = _SMALL if few else _LARGE
    model = HistGradientBoostingClassifier(learning_rate=0.07, early_stopping=False, random_state=seed, **size)
    return Trees.of(model.fit(columns, label, sample_weight=weight))
