"""Compares rules for context values with the rules for everybody and for single users.

A rule for everybody is refused if the rules for context values contradict it in a large part of its turns. It is not applied in
a context value whose turns contradict it. A rule for one user is refused if the context explains that user's turns equally well.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import pdtr

from rewriter.arrays import Floats
from rewriter.codes import RuleVerdict
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.model.context_rules import ContextRule
from rewriter.model.rules import Rule
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.assess import GlobalRules, Guard, LaunchInputs, ids, values_at
from rewriter.offline.rules.context import Cells, cells, in_context, weights_of
from rewriter.offline.rules.votes import TINY

_P_RARE = 0.01
"""A source is rare in a context value if P(so few users say it there | it is independent of the context value) is below this."""
_LEAST_EXPECTED = 3.0
"""A source can be rare in a context value only if at least this many users are expected to say it there."""
_VOTES_AGAINST = 2.0
"""This many votes in a context value, none of them for the rule's target, are evidence against a rule for everybody."""
_HEALTHY = 0.5
"""If more than this share of the turns in a context value succeed as spoken, that is evidence against a rule for everybody."""
_CONTRADICTED = 0.2
"""Rules for the context may send something else in at most this share of the turns of a rule for everybody."""
_PROFILE = """
WITH counted AS (SELECT * FROM context_counts ANTI JOIN left_out USING (user_no)),
valued AS (
  SELECT said, split_part(context_value, '=', 1) AS key, context_value, user_no, SUM(turns) AS turns
  FROM counted GROUP BY said, context_value, user_no
),
key_days AS (
  SELECT split_part(context_value, '=', 1) AS key, day FROM counted GROUP BY ALL HAVING COUNT(DISTINCT user_no) >= $k
),
keys AS (SELECT key, COUNT(*) AS days FROM key_days GROUP BY key HAVING COUNT(*) >= $min_days),
value_days AS (SELECT context_value, COUNT(DISTINCT day) AS days FROM counted GROUP BY context_value),
carriers AS (SELECT key, COUNT(DISTINCT user_no) AS users FROM valued GROUP BY key),
parts AS (
  SELECT key, context_value, user_no, SUM(turns) / SUM(SUM(turns)) OVER (PARTITION BY key, user_no) AS part
  FROM valued GROUP BY key, context_value, user_no
),
shares AS (
  SELECT p.key, p.context_value,
         COALESCE(LIST_SUM(LIST_SORT(LIST(p.part), 'DESC')[$k:ANY_VALUE(c.users) - $k + 1]), 0)
           / GREATEST(ANY_VALUE(c.users) - 2 * $k + 2, 1) AS share
  FROM parts AS p JOIN carriers AS c ON c.key = p.key
  GROUP BY p.key, p.context_value HAVING COUNT(*) >= $k
),
sources AS (
  SELECT node AS said, locale, state FROM nodes WHERE kind = 'u' AND (locale, state) IN (SELECT (locale, source) FROM launched)
),
asked AS (SELECT * FROM valued SEMI JOIN sources USING (said)),
spoken AS (SELECT said, key, COUNT(DISTINCT user_no) AS users FROM asked GROUP BY said, key),
here AS (SELECT said, context_value, COUNT(DISTINCT user_no) AS users FROM asked GROUP BY said, context_value)
SELECT n.locale, n.state AS source, e.context_value, COALESCE(h.users, 0) AS users, (s.users - $k + 1) * e.share AS expected
FROM spoken AS s
JOIN sources AS n ON n.said = s.said
JOIN shares AS e ON e.key = s.key
JOIN keys AS y ON y.key = s.key
JOIN value_days AS d ON d.context_value = e.context_value
LEFT JOIN here AS h ON h.said = s.said AND h.context_value = e.context_value
WHERE 2 * d.days >= y.days AND (s.users - $k + 1) * e.share > $least
"""
"""How many users say a source in a context value, and how many are expected to if the two are independent.

Only turns that carry the key are looked at, so that a key that is new says nothing about the days before it. k users must have
carried the key on enough days, and the value must occur on half of these days. A value's share is the mean of the users' own
shares, without the k - 1 largest and the k - 1 smallest of them. k - 1 users of the source are expected less, and observed less.
So fewer than k accounts cannot make a text look rare, nor hide that it is."""


@dataclass(frozen=True, slots=True)
class ContextDecision:
    """The rules for everybody and for context values, after they were compared with each other.

    Attributes:
        global_rules: the rules for everybody. Those that depend on the context are refused.
        rules: the exceptions and those for a context value, columns of `tables.RULES` without those of stages.
        cells: what users did in each context value.
    """

    global_rules: GlobalRules
    rules: pd.DataFrame
    cells: Cells


def settle(inputs: LaunchInputs, absorbed: Floats, global_rules: GlobalRules, guard: Guard, config: Config) -> ContextDecision:
    """Decide on the rules for the context, and assess those for everybody again.

    Args:
        inputs: the data on which all rules are decided.
        absorbed: (n,) B_i+ of the chain.
        global_rules: the rules for everybody.
        guard: the guardrail.
        config: its sections launch and context.
    """
    launch = config.launch
    if not _says_any_context(inputs.mined):
        nothing = global_rules.rules.iloc[:0].assign(cell=_NO_ROWS, node=_NO_ROWS)
        return ContextDecision(global_rules, nothing, Cells.none(inputs.scores.shape[0]))
    found = cells(inputs.mined, inputs.scores, absorbed, launch.min_users)
    described = _described(found, inputs.mined)
    rules = in_context(inputs, found, global_rules, guard, launch)
    left = dependent(described, rules, global_rules)
    if not left.rules["verdict"].equals(global_rules.rules["verdict"]):  # a rule that was refused no longer blocks others
        rules = in_context(inputs, found, left, guard, launch)
    kept = exceptions(described, rules, left, inputs.mined, config)
    return ContextDecision(left, pd.concat([kept, rules], ignore_index=True), found)


def _says_any_context(mined: Mined) -> bool:
    with connect(**mined.named("context_counts")) as con:
        return bool(con.execute("FROM context_counts LIMIT 1").fetchall())


_NO_ROWS = np.zeros(0, dtype=np.int64)


def dependent(described: pd.DataFrame, context_rules: pd.DataFrame, global_rules: GlobalRules) -> GlobalRules:
    """Refuse the rules for everybody that the rules for the context contradict in a large part of their turns.

    Args:
        described: the cells (`_described`).
        context_rules: the rules under consideration in them.
        global_rules: the rules for everybody.

    Returns:
        The global rules, with the verdict of some rules changed to `DEPENDS_ON_CONTEXT`.
    """
    rules = global_rules.rules
    launched = rules.loc[rules["verdict"] == RuleVerdict.LAUNCHED, ["rule", "locale", "source", "state"]]
    there = context_rules.loc[context_rules["verdict"] == RuleVerdict.LAUNCHED, ["cell", "state"]].merge(described, on="cell")
    there = there.merge(launched, on=["locale", "source"], suffixes=("", "_all"))
    other = there[there["state"] != there["state_all"]]
    other = other.assign(key=[said.partition("=")[0] for said in other["context_value"]])
    parts = other.groupby(["rule", "key"])["part"].sum().reset_index()
    depends = parts.loc[parts["part"] >= _CONTRADICTED, "rule"]
    return replace(
        global_rules,
        rules=rules.assign(verdict=rules["verdict"].mask(rules["rule"].isin(depends), RuleVerdict.DEPENDS_ON_CONTEXT)),
    )


def exceptions(
    described: pd.DataFrame, context_rules: pd.DataFrame, global_rules: GlobalRules, mined: Mined, config: Config
) -> pd.DataFrame:
    """Return the context values in which a launched rule for everybody is not applied.

    There are two kinds of exception. In the first, the rule is expected to lose more than it wins there, and the turns of at
    least
    k users contradict it: the source works there as spoken, or they meant something else. In the second, the source is much rarer
    there than other requests, so its meaning there is unknown: "turn on the light" may have been restated in the kitchen only. If
    another rule is launched for the context value, that rule is applied. Otherwise the request is left alone.

    Args:
        described: the cells (`_described`).
        context_rules: the rules under consideration in them.
        global_rules: the rules for everybody.
        mined: its tables count in which other context values the sources are said.
        config: its sections launch and context.

    Returns:
        Columns of `tables.RULES` without those of stages; the target is the source.
    """
    launched = global_rules.rules.loc[
        global_rules.rules["verdict"] == RuleVerdict.LAUNCHED, ["locale", "source", "state", "first_day", "last_day"]
    ]
    there = described.merge(launched, on=["locale", "source"])
    proposed = context_rules[["cell", "state", "win", "loss", "users"]].rename(columns={"users": "voters"})
    there = there.merge(proposed, on=["cell", "state"], how="left")
    silent = there["win"].isna()
    against = (there["win"] < there["loss"]) | (silent & ((there["votes"] >= _VOTES_AGAINST) | (there["stay"] > _HEALTHY)))
    against &= there["users_against"] - there["voters"].fillna(0) >= config.launch.min_users
    ruled = there["cell"].isin(context_rules.loc[context_rules["verdict"] == RuleVerdict.LAUNCHED, "cell"])
    bad = there[against & ~ruled].assign(verdict=RuleVerdict.KEEP_SOURCE)
    rare = _rare(launched, mined, config).merge(launched.drop(columns="state"), on=["locale", "source"])
    kept = pd.concat([bad, rare.assign(verdict=RuleVerdict.RARE_HERE)]).drop_duplicates(["locale", "source", "context_value"])
    text, zero = kept["source"], np.zeros(len(kept))
    kept = kept.assign(target=text, state=text, score=zero, p_goal=zero, p_gain=np.nan, win=zero, loss=zero, detail="")
    kept = kept.assign(scope="context", user_id="", similarity=1.0)
    return kept.assign(rule=ids(kept))


def explained(settled: ContextDecision, personal: pd.DataFrame, mined: Mined) -> pd.DataFrame:
    """Refuse rules for single users if rules for context values explain the user's turns at least as well as any one goal does.

    Args:
        settled: the rules for the context.
        personal: rules for single users with their verdicts.
        mined: its table users names them.

    Returns:
        The rules for single users, with the verdict of some changed to `CONTEXT_TELLS`.
    """
    votes, context_rules = settled.cells.votes, settled.rules
    rows = pd.DataFrame({"cell": votes.source, "user": votes.user, "row": np.arange(len(votes.source))})
    led = rows.merge(
        context_rules.loc[context_rules["verdict"] == RuleVerdict.LAUNCHED, ["cell", "node", "locale", "source"]], on="cell"
    )
    if led.empty:
        return personal
    row, node = (led[name].to_numpy(dtype=np.int64) for name in ("row", "node"))
    group = led.groupby(["locale", "source", "user"], sort=True)
    members = sparse.csr_array((np.ones(len(led)), (group.ngroup(), np.arange(len(led)))))
    main = np.asarray((members @ votes.goals[row]).max(axis=1).todense(), dtype=np.float64).reshape(-1)
    led = led.assign(agreed=values_at(votes.goals, row, node))
    sums = led.groupby(["locale", "source", "user"], sort=True)["agreed"].sum().reset_index()
    follow = sums[(sums["agreed"] > 0) & (sums["agreed"] >= main)]
    users = surface.hashes(mined.users, follow["user"].to_numpy(dtype=np.int64))
    known = pd.MultiIndex.from_arrays([follow["locale"], follow["source"], users])
    is_explained = pd.MultiIndex.from_frame(personal[["locale", "source", "user_id"]]).isin(known)
    return personal.assign(
        verdict=personal["verdict"].mask(is_explained & (personal["verdict"] == RuleVerdict.LAUNCHED), RuleVerdict.CONTEXT_TELLS)
    )


def known_by_context(decided: ContextDecision) -> set[tuple[str, str]]:
    """Return (locale, text) of the texts that have two or more meanings, each in its own contexts."""
    launched = decided.rules[decided.rules["verdict"] == RuleVerdict.LAUNCHED]
    meanings = launched.groupby(["locale", "source"])["state"].nunique()
    return set(meanings.index[meanings > 1])


def serving(rules: pd.DataFrame) -> list[ContextRule]:
    """Return the launched rules for context values, and the exceptions, in the form in which they are served."""
    kept = rules[
        (rules["context_value"] != "")
        & rules["verdict"].isin([RuleVerdict.LAUNCHED, RuleVerdict.KEEP_SOURCE, RuleVerdict.RARE_HERE])
    ]
    kept = kept.assign(share=kept["share"].where(kept["verdict"] == RuleVerdict.LAUNCHED, 1.0))
    columns = (kept[name] for name in ("context_value", "rule", "locale", "source", "target", "win", "share"))
    return [ContextRule(said, Rule(rule, "", *rest)) for said, rule, *rest in zip(*columns, strict=True)]


def _rare(launched: pd.DataFrame, mined: Mined, config: Config) -> pd.DataFrame:
    """Return the context values in which launched sources are rarer than chance explains."""
    numbers = {"k": config.launch.min_users, "min_days": config.context.min_days, "least": _LEAST_EXPECTED}
    with connect(**mined.named("context_counts", "nodes", "left_out")) as con:
        con.register("launched", launched)
        profile: pd.DataFrame = con.execute(_PROFILE, numbers).df()
    chance = pdtr((profile["users"] - config.launch.min_users + 1).clip(lower=0), profile["expected"])
    return profile[chance < _P_RARE].drop(columns="expected").assign(turns=0.0, stay=0.0)


def _described(found: Cells, mined: Mined) -> pd.DataFrame:
    """Return the cells with what was said and done in them. A user counts for at most one turn."""
    votes, m = found.votes, len(found.source)
    names, weight = surface.states(mined.nodes, found.source), weights_of(votes)
    voted = np.asarray(votes.goals.sum(axis=1), dtype=np.float64).reshape(-1)
    turns_of_users = np.maximum(np.bincount(votes.source, votes.turns * weight, m), TINY)
    speaks = (voted > 0) | (votes.success > _HEALTHY * votes.turns)
    return pd.DataFrame(
        {
            "cell": np.arange(m),
            "context_value": found.context_value,
            "part": found.part,
            "locale": names["locale"].reindex(found.source).to_numpy(),
            "source": names["state"].reindex(found.source).to_numpy(),
            "users": np.bincount(votes.source, minlength=m),
            "users_against": np.bincount(votes.source, speaks, m),
            "turns": np.bincount(votes.source, votes.turns, m),
            "votes": np.bincount(votes.source, np.minimum(voted, 1.0), m),
            "stay": np.bincount(votes.source, votes.success * weight, m) / turns_of_users,
        }
    )
