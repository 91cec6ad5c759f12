"""Goals: which turns of a session want the same thing, and whether it was reached in the end."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from rewriter.arrays import Floats, Ints

_LIKELY = 0.5  # P from which on a candidate is taken for a restatement, a turn for a defect


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of a log, (n,) each, one for each turn.

    Attributes:
        goal: number of the goal, 0.. in the order of their first turns.
        last: row of the last turn of the goal.
        success: P(the goal was reached): that its last turn is no defect. A misunderstanding that the user repaired is no
            failed goal.
        repaired: row of the turn that said it so that it worked; -1 where the turn is no likely defect, or nothing did.
    """

    goal: Ints
    last: Ints
    success: Floats
    repaired: Ints


def segment(source: Ints, target: Ints, p: Floats, defect: Floats) -> Goals:
    """Put turns together that restate each other.

    A turn is tied to the candidate that most likely restates it, if one is likelier than all else together: nearer candidates
    come first, and what they leave is shared by those behind them. What is tied, directly or through others, is one goal; turns
    with other goals may lie between.

    Args:
        source: row of the turn of each candidate, (m,); candidates of a turn together, the nearest first.
        target: row of each candidate, (m,).
        p: P(restates) of each candidate, unless a nearer one does, (m,).
        defect: P(defect) of each turn, (n,).

    Example:
        >>> goals = segment(np.array([0, 0]), np.array([1, 2]), np.array([0.1, 0.9]), np.array([0.9, 0.2, 0.1]))
        >>> goals.goal.tolist(), goals.repaired.tolist(), goals.success.tolist()
        ([0, 1, 0], [2, -1, -1], [0.9, 0.8, 0.9])
    """
    n = len(defect)
    tied = exclusive(source, p) > _LIKELY
    ties = sparse.coo_array((np.ones(tied.sum()), (source[tied], target[tied])), shape=(n, n))
    _, part = connected_components(ties, directed=False)
    _, first, goal = np.unique(part, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    goal = number[goal]
    last = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(last, goal, np.arange(n))
    ends = last[goal]
    mended = (defect > _LIKELY) & (defect[ends] <= _LIKELY)
    return Goals(goal, ends, 1 - defect[ends], np.where(mended, ends, -1))


def exclusive(source: Ints, p: Floats) -> Floats:
    """Return P that a candidate and no nearer one restates its turn, (m,).

    Args:
        source: row of the turn of each candidate; those of a turn together, the nearest first.
        p: P(restates) of each, unless a nearer one does.

    Example:
        >>> exclusive(np.array([3, 3, 4]), np.array([0.5, 0.5, 0.5])).tolist()
        [0.5, 0.25, 0.5]
    """
    found = p.astype(np.float64)
    left = 1.0
    for i in range(len(p)):
        left = 1.0 if i == 0 or source[i] != source[i - 1] else left * (1 - p[i - 1])
        found[i] = p[i] * left
    return found
