"""The expected wins and losses of a rule, and the priors that are fitted on the whole log before any single source is assessed.

**Agreement.** Some users who seem to rephrase a request have in fact moved on to a new request. The votes of other users show
this. A vote for goal j of source i is *stray* with probability `stray`. Its goal is then drawn as new requests are drawn.
Otherwise the
vote is real: with probability theta it is for the goal that i mostly stands for, else for another goal that sounds like i.
theta has a Beta prior that is mixed with a small share of a flat prior. `likeness` is a likelihood ratio: how much more probable
the observed similarity of two texts is for a real goal than for a stray one. Let q_k be the likeness of the k-th vote for another
goal, and c the share of j among all requests. A source with n votes for j has the likelihood::

    ((1 - stray) theta + stray c)^n  ·  prod_k ((1 - stray)(1 - theta) + stray / q_k)

A pair exists because one user proposed it, so that vote is left out of n. It is stray itself with the odds stray : (1 - stray)
q, and then theta = 0. The three numbers are fitted on all pairs of the log at once. theta is kept on a grid, so the posterior
of each pair is exact up to the cells of the grid.

**Success as spoken.** The rates of success of sources have a Beta distribution, fitted by empirical Bayes (`fit_beta`).

**Expected outcome.** `expected` gives wins and losses of a rule, and `within_budget` the largest set within a budget of losses.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, expit, logit, logsumexp

from rewriter.arrays import Floats, Ints
from rewriter.errors import reading_state
from rewriter.offline.rules.votes import TINY, Pairs

_EDGES = np.sin(np.linspace(0.0, np.pi / 2, 33)) ** 2
"""Edges of the 32 cells of the grid; cells are small near 0 and 1, where most rates lie."""
THETA = (_EDGES[1:] + _EDGES[:-1]) / 2
"""The grid of theta, (32,) float64. A posterior has one more cell in front, for theta = 0."""

_LIKENESS = np.array([-4.0, 5.0, 3.0])
"""Centre of the normal prior on `Agreement.weights`. A log without agreed pairs keeps these values."""
_CENTRE = np.array([logit(0.2), np.log(4.0), np.log(0.5)])
"""Centre of the normal prior on logit(stray), log a and log b. A small log stays near it."""
_SPREAD = 1.5
"""Standard deviation of that prior."""
_LARGEST = 20_000
"""Largest number of pairs in a fit. It bounds the time."""
_PLENTY = 5.0
"""A pair counts in the fit of likeness by its number of agreed votes, but at most by this number."""
_FLAT = 0.05
"""Share of the flat part in theta's prior, so that no fit can rule out that a text has several meanings."""
_BETA_SPREAD = 2.0
"""Standard deviation of the normal prior on log a and log b of `fit_beta`."""
_OK_START = (0.5, 0.5)
"""a and b of success as spoken (Jeffreys' prior). A log without rephrases keeps them."""
FILE = "priors.json"
"""Of a private state, where priors are kept until they are fitted again."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The fitted model of how far users agree.

    Attributes:
        weights: (3,) float64; log likeness = weights @ (1, text similarity, sound similarity).
        stray: probability that a vote is stray.
        a, b: of the Beta distribution of theta.
        fitted_on: pairs that had another user's vote.
    """

    weights: Floats
    stray: float
    a: float
    b: float
    fitted_on: int

    def log_likeness(self, near: Floats) -> Floats:
        """Return the log of the likelihood ratio of a real goal to a stray one, given the two similarities, (m, 2) -> (m,)."""
        return np.asarray(self.weights[0] + near @ self.weights[1:], dtype=np.float64)

    def posterior(self, pairs: Pairs, near: Floats, rows: npt.NDArray[np.int64]) -> Floats:
        """Return the posterior of theta of some pairs, (len(rows), 1 + 32): mass of theta = 0, then of each cell of `THETA`."""
        theta = np.array([logit(self.stray), np.log(self.a), np.log(self.b)])
        log = _log_joint(theta, pairs, self.log_likeness(near), rows)
        return np.asarray(np.exp(log - logsumexp(log, axis=1, keepdims=True)), dtype=np.float64)


def fit_agreement(pairs: Pairs, near: Floats, unlike: Floats, *, seed: int) -> Agreement:
    """Fit likeness on agreed pairs beside random ones, then the other three numbers by penalised maximum likelihood.

    Weak normal priors keep a small log near the defaults; a large log overrules them. A pair counts with the user weights of
    those who voted for it. So a user who votes on many sources counts no more for the whole log than any other user does, and a
    few accounts cannot make all rephrases look stray. The total weight of a log is its number of pairs.

    Args:
        pairs: every source with every goal.
        near: (m, 2) text and sound similarity of the two texts, 0..1.
        unlike: (s, 2) the same of random sources with random goals, each drawn as often as votes are cast on it: the similarities
            of stray votes.
        seed: of the sample that is drawn from a large log.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - most nights fit no priors

    rng = np.random.default_rng(seed)
    agreed = np.minimum(pairs.agreed, _PLENTY)
    weighted = agreed * pairs.user_weights / np.maximum(pairs.votes, TINY)
    weights = _fit_likeness(near, weighted * (agreed.sum() / max(float(weighted.sum()), TINY)), unlike)
    likeness = np.asarray(weights[0] + near @ weights[1:], dtype=np.float64)
    voted = np.flatnonzero(pairs.others > 0)
    rows = rng.choice(voted, _LARGEST, replace=False) if len(voted) > _LARGEST else voted
    weight = pairs.user_weights[rows] * (len(rows) / max(float(pairs.user_weights[rows].sum()), TINY))

    def loss(theta: Floats) -> float:
        likelihood = logsumexp(_log_joint(theta, pairs, likeness, rows), axis=1)
        return float(0.5 * np.sum(((theta - _CENTRE) / _SPREAD) ** 2) - weight @ likelihood)

    bounds = [(logit(0.005), logit(0.8)), (-2.0, 5.0), (-4.0, 4.0)]
    best = minimize(loss, _CENTRE, method="L-BFGS-B", bounds=bounds).x if len(rows) else _CENTRE
    return Agreement(weights, float(expit(best[0])), float(np.exp(best[1])), float(np.exp(best[2])), len(voted))


def _fit_likeness(real: Floats, weight: Floats, unlike: Floats) -> Floats:
    """Fit a logistic regression in which both classes have equal weight, so its logit is the log of a likelihood ratio."""
    from scipy.optimize import minimize  # noqa: PLC0415 - most nights fit no priors

    size = min(float(weight.sum()), float(len(unlike)))
    weight = weight * (size / max(float(weight.sum()), TINY))
    weight_unlike = size / max(len(unlike), 1)

    def loss(weights: Floats) -> float:
        likelihood = weight @ np.logaddexp(0, -(weights[0] + real @ weights[1:]))
        likelihood += weight_unlike * np.logaddexp(0, weights[0] + unlike @ weights[1:]).sum()
        return float(0.5 * np.sum(((weights - _LIKENESS) / 2.0) ** 2) + likelihood)

    bounds = [(None, None), (0.0, None), (0.0, None)]
    return np.asarray(minimize(loss, _LIKENESS, method="L-BFGS-B", bounds=bounds).x, dtype=np.float64)


def _log_joint(theta: Floats, pairs: Pairs, likeness: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Return log P(theta's cell, votes) of some pairs, (len(rows), 1 + 32)."""
    stray, a, b = expit(theta[0]), np.exp(theta[1]), np.exp(theta[2])
    cells = np.log((1 - _FLAT) * np.diff(betainc(a, b, _EDGES)) + _FLAT * np.diff(_EDGES))
    sources, place = np.unique(pairs.source[rows], return_inverse=True)
    mine = np.flatnonzero(np.isin(pairs.source, sources))
    group = np.searchsorted(sources, pairs.source[mine])
    strayed = stray * np.exp(np.clip(-likeness, -30.0, 30.0))
    proposer = np.log(stray) - np.log1p(-stray) - likeness[rows]  # log odds that the proposing vote was stray
    out = np.empty((len(rows), 1 + len(THETA)))
    for cell, rate in enumerate(np.concatenate([[0.0], THETA])):
        against = np.log((1 - stray) * (1 - rate) + strayed)
        of_source = np.bincount(group, pairs.votes[mine] * against[mine], len(sources))
        others = of_source[place] - pairs.votes[rows] * against[rows]
        agreed = pairs.agreed[rows] * np.log((1 - stray) * rate + stray * pairs.chance[rows] + TINY)
        prior = -np.logaddexp(0, -proposer) if cell == 0 else cells[cell - 1] - np.logaddexp(0, proposer)
        out[:, cell] = prior + agreed + others
    return out


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta distribution over rates. It was fitted on `fitted_on` rates."""

    a: float
    b: float
    fitted_on: int

    def after(self, successes: Floats, trials: Floats) -> tuple[Floats, Floats]:
        """Return the two parameters of each rate's posterior, (n,) and (n,)."""
        return self.a + successes, self.b + np.maximum(trials - successes, 0.0)


def fit_beta(successes: Floats, trials: Floats, *, start: tuple[float, float], weight: Floats | None = None) -> Beta:
    """Fit a beta-binomial by penalised maximum likelihood.

    A normal prior on log a and log b, centred on `start`, keeps a small log near `start`; a large log overrules it. Counts may be
    fractions: the likelihood ``B(a + s, b + n - s) / B(a, b)`` is defined for them (Gelman et al., Bayesian Data Analysis,
    3rd ed., section 5.3).

    Args:
        successes: (n,) observed successes.
        trials: (n,) observed trials, at least `successes`.
        start: a and b of a log with nothing to fit.
        weight: (n,) of each rate; 1 each if None.

    Example:
        >>> beta = fit_beta(np.array([9.0, 10.0, 8.0] * 50), np.full(150, 10.0), start=(1.0, 1.0))
        >>> bool(0.88 < beta.a / (beta.a + beta.b) < 0.92)
        True
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - most nights fit no priors

    centre, weight = np.log(np.array(start)), np.ones(len(trials)) if weight is None else weight

    def loss(theta: Floats) -> float:
        a, b = np.exp(theta)
        likelihood = betaln(a + successes, b + trials - successes) - betaln(a, b)
        return float(0.5 * np.sum(((theta - centre) / _BETA_SPREAD) ** 2) - weight @ likelihood)

    best = minimize(loss, centre, method="L-BFGS-B", bounds=[(-5, 8)] * 2).x if len(trials) else centre
    return Beta(float(np.exp(best[0])), float(np.exp(best[1])), len(trials))


@dataclass(frozen=True, slots=True)
class Priors:
    """What the whole log says before any single source is assessed.

    Attributes:
        agreement: how far users agree on what a source means.
        ok: how often a source that was ever restated succeeds as spoken.
    """

    agreement: Agreement
    ok: Beta

    def save(self, state: Path) -> None:
        """Write ``priors.json``."""
        data = asdict(self)
        data["agreement"]["weights"] = self.agreement.weights.tolist()
        (state / FILE).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def open(cls, state: Path | None) -> "Priors | None":
        """Return the priors that were saved in a state; None if none were.

        Example:
            >>> import tempfile
            >>> state, alike = Path(tempfile.mkdtemp()), Agreement(np.ones(3), 0.2, 4.0, 0.5, 100)
            >>> Priors(alike, Beta(0.5, 0.5, 100)).save(state)
            >>> Priors.open(state).agreement.stray
            0.2
        """
        if state is None or not (state / FILE).exists():
            return None
        with reading_state(state / FILE):
            data = json.loads((state / FILE).read_text(encoding="utf-8"))
            data["agreement"]["weights"] = np.array(data["agreement"]["weights"], dtype=np.float64)
            return cls(Agreement(**data["agreement"]), Beta(**data["ok"]))


def fit_priors(pairs: Pairs, near: Floats, unlike: Floats, *, seed: int) -> Priors:
    """Fit the priors on all pairs of the log.

    Args:
        pairs: the m pairs.
        near: (m, 2) text and sound similarity of the two ends.
        unlike: (s, 2) the same of random sources with random goals (`votes.strays`).
        seed: of the sample that a large log is cut to.
    """
    _, once = np.unique(pairs.source, return_index=True)
    ok = fit_beta(pairs.ok[once], pairs.spoken_by[once], start=_OK_START, weight=pairs.fit_weight[once])
    return Priors(fit_agreement(pairs, near, unlike, seed=seed), ok)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of source and target of each of m rules, besides the votes.

    Attributes:
        honest: (m,) float64, P(the assistant says that it failed | the source fails).
        understood: (m,) float64, P(the surface is understood as the target).
        acts: (m,) float64, P(the assistant acts on the surface).
    """

    honest: Floats
    understood: Floats
    acts: Floats

    def take(self, rows: Ints) -> "Surroundings":
        """Return what is known of some pairs, in this order."""
        return Surroundings(self.honest[rows], self.understood[rows], self.acts[rows])


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The posterior of each of m rules.

    Attributes:
        goal: (m, 1 + 32) float64, of P(goal is j | i fails), on the grid 0, `priors.THETA`.
        ok: Beta parameters, (m,) each, of P(i succeeds as spoken).
    """

    goal: Floats
    ok: tuple[Floats, Floats]

    def take(self, rows: Ints) -> "Beliefs":
        """Return the beliefs on some rules, in this order."""
        return Beliefs(self.goal[rows], (self.ok[0][rows], self.ok[1][rows]))

    def p_goal(self) -> Floats:
        """Return the posterior mean of P(goal is j | i fails), (m,)."""
        return np.asarray(self.goal[:, 1:] @ THETA, dtype=np.float64)

    def p_fails(self) -> Floats:
        """Return the posterior mean of P(i fails as spoken), (m,)."""
        return np.asarray(self.ok[1] / (self.ok[0] + self.ok[1]), dtype=np.float64)


def believe(priors: Priors, pairs: Pairs, near: Floats, rows: Ints) -> Beliefs:
    """Return the posterior of some pairs."""
    ok = priors.ok.after(pairs.ok[rows], pairs.spoken_by[rows])
    return Beliefs(priors.agreement.posterior(pairs, near, rows), ok)


def expected(beliefs: Beliefs, surroundings: Surroundings) -> tuple[Floats, Floats]:
    """Return expected wins and losses per request of each rule, (m,) and (m,)."""
    return outcome(beliefs.p_fails(), beliefs.p_goal(), surroundings)


def p_gain(beliefs: Beliefs, surroundings: Surroundings) -> Floats:
    """Return the posterior P(win > loss) of each rule, (m,).

    Only row i of the chain (its votes, and its successes as spoken) is uncertain. The rows of all other states are held fixed.
    With the names of `outcome`, win > loss exactly if ``f (1 + g u - (1 - g) h a) > 1``. So each cell of the grid of g gives a
    least f, whose probability is that of a Beta distribution. Nothing is drawn, so one rule does not depend on other rules.

    Example:
        >>> sure = Beliefs(np.eye(1, 33, 32), (np.array([1.0]), np.array([1.0])))  # g is nearly 1, and f is uniform
        >>> p_gain(sure, Surroundings(np.ones(1), np.ones(1), np.ones(1))).round(2).tolist()
        [0.5]
    """
    g = np.append(0.0, THETA)
    gain = g * surroundings.understood[:, None] - (1 - g) * (surroundings.honest * surroundings.acts)[:, None]
    least = np.where(gain > 0, 1 / (1 + np.maximum(gain, 0.0)), 1.0)
    return np.asarray(
        (beliefs.goal * betainc(beliefs.ok[0][:, None], beliefs.ok[1][:, None], 1 - least)).sum(axis=1), dtype=np.float64
    )


def outcome(fails: Floats, goal: Floats, surroundings: Surroundings) -> tuple[Floats, Floats]:
    """Return wins and losses per request of each rule.

    With f = P(i fails as spoken), g = P(goal is j | i fails), u = P(surface understood as j), h = P(refused | i fails) and
    a = P(the assistant acts on the surface)::

        win  = f · g · u
        loss = (1 - f) + f · (1 - g) · h · a
    """
    win = fails * goal * surroundings.understood
    loss = (1 - fails) + fails * (1 - goal) * surroundings.honest * surroundings.acts
    return win, loss


def within_budget(traffic: Floats, win: Floats, loss: Floats, share: float) -> npt.NDArray[np.bool_]:
    """Choose the largest set whose expected loss share, weighted by traffic, stays within the budget.

    Rules are added in the order of their loss per win, the smallest first, while ``sum(loss) <= share · sum(win + loss)``. The
    expected win/loss ratio of such a set is at least ``(1 - share) / share``.

    Returns:
        (m,) bool.

    Example:
        >>> within_budget(np.ones(3), np.array([1.0, 0.9, 0.5]), np.array([0.0, 0.1, 0.5]), 0.05).tolist()
        [True, True, False]
    """
    order = np.argsort(loss / np.maximum(win, 1e-12), kind="stable")
    excess = traffic * (loss - share * (win + loss))
    kept = np.zeros(len(win), dtype=bool)
    kept[order] = np.cumsum(excess[order]) <= 0
    return kept
