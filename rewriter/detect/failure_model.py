"""`FailureModel`: P(each stage failed) of a turn, by boosted trees that learned where it is known which stage broke.

LightGBM learns and applies them; the model is the text that LightGBM writes. Without LightGBM the documented rules take its place
(`failure_rules.Rules`). On a log the shares of the classes differ from those that were learned, so `adapted` estimates them by
expectation maximisation (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori
probabilities", Neural Computation 14).
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final, Self

import numpy as np

from rewriter.arrays import Floats, Ints
from rewriter.detect.failure_cues import ALIKE, ANSWERED, HEARD, LISTED, NAMES, THEN
from rewriter.detect.failure_rules import CLASSES, Columns, Rules, signs, softmax
from rewriter.errors import MissingExtraError

_ROUNDS: Final = 50
_PARAMETERS: Final[Mapping[str, Any]] = {
    "objective": "multiclass",
    "num_class": len(CLASSES),
    "learning_rate": 0.14,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_LACKING: Final = (
    ("asr_well", "text_heard", "answer_heard"),
    ("nlu_well", "text_meant"),
    (*(name for name in HEARD if name.startswith("hear")), "in_nbest", "text_in_nbest"),
    (*(name for name in ANSWERED if name != "failed"), *(name for name in ALIKE if name.startswith("answer_"))),
    ("failed", "answer_failed"),
    (*ANSWERED, *THEN),
)
"""Columns that a log can lack; the trees learn from turns without them too."""
_UNLISTED: Final = 0.7  # share of the turns that are shown without a catalog, because most logs come without one
READ: Final = tuple(name for name in NAMES if name not in ("asr_confidence", "nlu_confidence", "asr_rank", "nlu_rank"))
"""The columns that the trees read. Confidences mean something else in every log, and so do their ranks among all turns where the
share of what fails differs; the trees read their ranks among the turns that worked."""
SHARED: Final[Mapping[str, float]] = {"text": 0.4, "value": 0.4, "near": 0.2}
"""Groups of `failure_groups.GROUPS` -> how much the other turns of a group count; chosen on seed 1 of the worlds."""
_STEPS, _HALFWAY = 8, 0.5  # rounds of self-training, and how far shares go from the learned ones towards those of the log
_PRIOR_ROWS, _LEAST = 2.0, 1e-4  # rows that the shares of all rows count for in each group, and the smallest share
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class FailureModel:
    """A learned model.

    Attributes:
        text: the trees, as LightGBM writes them.
        temperature: what log-probabilities are divided by after self-training, so that they are calibrated.
        prior: (len(CLASSES),) shares of the classes that it learned from.
        names: the columns of `failure_cues.NAMES` that the trees read, in their order.
    """

    text: str
    temperature: float
    prior: Floats
    names: tuple[str, ...]

    @classmethod
    def learn(cls, columns: Columns, label: Ints, *, seed: int) -> Self:
        """Learn from turns whose class is known; each is also shown once without some of its columns.

        Args:
            columns: (n, f) of `failure_cues.FailureCues.measure`.
            label: (n,) place of the class in `CLASSES`.
            seed: of the training and of what is left out.

        Raises:
            MissingExtraError: LightGBM is not installed.
        """
        rng = np.random.default_rng(seed)
        shown = np.concatenate([columns, _without(columns, rng)])
        unlisted = np.flatnonzero(rng.random(len(shown)) < _UNLISTED)
        shown[np.ix_(unlisted, np.asarray([NAMES.index(name) for name in LISTED]))] = np.nan
        data = _lightgbm().Dataset(_named(shown, READ), np.tile(label, 2))
        text = _lightgbm().train({**_PARAMETERS, "seed": seed}, data, _ROUNDS).model_to_string()
        counts = np.bincount(label, minlength=len(CLASSES)) + 1.0
        return cls(str(text), 1.0, counts / counts.sum(), READ)

    def p(self, columns: Columns) -> Floats:
        """Return P of each class, (n, len(CLASSES)), with the shares of the classes as they were learned."""
        if not len(columns):
            return np.zeros((0, len(CLASSES)))
        return np.asarray(_booster(self.text).predict(_named(columns, self.names), num_threads=1))

    def calibrated(self, p: Floats, label: Ints) -> "FailureModel":
        """Return the model with the temperature that makes the classes of turns likeliest, which it has not seen.

        Args:
            p: (n, k) of `diagnosed` by this model with the temperature 1.
            label: (n,) place of the class in `CLASSES`.
        """
        logs = np.log(np.maximum(p, _FLOOR))
        rows = np.arange(len(label))
        tried = {t: -float(np.log(softmax(logs / t)[rows, label] + _FLOOR).mean()) for t in np.linspace(0.6, 3.0, 49)}
        return replace(self, temperature=float(min(tried, key=lambda t: tried[t])))

    def to_bytes(self) -> bytes:
        """Return the model as compressed JSON."""
        data = {"temperature": self.temperature, "prior": self.prior.tolist(), "names": list(self.names), "trees": self.text}
        return gzip.compress(json.dumps(data).encode(), mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` returned.

        Raises:
            ValueError: it reads columns that are not measured.
        """
        found = json.loads(gzip.decompress(data))
        if not set(found["names"]) <= set(NAMES):
            raise ValueError("the failure model reads other columns; run benchmarks/diagnosis.py --only-ship")
        return cls(found["trees"], found["temperature"], np.asarray(found["prior"]), tuple(found["names"]))

    @classmethod
    @cache
    def shipped(cls) -> "FailureModel | None":
        """Return the model that comes with the package; None where LightGBM is not installed."""
        try:
            _lightgbm()
        except MissingExtraError:
            return None
        return cls.from_bytes((resources.files("rewriter.detect") / "failure_model.json.gz").read_bytes())


def diagnosed(columns: Columns, *, model: FailureModel | None, rules: Rules, groups: Mapping[str, Ints] | None = None) -> Floats:
    """Return P of each class, (n, len(CLASSES)), as this log has them: the model or the rules, trained on by the log itself.

    Args:
        columns: (n, f) of `failure_cues.FailureCues.measure`.
        model: the learned model; None for the rules alone.
        rules: the documented rules.
        groups: of `failure_cues.FailureCues.groups`; None if turns are to be looked at one by one.
    """
    if model is None:
        return adapted(rules.p(signs(columns)), rules.prior, groups)
    return softmax(np.log(np.maximum(adapted(model.p(columns), model.prior, groups), _FLOOR)) / model.temperature)


def adapted(p: Floats, prior: Floats, groups: Mapping[str, Ints] | None = None) -> Floats:
    """Return P of each class after self-training on the rows themselves, (n, k): expectation maximisation without any labels.

    Two things are estimated from the rows: the shares of the classes, and those within each group of rows that have something in
    common. In each round, with the sums and numbers of the other rows of the groups g of a row,::

        P(class) ~ p share / prior  product over g of ((sum + K share) / (number + K) / share) ** T_g

    Turns of one group are no independent evidence, hence the exponents T (`SHARED`).

    Args:
        p: (n, k) by a model that learned with the shares `prior`.
        prior: (k,) these shares. The estimate goes half the way, because the model is less sure in a log of another kind.
        groups: name -> (n,) number of the group of each row, -1 for none; only those of `SHARED` count.

    Example:
        >>> found = adapted(np.array([[0.5, 0.5]] * 10 + [[0.9, 0.1]] * 990), np.array([0.5, 0.5]))
        >>> bool(found[0, 0] > 0.6)
        True
    """
    share, found, shift = prior, p, np.zeros_like(p)
    parts = [(groups[name], weight) for name, weight in SHARED.items()] if groups else []
    for _ in range(_STEPS if len(p) else 0):
        found = p * (share / prior) * np.exp(shift)
        found /= found.sum(axis=1, keepdims=True)
        mean = np.maximum(found.mean(axis=0), _LEAST)
        share = _HALFWAY * mean + (1 - _HALFWAY) * prior
        shift = sum((weight * _of_group(group, found, mean) for group, weight in parts), np.zeros_like(p))
    return found


def _of_group(group: Ints, p: Floats, share: Floats) -> Floats:
    """Return log of the share of each class among the other rows of each group to that in all rows, (n, k); 0 without a group."""
    _, place, number = np.unique(group, return_inverse=True, return_counts=True)
    total = np.column_stack([np.bincount(place, of) for of in p.T])
    shares = (total[place] - p + _PRIOR_ROWS * share) / (number[place][:, None] - 1 + _PRIOR_ROWS)
    return np.where((group >= 0)[:, None], np.log(shares / share), 0.0)


def _named(columns: Columns, names: Sequence[str]) -> Columns:
    """Return some of the columns of `failure_cues.NAMES`."""
    return columns[:, [NAMES.index(name) for name in names]]


def _without(columns: Columns, rng: np.random.Generator) -> Columns:
    """Return the rows, each without one or more of the groups of columns that a log can lack."""
    found = columns.copy()
    for group in _LACKING:
        rows = np.flatnonzero(rng.random(len(found)) < 1 / 3)
        found[np.ix_(rows, np.asarray([NAMES.index(name) for name in group]))] = np.nan
    return found


def _lightgbm() -> Any:  # noqa: ANN401 - an optional package without types
    try:
        import lightgbm  # noqa: PLC0415 - only diagnosis needs it
    except ImportError as error:
        raise MissingExtraError(f"the failure model needs {error.name}; pip install 'rewriter[learn]'") from error
    return lightgbm


@cache
def _booster(text: str) -> Any:  # noqa: ANN401
    return _lightgbm().Booster(model_str=text)
