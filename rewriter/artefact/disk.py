"""Files that survive a kill: locked, synced, replaced in one step. `in_memory` says which of them are read, not mapped."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rewriter.errors import ArtefactError


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what the disk refuses as an `ArtefactError`; `path` is named where the system names no file."""
    try:
        yield
    except OSError as error:
        raise ArtefactError(f"cannot write {error.filename or path}: {error.strerror or error}") from error


@contextmanager
def locked(path: Path, root: Path) -> Iterator[None]:
    """Hold the one writer's lock of the folder `root`. It dies with the process, however that ends.

    Raises:
        ArtefactError: another process, or thread, holds it.
    """
    import fcntl  # noqa: PLC0415 - Windows has none, and serving needs none

    path.touch(mode=0o600)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArtefactError(f"another process is writing {root}; wait until it ends and start again") from error
        yield


def replace(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Put a file in the place of another, safe on the disk, in one step.

    Args:
        path: the file.
        content: what it shall hold.
        mode: permissions before the umask.
    """
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=mode)
    new.write_bytes(content)
    sync(new)
    new.replace(path)
    sync(path.parent)


def link(source: Path, target: Path) -> None:
    """Make a file known under a second name, or copy it where the disk has no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_private(folder: Path) -> None:
    """Let nobody but the owner read what lies below a folder."""
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and everything below it is on the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove a folder and everything below it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


IN_MEMORY: Final = 5 * 1024 * 1024
"""Bytes up to which a file is read into the memory of each process, instead of being mapped and shared by all.

A process that reads a map dies by SIGBUS while somebody copies another file over the mapped one. Most artefacts have only files
of this size, and survive it. The table of the default encoder has 4 MiB and a header.
"""


def in_memory(path: Path) -> bool:
    """Return whether a file is small enough to be read.

    Raises:
        OSError: it is missing.
    """
    return path.stat().st_size <= IN_MEMORY
