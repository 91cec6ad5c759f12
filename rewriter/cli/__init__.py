"""The command line: each verb parses, calls one function and prints what it returns.

This file holds the command group and what all verbs share: arguments, options, and errors as one line. `asking`, `hosts`,
`learning`, `measuring`, `operating` and `teaching` add their verbs to the group.
"""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypedDict, TypeVar

from rewriter import __version__
from rewriter.codes import DateOrder
from rewriter.engines import DUCKDB, NAMES
from rewriter.errors import RewriterError

try:
    import click
except ImportError:  # pragma: no cover - the serving tier has no command line
    sys.exit("the command line needs the learning tier: pip install 'rewriter[learn]'")

P = ParamSpec("P")
T = TypeVar("T")

PATH = click.Path(path_type=Path)
ARTEFACT = click.argument("artefact", metavar="DIR", type=PATH)
_MAP = click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Column, or path such as user.id, that holds one of ours: user_id=caller; repeatable.",
)
_DATES = click.option(
    "--dates", type=click.Choice([str(order) for order in DateOrder]), help="Whether 05/01/2026 is 5 January or 1 May."
)
_MAPPING = click.option("--mapping", "saved", metavar="FILE", type=PATH, help="TOML file with the pairs of --map.")


def reads_log(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that say how a log is laid out; the command gets them as one argument, `mapping`."""

    @_MAP
    @_DATES
    @_MAPPING
    @wraps(command)
    def run(*args: object, pairs: tuple[str, ...], dates: str | None, saved: Path | None, **kwargs: object) -> T:
        mapping = pairs_of(pairs, "--map", "OURS=THEIRS") | ({"dates": dates} if dates else {})
        if saved is not None:
            from rewriter.offline.logs.layout import read_mapping

            mapping = read_mapping(saved) | mapping
        return command(*args, mapping=mapping, **kwargs)

    return run


_ENGINE = click.option("--engine", type=click.Choice(NAMES), default=DUCKDB, help="What mines the log: the rules are the same.")
_MASTER = click.option("--master", metavar="URL", help="Of Spark, such as local[2] or spark://host:7077.  [with --engine spark]")
_MEMORY = click.option("--memory-gb", type=float, metavar="GB", help="Memory to use; what needs more goes to the disk.")


def mines(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that say where a log is mined; the command gets them as one argument, `where`."""

    @_ENGINE
    @_MASTER
    @_MEMORY
    @wraps(command)
    def run(*args: object, engine: str, master: str | None, memory_gb: float | None, **kwargs: object) -> T:
        return command(*args, where=Where(engine=engine, master=master, memory_gb=memory_gb), **kwargs)

    return run


class Where(TypedDict):
    """Arguments of `learn`, `label` and `diagnose`."""

    engine: str
    master: str | None
    memory_gb: float | None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rewriter")
def main() -> None:
    """Rewrite requests that a conversational assistant would not understand.

    rewriter learns from dialogue logs which requests fail and what people say instead that works. LOG is a file, a folder or
    a pattern; DIR is the folder of learned files (the artefact).

    \b
    Examples:
      rewriter learn logs/ --out artefact
      rewriter rewrite artefact "turn of the lamp"
      rewriter explain artefact "turn of the lamp"
    """


def plainly(command: Callable[P, T]) -> Callable[P, T]:
    """Print errors of this package and of the disk, and missing extras, as one line on stderr, and exit with code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # the reader of a pipe has ended, as in `rewriter info DIR | head -1`; click handles it
            raise
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "rewriter":
                raise
            extra = command.__name__ if command.__name__ in ("serve", "wyoming") else "learn"
            click.echo(f"rewriter: this needs {error.name}: pip install 'rewriter[{extra}]'", err=True)
            sys.exit(1)
        except (RewriterError, OSError) as error:
            cause = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else error
            click.echo(f"rewriter: {_inert(cause)}", err=True)
            sys.exit(1)

    return run


def pairs_of(pairs: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    """Read pairs of the given form, such as KEY=VALUE, or raise a usage error."""
    mapping = {}
    for pair in pairs:
        left, equals, right = pair.rpartition("=") if "." in pair.partition("=")[0] else pair.partition("=")
        if not (left and equals and right):
            raise click.UsageError(f"{option} takes {form}, not {pair!r}")
        mapping[left.strip()] = right.strip()
    return mapping


def _inert(value: object) -> str:
    """Return one line without control characters: an error may quote a log."""
    from rewriter import terminal

    return terminal.visible(value)


# Each module adds its verbs to the group above.
from rewriter.cli import asking, hosts, learning, measuring, operating, teaching  # noqa: E402, F401
