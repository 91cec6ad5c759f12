"""The verbs of who runs an artefact: its versions, and which of them serves."""

from pathlib import Path

import click

from rewriter.cli.group import ARTEFACT, main, plainly

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
