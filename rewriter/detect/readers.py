"""`SpanDetector`: the trees where they are sure, and a transformer that has read the dialogue where they are not.

What the transformer says is worked out once, when it has learned, for the turns of the log of which the trees are unsure; the
transformer itself is gone when `learn_span` returns.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.detect.boosting import log_odds
from rewriter.detect.goals import exclusive
from rewriter.detect.rephrase import PairDetector, Told
from rewriter.detect.span import Dialogue, Scribe, SpanReader
from rewriter.model.detector import Columns

REACH = 3
"""Candidates of a turn, at most."""
_FOLDS = 2  # a transformer takes minutes: half of the users teach the one that reads the others
_LOW, _HIGH = 0.03, 0.97  # P of the trees between which they are unsure
_MOST = 1500  # dialogues that a reader learns from
_EPOCHS = 3
_LEAST = 30  # P below this, in thousandths, is taken for 0, as the rule does


@dataclass(frozen=True, slots=True)
class SpanDetector:
    """A `Detector` of one log: it holds the turns of that log, and scores candidates of no other.

    Attributes:
        pair: what the trees say.
        odds: (n, REACH) log-odds that a reader of the other users gave each candidate of each turn, by row and place; NaN where
            it has not been read.
    """

    pair: PairDetector
    odds: Floats

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the trees."""
        return self.pair.columns

    def of_failures(self) -> "SpanDetector":
        """Return the detector that takes every turn for one that went wrong."""
        return replace(self, pair=self.pair.of_failures())

    def p(self, candidates: Columns, ignore_nbest: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Return P of each candidate, (n,): the mean of both log-odds where both speak.

        They have equal weights: fitted to the evidence, the trees would have nearly all, which learned from the cues that the
        evidence is made of.

        Args:
            candidates: the columns of each.
            ignore_nbest: of which the trees do not look at the other hearings, see `PairDetector.p`.
        """
        p = self.pair.p(candidates, ignore_nbest)
        source = self.pair.turns.rows(candidates["user_no"], candidates["turn_no"])
        read = self.odds[source, np.asarray(candidates["ahead"], dtype=np.int64) - 1]
        asked = np.flatnonzero(unsure(p) & np.isfinite(read))
        p[asked] = 1 / (1 + np.exp(-(log_odds(p[asked]) + read[asked]) / 2))
        return p

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P in thousandths, (n,), each 0..1000."""
        p = np.rint(1000 * self.p(candidates)).astype(np.int64)
        return np.where(p < _LEAST, 0, p)


def unsure(p: Floats) -> npt.NDArray[np.bool_]:
    """Return whether each P of the trees lies in the band that is read, (n,)."""
    return np.asarray((p > _LOW) & (p < _HIGH))


def learn_span(told: Told, pair: PairDetector, base: str, *, min_users: int, seed: int) -> SpanDetector:
    """Teach readers on turns that went wrong, and let them read where the trees are unsure.

    They are taught what restates a turn where the log tells, elsewhere what the trees make of its candidates.

    Args:
        told: what the log tells.
        pair: the trees of that log.
        base: the transformer, see `SpanReader.open`.
        min_users: distinct users that a word must come from.
        seed: of what is drawn.

    Raises:
        ConfigError: there is no such transformer.
        MissingExtraError: the packages that it needs are not installed.
    """
    failed, joint = (trees.p(told.candidates, told.overheard) for trees in (pair.of_failures(), pair))
    wrong = pair.defect[told.source] > 0.5
    known = told.missed == 1
    taught = known | (np.isnan(told.missed) & wrong)
    asked = unsure(joint) | (unsure(failed) & (wrong | known))
    share = np.where(known, told.restates, failed)
    scribe = Scribe(told.turns, min_users)
    odds = np.full((len(told.turns), REACH), np.nan)
    fold = told.turns["user_no"] % _FOLDS
    for k in range(_FOLDS):
        reader = SpanReader.open(base, seed)
        rows = np.unique(told.source[taught & (fold[told.source] != k)])
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST])
        reader.fit(list(_dialogues(told, scribe, rows)), _shares(told, rows, share), epochs=_EPOCHS, seed=seed)
        rows = np.unique(told.source[asked & (fold[told.source] == k)])
        odds[rows] = log_odds(reader.p(list(_dialogues(told, scribe, rows)), REACH)[:, :REACH])
    return SpanDetector(pair, odds)


def _dialogues(told: Told, scribe: Scribe, rows: Ints) -> Iterator[Dialogue]:
    """Write down turns with their candidates, nearest first."""
    target = told.turns.rows(told.candidates["user_no"], told.candidates["next_turn_no"])
    first, last = (np.searchsorted(told.source, rows, side=side) for side in ("left", "right"))
    for row, start, end in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True):
        yield scribe.write(row, target[start:end].tolist())


def _shares(told: Told, rows: Ints, p: Floats) -> Floats:
    """Return P of each candidate of some turns and, last, of none; they exclude each other, (len(rows), REACH + 1)."""
    near = np.isin(told.source, rows)
    share = np.zeros((len(rows), REACH + 1))
    share[np.searchsorted(rows, told.source[near]), told.candidates["ahead"][near] - 1] = exclusive(told.source[near], p[near])
    share[:, REACH] = 1 - share.sum(axis=1)
    return share
