"""Launch: which rewrites become rules, under a stated budget of losses."""

from dataclasses import dataclass

import numpy as np

from rewriter.offline import prior
from rewriter.offline.evidence import Bools, Pairs
from rewriter.offline.votes import Floats, Ints, Votes

# Centres of the priors where the log is too small to tell: an unrelated text is hardly ever meant, a near one mostly.
_GOAL_START = np.array([-3.0, 4.0, 2.0])
_GOAL_STRENGTH = 2.0
_OK_START = np.array([0.0])
_OK_STRENGTH = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the two ends of each of m pairs.

    Attributes:
        near: (m, 2) float64, text and sound similarity of source and surface, 0..1.
        honest: (m,) float64, P(the assistant says so | the source fails).
        understood: (m,) float64, P(the surface is understood as the target).
        acts: (m,) float64, P(the assistant acts on the surface).
    """

    near: Floats
    honest: Floats
    understood: Floats
    acts: Floats


@dataclass(frozen=True, slots=True)
class Posterior:
    """What a rule is expected to do to one request.

    Attributes:
        p_goal: (m,) float64, posterior mean of P(goal is j | i fails).
        p_gain: (m,) float64, posterior P(win > loss).
        win: (m,) float64, expected wins per request.
        loss: (m,) float64, expected losses per request.
        goal_prior: fitted prior of p_goal.
        ok_prior: fitted prior of P(i succeeds as spoken).
    """

    p_goal: Floats
    p_gain: Floats
    win: Floats
    loss: Floats
    goal_prior: prior.BetaRegression
    ok_prior: prior.BetaRegression


def weigh(pairs: Pairs, around: Surroundings, *, draws: int, seed: int) -> Posterior:
    """Estimate wins and losses of every pair under priors fitted over all of them.

    With f = P(i fails as spoken), g = P(goal is j | i fails), u = P(surface understood as j), h = P(refused | i fails) and
    a = P(the assistant acts on the surface)::

        win  = f · g · u
        loss = (1 - f) + f · (1 - g) · h · a

    Row i (its votes and its successes) is resampled, what lies downstream of it is held. The prior of g is a beta-binomial
    regression on the two similarities, fitted on the votes of the users who did not propose the pair.
    """
    goal = prior.fit(pairs.agreed, pairs.asked, around.near, start=_GOAL_START, strength=_GOAL_STRENGTH)
    _, once = np.unique(pairs.source, return_index=True)
    trials = pairs.said_by.astype(np.float64)
    none = np.zeros((len(once), 0))
    ok = prior.fit(pairs.ok[once], trials[once], none, start=_OK_START, strength=_OK_STRENGTH)

    mean = goal.mean(around.near)
    goal_beta = (mean * goal.strength + pairs.agreed, (1 - mean) * goal.strength + np.maximum(pairs.asked - pairs.agreed, 0.0))
    ok_mean = ok.mean(np.zeros((len(pairs), 0)))
    ok_beta = (ok_mean * ok.strength + pairs.ok, (1 - ok_mean) * ok.strength + np.maximum(trials - pairs.ok, 0.0))
    return _resample(goal_beta, ok_beta, around, goal, ok, draws, seed)


def weigh_own(
    votes: Votes, row: Ints, vote: Floats, shared: Floats, around: Surroundings, crowd: Posterior, *, draws: int, seed: int
) -> Posterior:
    """Estimate wins and losses of rules for one user: her own turns, shrunk to what the crowd meant or, unknown, to the prior.

    Args:
        votes: rows of (source, user).
        row: (m,) the row of each rule.
        vote: (m,) the user's votes for the target.
        shared: (m,) P(goal is j | i fails) of the crowd, NaN where the crowd never took this way.
        around: what is known of the two ends.
        crowd: the posterior of the rules for everybody, for its priors.
        draws: posterior draws.
        seed: of the draws.
    """
    goal, ok = crowd.goal_prior, crowd.ok_prior
    mean = np.where(np.isnan(shared), goal.mean(around.near), shared)
    other = np.maximum(votes.resolved[row] - vote, 0.0)
    ok_mean = ok.mean(np.zeros((len(row), 0)))
    failed = np.maximum(votes.turns[row] - votes.success[row], 0.0)
    goal_beta = (mean * goal.strength + vote, (1 - mean) * goal.strength + other)
    ok_beta = (ok_mean * ok.strength + votes.success[row], (1 - ok_mean) * ok.strength + failed)
    return _resample(goal_beta, ok_beta, around, goal, ok, draws, seed)


def _resample(
    goal: tuple[Floats, Floats],
    ok: tuple[Floats, Floats],
    around: Surroundings,
    goal_prior: prior.BetaRegression,
    ok_prior: prior.BetaRegression,
    draws: int,
    seed: int,
) -> Posterior:
    """Draw from the two Beta posteriors of each rule and count how often it wins more than it loses."""
    p_goal, p_fails = goal[0] / (goal[0] + goal[1]), ok[1] / (ok[0] + ok[1])
    win, loss = outcome(p_fails, p_goal, around)
    better = np.zeros(len(win))
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        sampled_win, sampled_loss = outcome(rng.beta(ok[1], ok[0]), rng.beta(*goal), around)
        better += sampled_win > sampled_loss
    return Posterior(p_goal, better / draws, win, loss, goal_prior, ok_prior)


def outcome(fails: Floats, goal: Floats, around: Surroundings) -> tuple[Floats, Floats]:
    """Return (wins, losses) per request of each rule; the formulas stand at `weigh`."""
    win = fails * goal * around.understood
    loss = (1 - fails) + fails * (1 - goal) * around.honest * around.acts
    return win, loss


def within_budget(traffic: Floats, win: Floats, loss: Floats, share: float) -> Bools:
    """Choose the largest set whose expected loss share, weighted by traffic, stays within the budget.

    The set is grown from the smallest loss per win while ``sum(loss) <= share · sum(win + loss)``; a set of rules chosen so
    has an expected win/loss of at least ``(1 - share) / share``.

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
