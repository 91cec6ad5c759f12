"""`Content`: what the console shows of an artefact, gathered from its folder. No text of fewer than k users is in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd

from rewriter.artefact.switch import ListedVersion, listed
from rewriter.artefact.taught import FILE, TaughtStore
from rewriter.artefact.versions import Version, current
from rewriter.codes import RuleVerdict, Scope
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.errors import ArtefactError
from rewriter.evaluation import report
from rewriter.evaluation.report import Picture, ReportTable
from rewriter.messages import advice, rule_verdict, verdict_kind
from rewriter.model.layer_slices import open_promises
from rewriter.model.query_store import query_texts
from rewriter.model.rules import count_moments, open_suggested
from rewriter.offline.logs.report import LogReport
from rewriter.offline.rules.priors import within_budget
from rewriter.offline.verdict import of_learned
from rewriter.operate.diagnose import kept
from rewriter.operate.review import Decided, decided, warnings

MOST_RULES: Final = 200
"""Rules that are shown, the busiest; a longer page is slow to look through."""
BUDGETS: Final = (0.02, 0.05, 0.10, 0.20)
"""Budgets of losses that are compared, beside the one of the artefact."""
_EXAMPLES = 6  # refused rules that are shown for each reason
_RIVALS = 5  # other targets that are shown for a rule
_RARE = (RuleVerdict.FEW_SAY_SOURCE, RuleVerdict.FEW_MEAN_TARGET, RuleVerdict.NO_SURFACE)
"""Verdicts on rules whose texts may be those of fewer than k users."""


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A part of the engine: its name, whether it is on, and why not."""

    name: str
    on: bool
    text: str


@dataclass(frozen=True, slots=True)
class ConsideredRule:
    """A rule for everybody that was considered for a source.

    Attributes:
        source: the text heard.
        target: the text that would be sent.
        users: who meant the target.
        score: S_ij of the chain.
        p_goal: P(the target is meant).
        win, loss: expected per request.
        verdict: in words.
        launches_at: the smallest budget of losses at which it would launch; None if no budget decides on it.
    """

    source: str
    target: str
    users: int
    score: float
    p_goal: float
    win: float
    loss: float
    verdict: str
    launches_at: float | None = None


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule that serves everybody.

    Attributes:
        decided: the rule, and what people decided about it.
        stage: `codes.Stage`; empty if it is not watched.
        p_gain: P(it gains); None if it was not computed.
        stay: score of leaving the request alone.
        rivals: other targets that were considered, the best first.
        traffic: its turns, as a share of those of the busiest rule, 0..1.
    """

    decided: Decided
    stage: str
    p_gain: float | None
    stay: float | None
    rivals: Sequence[ConsideredRule]
    traffic: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Rules that were refused for one reason: how many, and the busiest of those that may be shown."""

    reason: str
    rules: int
    examples: Sequence[ConsideredRule]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a budget of losses launches: rules for everybody, and their expected wins and losses in the log."""

    share: float
    rules: int
    win: float
    loss: float
    present: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rewrite that is not sent, and is offered to the user as a question."""

    locale: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Content:
    """What the console shows.

    Attributes:
        root: the artefact folder, as it was named.
        version: the version that serves.
        held: versions that are held back, with their reasons.
        turns: turns that it was learned from.
        locales: users by locale; of a catalog alone its texts.
        min_users: k.
        state: whether the private state is here; without it there are no refused rules, no evidence and no days.
        parts: what is on.
        advised: what to do next, in words.
        rules: the busiest rules.
        more_rules: rules that are not shown.
        refused: refused rules by reason, most first.
        budgets: what other budgets would launch.
        suggestions: what is suggested.
        taught: lessons and preferences that users have taught; their texts are theirs alone.
        moments: restatements that users may be asked to teach.
        failures: where requests break, as `diagnose` kept it; empty if nobody asked.
        loop: pictures and tables of the days.
        warnings: lines of the review that have no effect.
    """

    root: str
    version: Version
    held: Sequence[ListedVersion]
    turns: int
    locales: Mapping[str, int]
    min_users: int
    state: bool
    parts: Sequence[VerdictLine]
    advised: Sequence[str]
    rules: Sequence[ShownRule]
    more_rules: int
    refused: Sequence[Refused]
    budgets: Sequence[Budget]
    suggestions: Sequence[Suggestion]
    taught: tuple[int, int]
    moments: int
    failures: Sequence[ReportTable]
    loop: Sequence[Picture | ReportTable]
    warnings: Sequence[str]


def content(root: str | Path) -> Content:
    """Gather what the console shows.

    Args:
        root: the artefact folder.

    Raises:
        ArtefactError: the artefact is missing or damaged, or the review cannot be read.
    """
    version = current(root)
    config = Config.from_dict(dict(version.manifest.config))
    known = _considered(version)
    learned = decided(root)
    parts, advised = _verdict(version, known, config) if known is not None else ((), ())
    everybody = pd.DataFrame() if known is None else known[known["scope"] == Scope.GLOBAL]
    return Content(
        root=str(root),
        version=version,
        held=[each for each in listed(root) if each.place == "held back"],
        turns=version.manifest.counts.get("turns", 0),
        locales=version.manifest.locales,
        min_users=config.launch.min_users,
        state=known is not None,
        parts=parts,
        advised=advised,
        rules=list(_shown(learned[:MOST_RULES], everybody, config)),
        more_rules=max(0, len(learned) - MOST_RULES),
        refused=list(_refused(everybody, config)),
        budgets=list(_budgets(everybody, config)),
        suggestions=[Suggestion(*place, rule.target) for place, rule in sorted(open_suggested(version.folder / "rules").items())],
        taught=TaughtStore(Path(root) / "state" / FILE).counts(),
        moments=count_moments(version.folder / "rules"),
        failures=kept(root),
        loop=_loop(root),
        warnings=warnings(root),
    )


def _considered(version: Version) -> pd.DataFrame | None:
    """Return all rules that were considered; None without the private state."""
    path = version.state / "rules.parquet"
    if not path.exists():
        return None
    with connect(rules=path) as con:
        return con.execute("SELECT * FROM rules WHERE context_value = '' ORDER BY turns DESC, source, score DESC").df()


def _verdict(version: Version, rules: pd.DataFrame, config: Config) -> tuple[list[VerdictLine], list[str]]:
    unread = LogReport((), (), 0, 0, None, None, {}, (), 0.0)  # what the log lacked is not kept
    promises = open_promises(version.folder / "online")
    verdict = of_learned(unread, version.manifest.counts.get("turns", 0), rules, promises, query_texts(version.folder), config)
    lines = (line.partition(": ") for line in verdict.part_lines())
    texts = [(name, text.removeprefix("on, ").removeprefix("off, ")) for name, _, text in lines]
    parts = [VerdictLine(name, of.lack is None, text) for of, (name, text) in zip(verdict.parts, texts, strict=True)]
    launched = rules.loc[rules["verdict"] == RuleVerdict.LAUNCHED, "scope"].value_counts()
    n = [int(launched.get(scope, 0)) for scope in (Scope.GLOBAL, Scope.PERSONAL)]
    parts[0] = replace(parts[0], text=f"{parts[0].text}; {n[0]:,} for everybody, {n[1]:,} for single users")
    return parts, [advice(*each) for each in verdict.advised]


def _shown(learned: Sequence[Decided], everybody: pd.DataFrame, config: Config) -> Iterator[ShownRule]:
    rows = {} if everybody.empty else {row.rule: row for row in everybody.itertuples()}
    rivals = {} if everybody.empty else dict(list(_nameable(everybody).groupby(["locale", "source"])))
    busiest = max((each.rule.turns for each in learned), default=1.0)
    for each in learned:
        rule, row = each.rule, rows.get(each.rule.rule)
        others = rivals.get((rule.locale, rule.source), everybody)
        yield ShownRule(
            decided=each,
            stage="" if row is None else row.stage,
            p_gain=None if row is None or pd.isna(row.p_gain) else float(row.p_gain),
            stay=None if row is None else float(row.stay),
            rivals=[] if others.empty else list(_rows(others[others["rule"] != rule.rule].head(_RIVALS), {}, config)),
            traffic=rule.turns / max(busiest, 1.0),
        )


def _nameable(rules: pd.DataFrame) -> pd.DataFrame:
    """Return the rules whose texts at least k users said."""
    return rules[~rules["verdict"].isin(_RARE) & (rules["target"] != "")]


def _rows(rules: pd.DataFrame, launches: Mapping[str, float], config: Config) -> Iterator[ConsideredRule]:
    for row in rules[rules["users"] >= config.launch.min_users].itertuples():
        verdict = rule_verdict(row.verdict, row.detail)
        yield ConsideredRule(
            source=row.source,
            target=row.target,
            users=int(row.users),
            score=float(row.score),
            p_goal=float(row.p_goal),
            win=float(row.win),
            loss=float(row.loss),
            verdict=verdict,
            launches_at=launches.get(row.rule),
        )


def _refused(everybody: pd.DataFrame, config: Config) -> Iterator[Refused]:
    if everybody.empty:
        return
    refused = everybody[everybody["verdict"] != RuleVerdict.LAUNCHED]
    launches: dict[str, float] = {}
    for share in sorted(BUDGETS, reverse=True):
        launches |= dict.fromkeys(_launched(everybody, share), share)
    for verdict, rules in sorted(refused.groupby("verdict"), key=lambda of: -len(of[1])):
        yield Refused(verdict_kind(str(verdict)), len(rules), list(_rows(_nameable(rules).head(_EXAMPLES), launches, config)))


def _open(everybody: pd.DataFrame) -> pd.DataFrame:
    """Return the rules on which the budget alone decides."""
    return everybody[everybody["verdict"].isin([RuleVerdict.LAUNCHED, RuleVerdict.OVER_BUDGET])]


def _launched(everybody: pd.DataFrame, share: float) -> Iterable[str]:
    rules = _open(everybody)
    turns, win, loss = (rules[name].to_numpy(dtype="float64") for name in ("turns", "win", "loss"))
    return list(rules["rule"][within_budget(turns, win, loss, share)])


def _budgets(everybody: pd.DataFrame, config: Config) -> Iterator[Budget]:
    present = config.launch.max_loss_share
    if everybody.empty:
        return
    for share in sorted({*BUDGETS, present}):
        rules = everybody[everybody["rule"].isin(_launched(everybody, share))]
        win, loss = (float((rules["turns"] * rules[name]).sum()) for name in ("win", "loss"))
        yield Budget(share, len(rules), win, loss, share == present)


def _loop(root: str | Path) -> Sequence[Picture | ReportTable]:
    try:
        return report.parts(report.days(root))
    except ArtefactError:  # no private state, or nothing learned yet
        return ()
