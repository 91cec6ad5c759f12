"""demo(): simulate a home, learn from its log, rewrite, judge on later days, and write a report that people enjoy."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from rewriter.evaluation.days import days as seen_days
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
from rewriter.evaluation.summary import Row, curve, ratio_text, row
from rewriter.explanation import drawing
from rewriter.explanation.explain import graph
from rewriter.messages import rule_verdict, verdict_kind
from rewriter.offline.learn import LearnReport, learn
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world

STEPS = ("a home", "its log", "learning", "judging", "days with rewriting", "the report")
START = date(2026, 1, 5)
MODES = {"before the NLU": False, "after a refusal": True}
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """A launched rule and what it rests on."""

    source: str
    target: str
    users: int
    turns: int
    score: float
    p_success: float


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo found.

    Attributes:
        learned: what `learn` reported.
        rows: mode -> rows of figures: the rungs of the ladder on all requests, then slices of them with all layers.
        ceilings: name -> share of the defects that a layer could fix at best.
        examples: ten rules of the busiest.
        by_day: name -> ISO day -> defect rate.
        report: the page.
    """

    learned: LearnReport
    rows: Mapping[str, list[Row]]
    ceilings: Mapping[str, float]
    examples: list[Example]
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
    """Run the whole of it in a folder: ``log.parquet``, ``artefact/`` and ``report.html`` are written there.

    A fifth of the users and phrases and a tenth of the goals never enter the log; they are judged all the same.

    Args:
        out: the folder; made if it is missing.
        seed: of the home, its people and their days.
        users: people in the home's world.
        days: days of the log.
        later: days that are lived twice afterwards: as spoken, and with rewriting, learning every night.
        asked: fresh requests that are judged.
        setting: of the speech channel: ``quiet``, ``normal`` or ``noisy``.
        progress: told the name of each step of `STEPS` as it starts.

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


Climbed = Mapping[str, Mapping[str, Outcomes]]  # mode -> rung -> what became of the requests


def _climbed(world: World, artefact: Path, log: list[LoggedTurn], start: date, asked: int, seed: int) -> Climbed:
    wishes, healthy = requests(world, n=asked, seed=seed, start=start), healthy_texts(log)
    rungs = partial(climb, artefact, wishes, world.assistant, healthy_in_log=healthy)
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
    """Return the share of each day's wishes that the assistant did not understand as meant."""
    rates = {}
    for day in days:
        wishes = [turn for turn in day if turn.goal]
        if wishes:
            when = date.fromordinal(date(1970, 1, 1).toordinal() + wishes[0].ts_ms // 86_400_000).isoformat()
            rates[when] = sum(turn.hypothesis != turn.goal for turn in wishes) / len(wishes)
    return rates


_BUSIEST = "SELECT source, target, users, turns, score, win FROM rules ORDER BY turns DESC, source LIMIT 10"


def _examples(artefact: Path) -> list[Example]:
    with duckdb.connect() as con:
        con.read_parquet(str(current(artefact).folder / "rules.parquet")).create_view("rules")
        return [Example(*row) for row in con.execute(_BUSIEST).fetchall()]


_NOT_SENT = """
SELECT source, target, p_goal, win, loss, verdict, detail FROM rules
WHERE verdict NOT IN ('launched', 'few_say_source', 'few_mean_target', 'no_surface') AND scope = 'global'
QUALIFY ROW_NUMBER() OVER (PARTITION BY verdict ORDER BY turns DESC, source) <= 4
ORDER BY verdict, turns DESC
"""  # what is left out here may hold texts of fewer users than a report may show


def _page(found: Demo, outcomes: Mapping[str, Outcomes], artefact: Path) -> report.Report:
    ladder = {mode: rows[: len(RUNGS)] for mode, rows in found.rows.items()}
    everything = {mode: rows[-1] for mode, rows in ladder.items()}
    curves = charts.draw({mode: curve(of) for mode, of in outcomes.items()})
    parts: list[report.Table | report.Picture] = [
        report.Picture("The ladder", _LADDER, charts.ladder(ladder)),
        report.Picture("Win/loss against defects fixed", _CURVE, charts.svg(curves)),
        *(report.figures_of(f"Judged {mode}", _JUDGED, rows) for mode, rows in found.rows.items()),
        report.Table(
            "Ceilings",
            _CEILINGS,
            ("layer", "defects within reach"),
            [(name, f"{100 * share:.1f} %") for name, share in found.ceilings.items()],
        ),
        report.Picture("Defect rate by day", _DAYS, charts.by_day(found.by_day)),
        *report.parts(seen_days(artefact)),
        report.Table("Ten rules", _RULES, EXAMPLES, example_rows(found.examples)),
        *(report.Picture(f"\u201c{e.source}\u201d", _GRAPH, drawing.svg(graph(artefact, e.source))) for e in found.examples[:3]),
        report.Table(
            "What was refused",
            _REFUSED,
            ("reason", "rules"),
            [(verdict_kind(verdict), f"{n:,}") for verdict, n in found.learned.refused.items()],
        ),
        report.Table("Refused, for example", _WHY, NOT_SENT, _refused(artefact)),
    ]
    figures = [(ratio_text(r.win_loss), f"wins for each loss, {mode}") for mode, r in everything.items()]
    figures += [(f"{100 * r.fixed.value:.1f} %", f"of the defects fixed, {mode}") for mode, r in everything.items()]
    return report.Report("rewriter: a simulated home", _LEAD, figures, parts)


NOT_SENT = ("heard", "not sent", "P(goal)", "win", "loss", "why not")
EXAMPLES = ("heard", "sent instead", "users", "turns", "S", "P(success)")


def example_rows(examples: Iterable[Example]) -> list[tuple[str, ...]]:
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


_LEAD = """People of a simulated home talk to Home Assistant's own parser through a speech channel that mishears. rewriter has
read the log of some days and is judged on later ones: on people, phrases and goals, a part of which the log has never
seen."""
_LADDER = """The share of the defects that are fixed, less the healthy requests broken, and wins for each loss, as layers come
on top of each other: exact rules for everybody, what the online layer finds among everybody's queries, and what is the user's
own. The lines are 95 % intervals, drawn by user."""
_CURVE = """Each point is a threshold on the score: to the left only the surest rewrites, to the right all of them. The band
is the 95 % interval, drawn by user. The dashed lines are published figures of a system in production."""
_JUDGED = """Win: fails as spoken, works rewritten. Loss: the other way round, or an honest refusal turned into a wrong
action. Fixed: wins less healthy requests broken, over all defects. Broken per 1,000 healthy requests, apart for texts that
the log holds and for those that it never heard."""
_CEILINGS = """Exact rules cannot know a text that failed for fewer than three people in the log; no rewriting can reach a
goal that never succeeded in it."""
_DAYS = """The days of the log, then later days lived twice: as spoken, and with every request going through rewriter
first, which learns every night. What follows is told by the log alone, as the verb report tells it of any artefact."""
_RULES = """The busiest of the rules that were launched. S is the probability, by the absorbing chain, that people who are heard
so end well at the target by themselves; P(success) that the rewrite mends the request at once."""
_GRAPH = """What people said next, and how that ended. Green works at once, red fails, grey is said again; the figure is the
probability that what starts at the text ends well there."""
_REFUSED = """Every rule that was weighed and not launched has its reason."""
_WHY = """Some of the refused ones that were said by at least three people."""
