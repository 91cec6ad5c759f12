"""Rules that hold in one context value.

"Turn on the light" means one lamp in the kitchen and another in the office. In the log as a whole no target is sure, but in each
room one is. A *cell* is a source in one context value. It is assessed as a source is: by the votes of its users, with the priors
of the whole log. Only the first step of a path is counted by cell; what follows is taken from the chain. A rewrite that worked
counts as a step that was taken for the user.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from rewriter.arrays import Floats, Ints
from rewriter.codes import RuleVerdict
from rewriter.config import Launch
from rewriter.engines import connect
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface, votes
from rewriter.offline.rules.assess import GlobalRules, Guard, LaunchInputs, Proposals, assess, nearness, values_at
from rewriter.offline.rules.votes import Pairs, Votes

_TURN = 1000.0
"""Thousandths of a turn, in which mass is stored."""
_MOST = 0.9
"""A context value that more than this share of the turns with its key have says nothing about a source."""
_CELLS = """
CREATE TEMP TABLE cells AS
WITH restated AS (SELECT DISTINCT source AS said FROM edges WHERE target <> source),
spoken AS (
  SELECT said AS source, user_no, SUM(turns) AS turns
  FROM counts SEMI JOIN restated USING (said) ANTI JOIN left_out USING (user_no) GROUP BY ALL
),
people AS (SELECT source, COUNT(*) AS users FROM spoken GROUP BY source),
valued AS (
  SELECT said AS source, split_part(context_value, '=', 1) AS key, context_value, user_no, SUM(turns) AS turns
  FROM context_counts SEMI JOIN restated USING (said) ANTI JOIN left_out USING (user_no) GROUP BY said, context_value, user_no
),
keyed AS (SELECT source, key, user_no, SUM(turns) AS turns FROM valued GROUP BY source, key, user_no),
carriers AS (SELECT source, key, COUNT(*) AS users FROM keyed GROUP BY source, key),
within AS (
  SELECT v.source, v.key, v.context_value, COUNT(*) AS users, SUM(v.turns / k.turns) AS of_key, SUM(v.turns / s.turns) AS of_all
  FROM valued AS v
  JOIN keyed AS k ON k.source = v.source AND k.key = v.key AND k.user_no = v.user_no
  JOIN spoken AS s ON s.source = v.source AND s.user_no = v.user_no
  GROUP BY v.source, v.key, v.context_value
)
SELECT ROW_NUMBER() OVER (ORDER BY w.source, w.context_value) - 1 AS cell, w.source, w.context_value, r.last_day,
       GREATEST(COALESCE(e.day, 0), COALESCE(b.day, 0)) AS first_day, w.of_all / p.users AS part
FROM within AS w
JOIN carriers AS c ON c.source = w.source AND c.key = w.key
JOIN people AS p ON p.source = w.source
JOIN row_days AS r ON r.node = w.source
LEFT JOIN evidence_starts AS e ON e.node = w.source AND e.context_value = ''
LEFT JOIN evidence_starts AS b ON b.node = w.source AND b.context_value = w.context_value
WHERE w.users >= $k AND w.of_key <= $most * c.users
"""
"""Each share is a mean over users, so a user who speaks more does not count more. of_key adds up each user's share of a value
among the turns of the source that carry its key, and of_all the share among all turns of the source."""
_ROWS = """
SELECT c.cell, t.user_no, SUM(IF(t.rewritten = 0, t.turns * a.weight, 0)) / 1e6 AS turns,
       SUM(IF(t.rewritten = 0, t.success * a.weight, 0)) / 1e6 AS success, MIN(t.day) AS first_day, MAX(t.day) AS last_day
FROM context_counts AS t ANTI JOIN left_out AS o ON o.user_no = t.user_no
JOIN cells AS c ON c.source = t.said AND c.context_value = t.context_value
JOIN ages AS a ON a.age = GREATEST(c.last_day - t.day, 0)
WHERE t.day >= c.first_day
GROUP BY c.cell, t.user_no ORDER BY c.cell, t.user_no
"""
_STEPS = """
WITH taken AS (
  SELECT day, user_no, said, context_value, target, mass FROM context_steps
  UNION ALL
  SELECT day, user_no, said, context_value, state AS target, success AS mass
  FROM context_counts WHERE rewritten = 1 AND success > 0
)
SELECT c.cell, t.user_no, t.target, SUM(t.mass * a.weight) / 1e6 AS mass
FROM taken AS t JOIN cells AS c ON c.source = t.said AND c.context_value = t.context_value
JOIN ages AS a ON a.age = GREATEST(c.last_day - t.day, 0)
WHERE t.day >= c.first_day
GROUP BY c.cell, t.user_no, t.target
"""


@dataclass(frozen=True, slots=True)
class Cells:
    """Sources in context values of enough users, numbered 0..m-1.

    Attributes:
        source: (m,) int64, node.
        context_value: (m,) object, text.
        part: (m,) float64, share of the source's turns that have the context value, as a mean over users.
        votes: rows of (cell, user); its `source` is the cell.
    """

    source: Ints
    context_value: np.ndarray[tuple[int, ...], np.dtype[np.object_]]
    part: Floats
    votes: Votes

    @classmethod
    def none(cls, n: int) -> "Cells":
        """Return no cells, of a chain of n states."""
        ints, floats, no_steps = np.zeros(0, dtype=np.int64), np.zeros(0), sparse.csr_array((0, n), dtype=np.float64)
        no_votes = Votes(ints, ints, floats, floats, no_steps, no_steps, floats, ints, ints, np.zeros(0, dtype=bool))
        return cls(ints, np.zeros(0, dtype=object), floats, no_votes)


def cells(mined: Mined, scores: sparse.csr_array, absorbed: np.ndarray[Any, np.dtype[np.float64]], min_users: int) -> Cells:
    """Count what users did in each context value of each source that was ever restated.

    Args:
        mined: its tables of counts and steps are read, reduced by age as the rows of the chain are.
        scores: (n, n) S_ij of the chain.
        absorbed: (n,) B_i+ of the chain.
        min_users: the least number of distinct users of a cell.
    """
    with connect(
        **mined.named("counts", "context_counts", "context_steps", "edges", "ages", "evidence_starts", "row_days", "left_out")
    ) as con:
        con.execute(_CELLS, {"k": min_users, "most": _MOST})
        named: dict[str, Any] = con.execute("SELECT source, context_value, part FROM cells ORDER BY cell").fetchnumpy()
        rows, steps = con.execute(_ROWS).df(), con.execute(_STEPS).df()
    rows["row_no"] = np.arange(len(rows))
    steps = steps.merge(rows[["cell", "user_no", "row_no"]], on=["cell", "user_no"])
    moved = sparse.csr_array(
        (steps["mass"] / _TURN, (steps["row_no"], steps["target"])), shape=(len(rows), scores.shape[0]), dtype=np.float64
    )
    user_votes = Votes(
        source=rows["cell"].to_numpy(dtype=np.int64),
        user=rows["user_no"].to_numpy(dtype=np.int64),
        turns=rows["turns"].to_numpy(dtype=np.float64),
        success=rows["success"].to_numpy(dtype=np.float64) / _TURN,
        steps=moved,
        goals=sparse.csr_array(moved @ scores),
        resolved=np.asarray(moved @ absorbed, dtype=np.float64),
        first_day=rows["first_day"].to_numpy(dtype=np.int64),
        last_day=rows["last_day"].to_numpy(dtype=np.int64),
        counted=np.ones(len(rows), dtype=bool),
    )
    return Cells(
        source=np.asarray(named["source"], dtype=np.int64),
        context_value=np.asarray(named["context_value"], dtype=object),
        part=np.asarray(named["part"], dtype=np.float64),
        votes=user_votes,
    )


def in_context(inputs: LaunchInputs, found: Cells, global_rules: GlobalRules, guard: Guard, config: Launch) -> pd.DataFrame:
    """Decide on the rules for everybody that hold in one context value.

    Args:
        inputs: the data on which all rules are decided.
        found: what users did in each context value.
        global_rules: the rules for everybody. A launched one holds in each context value that has no rule of its own.
        guard: the guardrail.
        config: settings.

    Returns:
        Columns of `tables.RULES` without those of stages, and the cell and the node of the target.
    """
    pairs, k = votes.gather(found.votes, config.min_users - 1), config.min_users
    names = surface.states(inputs.mined.nodes, np.concatenate([found.source, pairs.target]))
    source = found.source[pairs.source]
    score, stay = _scores(found, pairs)
    rows = np.lexsort((pairs.target, -score, pairs.source))
    rows = rows[(source != pairs.target)[rows]]
    cell, target = pairs.source[rows], pairs.target[rows]
    proposals = Proposals(
        scope="context",
        pairs=pairs,
        near=nearness(names, source, inputs.commonest.text[pairs.target]),
        rows=rows,
        group=cell,
        source=source[rows],
        target=target,
        text=inputs.surfaces.text[target],
        user_id="",
        context_value=found.context_value[cell],
        score=score[rows],
        stay=stay[cell],
        stays=pairs.ok[rows] >= pairs.votes[rows],
        understood=inputs.surfaces.understood[target],
        acts=inputs.surfaces.acts[target],
    )
    refusals = [
        (pairs.said_by[rows] < k, RuleVerdict.FEW_SAY_SOURCE),
        (pairs.users[rows] < k, RuleVerdict.FEW_MEAN_TARGET),
        (proposals.text == "", RuleVerdict.NO_SURFACE),
    ]
    launched, priors = global_rules.launched(), global_rules.priors
    rules = assess(proposals, names, refusals, inputs, priors, guard, config, launched=launched)
    return rules.assign(cell=cell, node=target)


def _scores(found: Cells, pairs: Pairs) -> tuple[Floats, Floats]:
    """Return two shares of the turns of a cell: for each pair those that ended well at its target, for each cell as spoken.

    Both are means over users. A user counts for at most one turn.
    """
    user_votes, m = found.votes, len(found.source)
    weight = weights_of(user_votes)
    total = np.maximum(np.bincount(user_votes.source, user_votes.turns * weight, m), votes.TINY)
    rows = sparse.csr_array((weight, (user_votes.source, np.arange(len(user_votes.source)))), shape=(m, len(user_votes.source)))
    score = values_at(sparse.csr_array(rows @ user_votes.goals), pairs.source, pairs.target) / total[pairs.source]
    return score, np.bincount(user_votes.source, user_votes.success * weight, m) / total


def weights_of(user_votes: Votes) -> Floats:
    """Return the weight of each row, (r,), with which no user counts for more than one turn of a cell."""
    led = np.asarray(user_votes.goals.sum(axis=1), dtype=np.float64).reshape(-1)
    return np.asarray(1.0 / np.maximum(np.maximum(user_votes.turns, led), 1.0), dtype=np.float64)
