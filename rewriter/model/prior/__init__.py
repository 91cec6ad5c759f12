"""`Prior`: what is known before any log: weights fitted on public data, with their uncertainty. See docs/prior.md.

The files beside this one are made by ``benchmarks/train_prior.py`` (``prior.json``) and ``benchmarks/fit_pronouncer.py``
(``en.phones.tsv``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rewriter.arrays import Floats
from rewriter.errors import ArtefactError
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.model.channel import NoisyChannel, channel_of
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic
from rewriter.model.pair_features import PAIR, REQUEST, PoolMeasure

if TYPE_CHECKING:
    from rewriter.model.retrieve import Pool  # which imports FAISS

LEAST_AFTER, LEAST_BEFORE = 0.5, 0.65
"""P(success) that a single rewrite needs, after a refusal and before the NLU. If a loss weighs as much as a win, the expected
gain is zero at 1/2. Before the NLU a rewrite can also break a healthy request."""

_FILE = Path(__file__).parent / "prior.json"


class ShareBelief(NamedTuple):
    """A belief about a share, as counts: `hits` for and `misses` against.

    Example:
        >>> ShareBelief(2.0, 6.0).updated(hits=8, total=12).mean
        0.5
    """

    hits: float
    misses: float

    @property
    def mean(self) -> float:
        """The expected share."""
        return self.hits / (self.hits + self.misses)

    def updated(self, *, hits: float, total: float) -> "ShareBelief":
        """Return the belief after `hits` of `total` trials (beta-binomial: counts add up)."""
        return ShareBelief(self.hits + hits, self.misses + total - hits)


@dataclass(frozen=True, slots=True)
class Prior:
    """The shipped prior.

    Attributes:
        mean: (len(PAIR) + 1,) float64, weights of the columns of `PAIR` as they are measured, then the bias.
        covariance: (len(PAIR) + 1, len(PAIR) + 1) float64, of these weights.
        costs: ``spoken`` and ``typed`` -> costs of the channel of that kind, see `rewriter.model.channel`.
        none: ``complete`` and ``incomplete`` -> P(no text of such an index is meant | the request was refused), a `ShareBelief`.
        fails: P(the request fails as spoken | the index does not hold it), of the columns `REQUEST`.

    Example:
        >>> from rewriter.model.pair_features import PairIndex
        >>> prior = Prior.load()
        >>> texts = ["lights on in the kitchen", "lights off in the kitchen", "set a timer for ten minutes"]
        >>> index = PairIndex(texts, np.arange(3), prior.channel("spoken", "en"), complete=True)
        >>> p = prior.p(index.measure(index.asked("lights on in the chicken"), np.arange(3)))
        >>> texts[int(p.argmax())], bool(p.max() > LEAST_AFTER)
        ('lights on in the kitchen', True)
    """

    mean: Floats
    covariance: Floats
    costs: Mapping[str, Floats]
    none: Mapping[str, ShareBelief]
    fails: Logistic

    @classmethod
    @cache
    def load(cls) -> "Prior":
        """Return the prior of this package; the same object every time.

        Raises:
            ArtefactError: the file is damaged.
        """
        return cls.open(_FILE)

    @classmethod
    def open(cls, path: Path) -> "Prior":
        """Read what `save` wrote.

        Raises:
            ArtefactError: the file is missing, or is none of ours.
        """
        try:
            return cls._read(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {path}: {error}; install the package again") from error

    def save(self, path: Path, made: Mapping[str, Any]) -> None:
        """Write it as JSON, with a note on how it was made."""
        data = {
            "made": dict(made),
            "pair": list(PAIR),
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
            "costs": {kind: costs.tolist() for kind, costs in self.costs.items()},
            "none": {kind: list(belief) for kind, belief in self.none.items()},
            "fails": self.fails.to_dict(),
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> "Prior":
        mean, covariance = (np.asarray(data[name], dtype=np.float64) for name in ("mean", "covariance"))
        n = len(PAIR) + 1
        if tuple(data["pair"]) != PAIR or mean.shape != (n,) or covariance.shape != (n, n):
            raise ValueError("it was made for other columns than this version measures")
        return cls(
            mean,
            covariance,
            {kind: np.asarray(costs, dtype=np.float64) for kind, costs in data["costs"].items()},
            {kind: ShareBelief(*map(float, belief)) for kind, belief in data["none"].items()},
            Logistic.from_dict(data["fails"], len(REQUEST)),
        )

    @property
    def ranker(self) -> Logistic:
        """P(a candidate is meant | the request fails), of the columns `PAIR`."""
        return Logistic(self.mean[:-1], float(self.mean[-1]))

    def p(self, columns: Floats) -> Floats:
        """Return P(meant | refused) of measured candidates, (m, len(PAIR)) -> (m,)."""
        return self.ranker.p(columns)

    def channel(self, kind: str, locale: str) -> NoisyChannel:
        """Return the channel of a kind, ``spoken`` or ``typed``, for a locale (BCP 47)."""
        return channel_of(kind, locale, self.costs[kind].tolist())


class PoolPrior:
    """The shipped prior for the candidates of one log's online layer.

    Args:
        prior: what ships.
        kind: of the channel, ``spoken`` or ``typed``.
        contrasts: what the texts of the log show about words, by locale.
        goals: how many interpretations the log has.
    """

    __slots__ = ("_contrasts", "_goals", "_kind", "_measures", "_prior")

    def __init__(self, prior: Prior, kind: str, contrasts: Mapping[str, WordContrasts], goals: int) -> None:
        self._prior, self._kind, self._contrasts, self._goals = prior, kind, contrasts, goals
        self._measures = cache(self._measure_of)

    @classmethod
    def load(cls, kind: str, contrasts: Mapping[str, WordContrasts], goals: int) -> "PoolPrior":
        """Load the prior of this package, see `Prior.load`."""
        return cls(Prior.load(), kind, contrasts, goals)

    def p(self, heard: str, pool: "Pool", wording: Wording, locale: str) -> Floats:
        """Return P(meant | the request was refused) of each candidate, (m,) float64.

        Args:
            heard: the request, normalised.
            pool: its m candidates, at least one.
            wording: counts of words of the locale.
            locale: BCP 47.
        """
        return self._prior.p(self._measures(locale).measure(heard, pool, wording))

    def _measure_of(self, locale: str) -> PoolMeasure:
        return PoolMeasure(self._prior.channel(self._kind, locale), self._contrasts.get(locale, WordContrasts()), self._goals)
