"""The errors, each one clear line with the cause and the cure.

RewriterError
├── ConfigError      a setting that does not exist or is out of range
├── LogError         a log that cannot be read, or has too many bad rows
├── EngineError      a mining step that failed
├── ArtefactError    an artefact that is missing, damaged or from a newer version
└── MissingExtraError  a package of an optional tier is not installed
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RewriterError(Exception):
    """Base of every error that this package raises on purpose; its text is one line."""


class ConfigError(RewriterError):
    """A setting that does not exist or is out of range; names the nearest valid key."""


class LogError(RewriterError):
    """A log that cannot be read, or has too many bad rows; names the file, the column or the counts by reason."""


class EngineError(RewriterError):
    """A mining step that failed; names the step."""


class ArtefactError(RewriterError):
    """An artefact that is missing, damaged or from a newer version; names the file."""


class MissingExtraError(RewriterError, ImportError):
    """A package of an optional tier is not installed; names the `pip install` that brings it."""


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Raise what is wrong with a file of the private state as an `ArtefactError` that names it.

    Example:
        >>> try:
        ...     with undamaged(Path("state/days.json")):
        ...         raise ValueError("not JSON")
        ... except ArtefactError as error:
        ...     print(error)
        state/days.json is damaged (not JSON); put it back from a backup, or learn with --afresh
    """
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ArtefactError(f"{path} is damaged ({error}); put it back from a backup, or learn with --afresh") from error
