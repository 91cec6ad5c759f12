"""How high a score must be: the lowest threshold at which held-out evidence keeps the stated budgets."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rewriter.arrays import Floats
from rewriter.model.layer_slices import Promise

_PARTS = 5  # of the held-out texts, by score, of which the surest one tells how good the labels are
_LEAST = 20.0  # wins and losses in a part, for it to tell anything


@dataclass(frozen=True, slots=True)
class Evidence:
    """What would have become of held-out texts, had each been rewritten; one row for each that something would be sent for.

    Attributes:
        score: (n,) of the rewrite.
        win: (n,) expected wins, by what was restated.
        loss: (n,) expected losses: of failing texts, by what was restated, and of texts that seem healthy.
    """

    score: Floats
    win: Floats
    loss: Floats


def label_noise(evidence: Evidence, *, less: float, quantile: float = 0.5) -> float:
    """Return the share of the texts whose label is not true.

    Some restatements are misunderstood themselves, or are the next wish; some texts are misunderstood without anybody noticing.
    Then the right rewrite looks like a loss. In the part of the texts whose rewrites look best the observed share of losses is
    hardly more than that: L of W + L losses there are a sample of a share with the posterior ``Beta(L + 1/2, W + 1/2)``.

    Args:
        evidence: the held-out texts.
        less: what this part is credited with losing in truth, so that the noise is not taken for too large.
        quantile: of the posterior; below 1/2 few texts are believed less than many.
    """
    order = np.argsort(-evidence.score, kind="stable")
    parts = [(evidence.win[of].sum(), evidence.loss[of].sum()) for of in np.array_split(order, _PARTS)]
    shares = [stats.beta.ppf(quantile, loss + 0.5, win + 0.5) for win, loss in parts if win + loss >= _LEAST]
    return float(max(0.0, min(shares, default=0.0) - less))


def lowest(evidence: Evidence, *, loss_share: float, noise: float = 0.0, least: float = 0.0) -> Promise:
    """Find the lowest threshold that keeps the budget; infinite where the evidence is too thin to promise it.

    With the noise e the observed losses L of W + L decided texts hold ``(L - e (W + L)) / (1 - e)`` true ones. One loss more
    than that must still be within the budget, ``(L + 1) / (W + L + 1) <= loss_share``: a log that has seen nothing go wrong in
    ten rewrites has not shown that one in twenty does.

    Args:
        evidence: the held-out texts.
        loss_share: budget of losses among wins and losses.
        noise: share of the texts with a wrong label.
        least: no threshold is lower than this.

    Example:
        >>> none, sure = np.zeros(100), np.linspace(1, 0, 100)
        >>> found = [lowest(Evidence(sure, none + 1, none), loss_share=share).bar for share in (0.05, 0.005)]
        >>> found
        [0.0, inf]
    """
    order = np.argsort(-evidence.score, kind="stable")
    order = order[evidence.score[order] >= least]
    score = evidence.score[order]
    win, loss = (np.cumsum(column[order]) for column in (evidence.win, evidence.loss))
    decided = win + loss
    loss = np.maximum((loss - noise * decided) / (1 - noise), 0.0)
    win = decided - loss
    kept = (loss + 1) <= loss_share * (decided + 1)
    kept &= np.append(score[1:] < score[:-1], True)[: len(score)]  # texts of one score pass together
    if not kept.any():
        return Promise(math.inf, 0.0, 0.0, math.nan, math.nan)
    last = int(np.flatnonzero(kept)[-1])
    worst = float(stats.beta.ppf(0.975, loss[last] + 0.5, win[last] + 0.5))
    ratio = win[last] / loss[last] if loss[last] > 0 else math.inf
    return Promise(float(score[last]), float(win[last]), float(loss[last]), float(ratio), (1 - worst) / worst)
