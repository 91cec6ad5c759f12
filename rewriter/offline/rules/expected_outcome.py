"""What a rule is expected to win and to lose, and the largest set of rules within a stated budget of losses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.offline.rules.priors import THETA, Priors
from rewriter.offline.rules.votes import Pairs


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the two ends of each of m rules, besides the votes.

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

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw P(i fails) and P(goal is j | i fails) once for each rule, (m,) and (m,)."""
        cell = (np.cumsum(self.goal, axis=1) < rng.random((len(self.goal), 1))).sum(axis=1)
        return rng.beta(self.ok[1], self.ok[0]), np.append(0.0, THETA)[np.minimum(cell, len(THETA))]


def believe(priors: Priors, pairs: Pairs, near: Floats, rows: Ints) -> Beliefs:
    """Return the posterior of some pairs."""
    ok = priors.ok.after(pairs.ok[rows], pairs.spoken_by[rows])
    return Beliefs(priors.agreement.posterior(pairs, near, rows), ok)


def expected(beliefs: Beliefs, around: Surroundings) -> tuple[Floats, Floats]:
    """Return expected wins and losses per request of each rule, (m,) and (m,)."""
    return outcome(beliefs.p_fails(), beliefs.p_goal(), around)


def p_gain(beliefs: Beliefs, around: Surroundings, *, draws: int, seed: int) -> Floats:
    """Return the posterior P(win > loss) of each rule, (m,).

    Row i of the chain (its votes, and its successes as spoken) is drawn anew; what lies downstream of it is held fixed.
    """
    rng = np.random.default_rng(seed)
    better = np.zeros(len(beliefs.goal))
    for _ in range(draws):
        win, loss = outcome(*beliefs.draw(rng), around)
        better += win > loss
    return better / draws


def outcome(fails: Floats, goal: Floats, around: Surroundings) -> tuple[Floats, Floats]:
    """Return wins and losses per request of each rule.

    With f = P(i fails as spoken), g = P(goal is j | i fails), u = P(surface understood as j), h = P(refused | i fails) and
    a = P(the assistant acts on the surface)::

        win  = f · g · u
        loss = (1 - f) + f · (1 - g) · h · a
    """
    win = fails * goal * around.understood
    loss = (1 - fails) + fails * (1 - goal) * around.honest * around.acts
    return win, loss


def within_budget(traffic: Floats, win: Floats, loss: Floats, share: float) -> npt.NDArray[np.bool_]:
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
