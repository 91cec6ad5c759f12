"""What each user's turns say was meant: the votes that launch rests on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from scipy import sparse

from rewriter.tables import glob

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TURN = 1000.0  # thousandths

_ROWS = """
WITH repaired AS (
  SELECT DISTINCT locale, state FROM counts
  WHERE kind = 'u' AND target_kind IN ('u', 'h') AND NOT (target_kind = 'u' AND target = state)
),
said AS (
  SELECT n.node AS source, c.user_id, c.target_kind, c.target, c.locale, c.mass, c.day
  FROM counts AS c
  JOIN repaired AS r ON c.locale = r.locale AND c.state = r.state
  JOIN nodes AS n ON n.kind = 'u' AND n.locale = c.locale AND n.state = c.state
  WHERE c.kind = 'u'
),
rows AS (
  SELECT source, user_id, SUM(mass) AS mass, SUM(CASE WHEN target_kind = '+' THEN mass ELSE 0 END) AS success,
         MIN(day) AS first_day, MAX(day) AS last_day
  FROM said GROUP BY source, user_id
)
SELECT ROW_NUMBER() OVER (ORDER BY source, user_id) - 1 AS row_no, * FROM rows
"""

_STEPS = """
SELECT r.row_no, t.node AS target, CAST(SUM(c.mass) AS BIGINT) AS mass
FROM counts AS c
JOIN nodes AS s ON s.kind = 'u' AND s.locale = c.locale AND s.state = c.state
JOIN votes_rows AS r ON r.source = s.node AND r.user_id = c.user_id
JOIN nodes AS t ON t.kind = c.target_kind AND t.locale = c.locale AND t.state = c.target
WHERE c.kind = 'u' AND c.target_kind IN ('u', 'h')
GROUP BY r.row_no, t.node
"""


@dataclass(frozen=True, slots=True)
class Votes:
    """One row for each (source, user) of a source that anybody ever restated, ordered by source.

    Attributes:
        source: (r,) int64, node of the utterance.
        user: (r,) object, hash of the user who said it.
        turns: (r,) float64, how often.
        success: (r,) float64, turns that succeeded as spoken.
        steps: (r, n) float64 CSR, turns that were restated as node j next.
        goals: (r, n) float64 CSR, turns whose way ended well at node j, downstream of the restatement by the chain's S.
        resolved: (r,) float64, row sums of what `goals` would be without the chain's cut to the best targets.
        first_day: (r,) int64, days since 1970.
        last_day: (r,) int64.
    """

    source: Ints
    user: npt.NDArray[np.object_]
    turns: Floats
    success: Floats
    steps: sparse.csr_array
    goals: sparse.csr_array
    resolved: Floats
    first_day: Ints
    last_day: Ints


def read(counts: Path, nodes: Path, scores: sparse.csr_array, absorbed: Floats) -> Votes:
    """Follow every restatement to where the chain says that it ends.

    A user's step from source i to state k is worth S_kj votes for goal j: the row is the user's own, what lies downstream is
    the crowd's (Ponnusamy et al., arXiv 1911.02557, rank by S; here the first step is kept apart by user).

    Args:
        counts: Parquet of `tables.COUNTS`.
        nodes: Parquet of `tables.NODES`.
        scores: (n, n) S_ij of the chain.
        absorbed: (n,) B_i+ of the chain.
    """
    with duckdb.connect() as con:
        for name, path in (("counts", counts), ("nodes", nodes)):
            con.read_parquet(glob(path)).create_view(name)
        con.execute("CREATE TEMP TABLE votes_rows AS " + _ROWS)
        rows: dict[str, Any] = con.execute("SELECT * FROM votes_rows ORDER BY row_no").fetchnumpy()
        steps: dict[str, Any] = con.execute(_STEPS).fetchnumpy()
    shape = (len(rows["row_no"]), scores.shape[0])
    moved = sparse.csr_array((steps["mass"] / _TURN, (steps["row_no"], steps["target"])), shape=shape)
    return Votes(
        source=np.asarray(rows["source"], dtype=np.int64),
        user=np.asarray(rows["user_id"], dtype=object),
        turns=np.asarray(rows["mass"], dtype=np.float64) / _TURN,
        success=np.asarray(rows["success"], dtype=np.float64) / _TURN,
        steps=moved,
        goals=sparse.csr_array(moved @ scores),
        resolved=np.asarray(moved @ absorbed, dtype=np.float64),
        first_day=np.asarray(rows["first_day"], dtype=np.int64),
        last_day=np.asarray(rows["last_day"], dtype=np.int64),
    )
