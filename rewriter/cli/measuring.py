"""The verbs that measure: simulated worlds, the demo, the replay of a log, experiments and comparisons."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rewriter.cli import ARTEFACT, PATH, main, plainly, reads_log

if TYPE_CHECKING:
    from rewriter.operate.try_out import TryOut

SEED = click.option("--seed", default=0, show_default=True, help="Seed of all random draws.")
SETTING = click.option(
    "--setting",
    type=click.Choice(["quiet", "normal", "noisy"]),
    default="normal",
    show_default=True,
    help="How badly speech is misheard.",
)


@main.command()
@click.option("--out", metavar="DIR", type=PATH, default=Path("demo"), show_default=True, help="Folder to write to.")
@SEED
@SETTING
@plainly
def demo(out: Path, seed: int, setting: str) -> None:
    """Simulate a home, learn from its log, evaluate on later days and write DIR/report.html.

    \b
    Examples:
      rewriter demo
      rewriter demo --out noisy --setting noisy --seed 7
    """
    from rewriter import terminal
    from rewriter.evaluation.judge import RUNGS
    from rewriter.evaluation.summary import asked, brief
    from rewriter.operate import demo as show

    with terminal.steps(show.STEPS, plain=True) as progress:
        found = show.demo(out, seed=seed, setting=setting, progress=progress)
    for mode, rows in found.rows.items():
        columns, lines = brief(rows)
        terminal.table(f"judged {mode}", columns, lines, right=columns[1:])
        terminal.prose(asked(rows[len(RUNGS) - 1]))
    terminal.meanings(columns)
    for name, share in found.ceilings.items():
        terminal.line(f"within reach of {name}: {100 * share:.1f} % of the defects")
    terminal.table("ten rewrites", show.EXAMPLES, show.example_rows(found.examples), right=show.EXAMPLES[2:])
    terminal.line(f"report: {found.report}")


@main.command("try")
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option("--out", metavar="DIR", type=PATH, default=Path("try"), show_default=True, help="Folder to write to.")
@click.option("--sql", metavar="FILE", type=PATH, help="File with one SELECT whose rows are the log.")
@click.option("--config", "toml", metavar="FILE", type=PATH, help="Settings, a TOML file.")
@click.option("--catalog", "catalogs", multiple=True, metavar="FILE", type=PATH, help="Texts the assistant understands.")
@click.option("--catalog-is-complete", is_flag=True, help="The assistant understands nothing but the catalog.")
@click.option(
    "--typed", is_flag=True, help="Requests are typed, not spoken: they may be misspelled, not misheard.  [with --catalog]"
)
@click.option("--truth", metavar="COLUMN", help="Column of the log with the hypothesis the user wanted.")
@click.option("--losses", "most", default=20, show_default=True, help="Number of rewrites with a loss to list.")
@SEED
@plainly
@reads_log
def try_(
    logs: tuple[str, ...],
    out: Path,
    mapping: dict[str, str],
    sql: Path | None,
    toml: Path | None,
    catalogs: tuple[Path, ...],
    catalog_is_complete: bool,
    typed: bool,
    truth: str | None,
    most: int,
    seed: int,
) -> None:
    """Learn from the earlier days of LOGS and judge on the later ones, and on users who are kept out.

    Prints the losses first, then the figures, the ten best rewrites, whether the data is enough, and what to do next. It writes
    DIR/report.html, and DIR/artefact for `rewriter explain`. Where nothing is rewritten, or the log does not tell how a rewrite
    ends, the exit code is 3.

    \b
    Examples:
      rewriter try data/sample.parquet
      rewriter try logs/ --catalog phrases.txt --out try
      rewriter try calls.csv --map user_id=caller --map utterance=heard
    """
    from rewriter import terminal
    from rewriter.codes import NextStep
    from rewriter.config import Config
    from rewriter.operate import try_out as job

    if not logs and sql is None:
        raise click.UsageError("name at least one log, for example logs/*.parquet, or give --sql FILE")
    with terminal.steps(job.COSTS) as progress:
        found = job.try_out(
            list(logs),
            out=out,
            config=Config.from_toml(toml) if toml else None,
            mapping=mapping,
            sql=sql,
            catalog=catalogs or None,
            channel="typed" if typed else "spoken",
            complete=catalog_is_complete,
            truth=truth,
            seed=seed,
            progress=progress,
        )
    if found.too_little:
        terminal.line(found.too_little)
        sys.exit(3)
    _tell(found, most)
    if found.step in (NextStep.MORE, NextStep.MARK):
        sys.exit(3)


def _tell(found: "TryOut", most: int) -> None:
    """Print what a log gives."""
    from rewriter import terminal
    from rewriter.evaluation.summary import losses_first
    from rewriter.operate import try_page

    for text in (*found.log.lines(), found.split):
        terminal.line(text)
    losses = try_page.loss_rows(found.losses[:most])
    if losses:
        title = f"rewrites that lost: {len(found.losses)}"
        terminal.table(title, try_page.LOSSES, losses, right=try_page.LOSSES[2:5])
    else:
        terminal.line("no rewrite lost, as far as the log tells" if found.best else "nothing was rewritten that could be judged")
    columns, lines = losses_first(list(found.rows.values()))
    if any(of.wins + of.losses + of.ties + of.unknown for of in found.rows.values()):
        terminal.table("replayed", columns, lines, right=columns[1:])
        terminal.meanings(columns)
    if found.best:
        terminal.table("the ten best rewrites", try_page.BEST, try_page.best_rows(found.best), right=try_page.BEST[2:5])
    terminal.heading("is the data enough?")
    for text in found.verdict.part_lines():
        terminal.line(text)
    for text in (f"next: {found.next}", f"report: {found.report}"):
        terminal.line(text)


@main.command()
@click.option("--out", required=True, metavar="FILE", type=PATH, help="Log file to write: .parquet, .jsonl or .csv.")
@click.option(
    "--world",
    type=click.Choice(["home", "phrases"]),
    default="home",
    show_default=True,
    help="Which assistant understands.",
)
@click.option("--days", default=10, show_default=True, help="Number of days.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2026-01-05",
    show_default=True,
    help="The first day; a later one gives a later part of the same log.",
)
@click.option("--users", default=120, show_default=True, help="Number of users; a fifth of them is kept out of the log.")
@SEED
@SETTING
@plainly
def simulate(out: Path, world: str, days: int, start: datetime, users: int, seed: int, setting: str) -> None:
    """Write the log of a simulated world. The columns goal and said hold the truth.

    \b
    Examples:
      rewriter simulate --out log.parquet
      rewriter simulate --out later.parquet --start 2026-01-15 --days 2
      rewriter simulate --out noisy.jsonl --setting noisy --days 30 --users 300
    """
    from datetime import date

    from rewriter import terminal
    from rewriter.simulation.worlds import simulate

    names = [str(n + 1) for n in range(days)]
    with terminal.steps(["a world", *names]) as progress:
        progress("a world")
        done = iter(names)

        def on_day(_day: date, _turns: int) -> None:
            progress(next(done))

        rows = simulate(world, out, days=days, users=users, seed=seed, setting=setting, start=start.date(), on_day=on_day)
    terminal.line(f"{rows:,} turns of {days} days in {out}")


@main.command()
@ARTEFACT
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option("--truth", metavar="COLUMN", help="Column of the log with the hypothesis the user wanted.")
@click.option("--after-failure", is_flag=True, help="Rewrite only turns that the assistant refused.")
@click.option("--out", metavar="DIR", type=PATH, help="Folder for outcomes.parquet, table.md and the curve.")
@plainly
@reads_log
def evaluate(
    artefact: Path, log: tuple[str, ...], truth: str | None, after_failure: bool, out: Path | None, mapping: dict[str, str]
) -> None:
    """Replay later logs through the artefact in DIR and report wins and losses, with 95 % intervals.

    A win is a turn that fails as spoken and works rewritten. A loss is a healthy turn that fails rewritten, or an honest refusal
    that becomes a wrong action. Use a log that the artefact was not learned from.

    \b
    Examples:
      rewriter evaluate artefact later.parquet
      rewriter evaluate artefact later.parquet --truth goal --out figures
    """
    from rewriter import terminal
    from rewriter.evaluation.evaluate import evaluate as judge
    from rewriter.evaluation.summary import asked, brief

    found = judge(artefact, list(log), truth=truth, mapping=mapping, out=out, after_failure=after_failure)
    for text in (*found.log.lines(), *(f"warning: {warning}" for warning in found.warnings)):
        terminal.line(text)
    columns, lines = brief(found.rows)
    terminal.table(f"replayed {'after a refusal' if after_failure else 'before the NLU'}", columns, lines, right=columns[1:])
    terminal.prose(asked(found.rows[0]))
    terminal.meanings(columns)
    if out is not None:
        terminal.line(f"outcomes, table and curve are in {out}")


LOG = click.argument("log", metavar="LOG...", nargs=-1, required=True)
DECISIONS = click.option("--decisions", metavar="DIR", type=PATH, help="Folder that rewriter.DecisionLog wrote.")


@main.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@LOG
@DECISIONS
@plainly
@reads_log
def compare(a: str, b: str, log: tuple[str, ...], decisions: Path | None, mapping: dict[str, str]) -> None:
    """Estimate how the requests of LOG would have ended under the releases A and B (DIR or DIR@VERSION).

    The estimate uses the arms that were drawn while LOG was recorded: rewritten or left alone, with known probability. If a
    release answers more than 5 % of the requests in a way that was never drawn, nothing is estimated and the exit code is 3.

    \b
    Examples:
      rewriter compare artefact@000011 artefact later.parquet
      rewriter compare artefact candidate logs/ --decisions decisions
    """
    from rewriter import terminal
    from rewriter.evaluation.compare import COLUMNS
    from rewriter.evaluation.compare import compare as judge

    found = judge(a, b, list(log), mapping=mapping, decisions=decisions)
    for text in found.log.lines():
        terminal.line(text)
    shares = ", ".join(f"{name} {100 * u:.1f} %" for name, u in zip("AB", found.unsupported, strict=True))
    terminal.line(f"{found.requests:,} new requests; arms drawn for {100 * found.drawn:.1f} %; answers never drawn: {shares}")
    if found.refused:
        terminal.line(found.refused)
        sys.exit(3)
    terminal.table("requests that end well, %", COLUMNS, found.rows(), right=COLUMNS[1:])


@main.command()
@click.option("--base", type=float, required=True, help="Defect rate without the change, 0..1, for example 0.15.")
@click.option("--change", type=float, required=True, help="Relative change to detect: -0.13 for 13 % fewer defects.")
@click.option("--per-cluster", type=float, default=1.0, show_default=True, help="Requests of one user or family.")
@click.option("--alike", type=float, default=0.0, show_default=True, help="Correlation of the requests of one user, 0..1.")
@click.option("--power", type=float, default=0.8, show_default=True, help="Probability of detecting the change.")
@plainly
def plan(base: float, change: float, per_cluster: float, alike: float, power: float) -> None:
    """Compute how many requests and users an experiment needs in each arm.

    \b
    Examples:
      rewriter plan --base 0.15 --change -0.13
      rewriter plan --base 0.15 --change -0.13 --per-cluster 40 --alike 0.05
    """
    from rewriter import terminal
    from rewriter.evaluation.experiment import plan as planned

    try:
        found = planned(base, change, per_cluster=per_cluster, alike=alike, power=power)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    terminal.table("each arm", ("what", "figure"), found.rows(), right=("figure",))


@main.command()
@LOG
@click.option("--name", required=True, help="Name of the experiment, as it was served.")
@click.option("--share", type=float, default=0.5, show_default=True, help="Share of users or families in arm B, as served.")
@click.option("--detect", type=float, required=True, help="Difference of the defect rates to detect, for example 0.02.")
@click.option(
    "--family",
    "releases",
    multiple=True,
    metavar="DIR",
    help="Arms by families of texts of DIR, not by user; repeatable.",
)
@plainly
@reads_log
def experiment(
    log: tuple[str, ...], name: str, share: float, detect: float, releases: tuple[str, ...], mapping: dict[str, str]
) -> None:
    """Report an A/B experiment from LOG, day by day.

    The interval "if read once" holds for one planned look. The interval "at any time" holds however often you look.

    \b
    Examples:
      rewriter experiment logs/ --name lamps --detect 0.02
      rewriter experiment logs/ --name lamps --detect 0.02 \\
          --family artefact --family candidate
    """
    from rewriter import terminal
    from rewriter.evaluation.experiment import COLUMNS, ArmSplit
    from rewriter.evaluation.experiment import experiment as read

    found = read(list(log), ArmSplit(name, share), detect=detect, releases=releases, mapping=mapping)
    rows = [(datetime.fromtimestamp(r.day * 86_400, UTC).date().isoformat(), *r.row()) for r in found]
    terminal.table(f"experiment {name}: defect rates, %", COLUMNS, rows, right=COLUMNS[1:])
