"""How high a score must be: the lowest bar at which held-out evidence keeps the stated budgets."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

_PARTS = 5  # of the held-out texts, by score, of which the surest one tells how good the labels are
_EXCEEDING = 8  # healthy texts that must exceed a score, for the tail above it to be told
_LEAST = 20.0  # wins and losses in a part, for it to tell anything


@dataclass(frozen=True, slots=True)
class Evidence:
    """What would have become of held-out texts, had each been rewritten; one row for each that something would be sent for.

    Attributes:
        score: (n,) of the rewrite.
        win: (n,) expected wins of failing texts, by what was restated.
        loss: (n,) expected losses of failing texts.
        broken: (n,) healthy texts broken.
        healthy: how many of all held-out texts are healthy.
        unheard: how many healthy texts each of these stands for in the traffic that the log has never heard.
    """

    score: Floats
    win: Floats
    loss: Floats
    broken: Floats
    healthy: int = 0
    unheard: float = 1.0


@dataclass(frozen=True, slots=True)
class Promise:
    """What a bar lets through.

    Attributes:
        bar: the score; infinite where no bar keeps the budget.
        win: expected wins among the held-out texts.
        loss: expected losses.
        ratio: win / loss, NaN where nothing passes.
        low: the lower end of its 95 % interval.
    """

    bar: float
    win: float
    loss: float
    ratio: float
    low: float


def label_noise(evidence: Evidence, loss_share: float) -> float:
    """Return the share of the failing texts whose restatement is no truth about them.

    Some restatements are misunderstood themselves, or are the next wish; then the right rewrite looks like a loss. In the part
    of the texts whose rewrites look best the observed share of losses is hardly more than that. So that the noise is not taken
    for too large, this part is credited with losing half the budget in truth.

    Args:
        evidence: the held-out texts, failing ones.
        loss_share: the budget.
    """
    order = np.argsort(-evidence.score, kind="stable")
    parts = [(evidence.win[of].sum(), evidence.loss[of].sum()) for of in np.array_split(order, _PARTS)]
    shares = [loss / (win + loss) for win, loss in parts if win + loss >= _LEAST]
    return max(0.0, min(shares, default=0.0) - loss_share / 2)


def tail(scores: Floats, healthy: int, bars: Floats) -> Floats:
    """Return the share of healthy texts that would be broken at each bar, (len(bars),).

    The budget is rarer than what a log of a few hundred healthy phrases can count. Above a high score the log-odds of what
    exceeds it fall off exponentially (peaks over threshold: Pickands 1975, Annals of Statistics 3, with shape 0), so that the
    highest fifth says how fast they do, and no single text decides. Below that score the texts are counted.

    Args:
        scores: of the healthy texts that would be broken.
        healthy: how many healthy texts there are.
        bars: scores.
    """
    if len(scores) < _EXCEEDING:
        return np.full(len(bars), (len(scores) + 1) / (healthy + 1))
    odds, wanted = (np.log(of) - np.log1p(-of) for of in (np.clip(values, 1e-9, 1 - 1e-9) for values in (scores, bars)))
    ordered = np.sort(odds)
    start = float(ordered[-max(_EXCEEDING, len(odds) // 5)])
    beyond = odds[odds >= start]
    scale = max(float(np.mean(beyond - start)), 1e-3)
    counted = (len(ordered) - np.searchsorted(ordered, wanted, side="left")) / healthy
    expected = len(beyond) / healthy * np.exp(-(np.maximum(wanted, start) - start) / scale)
    return np.asarray(np.where(wanted > start, expected, counted), dtype=np.float64)


def lowest(evidence: Evidence, *, loss_share: float, broken_share: float = 1.0, noise: float = 0.0) -> Promise:
    """Find the lowest bar that keeps the budgets; infinite where the evidence is too thin to promise them.

    With the noise e the observed losses L of W + L decided texts hold ``(L - e (W + L)) / (1 - e)`` true ones. One loss more
    than that must still be within the budget, ``(L + 1) / (W + L + 1) <= loss_share``: a log that has seen nothing go wrong in
    ten rewrites has not shown that one in twenty does. How many healthy texts are broken follows from `tail`.

    Args:
        evidence: the held-out texts.
        loss_share: budget of losses among wins and losses.
        broken_share: budget of broken texts among healthy ones.
        noise: share of failing texts with a wrong label.

    Example:
        >>> none, sure = np.zeros(100), np.linspace(1, 0, 100)
        >>> found = [lowest(Evidence(sure, none + 1, none, none), loss_share=share).bar for share in (0.05, 0.005)]
        >>> found
        [0.0, inf]
    """
    order = np.argsort(-evidence.score, kind="stable")
    score = evidence.score[order]
    win, loss = (np.cumsum(column[order]) for column in (evidence.win, evidence.loss))
    decided = win + loss
    loss = np.maximum((loss - noise * decided) / (1 - noise), 0.0)
    win = decided - loss
    kept = np.ones(len(score), dtype=bool)
    if evidence.healthy:
        broken = tail(evidence.score[evidence.broken > 0], evidence.healthy, score)
        loss = loss + evidence.unheard * evidence.healthy * broken
        kept = broken <= broken_share
    kept &= (loss + 1) <= loss_share * (win + loss + 1)
    kept &= np.append(score[1:] < score[:-1], True)[: len(score)]  # texts of one score pass together
    if not kept.any():
        return Promise(math.inf, 0.0, 0.0, math.nan, math.nan)
    last = int(np.flatnonzero(kept)[-1])
    worst = float(stats.beta.ppf(0.975, loss[last] + 0.5, win[last] + 0.5))
    ratio = win[last] / loss[last] if loss[last] > 0 else math.inf
    return Promise(float(score[last]), float(win[last]), float(loss[last]), float(ratio), (1 - worst) / worst)
