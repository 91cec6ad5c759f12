"""The surface of a target: the utterance that is sent for an interpretation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.engines import connect

_SURFACES = """
WITH said AS (
  SELECT locale, query, SUM(turns) AS turns, SUM(failed) AS failed, SUM(share) / 1000.0 AS users
  FROM queries GROUP BY locale, query
),
offered AS (
  SELECT q.node, q.query, q.share / 1000.0 / GREATEST(s.users, 1e-9) AS understood, s.failed / s.turns AS refused, q.users,
         q.well / 1000.0 / (s.users + 2) AS worth
  FROM queries AS q JOIN said AS s ON q.locale = s.locale AND q.query = s.query
  WHERE q.users >= ? AND q.success > 0
)
SELECT node, query, understood, refused, users
FROM offered
QUALIFY ROW_NUMBER() OVER (PARTITION BY node ORDER BY worth DESC, users DESC, query) = 1
"""


@dataclass(frozen=True, slots=True)
class Surfaces:
    """The surface of each of n nodes; an empty text for a node without one.

    Attributes:
        text: (n,) object, normalised utterance.
        understood: (n,) float64, P(the assistant understands the text as this node).
        acts: (n,) float64, P(the assistant does not refuse the text).
        users: (n,) int64, distinct users who said the text and were understood so.
    """

    text: npt.NDArray[np.object_]
    understood: npt.NDArray[np.float64]
    acts: npt.NDArray[np.float64]
    users: npt.NDArray[np.int64]


def choose(queries: Path, n: int, min_users: int) -> Surfaces:
    """Choose argmax over utterances u of P(h | u) · success(u), among texts of at least `min_users` users.

    The product is the share of the turns of u that were understood as h and went well. It is a mean over users, so nobody decides
    for all by saying something often. Two users are added to the denominator, so that a text of three users does not beat a text
    of a thousand.

    Args:
        queries: Parquet of `tables.QUERIES`.
        n: number of nodes.
        min_users: k.
    """
    with connect(queries=queries) as con:
        found: dict[str, Any] = con.execute(_SURFACES, [min_users]).fetchnumpy()
    node = np.asarray(found["node"], dtype=np.int64)
    text = np.full(n, "", dtype=object)
    understood, acts, users = np.zeros(n), np.ones(n), np.zeros(n, dtype=np.int64)
    text[node], understood[node] = found["query"], found["understood"]
    acts[node], users[node] = 1.0 - np.asarray(found["refused"], dtype=np.float64), found["users"]
    return Surfaces(text, understood, acts, users)


_OWN = """
SELECT slot, arg_max(text, (success, text))
FROM (
  SELECT w.slot, t.text, SUM(c.success) AS success
  FROM wanted AS w
  JOIN counts AS c ON c.user_no = w.user_no AND c.state = w.node
  JOIN texts AS t ON t.id = c.sent
  WHERE c.success > 0 AND c.rewritten = 0
  GROUP BY w.slot, t.text
)
GROUP BY slot
"""


def of_users(counts: Path, texts: Path, user: npt.NDArray[np.int64], node: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Choose the user's own utterance for a node that succeeded most often; an empty text if there is none.

    Args:
        counts: Parquet of `tables.COUNTS`.
        texts: Parquet of `tables.TEXTS`.
        user: (m,) numbers of users.
        node: (m,) the node that the utterance must be understood as.
    """
    own = np.full(len(node), "", dtype=object)
    with connect(counts=counts, texts=texts) as con:
        con.register("wanted", pd.DataFrame({"slot": np.arange(len(node)), "user_no": user, "node": node}))
        for slot, text in con.execute(_OWN).fetchall():
            own[slot] = text
    return own


def hashes(users: Path, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Return the keyed hash of each of some users, by their numbers."""
    with connect(users=users) as con:
        known = con.execute("SELECT user_id FROM users ORDER BY user_no").fetchnumpy()["user_id"]
    return np.asarray(known, dtype=object)[wanted]


def states(nodes: Path, wanted: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return locale, kind and state of the nodes named, indexed by node."""
    with connect(nodes=nodes) as con:
        con.register("wanted", pd.DataFrame({"node": np.unique(wanted)}))
        frame: pd.DataFrame = con.execute("SELECT node, locale, kind, state FROM nodes JOIN wanted USING (node)").df()
    return frame.set_index("node")
