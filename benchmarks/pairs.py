"""Judge mined (failing, restating) pairs against pairs that are known: average precision, best F1, recall at a threshold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from rewriter.config import Config
from rewriter.engines import DuckDB, glob
from rewriter.model.detector import Columns, Detector
from rewriter.offline.mining.pipeline import mine

Pair = tuple[str, str]
"""Turn ids: of a turn that failed, and of the turn that restates it."""
Weights = npt.NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class TextRatio:
    """The baseline: how alike the two texts are, and nothing else."""

    @property
    def columns(self) -> tuple[str, ...]:
        """One cue."""
        return ("text_similarity",)

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return the text similarity in thousandths, (n,)."""
        return np.asarray(candidates["text_similarity"], dtype=np.int64)


def mined_pairs(turns: Path, detector: Detector, work: Path, config: Config) -> dict[Pair, float]:
    """Mine a log and return P(restates) of each candidate pair, those of P = 0 among them.

    Args:
        turns: Parquet of `tables.TURNS`.
        detector: gives P.
        work: folder for the mined tables.
        config: settings of mining.
    """
    engine = DuckDB(work, threads=2)
    try:
        mined = mine(engine, turns, detector, config)
    finally:
        engine.close()
    with duckdb.connect() as con:
        for name in ("sessions", "candidates", "scores"):
            con.read_parquet(glob(getattr(mined, name))).create_view(name)
        rows = con.execute(
            """SELECT a.turn_id, b.turn_id, COALESCE(p, 0) FROM candidates AS c
            JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
            JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no
            LEFT JOIN scores AS s ON s.user_no = c.user_no AND s.turn_no = c.turn_no AND s.ahead = c.ahead"""
        ).fetchall()
    return {(source, target): p / 1000 for source, target, p in rows}


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """Pairs with their scores, and the events that they should have found.

    Attributes:
        user: number of the user of each pair, (n,).
        score: P of each pair, (n,); only pairs of P > 0.
        hit: whether it is an event, (n,).
        event_user: number of the user of each event, (m,).
        event_score: P of each event, 0 where it is no candidate, (m,).
        strict: whether the event is of the strict kind, (m,).
    """

    user: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    hit: npt.NDArray[np.bool_]
    event_user: npt.NDArray[np.int64]
    event_score: npt.NDArray[np.float64]
    strict: npt.NDArray[np.bool_]

    @property
    def users(self) -> int:
        """How many users there are."""
        return int(max(self.user.max(initial=-1), self.event_user.max(initial=-1))) + 1


def judge(found: Mapping[Pair, float], failed: Mapping[str, str], events: Mapping[Pair, bool]) -> JudgedPairs:
    """Compare mined pairs with events.

    Args:
        found: pair -> P.
        failed: turn that failed -> its user. Every pair that begins at another turn is left out.
        events: pair -> whether it is of the strict kind; every failed turn without an event is restated by none.
    """
    number = {user: i for i, user in enumerate(sorted(set(failed.values())))}
    pairs = [pair for pair, p in found.items() if p > 0 and pair[0] in failed]
    return JudgedPairs(
        user=np.array([number[failed[source]] for source, _ in pairs], dtype=np.int64),
        score=np.array([found[pair] for pair in pairs], dtype=np.float64),
        hit=np.array([pair in events for pair in pairs], dtype=np.bool_),
        event_user=np.array([number[failed[source]] for source, _ in events], dtype=np.int64),
        event_score=np.array([found.get(pair, 0.0) for pair in events], dtype=np.float64),
        strict=np.array(list(events.values()), dtype=np.bool_),
    )


def curve(judged: JudgedPairs, weights: Weights) -> tuple[npt.NDArray[np.float64], ...]:
    """Return precision, recall among all events, and thresholds, each (k,), by rising threshold.

    Args:
        judged: the pairs.
        weights: how often each user counts, (users,).
    """
    precision, recall, thresholds = precision_recall_curve(judged.hit, judged.score, sample_weight=weights[judged.user])
    reached = weights[judged.user[judged.hit]].sum() / weights[judged.event_user].sum()
    return precision[:-1], recall[:-1] * reached, thresholds


def average_precision(judged: JudgedPairs, weights: Weights) -> float:
    """Return the mean precision over all events, one that no pair reaches counting 0: sum of (R_n - R_n-1) P_n."""
    precision, recall, _ = curve(judged, weights)
    return float(-np.sum(np.diff(recall, append=0.0) * precision))


def best_f1(judged: JudgedPairs, weights: Weights) -> float:
    """Return the largest F1 over all thresholds."""
    precision, recall, _ = curve(judged, weights)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def best_threshold(judged: JudgedPairs) -> float:
    """Return the threshold of the largest F1."""
    precision, recall, thresholds = curve(judged, np.ones(judged.users))
    return float(thresholds[np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))])


def strict_recall(judged: JudgedPairs, weights: Weights, threshold: float) -> float:
    """Return the share of the strict events that reach a threshold; at 0, that are candidates with P > 0."""
    weight = weights[judged.event_user] * judged.strict
    return float((weight * ((judged.event_score >= threshold) & (judged.event_score > 0))).sum() / max(weight.sum(), 1e-12))


def interval(judged: JudgedPairs, figure: Callable[[JudgedPairs, Weights], float], seed: int) -> dict[str, float]:
    """Return a figure with its 95 % percentile interval over resampled users."""
    rng = np.random.default_rng(seed)
    n = judged.users
    with_events = np.unique(judged.event_user[judged.strict if judged.strict.any() else slice(None)])
    drawn: list[float] = []
    while len(drawn) < RESAMPLES:
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        if weights[with_events].any():  # a figure about no event at all is none
            drawn.append(figure(judged, weights))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {name: round(float(x), 4) for name, x in (("value", figure(judged, np.ones(n))), ("low", low), ("high", high))}
