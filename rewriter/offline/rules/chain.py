"""The absorbing Markov chain: from counted steps between states, in integers, to a ranking of targets for each state.

A request in state i succeeds (``R_i = c_i+ / T_i``), fails (``c_i- / T_i``) or is said again as j (``Q_ij = C_ij / T_i``), where
T_i is all mass of row i. With ``N = (I - Q)^-1`` (expected visits), ``S_ij = N_ij R_j`` is the probability that a path from i
ends in success with j as its last state; ``sum_j S_ij = B_i``, the probability that it ends in success at all; S_ii is the
score of leaving the request alone. Kemeny and Snell, *Finite Markov Chains* (1960), chapter 3; Ponnusamy et al.,
arXiv 1911.02557, use the chain for rewriting.

Two facts make the chain smaller before it is solved:

- A self-loop changes no score: ``I - Q = D (I - Q')`` with ``D = diag(1 - Q_ii)``, where Q' is the chain whose loops were never
  counted, so ``N = N' D^-1`` and ``N_ij R_j = N'_ij R'_j``. Loops are dropped from the counts, in integers.
- A state from which no path leads to success has score 0 everywhere and adds nothing to other scores. Without such states every
  state reaches an exit, so I - Q is regular.

The remaining states form weakly connected components. Small ones are solved exactly, a large one by a series with a known error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from threadpoolctl import threadpool_limits

from rewriter.arrays import Floats, Ints
from rewriter.config import Chain
from rewriter.engines import connect
from rewriter.errors import EngineError

_ROWS = 4096
"""Rows of a large component that are solved together."""
_GAP = 1e-12
"""Gap between the two sides of `_bracket` at which it stops."""
_ROUNDS = 1000
"""Steps after which `_bracket` stops in any case; the gap that is left enters the bound."""


class Rows(NamedTuple):
    """Solved states.

    Attributes:
        state: (m,) which.
        row, column, score: the entries kept of S: the `top` best targets of each row, and its diagonal even where that is 0.
        absorbed: (m,) B_i.
        bound: (m,) upper bound of what is missing from B_i and from each entry kept.
    """

    state: Ints
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
    return Rows(np.arange(exits.size), row[kept], column[kept], score[kept], absorbed, np.zeros(exits.size))


class Share(NamedTuple):
    """Which share of the states is solved, `number` of 0..of-1. The others are solved by other calls."""

    number: int = 0
    of: int = 1

    def has(self, number: int) -> bool:
        """Whether a piece of the work is in this share."""
        return number % self.of == self.number


ALL: Final = Share()


def series(steps: sparse.csr_array, exits: Floats, config: Chain, share: Share = ALL) -> Rows:
    """Solve one large component by ``N = I + Q + Q^2 + …``, cut after `config.hops` terms and pruned.

    An entry of a power is dropped when the success it can still bring, entry times B_j, is below `config.prune`. Q is
    non-negative, so each pruned power, and with it each score s_ij, is at most the true one. All errors of row i therefore have
    one sign and add up to ``B_i - sum_j s_ij``: none of them can be larger than that. B_i itself lies in ``[b_i, b_i + g_i]``
    (`_bracket`), hence ``bound_i = max(0, b_i - sum_j s_ij) + g_i``.
    """
    firsts = [first for number, first in enumerate(range(0, exits.size, _ROWS)) if share.has(number)]
    if not firsts:
        return _NOTHING
    absorbed, gap = _bracket(steps, exits)
    parts = [_walk(steps, exits, absorbed, first, config) for first in firsts]
    row, column, score, found = (np.concatenate(part) for part in zip(*parts, strict=True))
    state = np.concatenate([np.arange(first, min(first + _ROWS, exits.size)) for first in firsts])
    return Rows(state, row, column, score, absorbed[state], np.maximum(absorbed[state] - found, 0.0) + gap[state])


_NO_STATE, _NO_SCORE = np.zeros(0, dtype=np.int64), np.zeros(0)
_NOTHING: Final = Rows(_NO_STATE, _NO_STATE, _NO_STATE, _NO_SCORE, _NO_SCORE, _NO_SCORE)


def _bracket(steps: sparse.csr_array, exits: Floats) -> tuple[Floats, Floats]:
    """Return b and g with ``b <= B <= b + g``: P(success within k steps), and P(not absorbed after k steps)."""
    absorbed, walking = np.zeros(exits.size), np.ones(exits.size)
    for _ in range(_ROUNDS):
        absorbed, walking = steps @ absorbed + exits, steps @ walking
        if walking.max() <= _GAP:
            break
    return absorbed, walking


def _walk(
    steps: sparse.csr_array, exits: Floats, absorbed: Floats, first: int, config: Chain
) -> tuple[Ints, Ints, Floats, Floats]:
    """Sum the series for `_ROWS` states; return row, column and score of the entries kept, and the sum of each full row."""
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
    # Scores are at most 1, so one key can sort by row and, within a row, by score. This takes a third of the time of two keys.
    order = np.argsort(3.0 * (row - first) - np.where(stays, 2.0, score))
    rank = np.arange(order.size) - np.repeat(visits.indptr[:-1], np.diff(visits.indptr))
    kept = order[(rank <= config.top) & ((score > 0) | stays)[order]]
    return row[kept], visits.indices[kept].astype(np.int64), score[kept], visits @ exits


_CELLS = 1 << 21
"""Cells of the dense matrices inverted at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """The solved chain of n states.

    Attributes:
        success: (n,) R_i, probability that a request in state i succeeds at once.
        absorbed: (n,) B_i, probability that a path from i ends in success.
        scores: (n, n) CSR; row i holds S_ij of its best targets, and S_ii even where that is 0.
        bound: (n,) upper bound of what is missing from B_i and from each stored S_ij. It is 0 where the component was inverted,
            which is exact up to rounding. Stored values never exceed the true ones by more than rounding.
    """

    success: Floats
    absorbed: Floats
    scores: sparse.csr_array
    bound: Floats

    def stay(self) -> Floats:
        """Return S_ii of every state, shape (n,): the score of leaving the request alone."""
        stay: Floats = self.scores.diagonal()
        return stay

    def ranking(self, state: int) -> list[tuple[int, float]]:
        """Return the stored (target, S_ij) of one state, the best first; the state itself is among them."""
        row = slice(self.scores.indptr[state], self.scores.indptr[state + 1])
        pairs = zip(self.scores.indices[row].tolist(), self.scores.data[row].tolist(), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def solve(transitions: sparse.csr_array, success: Ints, failure: Ints, config: Chain, share: Share = ALL) -> Absorption:
    """Rank the targets of every state by S_ij.

    Weakly connected components of up to `config.exact` states are inverted, many of one size at a time; in a larger one each
    row is solved by a pruned power series, whose error is known (`series`).

    Args:
        transitions: (n, n) int64, C_ij in thousandths of a turn: requests in state i that were said again as j.
        success: (n,) int64, c_i+ in thousandths.
        failure: (n,) int64, c_i- in thousandths.
        config: `exact`, `hops`, `prune`, `top`.
        share: which states are solved. `absorbed` and `bound` are NaN for the others, and they have no scores.

    Raises:
        EngineError: the shapes differ, or a mass is negative.

    Example:
        A always fails. Half of its users then say B, and half say C. B works half of the time; otherwise users say C. C works.

        >>> steps = sparse.csr_array(np.array([[0, 500, 500], [0, 0, 500], [0, 0, 0]]))
        >>> a = solve(steps, np.array([0, 500, 1000]), np.array([0, 0, 0]), Chain())
        >>> a.ranking(0)
        [(2, 0.75), (1, 0.25), (0, 0.0)]
    """
    _check(transitions, success, failure)
    states, sizes, steps, exits = _reduce(transitions, success, failure)
    n = success.size
    absorbed, bound = np.full(n, np.nan), np.full(n, np.nan)
    lost = np.ones(n, dtype=np.bool_)
    lost[states] = False
    never = np.flatnonzero(lost) if share.has(0) else _NO_STATE
    absorbed[never] = bound[never] = 0.0
    entries = [(never, never, np.zeros(never.size))]
    # On matrices this small, several BLAS threads are no faster on idle cores, and six times slower on busy ones.
    with threadpool_limits(limits=1, user_api="blas"):
        for number, (start, stop, size) in enumerate(_batches(sizes, config.exact)):
            block, out, names = steps[start:stop, start:stop], exits[start:stop], states[start:stop]
            if size > config.exact:
                rows = series(block, out, config, share)
            else:
                rows = invert(block, out, size, config.top) if share.has(number) else _NOTHING
            entries.append((names[rows.row], names[rows.column], rows.score))
            absorbed[names[rows.state]], bound[names[rows.state]] = rows.absorbed, rows.bound
    row, column, score = (np.concatenate(part) for part in zip(*entries, strict=True))
    scores = sparse.csr_array(sparse.coo_array((score, (row, column)), shape=(n, n)))
    total = np.maximum(transitions.sum(axis=1) + success + failure, 1)
    return Absorption(success / total, absorbed, scores, bound)


Counts = tuple[sparse.csr_array, Ints, Ints]
"""The arguments of `solve`: transitions (n, n) int64 CSR, success (n,) and failure (n,) int64, all in thousandths."""


def load(nodes: Path, edges: Path) -> Counts:
    """Read the chain's counts from the tables NODES and EDGES. A state is a node.

    Returns:
        n is one more than the largest node number. A number that no node has is a state without mass.

    Raises:
        EngineError: a table cannot be read, a node occurs twice, or an edge names a node that does not exist.
    """
    masses, steps = _read(nodes, edges)
    return _counts(int(masses["node"].max(initial=-1)) + 1, masses["node"], steps["source"], steps["target"], masses, steps)


def load_part(nodes: Path, edges: Path) -> tuple[Ints, Counts]:
    """Read some whole components as `load` does; return the node of each state, in ascending order, and the counts."""
    masses, steps = _read(nodes, edges)
    node = masses["node"]
    source, target = (np.searchsorted(node, steps[end]) for end in ("source", "target"))
    return node, _counts(node.size, np.arange(node.size), source, target, masses, steps)


def _read(nodes: Path, edges: Path) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """Return the columns of both tables, the nodes in ascending order."""
    try:
        with connect(nodes=nodes, edges=edges) as con:
            masses = con.execute("SELECT node, success, failure FROM nodes ORDER BY node").fetchnumpy()
            steps = con.execute("SELECT source, target, mass FROM edges").fetchnumpy()
    except duckdb.Error as error:
        raise EngineError(f"step chain: cannot read nodes or edges: {str(error).splitlines()[0]}") from error
    node = masses["node"]
    ends = np.concatenate([steps["source"], steps["target"]])
    known = np.append(node, -1)[np.searchsorted(node, ends)] == ends
    if node.min(initial=0) < 0 or not known.all() or not (np.diff(node) > 0).all():
        raise EngineError("step chain: table edges must name nodes of the table nodes, and each node must be there once")
    return masses, steps


def _counts(n: int, state: Ints, source: Ints, target: Ints, masses: dict[str, Ints], steps: dict[str, Ints]) -> Counts:
    """Return the counts of n states, from the state of each row of `masses` and the two states of each row of `steps`."""
    success, failure = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    success[state], failure[state] = masses["success"], masses["failure"]
    pairs = (steps["mass"], (source, target))
    return sparse.csr_array(sparse.coo_array(pairs, shape=(n, n), dtype=np.int64)), success, failure


def _check(transitions: sparse.csr_array, success: Ints, failure: Ints) -> None:
    n = success.size
    if transitions.shape != (n, n) or failure.shape != (n,):
        raise EngineError(f"step chain: {n} successes, {failure.size} failures and transitions {transitions.shape} do not match")
    if min(transitions.data.min(initial=0), success.min(initial=0), failure.min(initial=0)) < 0:
        raise EngineError("step chain: a mass is negative")


def _reduce(transitions: sparse.csr_array, success: Ints, failure: Ints) -> tuple[Ints, Ints, sparse.csr_array, Floats]:
    """Drop self-loops and states that never reach success. Sort the rest by component, the smallest component first.

    Returns:
        states (m,) in their new order, sizes of the components in that order, Q' (m, m) and R' (m,).
    """
    counts = transitions.tocoo()
    kept = (counts.row != counts.col) & (counts.data > 0)
    row, column, mass = counts.row[kept], counts.col[kept], counts.data[kept]
    n = success.size
    moves = sparse.csr_array((mass, (row, column)), shape=(n, n))
    total = moves.sum(axis=1) + success + failure
    states = np.flatnonzero(_reaches_success(row, column, success))
    _, label = csgraph.connected_components(moves[states][:, states], directed=True, connection="weak")
    size = np.bincount(label)
    order = np.lexsort((label, size[label]))
    states = states[order]
    steps = sparse.csr_array(moves[states][:, states], dtype=np.float64)
    steps.data /= np.repeat(total[states], np.diff(steps.indptr))
    return states, np.sort(size), steps, success[states] / total[states]


def _reaches_success(row: Ints, column: Ints, success: Ints) -> NDArray[np.bool_]:
    """Mark the states from which a path leads to success: a search along reversed edges from an added root behind all of them."""
    root = success.size
    good = np.flatnonzero(success > 0)
    ends = np.concatenate([column, np.full(good.size, root)]), np.concatenate([row, good])
    back = sparse.csr_array((np.ones(ends[0].size), ends), shape=(root + 1, root + 1))
    reached = np.zeros(root + 1, dtype=np.bool_)
    reached[csgraph.breadth_first_order(back, root, return_predecessors=False)] = True
    return reached[:root]


def _batches(sizes: Ints, exact: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first state, last state + 1, component size): components of one size that fit `_CELLS`, or one large component."""
    start = 0
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        many = max(1, _CELLS // int(size) ** 2) if size <= exact else 1
        for done in range(0, int(count), many):
            stop = start + min(many, int(count) - done) * int(size)
            yield start, stop, int(size)
            start = stop
