"""Rules that hold in a certain circumstance: the row of a source, counted where the context says one thing.

"Turn on the light" means this lamp in the kitchen and that one in the office: for the log as a whole no target is sure, in each
room one is. So the row of a source is taken apart: a *cell* is a source in one circumstance, and is weighed like a source, by the
votes of the users in it, under the priors of the whole log. What lies downstream of its first step is the chain's. A rewrite that
worked is a step that was taken for the user.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from rewriter.config import Launch
from rewriter.database import connect
from rewriter.offline import decide, evidence, launch, surface
from rewriter.offline.decide import Crowd, Ground, Guard
from rewriter.offline.mine import Mined
from rewriter.offline.votes import Ints, Votes

_TURN = 1000.0
_MOST = 0.9  # share of a source's turns above which a circumstance is no circumstance
_CELLS = """
CREATE TEMP TABLE cells AS
WITH heard AS (SELECT said AS source, SUM(turns) AS turns FROM counts GROUP BY said),
within AS (
  SELECT said AS source, circumstance, SUM(turns) AS turns, COUNT(DISTINCT user_no) AS users
  FROM context_counts GROUP BY said, circumstance
)
SELECT ROW_NUMBER() OVER (ORDER BY w.source, w.circumstance) - 1 AS cell, w.source, w.circumstance, r.last_day,
       GREATEST(COALESCE(e.day, 0), COALESCE(b.day, 0)) AS first_day
FROM within AS w JOIN heard AS h ON h.source = w.source JOIN row_days AS r ON r.node = w.source
LEFT JOIN cuts AS e ON e.node = w.source AND e.circumstance = ''
LEFT JOIN cuts AS b ON b.node = w.source AND b.circumstance = w.circumstance
WHERE w.users >= $k AND w.turns <= $most * h.turns
  AND w.source IN (SELECT source FROM edges WHERE target <> source)
"""
_ROWS = """
SELECT c.cell, t.user_no, SUM(IF(t.rewritten = 0, t.turns * a.weight, 0)) / 1e6 AS turns,
       SUM(IF(t.rewritten = 0, t.success * a.weight, 0)) / 1e6 AS success, MIN(t.day) AS first_day, MAX(t.day) AS last_day
FROM context_counts AS t JOIN cells AS c ON c.source = t.said AND c.circumstance = t.circumstance
JOIN ages AS a ON a.age = c.last_day - t.day
WHERE t.day >= c.first_day
GROUP BY c.cell, t.user_no ORDER BY c.cell, t.user_no
"""
_STEPS = """
WITH taken AS (
  SELECT day, user_no, said, circumstance, target, mass FROM context_steps
  UNION ALL
  SELECT day, user_no, said, circumstance, state AS target, success AS mass
  FROM context_counts WHERE rewritten = 1 AND success > 0
)
SELECT c.cell, t.user_no, t.target, SUM(t.mass * a.weight) / 1e6 AS mass
FROM taken AS t JOIN cells AS c ON c.source = t.said AND c.circumstance = t.circumstance
JOIN ages AS a ON a.age = c.last_day - t.day
WHERE t.day >= c.first_day
GROUP BY c.cell, t.user_no, t.target
"""


@dataclass(frozen=True, slots=True)
class Cells:
    """Sources in circumstances of enough users, numbered 0..m-1.

    Attributes:
        source: (m,) int64, node.
        circumstance: (m,) object, text.
        votes: rows of (cell, user); its `source` is the cell.
    """

    source: Ints
    circumstance: np.ndarray[tuple[int, ...], np.dtype[np.object_]]
    votes: Votes


def cells(mined: Mined, scores: sparse.csr_array, absorbed: np.ndarray[Any, np.dtype[np.float64]], min_users: int) -> Cells:
    """Count what users did in each circumstance of each source that was ever restated.

    Args:
        mined: its tables of counts and steps are read, reduced by age as the rows of the chain are.
        scores: (n, n) S_ij of the chain.
        absorbed: (n,) B_i+ of the chain.
        min_users: distinct users of a cell at least.
    """
    with connect(**mined.named("counts", "context_counts", "context_steps", "edges", "ages", "cuts", "row_days")) as con:
        con.execute(_CELLS, {"k": min_users, "most": _MOST})
        named: dict[str, Any] = con.execute("SELECT source, circumstance FROM cells ORDER BY cell").fetchnumpy()
        rows, steps = con.execute(_ROWS).df(), con.execute(_STEPS).df()
    rows["row_no"] = np.arange(len(rows))
    steps = steps.merge(rows[["cell", "user_no", "row_no"]], on=["cell", "user_no"])
    moved = sparse.csr_array(
        (steps["mass"] / _TURN, (steps["row_no"], steps["target"])), shape=(len(rows), scores.shape[0]), dtype=np.float64
    )
    votes = Votes(
        source=rows["cell"].to_numpy(dtype=np.int64),
        user=rows["user_no"].to_numpy(dtype=np.int64),
        turns=rows["turns"].to_numpy(dtype=np.float64),
        success=rows["success"].to_numpy(dtype=np.float64) / _TURN,
        steps=moved,
        goals=sparse.csr_array(moved @ scores),
        resolved=np.asarray(moved @ absorbed, dtype=np.float64),
        first_day=rows["first_day"].to_numpy(dtype=np.int64),
        last_day=rows["last_day"].to_numpy(dtype=np.int64),
    )
    return Cells(np.asarray(named["source"], dtype=np.int64), np.asarray(named["circumstance"], dtype=object), votes)


def in_context(ground: Ground, found: Cells, crowd: Crowd, guard: Guard, config: Launch, seed: int) -> pd.DataFrame:
    """Decide on the rules for everybody that hold in one circumstance.

    Args:
        ground: what launch stands on.
        found: what users did in each circumstance.
        crowd: what all users together say; its launched rules hold wherever nothing else is said here.
        guard: the guardrail.
        config: settings.
        seed: of the draws.

    Returns:
        Columns of `tables.RULES` but for those of life, and cell and node, of the target.
    """
    pairs, k = evidence.gather(found.votes), config.min_users
    names = surface.states(ground.mined.nodes, np.concatenate([found.source, pairs.target]))
    surfaces = ground.surfaces
    source = found.source[pairs.source]
    near = decide.nearness(names, source, ground.commonest.text[pairs.target])
    score, stay = _scores(found, pairs)
    rows = np.lexsort((pairs.target, -score, pairs.source))
    rows = rows[(source != pairs.target)[rows]]
    cell, target = pairs.source[rows], pairs.target[rows]
    frame = pd.DataFrame({
        "cell": cell, "node": target, "scope": "context", "user_id": "", "circumstance": found.circumstance[cell],
        "locale": names["locale"].reindex(source[rows]).to_numpy(), "source": names["state"].reindex(source[rows]).to_numpy(),
        "target": surfaces.text[target], "state": names["state"].reindex(target).to_numpy(), "users": pairs.users[rows],
        "turns": pairs.turns[rows], "first_day": pairs.first_day[rows], "last_day": pairs.last_day[rows], "score": score[rows],
        "stay": stay[cell], "similarity": near[rows, 0],
    })  # fmt: skip
    beliefs = launch.believe(crowd.priors, pairs, near, rows)
    honest = decide.honest(ground.refused, frame, beliefs.p_fails())
    around = launch.Surroundings(honest, surfaces.understood[target], surfaces.acts[target])
    reason = np.full(len(frame), "", dtype=object)
    decide.refuse(reason, pairs.said_by[rows] < k, f"the source was said by fewer than {k} users here")
    decide.refuse(reason, pairs.users[rows] < k, f"fewer than {k} users meant the target here")
    decide.refuse(reason, frame["target"] == "", f"no utterance of {k} users says the target")
    decide.refuse(reason, decide.later(cell, reason), "another target is better")
    decide.refuse(reason, frame["stay"] >= frame["score"], "leaving the request alone is better")
    decide.refuse(reason, decide.served(frame, crowd.rules), "the rule for everybody does the same")
    weighed = decide.verdicts(frame, beliefs, around, reason, guard, config, seed)
    return weighed.assign(rule=ids(weighed))


def _scores(found: Cells, pairs: evidence.Pairs) -> tuple[np.ndarray[Any, np.dtype[np.float64]], ...]:
    """Return, for each pair, the share of the cell's turns whose way ended well there, and for each cell that of staying."""
    votes, m = found.votes, len(found.source)
    total = np.maximum(np.bincount(votes.source, votes.turns, m), 1e-9)
    rows = sparse.csr_array(
        (np.ones(len(votes.source)), (votes.source, np.arange(len(votes.source)))), shape=(m, len(votes.source))
    )
    ended = sparse.csr_array(rows @ votes.goals)
    score = decide.values_at(ended, pairs.source, pairs.target) / total[pairs.source]
    return score, np.bincount(votes.source, votes.success, m) / total


def ids(rules: pd.DataFrame) -> list[str]:
    """Return a name for each rule that is the same in every run."""
    keys = zip(rules["circumstance"], rules["locale"], rules["source"], rules["target"], strict=True)
    return [decide.rule_id(*key) for key in keys]
