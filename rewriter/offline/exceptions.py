"""Where the context speaks against a rule that was launched without it: for everybody, or for one user."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import poisson

from rewriter.config import Launch
from rewriter.database import connect
from rewriter.model.contextual import ContextRule
from rewriter.model.rules import Rule
from rewriter.offline import contextual, surface
from rewriter.offline.contextual import Cells, ids
from rewriter.offline.decide import LAUNCHED, Crowd, Ground, Guard, values_at
from rewriter.offline.mine import Mined
from rewriter.offline.votes import Floats

STAY = "the rule for everybody does not hold here"
"""Verdict on a circumstance in which nothing is rewritten."""
DEPENDS = "what is meant depends on the context"
"""Verdict on a rule for everybody of which the rules for the context say otherwise in a good part of its turns."""
EXPLAINED = "the context tells it as well"
"""Verdict on a rule for one user, whose own turns follow the rules for the context."""

STRANGE = "hardly anybody says this here"
"""Verdict on a circumstance in which a source is far rarer than everything else that is said."""

_RARE = 0.01  # P(so few users say it there, had it nothing to do with the circumstance) below which it is strange there
_TOLD = 2.0  # votes in a circumstance without one for a rule's target that speak against the rule
_HEALTHY = 0.5  # share of success as spoken that does
_OTHERWISE = 0.2  # share of a source's turns


_PROFILE = """
WITH every AS (
  SELECT circumstance, split_part(circumstance, '=', 1) AS of, SUM(turns) AS turns FROM context_counts GROUP BY circumstance
),
share AS (SELECT circumstance, turns / SUM(turns) OVER (PARTITION BY of) AS share FROM every),
heard AS (SELECT said, COUNT(DISTINCT user_no) AS users FROM counts GROUP BY said),
here AS (SELECT said, circumstance, COUNT(DISTINCT user_no) AS users FROM context_counts GROUP BY said, circumstance)
SELECT n.locale, n.state AS source, e.circumstance, COALESCE(h.users, 0) AS users, s.users * e.share AS expected
FROM heard AS s JOIN nodes AS n ON n.node = s.said CROSS JOIN share AS e
LEFT JOIN here AS h ON h.said = s.said AND h.circumstance = e.circumstance
WHERE n.kind = 'u' AND (n.locale, n.state) IN (SELECT (locale, source) FROM launched) AND s.users * e.share > 3
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is launched once the context has been asked.

    Attributes:
        crowd: the rules for everybody, those that depend on the context refused.
        rules: the exceptions and those for a circumstance, columns of `tables.RULES` but for those of life.
        cells: what users did in each circumstance.
    """

    crowd: Crowd
    rules: pd.DataFrame
    cells: Cells


def settle(ground: Ground, absorbed: Floats, crowd: Crowd, guard: Guard, config: Launch, seed: int) -> Settled:
    """Decide on the rules for the context, and look again at those for everybody.

    Args:
        ground: what launch stands on.
        absorbed: (n,) B_i+ of the chain.
        crowd: what all users together say.
        guard: the guardrail.
        config: settings.
        seed: of the draws.
    """
    found = contextual.cells(ground.mined, ground.scores, absorbed, config.min_users)
    described = _described(found, ground.mined)
    rules = contextual.in_context(ground, found, crowd, guard, config, seed)
    left = dependent(described, rules, crowd)
    if not left.rules["verdict"].equals(crowd.rules["verdict"]):  # a rule that is gone stands in the way of none
        rules = contextual.in_context(ground, found, left, guard, config, seed)
    return Settled(left, pd.concat([exceptions(described, rules, left, ground.mined), rules], ignore_index=True), found)


def dependent(described: pd.DataFrame, weighed: pd.DataFrame, crowd: Crowd) -> Crowd:
    """Refuse the rules for everybody that the rules for the context contradict in a good part of the turns.

    Args:
        described: the cells (`_described`).
        weighed: the rules under consideration in them.
        crowd: the rules for everybody.

    Returns:
        The crowd, the verdicts of some rules changed to `DEPENDS`.
    """
    rules = crowd.rules
    launched = rules.loc[rules["verdict"] == LAUNCHED, ["rule", "locale", "source", "state", "turns"]]
    there = weighed.loc[weighed["verdict"] == LAUNCHED, ["cell", "state"]].merge(described, on="cell")
    there = there.merge(launched, on=["locale", "source"], suffixes=("", "_all"))
    other = there[there["state"] != there["state_all"]]
    other = other.assign(key=[said.partition("=")[0] for said in other["circumstance"]])
    turns = other.groupby(["rule", "turns_all", "key"])["turns"].sum().reset_index()
    depends = turns.loc[turns["turns"] >= _OTHERWISE * turns["turns_all"], "rule"]
    return replace(crowd, rules=rules.assign(verdict=rules["verdict"].mask(rules["rule"].isin(depends), DEPENDS)))


def exceptions(described: pd.DataFrame, weighed: pd.DataFrame, crowd: Crowd, mined: Mined) -> pd.DataFrame:
    """Return the circumstances in which a launched rule for everybody is not applied.

    In some the rule is expected to lose more than it wins. In others hardly anybody says the source, as all the rest is said
    there, so that nobody can tell what it means: "turn on the light" was only ever restated in the kitchen. Where another rule is
    launched, that one is applied; elsewhere the request is left alone.

    Args:
        described: the cells (`_described`).
        weighed: the rules under consideration in them.
        crowd: the rules for everybody.
        mined: its tables tell where else the sources are said.

    Returns:
        Columns of `tables.RULES` but for those of life; the target is the source.
    """
    launched = crowd.rules.loc[crowd.rules["verdict"] == LAUNCHED, ["locale", "source", "state", "first_day", "last_day"]]
    there = described.merge(launched, on=["locale", "source"])
    there = there.merge(weighed[["cell", "state", "win", "loss"]], on=["cell", "state"], how="left")
    silent = there["win"].isna()
    against = (there["win"] < there["loss"]) | (silent & ((there["votes"] >= _TOLD) | (there["stay"] > _HEALTHY)))
    ruled = there["cell"].isin(weighed.loc[weighed["verdict"] == LAUNCHED, "cell"])
    bad = there[against & ~ruled].assign(verdict=STAY)
    strange = _strange(launched, mined).merge(launched.drop(columns="state"), on=["locale", "source"])
    kept = pd.concat([bad, strange.assign(verdict=STRANGE)]).drop_duplicates(["locale", "source", "circumstance"])
    text, zero = kept["source"], np.zeros(len(kept))
    kept = kept.assign(target=text, state=text, score=zero, p_goal=zero, p_gain=np.nan, win=zero, loss=zero)
    kept = kept.assign(scope="context", user_id="", similarity=1.0)
    return kept.assign(rule=ids(kept))


def explained(settled: Settled, personal: pd.DataFrame, mined: Mined) -> pd.DataFrame:
    """Refuse rules for single users of whose own turns the rules for their context tell as much as any one goal.

    Args:
        settled: the rules for the context.
        personal: rules for single users with their verdicts.
        mined: its table users names them.

    Returns:
        The rules for single users, the verdicts of some changed to `EXPLAINED`.
    """
    votes, weighed = settled.cells.votes, settled.rules
    rows = pd.DataFrame({"cell": votes.source, "user": votes.user, "row": np.arange(len(votes.source))})
    led = rows.merge(weighed.loc[weighed["verdict"] == LAUNCHED, ["cell", "node", "locale", "source"]], on="cell")
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
    mine = pd.MultiIndex.from_frame(personal[["locale", "source", "user_id"]]).isin(known)
    return personal.assign(verdict=personal["verdict"].mask(mine & (personal["verdict"] == LAUNCHED), EXPLAINED))


def serving(rules: pd.DataFrame) -> list[ContextRule]:
    """Return the launched rules for a circumstance, and the exceptions, as they are served."""
    kept = rules[(rules["circumstance"] != "") & rules["verdict"].isin([LAUNCHED, STAY, STRANGE])]
    kept = kept.assign(share=kept["share"].where(kept["verdict"] == LAUNCHED, 1.0))
    columns = (kept[name] for name in ("circumstance", "rule", "locale", "source", "target", "win", "share"))
    return [ContextRule(said, Rule(rule, "", *rest)) for said, rule, *rest in zip(*columns, strict=True)]


def _strange(launched: pd.DataFrame, mined: Mined) -> pd.DataFrame:
    """Return the circumstances in which launched sources are strange."""
    with connect(**mined.named("counts", "context_counts", "nodes")) as con:
        con.register("launched", launched)
        profile: pd.DataFrame = con.execute(_PROFILE).df()
    chance = poisson.cdf(profile["users"], profile["expected"])
    return profile[chance < _RARE].drop(columns="expected").assign(turns=0.0, stay=0.0)


def _described(found: Cells, mined: Mined) -> pd.DataFrame:
    """Return the cells with what was said and done in them."""
    votes, m = found.votes, len(found.source)
    names = surface.states(mined.nodes, found.source)
    turns, voted = np.bincount(votes.source, votes.turns, m), np.asarray(votes.goals.sum(axis=1)).reshape(-1)
    return pd.DataFrame({
        "cell": np.arange(m), "circumstance": found.circumstance, "locale": names["locale"].reindex(found.source).to_numpy(),
        "source": names["state"].reindex(found.source).to_numpy(), "users": np.bincount(votes.source, minlength=m),
        "turns": turns, "votes": np.bincount(votes.source, np.minimum(voted, 1.0), m),
        "stay": np.bincount(votes.source, votes.success, m) / np.maximum(turns, 1e-9),
    })  # fmt: skip
