"""The verbs that learn: `learn` and `label`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rewriter.cli.group import MAP, main, mapping_of, plainly

if TYPE_CHECKING:
    from rewriter.offline.learn import LearnReport


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Artefact folder to write.")
@MAP
@click.option("--sql", metavar="FILE", type=click.Path(path_type=Path), help="File with one SELECT that yields the log.")
@click.option("--config", "toml", metavar="FILE", type=click.Path(path_type=Path), help="Settings as TOML.")
@click.option("--decisions", metavar="DIR", type=click.Path(path_type=Path), help="What rewriter.DecisionLog wrote.")
@click.option("--afresh", is_flag=True, help="Forget what DIR has learned before.")
@click.option("--check", is_flag=True, help="Only say what would be read, what is missing and what that costs.")
@plainly
def learn(
    logs: tuple[str, ...],
    out: Path | None,
    pairs: tuple[str, ...],
    sql: Path | None,
    toml: Path | None,
    decisions: Path | None,
    afresh: bool,
    check: bool,
) -> None:
    """Learn rewrites from dialogue LOGS (files, folders or globs) and publish them in DIR.

    A version that is worse on replay, much smaller, or changes too much is held back, and the exit code is 3.

    \b
    Examples:
      rewriter learn logs/*.parquet --out artefact
      rewriter learn calls.csv --map user_id=caller --map utterance=heard --out artefact
      rewriter learn --sql export.sql --out artefact
      rewriter learn today.parquet --decisions decisions --out artefact
      rewriter learn logs/ --check
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.offline import learn as job
    from rewriter.offline.logs import reader
    from rewriter.operate.guard import Guard

    if not logs and sql is None:
        raise click.UsageError("name at least one log, or give --sql FILE")
    config = Config.from_toml(toml) if toml else Config()
    mapping = mapping_of(pairs)
    if check:
        k = config.launch.min_users
        for text in reader.check(list(logs), config=config.logs, mapping=mapping, sql=sql, min_users=k).lines():
            terminal.line(text)
        return
    if out is None:
        raise click.UsageError("say where the artefact goes: --out DIR")
    judge = Guard(config.publish, config.seed) if config.publish.guard else None
    with terminal.steps(job.STEPS) as progress:
        report = job.learn(
            list(logs),
            out=out,
            config=config,
            mapping=mapping,
            sql=sql,
            decisions=decisions,
            afresh=afresh,
            judge=judge,
            progress=progress,
        )
    for text in report.log.lines():
        terminal.line(text)
    if report.nothing_new:
        terminal.line(f"nothing new: all files were learned before; {report.version} is the newest version, and none was written")
        return
    terminal.table(f"learned version {report.version}", ("what", "figure"), _rows(report), right=("figure",))
    if report.held:
        terminal.line(f"it is held back, and the version before serves on; to publish it: rewriter publish {out} --force")
        sys.exit(3)


@main.command()
@click.argument("logs", nargs=-1, metavar="LOGS...")
@click.option(
    "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Parquet of labels to write; private."
)
@click.option(
    "--train", metavar="FILE", type=click.Path(path_type=Path), help="Training data for the NLU: .jsonl, or .yml for Rasa."
)
@MAP
@click.option("--sql", metavar="FILE", type=click.Path(path_type=Path), help="File with one SELECT that yields the log.")
@click.option("--config", "toml", metavar="FILE", type=click.Path(path_type=Path), help="Settings as TOML.")
@plainly
def label(
    logs: tuple[str, ...], out: Path, train: Path | None, pairs: tuple[str, ...], sql: Path | None, toml: Path | None
) -> None:
    """Label every turn of dialogue LOGS: did it go wrong, which goal is it part of, was that reached, what was meant.

    \b
    Examples:
      rewriter label logs/ --out labels.parquet
      rewriter label logs/ --out labels.parquet --train nlu.yml
    """
    from rewriter import terminal
    from rewriter.config import Config
    from rewriter.operate import label as job

    if not logs and sql is None:
        raise click.UsageError("name at least one log, or give --sql FILE")
    config = Config.from_toml(toml) if toml else Config()
    with terminal.steps(job.STEPS) as progress:
        report = job.label(list(logs), out=out, train=train, config=config, mapping=mapping_of(pairs), sql=sql, progress=progress)
    for text in report.log.lines():
        terminal.line(text)
    terminal.table(f"labels in {out}", ("what", "figure"), report.rows(), right=("figure",))


def _rows(report: "LearnReport") -> list[tuple[str, str]]:
    """Return what `learn` did as rows of a table."""
    from rewriter.messages import verdict_kind

    return [
        ("turns", f"{report.log.turns:,}"),
        ("rephrases found by", report.detector),
        *((f"{scope} rules", f"{n:,}") for scope, n in report.rules.items()),
        ("expected win/loss", f"{report.win / report.loss:.1f}" if report.loss else "no rule"),
        *((f"refused: {verdict_kind(verdict)}", f"{n:,}") for verdict, n in report.refused.items()),
        *(("held back", reason) for reason in report.held),
        *((f"seconds, {step}", f"{seconds:.1f}") for step, seconds in report.seconds.items()),
    ]
