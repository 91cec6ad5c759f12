"""What a day has not touched is not solved again: components of the chain that stand as they stood keep their scores.

The graph of both days together says what belongs together. A component of it in which no row has changed is the same chain as
before, whoever is around it, so its part of the solution is the same to the last bit.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from rewriter.config import Chain
from rewriter.errors import undamaged
from rewriter.offline.chain import Absorption, load, solve
from rewriter.offline.components import Ints

_FILE = "chain.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """The chain of the day before, solved.

    Attributes:
        transitions, success, failure: what `chain.solve` was given.
        solved: what it returned.
    """

    transitions: sparse.csr_array
    success: Ints
    failure: Ints
    solved: Absorption


def read(state: Path | None, config: Chain) -> Before | None:
    """Return what the day before left; None where there is nothing, or it was solved with other settings."""
    if state is None or not (state / _FILE).exists():
        return None
    with undamaged(state / _FILE), np.load(state / _FILE, allow_pickle=False) as found:
        if str(found["config"]) != _told(config):
            return None
        n = len(found["absorbed"])
        scores = sparse.csr_array((found["data"], found["indices"], found["indptr"]), shape=(n, n))
        solved = Absorption(found["success"], found["absorbed"], scores, found["bound"])
    return Before(*load(state / "nodes.parquet", state / "edges.parquet"), solved)


def write(solved: Absorption, config: Chain, state: Path) -> None:
    """Write what the next day may keep, ``chain.npz``; numbers only."""
    s = solved.scores
    parts = {"data": s.data, "indices": s.indices, "indptr": s.indptr}
    sums = {"success": solved.success, "absorbed": solved.absorbed, "bound": solved.bound}
    np.savez(state / _FILE, allow_pickle=False, config=np.array(_told(config)), **parts, **sums)


def resolve(transitions: sparse.csr_array, success: Ints, failure: Ints, config: Chain, before: Before | None) -> Absorption:
    """Return what `chain.solve` returns, of the components that have changed anew, of all others as it was.

    Args:
        transitions: (n, n) int64, C_ij in thousandths; the first states are those of the day before, in their order.
        success: (n,) int64, c_i+ in thousandths.
        failure: (n,) int64, c_i- in thousandths.
        config: settings of the chain, those of the day before.
        before: the day before; None to solve everything.
    """
    if before is None or len(before.success) > len(success):
        return solve(transitions, success, failure, config)
    touched = _touched(transitions, success, failure, before)
    states, kept = np.flatnonzero(touched), np.flatnonzero(~touched)
    part = solve(transitions[states][:, states], success[states], failure[states], config)
    n, old, new = len(success), before.solved.scores[kept].tocoo(), part.scores.tocoo()
    row, column = np.concatenate([kept[old.row], states[new.row]]), np.concatenate([old.col, states[new.col]])
    scores = sparse.csr_array(sparse.coo_array((np.concatenate([old.data, new.data]), (row, column)), shape=(n, n)))
    sums = np.empty((3, n))
    sums[:, states] = part.success, part.absorbed, part.bound
    sums[:, kept] = [values[kept] for values in (before.solved.success, before.solved.absorbed, before.solved.bound)]
    return Absorption(sums[0], sums[1], scores, sums[2])


def _touched(transitions: sparse.csr_array, success: Ints, failure: Ints, before: Before) -> NDArray[np.bool_]:
    """Mark the states of components with a row that is not what it was, (n,)."""
    n, m = len(success), len(before.success)
    was = sparse.csr_array(before.transitions, copy=True)
    was.resize((n, n))
    moved = np.asarray(abs(transitions - was).sum(axis=1)).ravel() > 0
    changed = moved | np.concatenate(
        [(success[:m] != before.success) | (failure[:m] != before.failure), np.ones(n - m, dtype=bool)]
    )
    _, label = csgraph.connected_components(abs(transitions) + was, directed=True, connection="weak")
    return np.isin(label, label[changed])


def _told(config: Chain) -> str:
    return json.dumps(asdict(config), sort_keys=True)
