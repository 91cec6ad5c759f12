"""Computes the stages of rules from today's verdicts and yesterday's stages: which rules begin to serve, move on, and retire.

These are the stages of a rule. The tests that move it from one to the next may be evaluated every day.

- *shadow*: assessed every day and never sent: its gain is unsure, or another rule of its source serves.
- *canary*: launched by the evidence of the log. A tenth of its requests is left alone until both arms show that it is better.
- *live*: shown to be better. The share that is left alone is P(it is not better), down to a floor.
- *probation*: its success rate fell clearly below its earlier rate, or below that of the words as spoken before the rule. Half of
  its requests are left alone until the two arms show that it is still better, or worse.
- *retired*: worse than the words as spoken. Older evidence on its source is no longer read, so only new evidence can bring the
  rule back.

No test is decided by fewer than k users (`RobustAggregation`).

A personal rule has no hold-out, because its user can undo it at once. A rule without a hold-out is retired by a drop. A drop also
retires a slice of the online layer (`evidence.is_slice`): most of its requests fail as spoken, so two arms would take long to
show harm.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betainc

from rewriter.arrays import Floats
from rewriter.codes import SERVED, RuleVerdict, Stage, StageReason
from rewriter.config import Loop
from rewriter.engines import connect
from rewriter.errors import ArtefactError, reading_state
from rewriter.offline.lifecycle import evidence as evidence_of
from rewriter.offline.lifecycle.evidence import PRIOR_TRIALS, Evidence, decisive, is_slice, is_undrawn
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.rules import launch
from rewriter.tables import RULES, STAGE_CHANGES, STAGE_COUNTS, write_table

_HALF = 0.5
"""Share of a rule's requests that is left alone in probation, and the largest share in any stage. Both arms grow equally fast."""


def judge(
    stage: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    strict: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Return the new stage of each of m rules, the reason (empty if the stage stays), and whether its tests begin anew.

    The column `anew` is false for a rule that enters probation while its arms already are evidence against it: the test goes on.

    Args:
        stage: (m,) canary, live or probation.
        undrawn: (m,) whether it has no hold-out. A drop then retires it.
        evidence: the outcomes of its requests.
        config: `alpha` and `mean_days_between_false_alarms`.
        strict: (m,) whether a drop retires it in any case; False for all if None.

    Returns:
        Columns stage, reason and anew.
    """
    sure, alarm = decisive(config)
    worse, better, drop = evidence.worse >= sure, evidence.better >= sure, evidence.drop >= alarm
    moves = [
        (worse & ~undrawn, Stage.RETIRED, StageReason.WORSE),
        (drop & (undrawn if strict is None else undrawn | strict), Stage.RETIRED, StageReason.DROPPED),
        (drop & (stage == Stage.LIVE), Stage.PROBATION, StageReason.SLIPPED),
        (better & np.isin(stage, (Stage.CANARY, Stage.PROBATION)), Stage.LIVE, StageReason.BETTER),
    ]
    into, why = stage.copy(), np.full(len(stage), "", dtype=object)
    for where, new, reason in moves:
        rows = where & (why == "")
        into[rows], why[rows] = new, reason
    anew = (why != "") & ~((into == Stage.PROBATION) & (evidence.worse > 0))
    return pd.DataFrame({"stage": into, "reason": why, "anew": anew})


def share(
    stage: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    promised: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the probability with which each of m rules is applied, (m,); the other requests are left alone for comparison.

    Args:
        stage: (m,) stage of each rule.
        undrawn: (m,) whether it has no hold-out.
        evidence: the outcomes of its requests. A few users cannot put a live rule in doubt.
        config: `canary` and `floor`.
        promised: (m,) whether held-out evidence supported it before any trial. With few trials it is then not doubted more than a
            canary; False for all if None.
    """
    most = _HALF if promised is None else np.where(promised, config.canary, _HALF)
    canary = np.clip(1.0 - evidence.p_better, config.canary, most)
    live = np.clip(1.0 - evidence.p_spared, config.floor, np.maximum(config.floor, most))
    probation = np.full(len(stage), _HALF)
    held = np.select([stage == Stage.CANARY, stage == Stage.LIVE, stage == Stage.PROBATION], [canary, live, probation], 1.0)
    return np.asarray(np.where(undrawn & np.isin(stage, SERVED), 1.0, 1.0 - held), dtype=np.float64)


_WATCHED = (
    RuleVerdict.GAIN_UNSURE,
    RuleVerdict.OVER_BUDGET,
    RuleVerdict.OUTRANKED,
    RuleVerdict.SOURCE_TAKEN,
    RuleVerdict.OUTDONE,
)
"""Verdicts that may change with more evidence: these rules are in the stage *shadow*."""
_FORBIDDEN = (
    RuleVerdict.GUARDRAIL,
    RuleVerdict.FEW_SAY_SOURCE,
    RuleVerdict.NO_SURFACE,
    RuleVerdict.NO_OWN_SURFACE,
    RuleVerdict.NO_THRESHOLD,
)
"""Verdicts that retire a rule at once, whatever its success rate is."""
_MEMORY_DAYS = 365
"""Days for which a retired rule is remembered."""
_P_LESS = 0.98
"""A rival takes over if P(the serving rule succeeds less often than the rival is expected to) reaches this."""
_SOURCE = ["user_id", "context_value", "locale", "source"]
_TRIED = ("tried", "tried_ok", "left_alone", "left_ok")
_STARTS = "evidence_starts.json"
Tried = Callable[[pd.DataFrame], tuple[Floats, Floats]]
"""m rules, columns of `tables.RULES` -> their trials, and how many of these went well, (m,) each."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The stages of all rules after a day, with their history.

    Attributes:
        rules: columns of `tables.RULES`.
        changes: every change of stage so far, columns of `tables.STAGE_CHANGES`.
        evidence_starts: the first days whose evidence of the sources counts.
        counts: how many rules were in each stage, by day, columns of `tables.STAGE_COUNTS`.
    """

    rules: pd.DataFrame
    changes: pd.DataFrame
    evidence_starts: EvidenceStarts
    counts: pd.DataFrame

    @classmethod
    def empty(cls) -> "Lifecycle":
        """Return the lifecycle before the first day."""
        frames = (pd.DataFrame({n: pd.Series(dtype=object) for n in t.names}) for t in (RULES, STAGE_CHANGES, STAGE_COUNTS))
        rules, changes, counts = frames
        return cls(rules, changes, {}, counts)

    @classmethod
    def read(cls, state: Path | None) -> "Lifecycle":
        """Read what the last run wrote into the private state; empty if there is no state.

        Raises:
            ArtefactError: a file is damaged, or of an older release.
        """
        if state is None:
            return cls.empty()
        found = {}
        for table in (RULES, STAGE_CHANGES, STAGE_COUNTS):
            path = state / f"{table.name}.parquet"
            with reading_state(path), connect(found=path) as con:
                found[table.name] = con.execute("SELECT * FROM found").df()
            if lacking := [name for name in table.names if name not in found[table.name]]:
                raise ArtefactError(f"{path} is of an older release, without {', '.join(lacking)}; learn with --afresh")
        rules, changes, counts = found.values()
        with reading_state(state / _STARTS):
            starts = json.loads((state / _STARTS).read_text(encoding="utf-8", errors="surrogatepass"))
            return cls(rules, changes, {tuple(key): day for *key, day in starts}, counts)

    def write(self, state: Path) -> None:
        """Write ``rules.parquet``, ``stage_changes.parquet``, ``stage_counts.parquet`` and ``evidence_starts.json``."""
        launch.write(self.rules, state / "rules.parquet")
        order = "day, user_id, context_value, locale, source, target"
        write_table(STAGE_CHANGES, self.changes, order, state / "stage_changes.parquet")
        write_table(STAGE_COUNTS, self.counts, "day, scope, stage", state / "stage_counts.parquet")
        starts = json.dumps([[*key, day] for key, day in sorted(self.evidence_starts.items())], ensure_ascii=False, indent=0)
        (state / _STARTS).write_text(starts, encoding="utf-8", errors="surrogatepass")


def advance(
    assessed: pd.DataFrame,
    before: Lifecycle,
    mined: Mined,
    today: int,
    config: Loop,
    *,
    min_users: int,
    draw: bool,
    fitted: bool = False,
    k_raised: bool = False,
) -> Lifecycle:
    """Return the rules of today with their stages, every change so far, and the days from which evidence counts.

    Args:
        assessed: the rules under consideration with their verdicts, slices of the online layer among them; columns of
            `tables.RULES` without those of stages.
        before: the lifecycle after the last run.
        mined: the mined tables.
        today: last day of the log, days since 1970.
        config: `config.Loop`.
        min_users: k. No test of a rule for everybody is decided by fewer users, and a rule that rests on fewer is retired.
        draw: whether part of the requests is left alone for comparison.
        fitted: whether the online layer was fitted today. A slice without a hold-out is then tested against its success rate
            until today.
        k_raised: whether k was smaller at the last learn. Then the users who meant the target are counted anew. Otherwise their
            number at launch counts, because what users mean by a text is hardly observed once it is rewritten.
    """
    few = _resting_on_few(assessed, before.rules, mined, min_users, k_raised=k_raised)
    tried = partial(_tried_by_others, before=before, mined=mined, min_users=min_users)
    rules = _enter_and_leave(assessed, before.rules, today, draw=draw, few=few, tried=tried)
    serving = np.flatnonzero(rules["stage"].isin(SERVED).to_numpy())
    was = rules.iloc[serving].reset_index(drop=True)
    evidence = _weigh(was, evidence_of.only_by_id(rules), before, mined, config, min_users)
    now, moved = _judge(was, evidence, today, config, draw=draw, fitted=fitted)
    rules = pd.concat([rules.drop(index=rules.index[serving]), now], ignore_index=True)
    starts = dict(before.evidence_starts) | _evidence_starts(now[moved], was[moved], today)
    return Lifecycle(rules[list(RULES.names)], _changes(before, rules, today), starts, _counts(before.counts, rules, today))


def _as_remembered(serving: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the trials of each rule, and how many of them went well, as the last run knew them, (m,) each."""
    return serving["tried"].to_numpy(dtype=np.float64), serving["tried_ok"].to_numpy(dtype=np.float64)


def _tried_by_others(serving: pd.DataFrame, before: Lifecycle, mined: Mined, min_users: int) -> tuple[Floats, Floats]:
    """Return the same of today, without the k - 1 users with the most evidence against each rule."""
    seen, rule, sent = evidence_of.trials_of(serving, evidence_of.only_by_id(serving), mined, before.evidence_starts)
    return evidence_of.tried_by_others(seen, rule, sent, np.full(len(serving), min_users - 1))


def _weigh(
    serving: pd.DataFrame, only_by_id: pd.Index, before: Lifecycle, mined: Mined, config: Loop, min_users: int
) -> Evidence:
    """Compute the evidence on the rules that serve."""
    seen, rule, sent = evidence_of.trials_of(serving, only_by_id, mined, before.evidence_starts)
    since, expected = serving["since_day"].to_numpy(dtype=np.int64), serving["win"].to_numpy(dtype=np.float64)
    n_adversarial = np.where(_is_personal(serving), 0, min_users - 1)
    return evidence_of.weigh(seen, rule, sent, since, expected, n_adversarial=n_adversarial, config=config)


def _judge(
    serving: pd.DataFrame, evidence: Evidence, today: int, config: Loop, *, draw: bool, fitted: bool
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Return the rules that served, with today's stage, share and evidence, and which of them changed their stage."""
    undrawn, of_layer = _is_undrawn(serving, draw=draw), is_slice(serving)
    since = serving["since_day"].to_numpy(dtype=np.int64)
    judged = judge(_texts(serving["stage"]), undrawn, evidence, config, strict=of_layer)
    moved = (judged["reason"] != "").to_numpy() & (since <= today)
    now = serving.assign(
        stage=np.where(moved, judged["stage"], serving["stage"]),
        since_day=np.where((moved & judged["anew"]) | (of_layer & undrawn & fitted), today + 1, since),
        reason=np.where(moved, judged["reason"], serving["reason"]),
        tried=evidence.tried,
        tried_ok=evidence.tried_ok,
        left_alone=evidence.left,
        left_ok=evidence.left_ok,
        p_better=evidence.p_better,
    )
    shares = share(_texts(now["stage"]), undrawn, evidence, config, promised=of_layer)
    left = (now["stage"] == Stage.RETIRED).to_numpy()
    now = now.assign(
        verdict=np.where(left, RuleVerdict.RETIRED, now["verdict"]),
        detail=np.where(left, now["reason"], now["detail"]),
        share=np.where(left, 0.0, shares),
    )
    return now, moved


def _resting_on_few(
    assessed: pd.DataFrame, before: pd.DataFrame, mined: Mined, min_users: int, *, k_raised: bool
) -> frozenset[str]:
    """Return the rules that serve more than one user and rest on fewer than k.

    If its target has another surface among k users, or none, such a rule is no longer assessed.
    """
    few = assessed.loc[(assessed["verdict"] == RuleVerdict.FEW_MEAN_TARGET) & k_raised, "rule"]
    serves = before["stage"].isin(SERVED) & (before["user_id"] == "") & ~is_slice(before)
    left_over = before[serves]
    left_over = left_over[~_is_in(left_over["rule"], assessed["rule"])]
    if len(left_over):
        users = evidence_of.users_behind(left_over, mined)
        users = np.minimum(users, left_over["users"].to_numpy(dtype=np.int64)) if k_raised else users
        few = pd.concat([few, left_over.loc[users < min_users, "rule"]])
    return frozenset(few)


def _enter_and_leave(
    assessed: pd.DataFrame,
    before: pd.DataFrame,
    today: int,
    *,
    draw: bool,
    few: frozenset[str] = frozenset(),
    tried: Tried = _as_remembered,
) -> pd.DataFrame:
    """Join today's verdicts with yesterday's stages: every rule once, with its stage before today's tests.

    The rules `few` rest on too few users, so they are retired. `tried` gives the trials of rules that have rivals.
    """
    assessed = assessed.sort_values("verdict", key=lambda v: v != RuleVerdict.LAUNCHED, kind="stable").drop_duplicates("rule")
    gone = before[before["stage"].isin([*SERVED, Stage.RETIRED])]
    gone = gone[~_is_in(gone["rule"], assessed["rule"])]
    gone = gone[(gone["stage"] != Stage.RETIRED) | (gone["since_day"] > today - _MEMORY_DAYS)]
    rules = _remembered(assessed, before, today)
    rules = pd.concat([rules, gone], ignore_index=True) if len(gone) else rules
    rules = rules.assign(reason="")

    serves = rules["stage"].isin(SERVED)
    rests_on_few = serves & rules["rule"].isin(few)
    rules.loc[rests_on_few, ["verdict", "detail"]] = [RuleVerdict.RETIRED, StageReason.FORBIDDEN]
    forbidden = serves & (rules["verdict"].isin(_FORBIDDEN) | rests_on_few)
    rules.loc[forbidden, ["stage", "reason"]] = [Stage.RETIRED, StageReason.FORBIDDEN]
    serves &= ~forbidden
    rules.loc[serves, ["verdict", "detail"]] = [RuleVerdict.LAUNCHED, ""]
    asks = (rules["verdict"] == RuleVerdict.LAUNCHED) & ~serves
    asks &= ~((rules["stage"] == Stage.RETIRED) & (rules["user_id"] != ""))  # the votes of other users have not changed
    waits = asks.astype(bool)
    waits[asks] = pd.MultiIndex.from_frame(rules.loc[asks, _SOURCE]).isin(pd.MultiIndex.from_frame(rules.loc[serves, _SOURCE]))
    if draw:
        over, outdone = _taking_over(rules, waits, serves, tried)
        rules.loc[outdone, ["stage", "reason", "verdict"]] = [Stage.SHADOW, StageReason.OUTDONE, RuleVerdict.OUTDONE]
        rules.loc[outdone, "since_day"] = today + 1
        waits.loc[over] = False
    rules.loc[waits, "verdict"] = RuleVerdict.SOURCE_TAKEN
    enters = asks & ~waits
    entering = rules[enters]
    rules.loc[enters, "stage"] = np.where(_is_undrawn(entering, draw=draw), Stage.LIVE, Stage.CANARY)
    rules.loc[enters, "reason"] = np.where(is_slice(entering), StageReason.PROMISED, StageReason.RESTATED)
    undone = (rules["verdict"] == RuleVerdict.LAUNCHED) & ~rules["stage"].isin(SERVED)
    rules.loc[undone, ["verdict", "detail"]] = [RuleVerdict.RETIRED, StageReason.UNDONE]
    unserved = ~rules["stage"].isin([*SERVED, Stage.RETIRED])
    rules.loc[unserved, "stage"] = np.where(rules.loc[unserved, "verdict"].isin(_WATCHED), Stage.SHADOW, "")
    rules.loc[enters | forbidden, "since_day"] = today + 1
    return rules


def _taking_over(rules: pd.DataFrame, waits: pd.Series, serves: pd.Series, tried_of: Tried) -> tuple[pd.Index, pd.Index]:
    """Return the rules that take over, and the rules that they replace because these almost surely succeed less often.

    A rule that waits is judged by its expected wins. A rule that serves is judged by its trials, together with the success that
    was expected at launch. Fewer than k users cannot make it look bad. Personal rules have no hold-out, so they stay until they
    are undone.
    """
    waiting, serving = rules[waits & (rules["user_id"] == "")], rules[serves]
    rivals = waiting.reset_index().merge(serving.reset_index(), on=_SOURCE, suffixes=("", "_now"))
    if rivals.empty:
        return pd.Index([]), pd.Index([])
    promise, expected = (rivals[name].to_numpy(dtype=np.float64) for name in ("win", "win_now"))
    tried, ok = tried_of(rules.loc[rivals["index_now"]].reset_index(drop=True))
    failed = np.maximum(tried - ok, 0.0) + PRIOR_TRIALS * (1 - expected)
    p_less = betainc(1 + ok + PRIOR_TRIALS * expected, 1 + failed, promise)
    sure = rivals[p_less >= _P_LESS]
    return pd.Index(sure["index"]), pd.Index(sure["index_now"])


def _remembered(assessed: pd.DataFrame, before: pd.DataFrame, today: int) -> pd.DataFrame:
    """Give each rule the stage, share and evidence that it had. A new rule has no stage, and `since` is tomorrow."""
    nothing = {"stage": "", "since_day": today + 1, "share": 0.0, "p_better": np.nan} | dict.fromkeys(_TRIED, 0.0)
    place = _index(before["rule"]).get_indexer(_index(assessed["rule"]))
    known, found = place >= 0, dict[str, npt.NDArray[Any]]()
    for name, value in nothing.items():
        found[name] = np.full(len(assessed), value, dtype=object if name == "stage" else type(value))
        found[name][known] = np.asarray(before[name], dtype=found[name].dtype)[place[known]]
    return assessed.assign(**found)


def _evidence_starts(moved: pd.DataFrame, was: pd.DataFrame, today: int) -> dict[tuple[str, str, str], int]:
    """Return, for the sources of rules that were just retired, the day on which the doubt began. Older evidence is not read."""
    left = ((moved["stage"] == Stage.RETIRED) & (moved["user_id"] == "")).to_numpy()
    first = np.where(was["stage"] == Stage.LIVE, today + 1, was["since_day"])
    rows = zip(moved["locale"], moved["source"], moved["context_value"], first, left, strict=True)
    return {(locale, source, context_value): int(day) for locale, source, context_value, day, gone in rows if gone}


def _changes(before: Lifecycle, rules: pd.DataFrame, today: int) -> pd.DataFrame:
    """Append today's changes of stage to those of the days before."""
    changed = rules[rules["reason"] != ""]
    known = before.rules[_is_in(before.rules["rule"], changed["rule"])]
    old = dict(zip(known["rule"], known["stage"], strict=True))
    rows = changed.assign(day=today, stage_before=[old.get(rule, "") for rule in changed["rule"]])[list(STAGE_CHANGES.names)]
    return pd.concat([part for part in (before.changes, rows) if len(part)] or [before.changes], ignore_index=True)


def _counts(before: pd.DataFrame, rules: pd.DataFrame, today: int) -> pd.DataFrame:
    """Append how many rules are in each stage; the last run of a day replaces the earlier ones."""
    staged = rules[rules["stage"] != ""]
    now = staged.groupby(["scope", "stage"]).size().reset_index(name="rules").assign(day=today)
    return pd.concat([part for part in (before[before["day"] < today], now) if len(part)] or [before])[list(STAGE_COUNTS.names)]


def _is_personal(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return np.asarray(rules["user_id"] != "", dtype=bool)


def _is_undrawn(rules: pd.DataFrame, *, draw: bool) -> npt.NDArray[np.bool_]:
    """Return whether each rule has no hold-out, (m,)."""
    return _is_personal(rules) | is_undrawn(rules) | (not draw)


def _texts(column: pd.Series) -> npt.NDArray[np.object_]:
    return np.asarray(column, dtype=object)


def _index(column: pd.Series) -> pd.Index:
    return pd.Index(_texts(column), dtype=object)


def _is_in(column: pd.Series, others: pd.Series) -> npt.NDArray[np.bool_]:
    """Return which texts of a column are among those of another; much faster here than `pd.Series.isin`."""
    return np.asarray(_index(column).isin(_texts(others)), dtype=bool)
