"""The group of all verbs, and what they share: arguments, options, and errors told in one line."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from rewriter import __version__
from rewriter.errors import RewriterError

P = ParamSpec("P")
T = TypeVar("T")

ARTEFACT = click.argument("artefact", metavar="DIR", type=click.Path(path_type=Path))
MAP = click.option("--map", "pairs", multiple=True, metavar="OURS=THEIRS", help="A column under another name; repeatable.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="rewriter")
def main() -> None:
    """Learn from dialogue logs which requests fail and what works instead; rewrite the next one.

    \b
    Examples:
      rewriter learn logs/ --out artefact
      rewriter rewrite artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp"
    """


def plainly(command: Callable[P, T]) -> Callable[P, T]:
    """Turn our errors, and those of the disk, into one line on stderr and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # the reader has had enough, as in `rewriter info DIR | head -1`; click knows what to do
            raise
        except (RewriterError, OSError) as error:
            cause = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
            click.echo(f"rewriter: {_inert(cause)}", err=True)
            sys.exit(1)

    return run


def mapping_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Read OURS=THEIRS pairs."""
    return pairs_of(pairs, "--map", "OURS=THEIRS")


def pairs_of(pairs: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    """Read pairs with an equals sign between, such as `form`."""
    mapping = {}
    for pair in pairs:
        left, equals, right = pair.partition("=")
        if not (left and equals and right):
            raise click.UsageError(f"{option} takes {form}, not {pair!r}")
        mapping[left.strip()] = right.strip()
    return mapping


def _inert(value: object) -> str:
    """Return one line that no terminal obeys: an error may quote a log."""
    from rewriter import terminal

    return terminal.visible(value)
