"""`demo`: simulates a home, learns from its log, evaluates on later days and writes a report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from rewriter.artefact.versions import current
from rewriter.codes import Layer
from rewriter.config import Config
from rewriter.evaluation import charts, report
from rewriter.evaluation.judge import (
    NOTHING,
    PERSONAL,
    RUNGS,
    LoggedTurn,
    climb,
    exact_ceiling,
    healthy_texts,
    logged,
    online_ceiling,
)
from rewriter.evaluation.loop import SelfAware, live
from rewriter.evaluation.outcomes import Outcomes, where
from rewriter.evaluation.pairs import best, pairs, worst
from rewriter.evaluation.report import days as seen_days
from rewriter.evaluation.summary import Row, curve, ratio_text, row
from rewriter.messages import rule_verdict, verdict_kind
from rewriter.offline.learn import LearnReport, learn
from rewriter.operate import drawing
from rewriter.operate.explain import graph
from rewriter.operate.try_page import BEST, LOSSES, best_rows, loss_rows
from rewriter.progress import Progress
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world

STEPS = ("a home", "its log", "learning", "judging", "days with rewriting", "the report")
START = date(2026, 1, 5)
MODES = {"before the NLU": False, "after a refusal": True}


@dataclass(frozen=True, slots=True)
class LaunchedExample:
    """A launched rule with its evidence."""

    source: str
    target: str
    users: int
    turns: int
    score: float
    p_success: float


@dataclass(frozen=True, slots=True)
class Demo:
    """Result of the demo.

    Attributes:
        learned: report of `learn`.
        rows: mode -> rows of figures: all requests with more and more layers, then slices with all layers.
        ceilings: name -> largest share of the defects that it could fix.
        examples: the ten busiest rules.
        by_day: name -> ISO day -> defect rate.
        report: the page.
    """

    learned: LearnReport
    rows: Mapping[str, list[Row]]
    ceilings: Mapping[str, float]
    examples: list[LaunchedExample]
    by_day: Mapping[str, Mapping[str, float]]
    report: Path


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    users: int = 120,
    days: int = 14,
    later: int = 6,
    asked: int = 2000,
    setting: str = "normal",
    progress: Progress | None = None,
) -> Demo:
    """Run the demo in a folder; it writes ``log.parquet``, ``artefact/`` and ``report.html``.

    A fifth of the users and phrases and a tenth of the goals are kept out of the log, and are judged too.

    Args:
        out: the folder; made if it is missing.
        seed: of the home, its people and their days.
        users: number of users.
        days: number of days of the log.
        later: number of days after the log, simulated as spoken and again with rewriting and nightly learning.
        asked: number of new requests to judge.
        setting: of the speech channel: ``quiet``, ``normal`` or ``noisy``.
        progress: called with the name of each step of `STEPS` as it starts.

    Raises:
        MissingExtraError: the demo world needs the extra ``learn``.
    """
    tell = progress or (lambda _: None)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    tell(STEPS[0])
    world = home_world(seed, setting=setting, n_users=users)
    tell(STEPS[1])
    lived = list(simulate_days(world, days=days, start=START, seed=seed))
    turns = [turn for day in lived for turn in day]
    write_log(turns, folder / "log.parquet")
    tell(STEPS[2])
    learned = learn([folder / "log.parquet"], out=folder / "artefact", afresh=True)
    tell(STEPS[3])
    after = START + timedelta(days=days)
    log = logged(turns)
    climbed = _climbed(world, folder / "artefact", log, after, asked, seed)
    tell(STEPS[4])
    examples = _examples(folder / "artefact")
    home = SelfAware(folder, Config.from_dict({"loop": {"draw": True}}), None, tuple(Layer))
    loop = live(lambda _: world, home, days=later, start=after, seed=seed)
    by_day = {
        "as spoken": {**_defects(lived), **_defects(simulate_days(world, days=later, start=after, seed=seed))},
        "with rewriting": _defects(day.turns for day in loop),
    }
    tell(STEPS[5])
    reference = climbed["before the NLU"][NOTHING]
    found = Demo(
        learned=learned,
        rows={mode: _rows(of) for mode, of in climbed.items()},
        ceilings={
            "exact rules": exact_ceiling(reference, log, min_users=Config().launch.min_users),
            "any rewriting": online_ceiling(reference, log),
        },
        examples=examples,
        by_day=by_day,
        report=folder / "report.html",
    )
    served = {mode: of[PERSONAL] for mode, of in climbed.items()}
    found.report.write_text(report.html(_page(found, served, folder / "artefact")), encoding="utf-8")
    return found


Climbed = Mapping[str, Mapping[str, Outcomes]]  # mode -> layers -> outcomes


def _climbed(world: World, artefact: Path, log: list[LoggedTurn], start: date, asked: int, seed: int) -> Climbed:
    drawn, healthy = requests(world, n=asked, seed=seed, start=start), healthy_texts(log)
    rungs = partial(climb, artefact, drawn, world.assistant, healthy_in_log=healthy)
    return {mode: rungs(after_failure=late) for mode, late in MODES.items()}


def _rows(rungs: Mapping[str, Outcomes]) -> list[Row]:
    unasked = replace(rungs[NOTHING], latency_us=np.full(len(rungs[NOTHING]), np.nan))
    served = rungs[PERSONAL]
    return [
        row(NOTHING, unasked),
        *(row(name, of) for name, of in rungs.items() if name != NOTHING),
        *(row(name, where(served, flags)) for name, flags in served.slices.items()),
    ]


def _defects(days: Iterable[Sequence[Turn]]) -> dict[str, float]:
    """Return ISO day -> share of the turns that the assistant did not understand as meant."""
    rates = {}
    for day in days:
        turns = [turn for turn in day if turn.goal]
        if turns:
            when = date.fromordinal(date(1970, 1, 1).toordinal() + turns[0].ts_ms // 86_400_000).isoformat()
            rates[when] = sum(turn.hypothesis != turn.goal for turn in turns) / len(turns)
    return rates


_BUSIEST = "SELECT source, target, users, turns, score, win FROM rules ORDER BY turns DESC, source LIMIT 10"


def _examples(artefact: Path) -> list[LaunchedExample]:
    with duckdb.connect() as con:
        con.read_parquet(str(current(artefact).folder / "rules.parquet")).create_view("rules")
        return [LaunchedExample(*row) for row in con.execute(_BUSIEST).fetchall()]


_NOT_SENT = """
SELECT source, target, p_goal, win, loss, verdict, detail FROM rules
WHERE verdict NOT IN ('launched', 'few_say_source', 'few_mean_target', 'no_surface') AND scope = 'global'
QUALIFY ROW_NUMBER() OVER (PARTITION BY verdict ORDER BY turns DESC, source) <= 4
ORDER BY verdict, turns DESC
"""  # what is left out here may hold texts of fewer users than a report may show


def _page(found: Demo, outcomes: Mapping[str, Outcomes], artefact: Path) -> report.Report:
    ladder = {mode: rows[: len(RUNGS)] for mode, rows in found.rows.items()}
    everything = {mode: rows[-1] for mode, rows in ladder.items()}
    found_pairs = pairs(outcomes)
    curves = {mode: curve(of) for mode, of in outcomes.items()}
    ratios = ", ".join(f"{ratio_text(of.win_loss)} {mode}" for mode, of in everything.items())
    parts: list[report.ReportTable | report.Picture] = [
        report.ReportTable("Losses", _LOSSES, LOSSES, loss_rows(worst(found_pairs)) or [("none", "", "0", "", "", "")]),
        report.ReportTable("The ten best rewrites", _BEST, BEST, best_rows(best(found_pairs))),
        report.Picture("Defects fixed by layer", _LADDER, charts.ladder(ladder)),
        report.Picture("Win/loss against defects fixed", _CURVE, charts.curves(curves)),
        *(report.figures_of(f"Judged {mode}", _JUDGED, rows) for mode, rows in found.rows.items()),
        report.ReportTable(
            "What could be fixed at most",
            _CEILINGS,
            ("by", "of the requests that fail"),
            [(name, f"{100 * share:.1f} %") for name, share in found.ceilings.items()],
        ),
        report.Picture("Defect rate by day", _DAYS, charts.by_day(found.by_day)),
        *report.parts(seen_days(artefact), beside=_BESIDE.format(ratios)),
        report.ReportTable("Ten rules", _RULES, EXAMPLES, example_rows(found.examples)),
        *(report.Picture(f"\u201c{e.source}\u201d", _GRAPH, drawing.svg(graph(artefact, e.source))) for e in found.examples[:3]),
        report.ReportTable(
            "What was refused",
            _REFUSED,
            ("reason", "rules"),
            [(verdict_kind(verdict), f"{n:,}") for verdict, n in found.learned.refused.items()],
        ),
        report.ReportTable("Refused, for example", _WHY, NOT_SENT, _refused(artefact)),
    ]
    figures = [(f"{r.losses:,} : {r.wins:,}", f"losses to wins, {mode}") for mode, r in everything.items()]
    figures += [
        (f"{100 * r.fixed.value:.1f} %", f"of the requests that fail are fixed, {mode}") for mode, r in everything.items()
    ]
    return report.Report("rewriter: a simulated home", _LEAD, figures, parts)


NOT_SENT = ("utterance", "not sent", "P(goal)", "win", "loss", "reason")
EXAMPLES = ("utterance", "rewrite", "users", "turns", "S", "P(success)")


def example_rows(examples: Iterable[LaunchedExample]) -> list[tuple[str, ...]]:
    """Return examples as rows of a table with the columns `EXAMPLES`."""
    return [(e.source, e.target, f"{e.users}", f"{e.turns:.0f}", f"{e.score:.2f}", f"{e.p_success:.2f}") for e in examples]


def _refused(artefact: Path) -> list[tuple[str, ...]]:
    with duckdb.connect() as con:
        con.read_parquet(str(current(artefact).state / "rules.parquet")).create_view("rules")
        rows = con.execute(_NOT_SENT).fetchall()
    return [
        (source, target, *(f"{x:.2f}" for x in figures), rule_verdict(verdict, detail))
        for source, target, *figures, verdict, detail in rows
    ]


_LEAD = """People of a simulated home talk to Home Assistant's own parser (the NLU: it turns a text into an intent). A simulated
speech channel mishears part of what they say. rewriter has learned from the log of some days and is judged on later days, also
on people, phrases and goals that the log does not contain. The world knows what everybody wanted, so wins and losses are counted
exactly."""
_LOSSES = """Every rewrite that made a judged request worse. A loss is a request that works as spoken and fails rewritten, or a
refusal that became a wrong action."""
_BEST = """The rewrites that won for most users. "When" says in which mode rewriter sends them: before the NLU (the part of the
assistant that understands text), after it has refused, or both."""
_BESIDE = """By what users wanted, which this simulated world knows, the ratios of the judged requests are {}."""
_LADDER = """The share of the defects (requests that fail as spoken) that are fixed, minus the healthy requests broken, and the
wins for each loss. Layers are added one by one: exact rules for everybody; then the online layer, which finds rewrites among
the queries of all users; then what is personal: own rules, queries and habits. Lines are 95 % intervals (bootstrap by user)."""
_CURVE = """Each point is a threshold on the score of a rewrite: at the left only the surest rewrites are applied, at the right
all of them. Up is better: more wins for each loss (logarithmic). Right is better: more of the failing requests fixed. Bands are
95 % intervals (bootstrap by user); a band that reaches the top has no upper limit, because hardly anything was lost. Dashed
lines are published ratios of a voice assistant in production, which people counted on other requests."""
_JUDGED = """Win: the request fails as spoken and works rewritten. Loss: the reverse, or an honest refusal becomes a wrong
action. Fixed: wins minus healthy requests broken, divided by all defects. Broken: healthy requests that fail rewritten, per
1,000, apart for texts that the log holds as healthy (seen) and others (unseen)."""
_CEILINGS = """The largest share of the defects that could be fixed. Exact rules need a text that failed for at least three
people in the log. Any rewriting needs a goal that succeeded in the log."""
_DAYS = """The days of the log, then later days simulated twice: as spoken, and with rewriting, which learns every night. A turn
fails here if the assistant did not understand what was wanted. The charts below use only what the log itself tells, like the
command rewriter report. Silent misunderstandings are not seen there, so their rates are lower."""
_RULES = """The launched rules with the most turns. S is the probability that a dialogue which starts at the utterance ends well
at the rewrite, from the absorbing Markov chain of restatements. P(success) is the probability that the rewrite works at once."""
_GRAPH = """What people said next, and how it ended. Green works at once, red fails, grey is said again. The number is the
probability that a dialogue which starts at the text ends well there."""
_REFUSED = """Every rule that was considered and not launched, by reason."""
_WHY = """Refused rules with evidence of at least three people, up to four for each reason."""
