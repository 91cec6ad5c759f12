"""Discounts of the chain's edges by what became of rewrites: the superposed adjacency of a self-aware loop.

A text that has a rewrite stands in the chain as itself and as its rewrite (Ponnusamy et al., "Self-aware feedback-based
self-learning in large-scale conversational AI", NAACL 2022, arXiv 2205.00029). The requests that were rewritten and those that
were left alone tell how far the rewrite can be trusted. The trust in an edge i -> j is::

    P(Y > X | trials of i as spoken and of i sent as j)  /  P(Y > X | trials of i as spoken alone),   at most 1

with X and Y the rates of success as spoken and rewritten (`rewriter.offline.trials`). The mass of the edge that is not trusted
becomes failure of row i. So a rewrite that fails loses its mass, whoever gave it, and leaving i alone scores higher.
"""

from pathlib import Path

import numpy as np

from rewriter.arrays import Ints
from rewriter.engines.duckdb import connect, save
from rewriter.offline import trials
from rewriter.offline.trials import p_better

_READINGS = """
SELECT sent, arg_max(state, (users, turns, state))
FROM (SELECT sent, state, COUNT(DISTINCT user_no) AS users, SUM(turns) AS turns FROM counts GROUP BY sent, state)
WHERE sent IN (SELECT sent FROM wanted) GROUP BY sent
"""


def write_edge_discount(counts: Path, row_days: Path, ages: Path, path: Path) -> Path:
    """Write `tables.EDGE_DISCOUNT` for every source that was ever rewritten.

    Args:
        counts: Parquet of `tables.COUNTS`.
        row_days: the newest day of each row.
        ages: Parquet of `tables.AGES`.
        path: file to write.
    """
    found = trials.read(counts, row_days, ages)
    tried = found.take(np.flatnonzero(found.arm == 1))
    target = _understood(counts, tried.sent)
    key = np.stack([tried.said, target], axis=1)
    pairs, group = np.unique(key, axis=0, return_inverse=True) if len(tried) else (key.reshape(-1, 2), tried.said)
    number, ok = trials.effective(group.reshape(-1), tried.worth(), tried.outcome, len(pairs))

    left = found.take(np.flatnonzero(found.arm == 0))
    place = np.searchsorted(pairs[:, 0], left.said)
    known = np.flatnonzero(np.append(pairs[:, 0], -1)[place] == left.said)
    sources, first, back = np.unique(pairs[:, 0], return_index=True, return_inverse=True)
    spoken = trials.effective(np.searchsorted(first, place[known]), left.worth()[known], left.outcome[known], len(sources))
    left_number, left_ok = (column[back.reshape(-1)] for column in spoken)
    nothing = np.zeros(len(pairs))
    ratio = p_better(left_number, left_ok, number, ok) / p_better(left_number, left_ok, nothing, nothing)
    columns = {"source": pairs[:, 0], "target": pairs[:, 1], "trust": np.floor(1000 * np.minimum(ratio, 1.0)).astype(np.int64)}
    with connect() as con:
        con.register("columns", columns)
        save(con, "SELECT * FROM columns", path)
    return path


def _understood(counts: Path, sent: Ints) -> Ints:
    """Return the interpretation that each text has for most users."""
    texts, back = np.unique(sent, return_inverse=True)
    with connect(counts=counts) as con:
        con.register("wanted", {"sent": texts})
        state = dict(con.execute(_READINGS).fetchall())
    return np.array([state[text] for text in texts.tolist()], dtype=np.int64)[back.reshape(-1)]
