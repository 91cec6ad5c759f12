"""From the verdicts of a day and the lives of the day before to the rules that serve: who enters, who moves on, who leaves."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betainc

from rewriter.config import Loop
from rewriter.engines.duckdb import connect
from rewriter.errors import ArtefactError
from rewriter.model.layer_slices import PARTS
from rewriter.offline.lifecycle import attribution, layer_slices, stages
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.rules import launch
from rewriter.offline.rules.launch import LAUNCHED
from rewriter.tables import LIVES, RULES, STANDING

AT_WORK = "another rule of this text is at work"
OUTDONE = "another rewrite of this text should do better"
RETIRED = "retired: "
_WATCHED = ("the gain is too unsure", "over the loss budget", "another target is better", AT_WORK, OUTDONE)
_FORBIDDEN = ("guardrail: ", "the source was said by fewer", "no utterance of", "this user never said", layer_slices.NO_THRESHOLD)
_KEPT_DAYS = 365  # a retired rule is remembered so long
_SOURCE = ["user_id", "context_value", "locale", "source"]
_SURELY = 0.98  # P(a rule at work succeeds less often than one that waits is expected to) at which that one takes over
_TOLD = ("tried", "tried_ok", "left_alone", "left_ok")


@dataclass(frozen=True, slots=True)
class Before:
    """What the day before left.

    Attributes:
        rules: columns of `tables.RULES`.
        lives: columns of `tables.LIVES`.
        evidence_starts: the first days whose evidence of the sources counts.
        standing: columns of `tables.STANDING`.
    """

    rules: pd.DataFrame
    lives: pd.DataFrame
    evidence_starts: EvidenceStarts
    standing: pd.DataFrame

    @classmethod
    def nothing(cls) -> "Before":
        """Return what stands before the first day."""
        return cls(_empty(RULES.names), _empty(LIVES.names), {}, _empty(STANDING.names))


def read(state: Path | None) -> Before:
    """Return what is in the private state of the day before; nothing where there is none.

    Raises:
        ArtefactError: it is of an older release.
    """
    if state is None or not (state / "lives.parquet").exists():
        return Before.nothing()
    names = ("rules", "lives", "standing")
    if not (state / "standing.parquet").exists():
        raise ArtefactError(f"{state} is of an older release, without standing.parquet; learn with --afresh")
    with connect(**{name: state / f"{name}.parquet" for name in names}) as con:
        rules, lives, standing = (con.execute(f"SELECT * FROM {name}").df() for name in names)
    if lacking := set(RULES.names) - set(rules):
        raise ArtefactError(f"{state} is of an older release, its rules without {', '.join(lacking)}; learn with --afresh")
    evidence_starts = json.loads((state / "evidence_starts.json").read_text(encoding="utf-8", errors="surrogatepass"))
    return Before(rules, lives, {tuple(key): day for *key, day in evidence_starts}, standing)


def write(now: Before, state: Path) -> None:
    """Write ``rules.parquet``, ``lives.parquet``, ``standing.parquet`` and ``evidence starts.json``."""
    launch.write(now.rules, state / "rules.parquet")
    launch.write_table(LIVES, now.lives, "day, user_id, context_value, locale, source, target", state / "lives.parquet")
    launch.write_table(STANDING, now.standing, "day, scope, life", state / "standing.parquet")
    evidence_starts = [[*key, day] for key, day in sorted(now.evidence_starts.items())]
    (state / "evidence_starts.json").write_text(
        json.dumps(evidence_starts, ensure_ascii=False, indent=0), encoding="utf-8", errors="surrogatepass"
    )


def advance(
    decided: pd.DataFrame,
    before: Before,
    mined: Mined,
    today: int,
    config: Loop,
    *,
    min_users: int,
    draw: bool,
    fitted: bool = False,
) -> Before:
    """Return the rules of today, each with its life, every change so far, and where sources begin anew.

    Args:
        decided: the rules under consideration with their verdicts, the parts of the online layer among them; columns of
            `tables.RULES` but for those of life.
        before: what the day before left.
        mined: the mined tables.
        today: last day of the log, days since 1970.
        config: `config.Loop`.
        min_users: k; fewer users decide no test of a rule for everybody.
        draw: whether part of the requests is left alone for comparison.
        fitted: whether the online layer was fitted today: where nothing of it is drawn, what it reached until then is the level
            that it is held against from then on.
    """
    rules = _considered(decided, before.rules, today, draw=draw)
    served = np.flatnonzero(rules["life"].isin(stages.SERVED).to_numpy())
    now = rules.iloc[served].reset_index(drop=True)
    expected, n_adversarial = now["win"].to_numpy(dtype=np.float64), np.where(_personal(now), 0, min_users - 1)
    seen, rule, sent = attribution.trials_of(now, _only_by_id(rules), mined, before.evidence_starts)
    since = now["since_day"].to_numpy(dtype=np.int64)
    evidence = stages.weigh(seen, rule, sent, since, expected, n_adversarial=n_adversarial, config=config)
    undrawn, part = _undrawn(now, draw=draw), layer_slices.is_part(now)
    judged = stages.judge(_texts(now["life"]), undrawn, evidence, config, strict=part)
    moved = (judged["why"] != "").to_numpy() & (since <= today)
    now = now.assign(
        life=np.where(moved, judged["life"], now["life"]),
        since_day=np.where((moved & judged["anew"]) | (part & undrawn & fitted), today + 1, since),
        why=np.where(moved, judged["why"], now["why"]),
        tried=evidence.tried,
        tried_ok=evidence.tried_ok,
        left_alone=evidence.left,
        left_ok=evidence.left_ok,
        p_better=evidence.p_better,
    )
    was = rules.iloc[served][["life", "since_day"]].reset_index(drop=True)
    evidence_starts = dict(before.evidence_starts) | _evidence_starts(now[moved], was[moved], today)
    shares = stages.share(_texts(now["life"]), undrawn, evidence, config, promised=part)
    now = now.assign(share=shares)
    left = (now["life"] == "retired").to_numpy()
    now = now.assign(verdict=np.where(left, RETIRED + now["why"], now["verdict"]), share=np.where(left, 0.0, now["share"]))
    rules = pd.concat([rules.drop(index=rules.index[served]), now], ignore_index=True)
    return Before(
        rules[list(RULES.names)], _told(before, rules, today), evidence_starts, _standing(before.standing, rules, today)
    )


def _considered(decided: pd.DataFrame, before: pd.DataFrame, today: int, *, draw: bool) -> pd.DataFrame:
    """Join today's verdicts with the lives of yesterday: every rule once, with the life in which the day finds it."""
    decided = decided.sort_values("verdict", key=lambda v: v != LAUNCHED, kind="stable").drop_duplicates("rule")
    gone = before[before["life"].isin([*stages.SERVED, "retired"]) & ~before["rule"].isin(decided["rule"])]
    gone = gone[(gone["life"] != "retired") | (gone["since_day"] > today - _KEPT_DAYS)]
    rules = _remembered(decided, before, today)
    rules = pd.concat([rules, gone], ignore_index=True) if len(gone) else rules
    rules = rules.assign(why="")

    alive = rules["life"].isin(stages.SERVED)
    forbidden = alive & rules["verdict"].str.startswith(_FORBIDDEN)
    rules.loc[forbidden, ["life", "why"]] = ["retired", "it is not allowed any more"]
    rules.loc[alive & ~forbidden, "verdict"] = LAUNCHED
    taken = pd.MultiIndex.from_frame(rules.loc[alive & ~forbidden, _SOURCE])
    asks = (rules["verdict"] == LAUNCHED) & ~alive
    asks &= ~((rules["life"] == "retired") & (rules["user_id"] != ""))  # what the crowd says of it has not changed
    waits = (asks & pd.MultiIndex.from_frame(rules[_SOURCE]).isin(taken)).astype(bool)
    if draw:
        over, outdone = _taking_over(rules, waits, alive & ~forbidden)
        rules.loc[outdone, ["life", "why", "verdict"]] = ["shadow", OUTDONE, OUTDONE]
        rules.loc[outdone, "since_day"] = today + 1
        waits.loc[over] = False
    rules.loc[waits, "verdict"] = AT_WORK
    enters = asks & ~waits
    rules.loc[enters, "life"] = np.where(_undrawn(rules[enters], draw=draw), "live", "canary")
    rules.loc[enters, "why"] = np.where(
        layer_slices.is_part(rules[enters]), "held-out evidence promises it", "people restate it so"
    )
    stays_out = (rules["verdict"] == LAUNCHED) & ~rules["life"].isin(stages.SERVED)
    rules.loc[stays_out, "verdict"] = RETIRED + "it did not work for this user"
    watched = ~rules["life"].isin([*stages.SERVED, "retired"])
    rules.loc[watched, "life"] = np.where(rules.loc[watched, "verdict"].isin(_WATCHED), "shadow", "")
    rules.loc[enters | forbidden, "since_day"] = today + 1
    return rules


def _taking_over(rules: pd.DataFrame, waits: pd.Series, serves: pd.Series) -> tuple[pd.Index, pd.Index]:
    """Return the rules that take over, and those that make room: by what was tried of it a rule at work surely does less well.

    A rule that waits promises its expected wins; one at work has shown its success, beside what it promised itself at launch. Of
    personal rules nothing is tried against anything, so they stay until they are undone.
    """
    waiting, working = rules[waits & (rules["user_id"] == "")], rules[serves]
    rivals = waiting.reset_index().merge(working.reset_index(), on=_SOURCE, suffixes=("", "_now"))
    promise, shown, tried, ok = (
        rivals[name].to_numpy(dtype=np.float64) for name in ("win", "win_now", "tried_now", "tried_ok_now")
    )
    failed = np.maximum(tried - ok, 0.0) + stages.PROMISE * (1 - shown)
    less = betainc(1 + ok + stages.PROMISE * shown, 1 + failed, promise)
    sure = rivals[less >= _SURELY]
    return pd.Index(sure["index"]), pd.Index(sure["index_now"])


def _remembered(decided: pd.DataFrame, before: pd.DataFrame, today: int) -> pd.DataFrame:
    """Give each rule the life that it had; a new one has none, since tomorrow."""
    names = ("life", "since_day", "share", "p_better", *_TOLD)
    nothing = ("", today + 1, 0.0, np.nan, *(0.0 for _ in _TOLD))
    old = dict(zip(before["rule"], zip(*(before[name] for name in names), strict=True), strict=True))
    found = list(zip(*(old.get(rule, nothing) for rule in decided["rule"]), strict=True)) or [()] * len(names)
    return decided.assign(**dict(zip(names, map(list, found), strict=True))).astype({"since_day": np.int64})


def _evidence_starts(moved: pd.DataFrame, was: pd.DataFrame, today: int) -> dict[tuple[str, str, str], int]:
    """Say where the sources of rules that have just been retired begin anew: where their meaning was first in doubt."""
    left = ((moved["life"] == "retired") & (moved["user_id"] == "")).to_numpy()
    first = np.where(was["life"] == "live", today + 1, was["since_day"])
    rows = zip(moved["locale"], moved["source"], moved["context_value"], first, left, strict=True)
    return {(locale, source, context_value): int(day) for locale, source, context_value, day, gone in rows if gone}


def _told(before: Before, rules: pd.DataFrame, today: int) -> pd.DataFrame:
    """Append what has changed to the story of all rules."""
    old = dict(zip(before.rules["rule"], before.rules["life"], strict=True))
    changed = rules[rules["why"] != ""]
    rows = changed.assign(day=today, was=[old.get(rule, "") for rule in changed["rule"]])[list(LIVES.names)]
    return pd.concat([part for part in (before.lives, rows) if len(part)] or [before.lives], ignore_index=True)


def _standing(before: pd.DataFrame, rules: pd.DataFrame, today: int) -> pd.DataFrame:
    """Append how many rules stand where; who learns twice a day has the last word."""
    watched = rules[rules["life"] != ""]
    now = watched.groupby(["scope", "life"]).size().reset_index(name="rules").assign(day=today)
    return pd.concat([part for part in (before[before["day"] < today], now) if len(part)] or [before])[list(STANDING.names)]


def _personal(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return np.asarray(rules["user_id"] != "", dtype=bool)


def _undrawn(rules: pd.DataFrame, *, draw: bool) -> npt.NDArray[np.bool_]:
    """Say of each rule whether nothing of it is left alone for comparison."""
    return _personal(rules) | layer_slices.undrawn(rules) | (not draw)


def _only_by_id(rules: pd.DataFrame) -> pd.Index:
    """Return the ids of rules that answer for nothing but what was decided under them."""
    return pd.Index([*rules.loc[rules["context_value"] != "", "rule"], *PARTS])


def _texts(column: pd.Series) -> npt.NDArray[np.object_]:
    return np.asarray(column, dtype=object)


def _empty(names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in names})
