"""The verbs of operations: versions, report, the service, review and erasing a user."""

import sys
from pathlib import Path

import click

from rewriter.cli import ARTEFACT, PATH, main, plainly, reads_log

VERSION = click.argument("version", required=False, metavar="[VERSION]")


@main.command()
@ARTEFACT
@plainly
def versions(artefact: Path) -> None:
    """List the versions in DIR: which one serves, and why one is held back.

    \b
    Examples:
      rewriter versions artefact
    """
    from rewriter import terminal
    from rewriter.artefact.switch import COLUMNS, FIGURES, WHOLE, listed

    found = listed(artefact)
    terminal.table(f"versions of {artefact}", COLUMNS, (version.row() for version in found), right=FIGURES, whole=WHOLE)
    for version in found:
        for reason in version.reasons:
            terminal.line(f"{version.id} is held back: {reason}")


@main.command()
@ARTEFACT
@click.option(
    "--out",
    metavar="FILE",
    type=PATH,
    default=Path("report.html"),
    show_default=True,
    help="Page to write.",
)
@plainly
def report(artefact: Path, out: Path) -> None:
    """Write an HTML page about the artefact in DIR: defects by day and arm, wins and losses, stages of the rules.

    It needs nothing but DIR with its private state. The page opens without a network.

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
@click.option("--out", metavar="FILE", type=PATH, default=Path("console.html"), show_default=True, help="Page to write.")
@plainly
def console(artefact: Path, out: Path) -> None:
    """Write a page to look at the artefact in DIR: is the data enough, rules by traffic with evidence, what was refused and why.

    The page only shows, and opens without a network. With `rewriter serve DIR` the same page at /console also tries requests and,
    with a token, takes decisions.

    \b
    Examples:
      rewriter console artefact
      rewriter console artefact --out today.html
    """
    from rewriter import terminal
    from rewriter.operate.console.page import console as write

    found = write(artefact, out)
    terminal.line(f"console of version {found.version.id}: {out}; to decide about rules: rewriter serve {artefact}")


@main.command()
@ARTEFACT
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8377, show_default=True, help="Port to listen at; 0 for any that is free.")
@click.option("--deadline-ms", type=float, help="Time that the online layer may take.")
@click.option("--decisions", metavar="DIR", type=PATH, help="Folder to keep every decision in, for the next `learn`.")
@plainly
def serve(artefact: Path, host: str, port: int, deadline_ms: float | None, decisions: Path | None) -> None:
    """Answer requests over HTTP from the artefact in DIR, until it is stopped.

    The environment variable REWRITER_TOKEN holds the token that requests must bring. Without it only this machine is served.
    It needs the extra `serve`. GET /openapi.json describes the endpoints.

    \b
    Examples:
      rewriter serve artefact
      REWRITER_TOKEN=$(openssl rand -hex 32) rewriter serve artefact --host 0.0.0.0
      rewriter serve artefact --decisions decisions
    """
    from rewriter import terminal
    from rewriter.service.serve import serve as run

    def ready(url: str) -> None:
        terminal.line(f"serving {artefact} at {url}; Ctrl-C ends it")

    run(artefact, host=host, port=port, deadline_ms=deadline_ms, decisions=decisions, ready=ready)


@main.command()
@ARTEFACT
@VERSION
@click.option("--force", is_flag=True, help="Publish it although it is held back.")
@plainly
def publish(artefact: Path, version: str | None, force: bool) -> None:
    """Make a version of DIR serve: the one that is held back, or VERSION (an id or its beginning).

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
    """Make an older version of DIR serve: the one before the current, or VERSION (an id or its beginning).

    The next `learn` starts from that version, so give it the logs again that were learned since.

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
@click.option("--top", default=20, show_default=True, help="Number of rules to list.")
@click.option("--approve", multiple=True, metavar="RULE", help="Mark this rule as right; it is not listed again; repeatable.")
@click.option("--block", multiple=True, metavar="RULE", help="Never apply this rewrite again, in any layer; repeatable.")
@click.option("--edit", multiple=True, nargs=2, metavar="RULE TEXT", help="Send TEXT instead of the target; repeatable.")
@click.option("--note", default="", help="Reason, kept beside the decision.")
@plainly
def review(
    artefact: Path, top: int, approve: tuple[str, ...], block: tuple[str, ...], edit: tuple[tuple[str, str], ...], note: str
) -> None:
    """List the rules of DIR that nobody has reviewed, the most frequent first, or decide about some.

    Decisions are kept in DIR/review.csv. They take effect on the next request, in every process that serves DIR.

    \b
    Examples:
      rewriter review artefact
      rewriter review artefact --approve 1f3a5c7e9b20 --block 0d2c4e6f8a1b --note "means the cat"
      rewriter review artefact --edit 0d2c4e6f8a1b "turn off the lamp"
    """
    from rewriter import terminal
    from rewriter.operate.review import COLUMNS, FIGURES, decide, pending, warnings
    from rewriter.text import unspaced

    lines = [line for rule, text in edit for line in decide(artefact, "edit", [rule], text=text, note=note)]
    lines += decide(artefact, "approve", approve, note=note) if approve else []
    lines += decide(artefact, "block", block, note=note) if block else []
    for line in lines:
        done = {"approve": "approved", "block": "blocked", "edit": "edited"}[line.choice]
        terminal.line(f"{done}, from the next request on: {unspaced(line.source)!r} -> {unspaced(line.target)!r}")
    found = pending(artefact)
    if found:
        terminal.table(
            f"rules without a review: {len(found)}",
            COLUMNS,
            (rule.row() for rule in found[:top]),
            right=FIGURES,
            whole=COLUMNS[:1],
        )
        terminal.line(f"approve, block or edit a rule by its id, such as rewriter review {artefact} --approve {found[0].rule}")
        terminal.meanings(COLUMNS)
    else:
        terminal.line("no rule for everybody is without a review")
    for text in warnings(artefact):
        terminal.line(f"no effect: {text}")


@main.command()
@click.argument("user")
@ARTEFACT
@click.option("--logs", multiple=True, metavar="LOG", help="Log to erase USER from: a file, folder or pattern; repeatable.")
@click.option(
    "--decisions",
    metavar="DIR",
    type=PATH,
    help="Folder of a rewriter.DecisionLog that no process writes to.",
)
@plainly
@reads_log
def forget(user: str, artefact: Path, logs: tuple[str, ...], decisions: Path | None, mapping: dict[str, str]) -> None:
    """Erase USER (the id as in the log) from DIR, its private state and all versions, and from logs.

    One version is left, without USER, and serves. Rules and texts that fewer than k other users support are withdrawn. If nobody
    has that id, nothing is changed, and the exit code is 4.

    \b
    Examples:
      rewriter forget ann artefact
      rewriter forget ann artefact --logs logs/ --decisions decisions
    """
    from rewriter import terminal
    from rewriter.operate.forget import forget as erase

    found = erase(user, artefact, logs=list(logs), decisions=decisions, mapping=mapping)
    if found.is_empty:
        where = ", the logs or the decisions" if logs or decisions else ""
        click.echo(
            f"rewriter: nobody has the id {terminal.visible(user)!r} in {artefact}{where}, so nothing was changed; write the id"
            " as the log has it, with the same capitals",
            err=True,
        )
        sys.exit(4)
    terminal.table(f"forgotten in {artefact}", ("what", "figure"), found.lines(), right=("figure",))
