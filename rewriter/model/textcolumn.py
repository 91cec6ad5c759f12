"""`TextColumn`: many short texts in one memory-mapped file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class TextColumn:
    """Texts by row number.

    Args:
        blob: the texts' bytes (UTF-8), one after the other, uint8.
        starts: (n + 1,) int64, where each text starts in `blob`, and where the last one ends.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_texts(folder, "texts", ["play", "stop", ""])
        >>> TextColumn.open(folder, "texts").take(np.array([1, 2, 0]))
        ['stop', '', 'play']
    """

    __slots__ = ("_blob", "_starts")

    def __init__(self, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> None:
        self._blob: memoryview = blob.data
        self._starts = starts

    @classmethod
    def open(cls, folder: Path, name: str) -> "TextColumn":
        """Map what `save_texts` wrote."""
        return cls(mapped(folder / f"{name}.npy"), mapped(folder / f"{name}_starts.npy"))

    def take(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Return the texts of rows."""
        blob, spans = self._blob, zip(self._starts[rows].tolist(), self._starts[rows + 1].tolist(), strict=True)
        return [str(blob[start:end], "utf-8", "surrogatepass") for start, end in spans]


def save_texts(folder: Path, name: str, texts: Iterable[str]) -> None:
    """Write texts as ``<name>.npy`` (bytes) and ``<name>_starts.npy``."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    np.save(folder / f"{name}.npy", np.frombuffer(b"".join(encoded), dtype=np.uint8))
    np.save(folder / f"{name}_starts.npy", np.cumsum([0, *map(len, encoded)], dtype=np.int64))


def mapped(path: Path) -> npt.NDArray[Any]:
    """Return the array of an npy file as a read-only memory map, viewed as a plain array: slices of a memmap are slow."""
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return np.asarray(array)
