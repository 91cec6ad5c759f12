"""The verb that labels."""

from pathlib import Path

import click

from rewriter.cli.group import MAP, main, mapping_of, plainly


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
