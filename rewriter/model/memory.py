"""`in_memory`: which files of an artefact are read, and which are mapped."""

from pathlib import Path
from typing import Final

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
