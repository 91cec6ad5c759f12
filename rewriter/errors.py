"""The errors, and the context managers that turn other exceptions into them. A message is one line with cause and cure.

RewriterError
├── ConfigError      a setting that does not exist or is out of range
├── LogError         a log that cannot be read, or has too many bad rows
├── EngineError      a mining step that failed
├── ArtefactError    an artefact that is missing or damaged
│   └── SchemaError  an artefact of another schema version
├── RequestError     an argument of a call that cannot be meant
└── MissingExtraError  a package of an optional tier is not installed
"""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = re.compile(rf"\d+ requested and \d+ written|{re.escape(os.strerror(errno.ENOSPC))}")
"""What numpy, and `shutil.copytree` of any of its files, say if a disk is full."""


class RewriterError(Exception):
    """Base of every error that this package raises on purpose; its text is one line."""


class ConfigError(RewriterError):
    """A setting that does not exist or is out of range; names the nearest valid key."""


class LogError(RewriterError):
    """A log that cannot be read, or has too many bad rows; names the file, the column or the counts by reason."""


class EngineError(RewriterError):
    """A mining step that failed; names the step."""


class ArtefactError(RewriterError):
    """An artefact that is missing or damaged; names the file."""


class SchemaError(ArtefactError):
    """An artefact that another release wrote in another schema; says whether to learn again or to upgrade."""


class RequestError(RewriterError, ValueError):
    """An argument of a call that cannot be meant; names the argument and what it may be. `Rewriter.rewrite` never raises it."""


class MissingExtraError(RewriterError, ImportError):
    """A package of an optional tier is not installed; names the `pip install` that brings it."""


CURE_ARTEFACT = "go back to another version with `rewriter rollback`, or ship the version again as docs/artefact.md says"
CURE_STATE = "put it back from a backup, or learn with --afresh"


@contextmanager
def reading_artefact(path: Path) -> Iterator[None]:
    """Turn whatever is raised while a file of the artefact is read into one `ArtefactError` that names the file and the cure.

    A damaged file can make a parser raise nearly anything: OSError, ValueError, KeyError, MemoryError (an array header that
    claims terabytes), RecursionError (deeply nested JSON), errors of LMDB, FAISS and ONNX. So the block should only read.

    Args:
        path: the file, or the folder where several files are read.

    Raises:
        ArtefactError: the block raised something; a `RewriterError` passes as it is.

    Example:
        >>> try:
        ...     with reading_artefact(Path("rules/counts.json")):
        ...         raise ValueError("not JSON")
        ... except ArtefactError as error:
        ...     print(str(error).split(";")[0])
        rules/counts.json is damaged (ValueError: not JSON)
    """
    with _reading(path, CURE_ARTEFACT):
        yield


@contextmanager
def reading_state(path: Path) -> Iterator[None]:
    """Do what `reading_artefact` does for a file of the private state.

    Example:
        >>> try:
        ...     with reading_state(Path("state/days.json")):
        ...         raise ValueError("not JSON")
        ... except ArtefactError as error:
        ...     print(error)
        state/days.json is damaged (ValueError: not JSON); put it back from a backup, or learn with --afresh
    """
    with _reading(path, CURE_STATE):
        yield


@contextmanager
def running(work: str) -> Iterator[None]:
    """Turn what the machine or the database refuses into one `RewriterError` of one line; also used as a decorator.

    That is a full disk, no permission, no memory, or a Parquet file that is damaged or holds other columns. Mistakes in the
    code keep their own exceptions.

    Args:
        work: what was being done, for the message.

    Raises:
        RewriterError: the block raised OSError, MemoryError, RecursionError or an error of DuckDB; a `RewriterError` passes.

    Example:
        >>> try:
        ...     with running("learning"):
        ...         raise OSError(28, "No space left on device", "state/counts.parquet")
        ... except RewriterError as error:
        ...     print(error)
        learning failed: state/counts.parquet: No space left on device; free some space and start again
    """
    try:
        yield
    except RewriterError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno is None and _FULL.search(str(error))  # numpy and shutil.copytree give no number
        said = "No space left on device" if full else error.strerror or one_line(error)
        cure = "; free some space and start again" if full or error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise RewriterError(f"{work} failed: {where}{said}{cure}") from error
    except (MemoryError, RecursionError) as error:
        raise RewriterError(f"{work} failed: {one_line(error)}") from error
    except RuntimeError as error:
        if "Query interrupted" in str(error):  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from error
        raise
    except Exception as error:
        database = sys.modules.get("duckdb")  # serving never imports it
        if database is None or not isinstance(error, database.Error):
            raise
        raise RewriterError(f"{work} failed: {one_line(error)}; if that is a file of the state, {CURE_STATE}") from error


def one_line(error: BaseException) -> str:
    """Return an exception as one line of at most 300 characters: its type, and what it says.

    Example:
        >>> one_line(KeyError("dim"))
        "KeyError: 'dim'"
    """
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:300] if said else type(error).__name__


@contextmanager
def _reading(path: Path, cure: str) -> Iterator[None]:
    try:
        yield
    except RewriterError:
        raise
    except FileNotFoundError as error:
        raise ArtefactError(f"{error.filename or path} is missing; {cure}") from error
    except IsADirectoryError as error:
        raise ArtefactError(f"{error.filename or path} is a folder, not a file; {cure}") from error
    except Exception as error:
        raise ArtefactError(f"{path} is damaged ({one_line(error)}); {cure}") from error
