"""The verbs of experiments: plan one, read one, and compare releases without one."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from rewriter.cli.group import MAP, main, mapping_of, plainly

LOG = click.argument("log", metavar="LOG...", nargs=-1, required=True)
DECISIONS = click.option("--decisions", metavar="DIR", type=click.Path(path_type=Path), help="Folder of a rewriter.DecisionLog.")


@main.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@LOG
@DECISIONS
@MAP
@plainly
def compare(a: str, b: str, log: tuple[str, ...], decisions: Path | None, pairs: tuple[str, ...]) -> None:
    """Estimate how LOG would have ended under releases A and B (DIR, or DIR@VERSION), from the arms drawn in it.

    What a release does that was never drawn is told; above 5 % of the requests nothing is estimated, and the exit code is 3.

    \b
    Examples:
      rewriter compare artefact@000011 artefact later.parquet
      rewriter compare artefact candidate logs/ --decisions decisions
    """
    from rewriter import terminal
    from rewriter.evaluation.compare import COLUMNS
    from rewriter.evaluation.compare import compare as judge

    found = judge(a, b, list(log), mapping=mapping_of(pairs), decisions=decisions)
    for text in found.log.lines():
        terminal.line(text)
    shares = ", ".join(f"{name} {100 * u:.1f} %" for name, u in zip("AB", found.unsupported, strict=True))
    terminal.line(f"{found.requests:,} new requests, an arm was drawn for {100 * found.drawn:.1f} %; never drawn: {shares}")
    if found.refused:
        terminal.line(found.refused)
        sys.exit(3)
    terminal.table("requests that end well, %", COLUMNS, found.rows(), right=COLUMNS[1:])


@main.command()
@click.option("--base", type=float, required=True, help="Defect rate without the change, 0..1.")
@click.option("--change", type=float, required=True, help="Relative change to be seen: -0.13 for 13 % fewer defects.")
@click.option("--per-cluster", type=float, default=1.0, show_default=True, help="Requests of one user, or family of texts.")
@click.option("--alike", type=float, default=0.0, show_default=True, help="Intraclass correlation of the requests of a cluster.")
@click.option("--power", type=float, default=0.8, show_default=True, help="Probability of seeing the change.")
@plainly
def plan(base: float, change: float, per_cluster: float, alike: float, power: float) -> None:
    """Say how many requests and users an experiment needs in each arm.

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
@click.option("--name", required=True, help="Of the experiment, as served.")
@click.option("--share", type=float, default=0.5, show_default=True, help="Of the units that got B, as served.")
@click.option("--detect", type=float, required=True, help="Difference of the defect rates that it is made to see.")
@click.option(
    "--family", "releases", multiple=True, metavar="DIR", help="By families of the rules of DIR, not by user; repeatable."
)
@MAP
@plainly
def experiment(
    log: tuple[str, ...], name: str, share: float, detect: float, releases: tuple[str, ...], pairs: tuple[str, ...]
) -> None:
    """Read an A/B experiment from LOG, day by day, with intervals that hold however often it is read.

    \b
    Examples:
      rewriter experiment logs/ --name lamps --detect 0.02
      rewriter experiment logs/ --name lamps --detect 0.02 --family artefact --family candidate
    """
    from rewriter import terminal
    from rewriter.evaluation.experiment import COLUMNS, Split
    from rewriter.evaluation.trial import trial

    found = trial(list(log), Split(name, share), detect=detect, releases=releases, mapping=mapping_of(pairs))
    rows = [(datetime.fromtimestamp(r.day * 86_400, UTC).date().isoformat(), *r.row()) for r in found]
    terminal.table(f"experiment {name}: defect rates, %", COLUMNS, rows, right=COLUMNS[1:])
