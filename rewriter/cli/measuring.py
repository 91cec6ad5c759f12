"""The verbs that measure: simulated worlds, the demo, and the replay of a log."""

from pathlib import Path

import click

from rewriter.cli.group import ARTEFACT, MAP, main, mapping_of, plainly

SEED = click.option("--seed", default=0, show_default=True, help="Of the world, its people and their days.")
SETTING = click.option(
    "--setting", type=click.Choice(["quiet", "normal", "noisy"]), default="normal", show_default=True, help="Of the channel."
)


@main.command()
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@SEED
@SETTING
@plainly
def demo(out: Path, seed: int, setting: str) -> None:
    """Simulate a home, learn from its log, rewrite, judge on later days and write DIR/report.html.

    \b
    Examples:
      rewriter demo
      rewriter demo --out noisy --setting noisy --seed 7
    """
    from rewriter import terminal
    from rewriter.evaluation.judge import RUNGS
    from rewriter.evaluation.summary import asked, brief
    from rewriter.operate import demo as show

    with terminal.steps(show.STEPS) as progress:
        found = show.demo(out, seed=seed, setting=setting, progress=progress)
    for mode, rows in found.rows.items():
        columns, lines = brief(rows)
        terminal.table(f"judged {mode}", columns, lines, right=columns[1:])
        terminal.line(asked(rows[len(RUNGS) - 1]))
    for name, share in found.ceilings.items():
        terminal.line(f"ceiling of {name}: {100 * share:.1f} % of the defects")
    terminal.table("ten rewrites", show.EXAMPLES, show.told(found.examples), right=show.EXAMPLES[2:])
    terminal.line(f"report: {found.report}")


@main.command()
@click.option(
    "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Log to write: .parquet, .jsonl or .csv."
)
@click.option("--world", type=click.Choice(["home", "phrases"]), default="home", show_default=True, help="Which one.")
@click.option("--days", default=10, show_default=True, help="Days of the log.")
@click.option("--users", default=120, show_default=True, help="People; a fifth of them never enters the log.")
@SEED
@SETTING
@plainly
def simulate(out: Path, world: str, days: int, users: int, seed: int, setting: str) -> None:
    """Write the log of a simulated world, with the truth in the columns goal and said.

    \b
    Examples:
      rewriter simulate --out log.parquet
      rewriter simulate --out noisy.jsonl --setting noisy --days 30 --users 300
    """
    from datetime import date

    from rewriter import terminal
    from rewriter.simulation.logs import simulate

    names = [str(n + 1) for n in range(days)]
    with terminal.steps(["a world", *names]) as progress:
        progress("a world")
        done = iter(names)

        def on_day(_day: date, _turns: int) -> None:
            progress(next(done))

        rows = simulate(world, out, days=days, users=users, seed=seed, setting=setting, on_day=on_day)
    terminal.line(f"{rows:,} turns of {days} days in {out}")


@main.command()
@ARTEFACT
@click.argument("log", metavar="LOG...", nargs=-1, required=True)
@click.option("--truth", metavar="COLUMN", help="Column of the log that names what was meant (a hypothesis).")
@click.option("--after-failure", is_flag=True, help="Ask only where the assistant did not understand.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for outcomes.parquet, figures and curve.")
@MAP
@plainly
def evaluate(
    artefact: Path, log: tuple[str, ...], truth: str | None, after_failure: bool, out: Path | None, pairs: tuple[str, ...]
) -> None:
    """Replay later logs through the artefact in DIR: wins, losses and what was broken, with intervals.

    \b
    Examples:
      rewriter evaluate artefact later.parquet
      rewriter evaluate artefact later.parquet --truth goal --out figures
    """
    from rewriter import terminal
    from rewriter.evaluation.evaluate import evaluate as judge
    from rewriter.evaluation.summary import asked, brief

    found = judge(artefact, list(log), truth=truth, mapping=mapping_of(pairs), out=out, after_failure=after_failure)
    for text in (*found.log.lines(), *(f"careful: {warning}" for warning in found.warnings)):
        terminal.line(text)
    columns, lines = brief(found.rows)
    terminal.table(f"replayed {'after a refusal' if after_failure else 'before the NLU'}", columns, lines, right=columns[1:])
    terminal.line(asked(found.rows[0]))
    if out is not None:
        terminal.line(f"outcomes, table and curve are in {out}")
