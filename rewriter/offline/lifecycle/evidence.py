"""The evidence on each rule that serves: which trials belong to which rule, and what they show.

A trial belongs to the rule whose id was logged with it. A trial without an id belongs to the user's own rule for its text, or
else to the rule for everybody. Two kinds of rule own only the trials logged under their id: slices of the online layer, and rules
for a context value, because the same text means something else in another room. The success of a text as spoken in a context
value is measured on turns in that context by users for whom the rule was not asked that day.

The slices of the online layer (`rewriter.model.layer_slices`) are rows of the table of rules, so they have stages too. A slice
that was withdrawn comes back when a fit of the layer keeps the budget of losses on texts first heard since the slice came into
doubt. Those requests were left alone, so what users said next shows whether the layer would have been right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Floats, Ints
from rewriter.codes import SERVED, RuleVerdict, Stage
from rewriter.config import Loop
from rewriter.engines import connect
from rewriter.model.layer_slices import PRIOR_LOSSES, PRIOR_WINS, SLICES, Promise
from rewriter.offline import trials
from rewriter.offline.lifecycle.sequential_tests import RobustAggregation, log_e_drop, log_e_two_arms
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.trials import Trials, p_better

PRIOR_TRIALS = 5.0
"""Number of trials that the success expected at launch counts for. Chosen among four values with benchmarks/lives.py."""
_UNKNOWN_RATE = 0.5
"""Success as spoken that is assumed before any trial."""
_LEAST_DROP = 0.1
"""A rate that falls by less than this does not count as a drop."""
_LEVELS = (0.05, 0.95)
"""Bounds of the level that a drop is tested against; at 0 and 1 the test is not defined."""

_KEYS = """
SELECT r.place, COALESCE(s.id, -1) AS said, COALESCE(t.id, -1) AS sent,
       CASE WHEN r.user_id = '' THEN -1 ELSE COALESCE(u.user_no, -2) END AS "user"
FROM wanted AS r
LEFT JOIN texts AS s ON s.kind = 'u' AND s.locale = r.locale AND s.text = r.source
LEFT JOIN texts AS t ON t.kind = 'u' AND t.locale = r.locale AND t.text = r.target
LEFT JOIN users AS u ON u.user_id = r.user_id
ORDER BY r.place
"""
_SPOKEN_IN_CONTEXT = """
SELECT w.place, c.said, c.user_no, c.day, SUM(c.success) / 1000.0 / SUM(c.turns) AS outcome, ANY_VALUE(a.weight) AS weight
FROM context_counts AS c
JOIN wanted AS w ON w.said = c.said AND w.context_value = c.context_value
JOIN row_days AS r ON r.node = c.said
JOIN ages AS a ON a.age = GREATEST(r.last_day - c.day, 0)
ANTI JOIN counts AS d ON d.rule = w.rule AND d.user_no = c.user_no AND d.day = c.day
WHERE c.rewritten = 0
GROUP BY w.place, c.said, c.user_no, c.day
ORDER BY w.place, c.day, c.user_no
"""
_USERS_BEHIND = """
SELECT LEAST(
  CASE WHEN w.context_value = '' THEN (SELECT COUNT(DISTINCT c.user_no) FROM counts AS c WHERE c.said = w.said)
  ELSE (SELECT COUNT(DISTINCT c.user_no) FROM context_counts AS c WHERE c.said = w.said AND c.context_value = w.context_value)
  END,
  (SELECT COUNT(DISTINCT c.user_no) FROM counts AS c WHERE c.sent = w.sent AND c.rewritten = 0 AND c.success > 0)
) AS users
FROM wanted AS w ORDER BY w.place
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The outcomes of the requests of m rules.

    Attributes:
        tried, tried_ok: (m,) effective number of trials of the rewrite, and of those that went well.
        left, left_ok: (m,) the same of the source as spoken.
        p_better: (m,) P(the rewrite succeeds more often).
        p_spared: (m,) the same without the users with the most evidence against the rule, who may be adversarial.
        better, worse: (m,) log e-value against "no better" and against "no worse", from the arms drawn since the rule entered its
            stage.
        drop: (m,) log of the e-detector of a drop since then, below the success rate that the rule or the words as spoken had
            before.
    """

    tried: Floats
    tried_ok: Floats
    left: Floats
    left_ok: Floats
    p_better: Floats
    p_spared: Floats
    better: Floats
    worse: Floats
    drop: Floats


def trials_of(
    rules: pd.DataFrame, only_by_id: pd.Index, mined: Mined, evidence_starts: EvidenceStarts
) -> tuple[Trials, Ints, Ints]:
    """Return the trials of some rules, the rule of each trial, 0..m-1, and the text that each rule sends, (m,).

    Args:
        rules: m of them, columns of `tables.RULES`.
        only_by_id: ids of all rules that own only the trials logged under their id, whether they serve or not.
        mined: its tables are read.
        evidence_starts: the first days whose evidence counts. They are applied to slices here; the mined tables already apply
            them to sources.
    """
    keys = numbered(rules, mined)
    sent = keys["sent"].to_numpy(dtype=np.int64)
    in_context, of_layer = (rules["context_value"] != "").to_numpy(dtype=bool), is_slice(rules)
    named = rules.loc[of_layer, "rule"].tolist()
    seen = trials.read(mined.counts, mined.row_days, mined.ages, keys["said"].to_numpy(), named)
    by_id = pd.Index(seen.rule).isin(only_by_id)
    place = np.where(by_id, _by_id(rules, in_context | of_layer, seen), _by_text(keys[~in_context & ~of_layer], seen))
    first = np.array([evidence_starts.get(slice_key(name), 0) for name in rules["rule"]], dtype=np.int64)
    kept = np.flatnonzero(~np.isnan(place))
    kept = kept[seen.day[kept] >= first[place[kept].astype(np.int64)]]
    seen, rule = seen.take(kept), place[kept].astype(np.int64)
    seen = replace(seen, sent=np.where(of_layer[rule], -1, seen.sent))  # a slice may send anything
    if not in_context.any():
        return seen, rule, sent
    spoken, there = _spoken_in_context(rules, keys, mined)
    return seen.and_also(spoken), np.append(rule, there), sent


def only_by_id(rules: pd.DataFrame) -> pd.Index:
    """Return the ids of the rules that own only the trials logged under their id."""
    return pd.Index([*rules.loc[rules["context_value"] != "", "rule"], *SLICES])


def weigh(seen: Trials, rule: Ints, sent: Ints, since: Ints, expected: Floats, *, n_adversarial: Ints, config: Loop) -> Evidence:
    """Compute the evidence from the trials of m rules.

    Args:
        seen: trials, each of the source of one rule.
        rule: (t,) rule of each trial, 0..m-1.
        sent: (m,) text that the rule sends.
        since: (m,) the day on which the rule entered its stage.
        expected: (m,) success of the rewrite that was expected at launch, 0..1.
        n_adversarial: (m,) number of adversarial users of each rule who must not be able to move it.
        config: `alpha` and `mean_days_between_false_alarms`.
    """
    m = len(sent)
    own = np.flatnonzero((seen.arm == 0) | (seen.sent == sent[rule]))
    seen, rule = seen.take(own), rule[own]
    weights, tried = seen.weights(), seen.arm == 1

    def counted(rows: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        return trials.effective(rule[rows], weights[rows], seen.outcome[rows], m)

    now = seen.day >= since[rule]
    left_before, tried_before = counted(~now & ~tried), counted(~now & tried)
    level = np.maximum(_lower_rate(*tried_before, expected), _lower_rate(*left_before, np.full(m, _UNKNOWN_RATE)))
    known = np.stack([left_before[0], tried_before[0]], axis=1), np.stack([left_before[1], tried_before[1]], axis=1)
    drawn, applied = now & ~np.isnan(seen.share), now & tried
    arms = (rule[drawn], seen.arm[drawn], seen.share[drawn], seen.outcome[drawn], m)
    sure, alarm = decisive(config)
    users = RobustAggregation(seen.user, seen.user_weight, n_adversarial, sure)
    (n, ok), (left, left_ok) = counted(tried), counted(~tried)
    spared = tried.copy()
    spared[tried] = users.take(tried).trusted(rule[tried], (weights * (1.0 - seen.outcome))[tried])
    drop = log_e_drop(
        rule[applied],
        seen.day[applied],
        seen.outcome[applied],
        np.clip(level, *_LEVELS),
        by=replace(users, verdict=alarm).take(applied),
    )
    return Evidence(
        tried=n,
        tried_ok=ok,
        left=left,
        left_ok=left_ok,
        p_better=p_better(left, left_ok, n, ok),
        p_spared=p_better(left, left_ok, *counted(spared)),
        better=log_e_two_arms(*arms, better=True, by=users.take(drawn), known=known),
        worse=log_e_two_arms(*arms, better=False, by=users.take(drawn), known=known),
        drop=drop,
    )


def tried_by_others(seen: Trials, rule: Ints, sent: Ints, n_adversarial: Ints) -> tuple[Floats, Floats]:
    """Return the trials of each rule and how many went well, (m,) each, without the users with the most evidence against it.

    Args:
        seen: trials, each of the source of one rule.
        rule: (t,) rule of each trial, 0..m-1.
        sent: (m,) text that the rule sends.
        n_adversarial: (m,) number of users of each rule who are left out.
    """
    own = np.flatnonzero((seen.arm == 1) & (seen.sent == sent[rule]))
    seen, rule = seen.take(own), rule[own]
    weights = seen.weights()
    users = RobustAggregation(seen.user, seen.user_weight, n_adversarial, 0.0)
    kept = users.trusted(rule, weights * (1.0 - seen.outcome))
    return trials.effective(rule[kept], weights[kept], seen.outcome[kept], len(sent))


def decisive(config: Loop) -> tuple[float, float]:
    """Return the log e-values at which the test of two arms, and the test for a drop, decide."""
    return float(-np.log(max(config.alpha, 1e-12))), float(np.log(config.mean_days_between_false_alarms))


def users_behind(rules: pd.DataFrame, mined: Mined) -> Ints:
    """Return the number of users that each rule for everybody, or for a context value, rests on, (m,).

    That is the smaller of two counts: users who said the source (in the context), and users who said with success what is sent.

    Args:
        rules: m of them, columns of `tables.RULES`.
        mined: its tables are read.
    """
    wanted = numbered(rules, mined).assign(context_value=rules["context_value"].to_numpy())
    with connect(**mined.named("counts", "context_counts")) as con:
        con.register("wanted", wanted)
        return np.asarray(con.execute(_USERS_BEHIND).fetchnumpy()["users"], dtype=np.int64)


def numbered(rules: pd.DataFrame, mined: Mined) -> pd.DataFrame:
    """Return the numbers of source, target and user of each rule; the user is -1 for everybody."""
    with connect(**mined.named("texts", "users")) as con:
        con.register("wanted", rules[["user_id", "locale", "source", "target"]].assign(place=np.arange(len(rules))))
        frame: pd.DataFrame = con.execute(_KEYS).df()
    return frame


def _lower_rate(n: Floats, ok: Floats, expected: Floats) -> Floats:
    """Return the success rate of n trials, less the largest fall that does not count as a drop, (m,)."""
    rate = (ok + PRIOR_TRIALS * expected) / (n + PRIOR_TRIALS)
    deviation = np.sqrt(rate * (1 - rate) / (n + PRIOR_TRIALS))
    return np.asarray(rate - np.maximum(_LEAST_DROP, 2 * deviation), dtype=np.float64)


def _by_text(keys: pd.DataFrame, seen: Trials) -> Floats:
    """Return the rule of each trial: the user's own, else the one for everybody; NaN if there is none."""
    frame = pd.DataFrame({"said": seen.said, "user": seen.user})
    everybody = keys[keys["user"] < 0].drop_duplicates("said").set_index("said")["place"]
    own = keys[keys["user"] >= 0].set_index(["said", "user"])["place"]
    place = pd.MultiIndex.from_frame(frame).map(own) if len(own) else pd.Series(np.nan, index=frame.index)
    found = pd.Series(np.asarray(place, dtype=np.float64)).fillna(frame["said"].map(everybody))
    return np.asarray(found, dtype=np.float64)


def _by_id(rules: pd.DataFrame, some: npt.NDArray[np.bool_], seen: Trials) -> Floats:
    """Return which of some rules each trial was decided under; NaN if none."""
    place = pd.Series(np.flatnonzero(some), index=rules.loc[some, "rule"], dtype=np.float64)
    return np.asarray(place.reindex(seen.rule), dtype=np.float64)


def _spoken_in_context(rules: pd.DataFrame, keys: pd.DataFrame, mined: Mined) -> tuple[Trials, Ints]:
    """Return trials as spoken for rules for a context: turns in that context by users for whom no rule was asked that day."""
    wanted = keys.assign(rule=rules["rule"].to_numpy(), context_value=rules["context_value"].to_numpy())
    wanted = wanted[wanted["context_value"] != ""]
    with connect(**mined.named("counts", "context_counts", "row_days", "ages")) as con:
        con.register("wanted", wanted)
        found: dict[str, Any] = con.execute(_SPOKEN_IN_CONTEXT).fetchnumpy()
    said = np.asarray(found["said"], dtype=np.int64)
    spoken = Trials.as_spoken(said, found["user_no"], found["day"], found["outcome"], found["weight"])
    return spoken, np.asarray(found["place"], dtype=np.int64)


SCOPE = "online"


def withdrawn_slices(rules: pd.DataFrame, evidence_starts: EvidenceStarts) -> dict[str, int]:
    """Return the slices that are withdrawn, each with the day on which the doubt began, days since 1970.

    Args:
        rules: of the day before, columns of `tables.RULES`.
        evidence_starts: the first days whose evidence counts.
    """
    gone = set(rules.loc[(rules["scope"] == SCOPE) & (rules["stage"] == Stage.RETIRED), "rule"])
    return {name: evidence_starts[slice_key(name)] for name in SLICES if name in gone and slice_key(name) in evidence_starts}


def assess_slices(promises: Mapping[str, Promise], doubted: Mapping[str, int], today: int, *, fitted: bool) -> pd.DataFrame:
    """Return the slices with their verdicts, columns of `tables.RULES` without those of stages; no rows without promises.

    Args:
        promises: what the fit of the layer promises of each slice.
        doubted: the result of `withdrawn_slices`.
        today: last day of the log, days since 1970.
        fitted: whether the layer was fitted today.
    """
    names = [name for name in SLICES if name in promises]
    verdicts = [_slice_verdict(promises[name], doubted=name in doubted, fitted=fitted) for name in names]
    threshold = np.array([promises[name].threshold if promises[name].keeps_budget() else 0.0 for name in names])
    rule, nothing = np.array(names, dtype=object), np.zeros(len(names))
    empty = {"user_id": "", "context_value": "", "locale": "", "target": "", "state": "", "users": 0, "detail": ""}
    score = {"score": threshold, "p_goal": threshold, "win": threshold, "loss": 1.0 - threshold, "p_gain": np.nan}
    rows = {"rule": rule, "source": rule, "turns": nothing, "verdict": np.array(verdicts, dtype=object)}
    fixed = {"scope": SCOPE, "first_day": today, "last_day": today, "stay": nothing, "similarity": nothing}
    return pd.DataFrame(rows).assign(**empty, **fixed, **score)


def is_slice(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether each of m rules is a slice of the online layer, (m,)."""
    return np.asarray(rules["scope"] == SCOPE, dtype=bool)


def is_undrawn(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether each of m rules is a slice without a hold-out, (m,)."""
    drawn = [name for name, of in SLICES.items() if of.is_drawn]
    return is_slice(rules) & ~np.isin(rules["rule"].to_numpy(dtype=object), drawn)


def slice_shares(rules: pd.DataFrame) -> dict[str, float]:
    """Return the probability with which each slice is applied; 0 for one that is withdrawn."""
    rows = rules[(rules["scope"] == SCOPE) & rules["stage"].isin([*SERVED, Stage.RETIRED])]
    return dict(zip(rows["rule"], rows["share"].astype(float), strict=True))


def slice_figures(promises: Mapping[str, Promise]) -> dict[str, float]:
    """Return the promises as figures for the manifest, by a readable label. Slices that share a promise are named once.

    Held-out wins and losses are those of the log. Where the shipped prior stands in, its own counts are figures of their own,
    and the ratio holds both.
    """
    found: dict[str, float] = {}
    for name, promise in promises.items():
        of = SLICES[name]
        label = f"online {of.mode if of.method == SCOPE else of.method}"
        found |= {f"{label}: threshold": promise.threshold, f"{label}: held-out wins": promise.log_win}
        found |= {f"{label}: held-out losses": promise.log_loss}
        if promise.by_prior:
            found |= {f"{label}: wins that the shipped prior counts for": PRIOR_WINS}
            found |= {f"{label}: losses that the shipped prior counts for": PRIOR_LOSSES}
        with_prior = " with the shipped prior" * promise.by_prior
        found |= {f"{label}: win/loss{with_prior}": promise.ratio, f"{label}: win/loss{with_prior}, low": promise.low}
        if promise.threshold_since is not None:
            found[f"{name}: threshold"] = promise.threshold_since
    return found


def slice_key(name: str) -> tuple[str, str, str]:
    """Return the key under which the start of a slice's evidence is kept, as `EvidenceStarts` has it."""
    return "", name, ""


def _slice_verdict(promise: Promise, *, doubted: bool, fitted: bool) -> RuleVerdict:
    if not promise.keeps_budget():
        return RuleVerdict.NO_THRESHOLD
    if doubted and not (fitted and promise.keeps_budget_since()):
        return RuleVerdict.NO_THRESHOLD_SINCE
    return RuleVerdict.LAUNCHED
