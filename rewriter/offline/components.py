"""Solving components of the chain: exactly where they are small, by a series with a known error where one is large.

Both take the chain as `chain` leaves it: Q without self-loops (CSR), R, every state able to reach success.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rewriter.config import Chain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROWS = 4096
"""Rows of a large component that walk together."""
_GAP = 1e-12
"""How near the two sides of `_bracket` must come."""
_ROUNDS = 1000
"""Steps after which `_bracket` stops all the same; what is left of the gap enters the bound."""


class Rows(NamedTuple):
    """Solved states 0..m-1.

    Attributes:
        row, column, score: the entries kept of S: the `top` best targets of each row, and its diagonal even where that is 0.
        absorbed: (m,) B_i.
        bound: (m,) at most so much is missing from B_i and from each entry kept.
    """

    row: Ints
    column: Ints
    score: Floats
    absorbed: Floats
    bound: Floats


def invert(steps: sparse.csr_array, exits: Floats, size: int, top: int) -> Rows:
    """Solve components of one size exactly: a stack of dense inverses, measured to be faster than sparse LU up to 400 states.

    The transpose is inverted, because each column of ``(I - Q)^T`` is dominated by its diagonal: elimination then swaps no rows
    and subtracts nothing off the diagonal, so that scores come out non-negative, and exactly 0 where no path leads.
    """
    moves = steps.tocoo()
    system = np.zeros((exits.size // size, size, size))
    system[moves.row // size, moves.col % size, moves.row % size] = -moves.data
    diagonal = np.arange(size)
    system[:, diagonal, diagonal] = 1.0
    scores = np.linalg.inv(system).swapaxes(1, 2) * exits.reshape(-1, 1, size)
    absorbed = np.minimum(scores.sum(axis=2).ravel(), 1.0)
    weight = -scores
    weight[:, diagonal, diagonal] = -np.inf
    best = np.argpartition(weight, top, axis=2)[:, :, : top + 1] if size > top + 1 else np.broadcast_to(diagonal, scores.shape)
    score = np.take_along_axis(scores, best, axis=2).ravel()
    row = np.repeat(np.arange(exits.size), best.shape[2])
    column = row // size * size + best.ravel()
    kept = (score > 0) | (row == column)
    return Rows(row[kept], column[kept], score[kept], absorbed, np.zeros(exits.size))


def series(steps: sparse.csr_array, exits: Floats, config: Chain) -> Rows:
    """Solve one large component by ``N = I + Q + Q^2 + …``, cut after `config.hops` terms and pruned.

    An entry of a power is dropped when the success it can still bring, entry times B_j, is below `config.prune`. Q is
    non-negative, so each pruned power, and with it each score s_ij, is at most the true one. All errors of row i therefore have
    one sign and add up to ``B_i - sum_j s_ij``: none of them can be larger than that. B_i itself lies in ``[b_i, b_i + g_i]``
    (`_bracket`), hence ``bound_i = max(0, b_i - sum_j s_ij) + g_i``.
    """
    absorbed, gap = _bracket(steps, exits)
    parts = [_walk(steps, exits, absorbed, first, config) for first in range(0, exits.size, _ROWS)]
    row, column, score, found = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Rows(row, column, score, absorbed, np.maximum(absorbed - found, 0.0) + gap)


def _bracket(steps: sparse.csr_array, exits: Floats) -> tuple[Floats, Floats]:
    """Return b and g with ``b <= B <= b + g``: success within k steps, and what still walks after k, which may all succeed."""
    absorbed, walking = np.zeros(exits.size), np.ones(exits.size)
    for _ in range(_ROUNDS):
        absorbed, walking = steps @ absorbed + exits, steps @ walking
        if walking.max() <= _GAP:
            break
    return absorbed, walking


def _walk(
    steps: sparse.csr_array, exits: Floats, absorbed: Floats, first: int, config: Chain
) -> tuple[Ints, Ints, Floats, Floats]:
    """Walk the series from `_ROWS` states; return row, column and score of the entries kept, and the sum of each full row."""
    start = np.arange(first, min(first + _ROWS, exits.size))
    power = sparse.csr_array((np.ones(start.size), (start - first, start)), shape=(start.size, exits.size))
    visits = power
    for _ in range(config.hops - 1):
        power = power @ steps
        power.data[power.data * absorbed[power.indices] < config.prune] = 0.0
        power.eliminate_zeros()
        if power.nnz == 0:
            break
        visits = visits + power
    row = np.repeat(start, np.diff(visits.indptr))
    score = visits.data * exits[visits.indices]
    stays = visits.indices == row
    # Scores are at most 1, so that one key sorts by row and, within the row, by score: a third of the time of two keys.
    order = np.argsort(3.0 * (row - first) - np.where(stays, 2.0, score))
    rank = np.arange(order.size) - np.repeat(visits.indptr[:-1], np.diff(visits.indptr))
    kept = order[(rank <= config.top) & ((score > 0) | stays)[order]]
    return row[kept], visits.indices[kept].astype(np.int64), score[kept], visits @ exits
