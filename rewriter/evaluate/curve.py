"""The win/loss ratio against the share of defects fixed, over all thresholds."""

from dataclasses import dataclass

import numpy as np

from rewriter.evaluate.outcomes import Outcomes, at, fixed, losses, win_loss, wins
from rewriter.evaluate.ratios import Interval


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold of a curve: rewrites with a score below it are left alone."""

    threshold: float
    rewritten: int
    wins: int
    losses: int
    fixed: Interval
    win_loss: Interval


def curve(outcomes: Outcomes, *, points: int = 25, seed: int = 0) -> list[Point]:
    """Return figures over thresholds, from the surest rewrites alone to all of them.

    Args:
        outcomes: the judged turns.
        points: thresholds at most; where there are more scores, quantiles of them.
        seed: of the bootstrap by user.

    Returns:
        One Point for each threshold, the highest first; empty where nothing was rewritten.
    """
    scores = outcomes.score[outcomes.applied]
    if not len(scores):
        return []
    thresholds = np.unique(np.quantile(scores, np.linspace(0, 1, points), method="inverted_cdf"))
    return [_point(at(outcomes, t), float(t), seed) for t in thresholds[::-1]]


def _point(outcomes: Outcomes, threshold: float, seed: int) -> Point:
    return Point(
        threshold=threshold,
        rewritten=int(outcomes.applied.sum()),
        wins=int(wins(outcomes).sum()),
        losses=int(losses(outcomes).sum()),
        fixed=fixed(outcomes, seed=seed),
        win_loss=win_loss(outcomes, seed=seed),
    )
