"""What each user's turns say was meant: the votes that launch rests on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rewriter.database import connect
from rewriter.offline.mine import Mined

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TURN = 1000.0  # thousandths

_ROWS = """
SELECT ROW_NUMBER() OVER (ORDER BY u.node, u.user_no) - 1 AS row_no, u.node AS source, u.user_no, u.spoken, u.success,
       u.first_day, u.last_day
FROM user_nodes AS u JOIN nodes AS n ON n.node = u.node
WHERE n.kind = 'u' AND u.node IN (SELECT source FROM edges WHERE target <> source)
"""

_STEPS = """
SELECT r.row_no, e.target, e.mass
FROM user_edges AS e JOIN votes_rows AS r ON r.source = e.source AND r.user_no = e.user_no
"""


@dataclass(frozen=True, slots=True)
class Votes:
    """One row for each (source, user) of a source that anybody ever restated, ordered by source.

    Attributes:
        source: (r,) int64, node of the utterance.
        user: (r,) int64, number of the user who said it (`tables.USERS`).
        turns: (r,) float64, how often as spoken; age has reduced it, as it has all that follows.
        success: (r,) float64, turns that succeeded as spoken.
        steps: (r, n) float64 CSR, turns that were restated as node j next.
        goals: (r, n) float64 CSR, turns whose way ended well at node j, downstream of the restatement by the chain's S.
        resolved: (r,) float64, row sums of what `goals` would be without the chain's cut to the best targets.
        first_day: (r,) int64, days since 1970.
        last_day: (r,) int64.
    """

    source: Ints
    user: Ints
    turns: Floats
    success: Floats
    steps: sparse.csr_array
    goals: sparse.csr_array
    resolved: Floats
    first_day: Ints
    last_day: Ints


def read(mined: Mined, scores: sparse.csr_array, absorbed: Floats) -> Votes:
    """Follow every restatement to where the chain says that it ends.

    A user's step from source i to state k is worth S_kj votes for goal j: the row is the user's own, what lies downstream is
    the crowd's (Ponnusamy et al., arXiv 1911.02557, rank by S; here the first step is kept apart by user).

    Args:
        mined: its tables user_nodes, user_edges, nodes and edges are read.
        scores: (n, n) S_ij of the chain.
        absorbed: (n,) B_i+ of the chain.
    """
    with connect(**mined.named("user_nodes", "user_edges", "nodes", "edges")) as con:
        con.execute("CREATE TEMP TABLE votes_rows AS " + _ROWS)
        rows: dict[str, Any] = con.execute("SELECT * FROM votes_rows ORDER BY row_no").fetchnumpy()
        steps: dict[str, Any] = con.execute(_STEPS).fetchnumpy()
    shape = (len(rows["row_no"]), scores.shape[0])
    moved = sparse.csr_array((steps["mass"] / _TURN, (steps["row_no"], steps["target"])), shape=shape)
    return Votes(
        source=np.asarray(rows["source"], dtype=np.int64),
        user=np.asarray(rows["user_no"], dtype=np.int64),
        turns=np.asarray(rows["spoken"], dtype=np.float64) / _TURN,
        success=np.asarray(rows["success"], dtype=np.float64) / _TURN,
        steps=moved,
        goals=sparse.csr_array(moved @ scores),
        resolved=np.asarray(moved @ absorbed, dtype=np.float64),
        first_day=np.asarray(rows["first_day"], dtype=np.int64),
        last_day=np.asarray(rows["last_day"], dtype=np.int64),
    )
