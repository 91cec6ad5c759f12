"""Calibration of scores on held-out texts, and the lowest threshold at which these texts keep a budget of losses."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from rewriter.arrays import Bools, Floats
from rewriter.model.decider import Calibration
from rewriter.model.layer_slices import PRIOR_LOSSES, PRIOR_WINS, Promise

_PARTS = 5  # number of parts of the held-out texts, ordered by score; the best part shows how often labels are wrong
_MIN_DECIDED = 20.0  # least number of wins and losses in a part; smaller parts are not used
_BIN = 15.0  # wins and losses in a bin of the calibration; in smaller bins the lower quartile is far too low
_CAUTION = 0.25
"""Quantile of the posterior of a block that is its P. The blocks are chosen on the same texts, so the mean would be too high."""
_TAIL = 0.975  # quantile of the share of losses that gives the lower end of a 95 % interval of win / loss


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The outcomes that n held-out texts, for which a rewrite was found, would have had if it had been applied.

    Attributes:
        score: (n,) of the rewrite.
        win: (n,) expected wins, by what users restated.
        loss: (n,) expected losses: of failing texts by what users restated, and of healthy texts.
        tie: (n,) expected rewrites that neither win nor lose: a silent failure that becomes another one.
    """

    score: Floats
    win: Floats
    loss: Floats
    tie: Floats

    def take(self, rows: Bools) -> "HeldOut":
        """Return some of the texts; `rows` is (n,)."""
        return HeldOut(self.score[rows], self.win[rows], self.loss[rows], self.tie[rows])

    def calibrated(self, calibration: Calibration) -> "HeldOut":
        """Return the texts with their P(success) as score."""
        return replace(self, score=calibration.all(self.score))


def calibrate(held_out: HeldOut, *, noise: float = 0.0) -> Calibration:
    """Return the curves from score to P(the rewrite wins, if it wins or loses), by isotonic regression on held-out texts.

    Texts are put into bins by score. Neighbouring bins whose share of wins does not rise with the score are pooled into one
    block (pool adjacent violators). The posterior of a block with W wins and L losses is ``Beta(W + 1/2, L + 1/2)``. Its mean is
    the expected P. Its lower quartile is the bound on which rewrites are decided, so a small block promises little. Ties cost
    nothing and are left out. The curves are linear between the mean scores of the blocks (centred isotonic regression: Oron and
    Flournoy 2017, "Centered isotonic regression", Statistics in Biopharmaceutical Research 9).

    Args:
        held_out: the held-out texts.
        noise: share of the texts with a wrong label, from `label_noise`; these are no losses.

    Example:
        >>> score = np.linspace(0, 1, 1000)
        >>> curve = calibrate(HeldOut(score, score**2, 1 - score**2, 0 * score))
        >>> abs(curve.p_of(0.5) - 0.25) < 0.1, abs(curve.p_of(0.9) - 0.81) < 0.1
        (True, True)
    """
    order = np.argsort(held_out.score, kind="stable")
    weight = (held_out.win + held_out.loss)[order]
    order, weight = order[weight > 0], weight[weight > 0]
    if not len(order):
        return Calibration()
    _, block = np.unique(np.floor(np.cumsum(weight) / _BIN), return_inverse=True)
    for quantile in (None, _CAUTION):
        total, win, score = (np.bincount(block, x) for x in (weight, held_out.win[order], weight * held_out.score[order]))
        failed = np.maximum((total - win - noise * total) / (1 - noise), 0.0)
        won = total - failed
        share = won / total if quantile is None else stats.beta.ppf(quantile, won + 0.5, failed + 0.5)
        fit = isotonic_regression(share, weights=total)
        block = (np.searchsorted(fit.blocks, np.arange(len(total)), side="right") - 1)[block]
        p, first = fit.x[fit.blocks[:-1]], fit.blocks[:-1]
        decided, wins = np.add.reduceat(total, first), np.add.reduceat(won, first)
        centre = np.add.reduceat(score, first) / decided
        expected = isotonic_regression((wins + 0.5) / (decided + 1), weights=decided).x
    return Calibration(*(tuple(column.tolist()) for column in (centre, p, expected)))


def label_noise(held_out: HeldOut, *, less: float, quantile: float = 0.5) -> float:
    """Return the share of the texts whose label is wrong.

    Some restatements are misunderstood themselves or are the next goal, and some texts are misunderstood without anybody
    noticing. Then the right rewrite looks like a loss. Among the texts with the best scores nearly all losses are of this kind.
    So the share of wrong labels is estimated there: with W wins and L losses its posterior is ``Beta(L + 1/2, W + 1/2)``
    (Jeffreys' prior).

    Args:
        held_out: the held-out texts.
        less: assumed true share of losses among them, which is subtracted.
        quantile: of the posterior that is returned; below 1/2 the estimate is lower, and cautious, if there are few texts.
    """
    order = np.argsort(-held_out.score, kind="stable")
    parts = [(held_out.win[of].sum(), held_out.loss[of].sum()) for of in np.array_split(order, _PARTS)]
    shares = [stats.beta.ppf(quantile, loss + 0.5, win + 0.5) for win, loss in parts if win + loss >= _MIN_DECIDED]
    return float(max(0.0, min(shares, default=0.0) - less))


def lowest(
    held_out: HeldOut,
    *,
    loss_share: float,
    noise: float = 0.0,
    least: float = 0.0,
    calibrated: bool = False,
    prior_wins: float = 0.0,
) -> Promise:
    """Return the lowest threshold whose held-out share of losses stays within the budget, or infinity if there is none.

    If a share e of the labels is wrong, L observed losses among W + L decided texts are ``(L - e (W + L)) / (1 - e)`` true ones.
    The budget must hold with one more loss, ``(L + 1) / (W + L + 1) <= loss_share``. So ten rewrites without a loss do not show
    that less than one in twenty is lost.

    Args:
        held_out: the held-out texts.
        loss_share: the budget, as share of losses among wins and losses.
        noise: share of the texts with a wrong label, from `label_noise`.
        least: lowest threshold that is considered.
        calibrated: whether scores are P(success). Then the losses that the scores predict must keep the budget, too. The lowest
            of many thresholds is often one at which few losses happened to be observed, and the curve is smoother than the
            counts.
        prior_wins: wins that count beside those of the held-out texts. The promise does not contain them.

    Example:
        >>> none, sure = np.zeros(100), np.linspace(1, 0, 100)
        >>> found = [lowest(HeldOut(sure, none + 1, none, none), loss_share=share).threshold for share in (0.05, 0.005)]
        >>> found
        [0.0, inf]
    """
    order = np.argsort(-held_out.score, kind="stable")
    order = order[held_out.score[order] >= least]
    score = held_out.score[order]
    win, loss = (np.cumsum(column[order]) for column in (held_out.win, held_out.loss))
    decided = win + loss
    loss = np.maximum((loss - noise * decided) / (1 - noise), 0.0)
    win = decided - loss
    kept = (loss + 1) <= loss_share * (decided + prior_wins + 1)
    kept &= np.append(score[1:] < score[:-1], True)[: len(score)]  # texts of one score pass together
    if calibrated:
        total = (held_out.win + held_out.loss)[order]
        kept &= np.cumsum(total * (1 - score)) <= loss_share * np.cumsum(total)
    budget = float(np.min((loss + 1) / (decided + prior_wins + 1), initial=1.0))
    if not kept.any():
        spare = float(np.max(loss_share * decided - loss, initial=0.0))
        more = (1 - loss_share) / spare if spare > 0 else math.inf
        return Promise(math.inf, 0.0, 0.0, math.nan, math.nan, least_budget=budget, more_evidence=more)
    last = int(np.flatnonzero(kept)[-1])
    interval = _interval(float(win[last]), float(loss[last]))
    return Promise(float(score[last]), float(win[last]), float(loss[last]), *interval, least_budget=budget, more_evidence=1.0)


def by_prior(
    held_out: HeldOut, p_prior: Floats, *, loss_share: float, least: float = 0.0, noise: float = 0.0, factors: int = 1
) -> tuple[Promise, Calibration]:
    """Return the promise of the shipped prior, for a log whose held-out texts are too few for a promise, and the calibration.

    With a budget q, a rewrite is looked at only if the prior gives P(meant) of at least t = 1 - 2 q. If P is spread evenly above
    t, the share of losses is q. So the prior counts as 20 rewrites, one of them lost, and the held-out texts on which it agrees
    are added to these. The ranker of the log must agree, too. If at least 20 held-out texts pass, they are calibrated and set the
    threshold, as in `lowest`. If they are fewer, the ranker must give at least t, or t to the power of `factors`.

    Args:
        held_out: the held-out texts, with scores that are products of probabilities and not calibrated.
        p_prior: (n,) P(meant) by the prior of each.
        loss_share: the budget, as share of losses among wins and losses.
        least: lowest P(success) of what is sent.
        noise: share of the texts with a wrong label, from `label_noise`.
        factors: how many probabilities a score is the product of.

    Example:
        >>> few = HeldOut(np.full(4, 0.95), np.array([1.0, 1, 1, 0]), np.array([0.0, 0, 0, 1]), np.zeros(4))
        >>> agreed, _ = by_prior(few.take(np.array([1, 1, 1, 0]) > 0), np.full(3, 0.97), loss_share=0.05)
        >>> agreed.threshold, agreed.least_prior, agreed.win, agreed.loss
        (0.9, 0.9, 22.0, 1.0)
        >>> by_prior(few, np.full(4, 0.97), loss_share=0.05)[0].keeps_budget()
        False
        >>> enough = HeldOut(np.full(40, 0.5), np.ones(40), np.zeros(40), np.zeros(40))
        >>> agreed, calibration = by_prior(enough, np.full(40, 0.97), loss_share=0.05)
        >>> agreed.threshold == calibration.p_of(0.5) > 0.95
        True
    """
    sure = max(1 - 2 * loss_share, least)
    agreed = held_out.take(p_prior >= sure)
    calibration = calibrate(agreed, noise=noise)
    calibrated = agreed.calibrated(calibration)
    found = lowest(calibrated, loss_share=loss_share, noise=noise, least=least, prior_wins=PRIOR_WINS)
    if found.win + found.loss < PRIOR_WINS + PRIOR_LOSSES:
        score, calibration = max(sure**factors, least), Calibration()
        found = _of_all(agreed.take(agreed.score >= score), score, loss_share=loss_share, noise=noise, prior_wins=PRIOR_WINS)
    if not found.keeps_budget():
        return found, Calibration()
    win, loss = found.win + PRIOR_WINS, found.loss + PRIOR_LOSSES
    ratio, low = _interval(win, loss)
    return Promise(
        found.threshold, win, loss, ratio, low, least_budget=loss_share, more_evidence=1.0, least_prior=sure
    ), calibration


def _of_all(held_out: HeldOut, threshold: float, *, loss_share: float, noise: float, prior_wins: float) -> Promise:
    """Return the promise of a given threshold, with these held-out texts above it."""
    decided, loss = float((held_out.win + held_out.loss).sum()), float(held_out.loss.sum())
    loss = max((loss - noise * decided) / (1 - noise), 0.0)
    budget = (loss + 1) / (decided + prior_wins + 1)
    if budget > loss_share:
        return Promise(math.inf, 0.0, 0.0, least_budget=budget)
    return Promise(threshold, decided - loss, loss)


def _interval(win: float, loss: float) -> tuple[float, float]:
    """Return win / loss, and the lower end of its 95 % interval."""
    worst = float(stats.beta.ppf(_TAIL, loss + 0.5, win + 0.5))
    return win / loss if loss > 0 else math.inf, (1 - worst) / worst
