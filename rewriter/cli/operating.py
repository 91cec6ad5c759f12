"""The verbs of who runs an artefact: its versions, and which of them serves."""

from pathlib import Path

import click

from rewriter.cli.group import ARTEFACT, MAP, main, mapping_of, plainly

VERSION = click.argument("version", required=False, metavar="[VERSION]")


@main.command()
@ARTEFACT
@plainly
def versions(artefact: Path) -> None:
    """List the versions that are kept in DIR, which of them serves, and why one is held back.

    \b
    Examples:
      rewriter versions artefact
    """
    from rewriter import terminal
    from rewriter.artefact.switch import COLUMNS, FIGURES, listed

    found = listed(artefact)
    terminal.table(f"versions of {artefact}", COLUMNS, (version.row() for version in found), right=FIGURES)
    for version in found:
        for reason in version.reasons:
            terminal.line(f"{version.id} is held back: {reason}")


@main.command()
@ARTEFACT
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="Page."
)
@plainly
def report(artefact: Path, out: Path) -> None:
    """Write a page that shows what became of the requests, day by day: defects by arm, wins and losses, where the rules stand.

    It is read from the private state of DIR, so nothing but DIR is needed, and opens without a network.

    \b
    Examples:
      rewriter report artefact
      rewriter report artefact --out today.html
    """
    from rewriter import terminal
    from rewriter.evaluation.report import figures
    from rewriter.evaluation.report import report as write

    found = write(artefact, out)
    terminal.table(f"the loop of {artefact}", ("what", "figure"), ((what, x) for x, what in figures(found)), right=("figure",))
    terminal.line(f"report: {out}")


@main.command()
@ARTEFACT
@VERSION
@click.option("--force", is_flag=True, help="Though the guard holds it back.")
@plainly
def publish(artefact: Path, version: str | None, force: bool) -> None:
    """Let a version of DIR serve: the one that is held back, or VERSION (an id or its beginning).

    \b
    Examples:
      rewriter publish artefact --force
      rewriter publish artefact 000012
    """
    from rewriter import terminal
    from rewriter.artefact import switch

    terminal.line(f"{switch.publish(artefact, version, force=force)} serves")


@main.command()
@ARTEFACT
@VERSION
@plainly
def rollback(artefact: Path, version: str | None) -> None:
    """Let an older version of DIR serve: the last before the one that serves, or VERSION (an id or its beginning).

    The next `learn` starts from that version: give it the logs again that were learned since.

    \b
    Examples:
      rewriter rollback artefact
      rewriter rollback artefact 000011
    """
    from rewriter import terminal
    from rewriter.artefact import switch

    terminal.line(f"{switch.rollback(artefact, version)} serves")


@main.command()
@ARTEFACT
@click.option("--top", default=20, show_default=True, help="Rules to list, the most frequent first.")
@click.option("--approve", multiple=True, metavar="RULE", help="It is fine: not listed again; repeatable.")
@click.option("--block", multiple=True, metavar="RULE", help="Never again, by whatever layer; repeatable.")
@click.option("--edit", multiple=True, nargs=2, metavar="RULE TEXT", help="Send TEXT instead; repeatable.")
@click.option("--note", default="", help="Why, kept beside the decision.")
@plainly
def review(
    artefact: Path, top: int, approve: tuple[str, ...], block: tuple[str, ...], edit: tuple[tuple[str, str], ...], note: str
) -> None:
    """List the rules of DIR that nobody has looked at, by traffic, or decide about some; DIR/review.csv keeps what was decided.

    A decision counts from the next request on, in every process that serves DIR.

    \b
    Examples:
      rewriter review artefact
      rewriter review artefact --approve 1f3a5c7e9b20 --block 0d2c4e6f8a1b --note "means the cat"
      rewriter review artefact --edit 0d2c4e6f8a1b "turn off the lamp"
    """
    from rewriter import terminal
    from rewriter.operate.review import COLUMNS, FIGURES, decide, pending

    for rule, text in edit:
        decide(artefact, "edit", [rule], text=text, note=note)
    if approve:
        decide(artefact, "approve", approve, note=note)
    if block:
        decide(artefact, "block", block, note=note)
    found = pending(artefact)
    terminal.table(f"rules nobody has looked at: {len(found)}", COLUMNS, (rule.row() for rule in found[:top]), right=FIGURES)


@main.command()
@click.argument("user")
@ARTEFACT
@click.option("--logs", multiple=True, metavar="LOG", help="Log to take USER out of: a file, folder or glob; repeatable.")
@click.option("--decisions", metavar="DIR", type=click.Path(path_type=Path), help="Folder of a rewriter.DecisionLog, at rest.")
@MAP
@plainly
def forget(user: str, artefact: Path, logs: tuple[str, ...], decisions: Path | None, pairs: tuple[str, ...]) -> None:
    """Take USER (as the log names her) out of DIR, its private state and all versions, and out of logs.

    One version is left, without her, and serves. Rules and texts of fewer than k others are withdrawn.

    \b
    Examples:
      rewriter forget ann artefact
      rewriter forget ann artefact --logs logs/ --decisions decisions
    """
    from rewriter import terminal
    from rewriter.operate.forget import forget as erase

    found = erase(user, artefact, logs=list(logs), decisions=decisions, mapping=mapping_of(pairs))
    terminal.table(f"forgotten in {artefact}", ("what", "figure"), found.lines(), right=("figure",))
