"""The private state of a version as a whole: a state that is missing or lacks a file is refused, and never used as if empty."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from rewriter.artefact.versions import current_id
from rewriter.errors import ArtefactError, reading_state

_CONTENTS = "contents.json"
"""The list of all files that a state has, by their paths below its folder."""
_CURE = "put it back from a backup, or begin anew with --afresh"


def read(root: str | Path, state: Path | None) -> Path | None:
    """Return the state that `learn` starts from, or None if no log was learned into this folder before.

    Args:
        root: the artefact folder.
        state: the state of the newest version; None if it is not there.

    Raises:
        ArtefactError: a version serves, but its state is missing or lacks a file.
    """
    if state is None:
        if not (Path(root) / "CURRENT").exists():
            return None
        raise ArtefactError(f"{Path(root) / 'state' / current_id(root)} is missing: it holds all counts so far; {_CURE}")
    contents = state / _CONTENTS
    if not contents.exists():
        raise ArtefactError(f"{contents} is missing: the state is not whole, or of an older release; {_CURE}")
    with reading_state(contents):
        names: list[str] = list(json.loads(contents.read_text(encoding="utf-8")))
    if not names:  # of a version that was made from a catalog alone
        return None
    for name in names:
        if not (state / name).exists():
            raise ArtefactError(f"{state / name} is missing: the state is not whole; {_CURE}")
    return state


def finish(state: Path, moved: Iterable[Path]) -> None:
    """Move the last tables into a new state, and write the list of all its files.

    Args:
        state: the folder of the new state.
        moved: files and folders to move into it.
    """
    for path in moved:
        shutil.move(path, state / path.name)
    names = sorted(path.relative_to(state).as_posix() for path in state.rglob("*") if path.is_file())
    (state / _CONTENTS).write_text(json.dumps(names, indent=0), encoding="utf-8")
