"""Columns of an artefact in memory-mapped ``.npy`` files: arrays, texts, and the hash index that finds a row by its text.

All processes of a machine share one copy of a mapped file, and opening it reads nothing.

`TextColumn`     texts by row
`HashIndex`      hash -> places in a sorted column
`HashedNumbers`  text -> number, where the text itself is not kept
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.artefact.disk import in_memory
from rewriter.text import text_hash

Keys = npt.NDArray[np.uint64]
"""64-bit hashes."""
_TRIES = 5  # to parse the header of a file


def mapped(path: Path) -> npt.NDArray[Any]:
    """Return the read-only array of an ``.npy`` file: read if it is small, else a memory map.

    A map is viewed as a plain array, because slicing a `numpy.memmap` is several times slower.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an ``.npy`` file, or is shorter than its header says.
    """
    array = _loaded(path)
    array.flags.writeable = False
    return np.asarray(array)


def _loaded(path: Path) -> npt.NDArray[Any]:
    """Load an ``.npy`` file.

    numpy parses its header by `ast`. In CPython 3.11.7 and others `ast` counts the depth of all threads in one counter, so it may
    raise `SystemError` for a good header while another thread parses, too (python/cpython#106905). Parsing it again works then.
    """
    load = partial(np.load, path, mmap_mode=None if in_memory(path) else "r")
    for _ in range(_TRIES - 1):
        with suppress(SystemError):
            return np.asanyarray(load())
    return np.asanyarray(load())


class TextColumn:
    """Texts by row number.

    Args:
        blob: uint8, the UTF-8 bytes of all texts, one after the other.
        starts: (n + 1,) int64, where each text starts in `blob`, and where the last one ends.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_texts(folder, "texts", ["play", "stop", ""])
        >>> TextColumn.open(folder, "texts").take(np.array([1, 2, 0]))
        ['stop', '', 'play']
    """

    __slots__ = ("_blob", "_starts")

    def __init__(self, blob: npt.NDArray[np.uint8], starts: Ints) -> None:
        self._blob: memoryview = blob.data
        self._starts = starts

    @classmethod
    def open(cls, folder: Path, name: str) -> "TextColumn":
        """Map the two files that `save_texts` wrote; raises what `mapped` raises."""
        return cls(mapped(folder / f"{name}.npy"), mapped(folder / f"{name}_starts.npy"))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def at(self, row: int) -> str:
        """Return the text of one row."""
        return str(self._blob[self._starts[row] : self._starts[row + 1]], "utf-8", "surrogatepass")

    def take(self, rows: Ints) -> list[str]:
        """Return the texts of some rows, (m,) int64 -> m texts."""
        blob, spans = self._blob, zip(self._starts[rows].tolist(), self._starts[rows + 1].tolist(), strict=True)
        return [str(blob[start:end], "utf-8", "surrogatepass") for start, end in spans]


def save_texts(folder: Path, name: str, texts: Iterable[str]) -> None:
    """Write texts as ``<name>.npy`` (bytes) and ``<name>_starts.npy``, to be opened by `TextColumn.open`."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    np.save(folder / f"{name}.npy", np.frombuffer(b"".join(encoded), dtype=np.uint8))
    np.save(folder / f"{name}_starts.npy", np.cumsum([0, *map(len, encoded)], dtype=np.int64))


def text_key(*parts: str) -> int:
    """Return the 64-bit hash of some texts (`rewriter.text.text_hash`) as a number, 0 .. 2^64 - 1."""
    return int.from_bytes(text_hash(*parts))


class HashIndex:
    """Finds the places of a hash in a sorted column, by binary search. Safe to use from many threads.

    The values that belong to the hashes are in other columns, in the same order. Different texts can share a hash, so a caller
    for whom a wrong answer would matter compares the text at the place that was found.

    Args:
        keys: (n,) uint64, ascending; may hold a key more than once.

    Example:
        >>> index, order = HashIndex.sort([text_key("en", text) for text in ("play", "stop")])
        >>> place = index.find(text_key("en", "stop"))
        >>> int(order[place]), index.find(text_key("de", "stop"))
        (1, None)
    """

    __slots__ = ("keys",)

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    @classmethod
    def sort(cls, hashes: Iterable[int]) -> "tuple[HashIndex, Ints]":
        """Return the index of some hashes, and the order in which their values must be written, (n,) int64."""
        keys = np.fromiter(hashes, dtype=np.uint64)
        order = np.argsort(keys, kind="stable").astype(np.int64)
        return cls(keys[order]), order

    @classmethod
    def open(cls, folder: Path, name: str) -> "HashIndex":
        """Map ``<name>.npy``; raises what `mapped` raises."""
        return cls(mapped(folder / f"{name}.npy"))

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>.npy``, 8 bytes a key."""
        np.save(folder / f"{name}.npy", self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: int) -> int | None:
        """Return the first place of a hash; None if it is not there."""
        keys, wanted = self.keys, np.uint64(key)
        place = int(keys.searchsorted(wanted))
        return place if place < len(keys) and keys[place] == wanted else None

    def find_all(self, key: int) -> slice:
        """Return all places of a hash, which lie side by side; an empty slice if it is not there."""
        start = self.find(key)
        return slice(0, 0) if start is None else slice(start, int(self.keys.searchsorted(np.uint64(key), side="right")))


class HashedNumbers:
    """A number for each of many texts, of which only the hashes are kept: 16 bytes a text.

    Two texts with the same hash share a number. With a million texts this happens in one of forty million artefacts.

    Args:
        index: of the hashes of the texts.
        numbers: (n,) float64 or int64, in the order of the index.

    Example:
        >>> odds = HashedNumbers.of({"lamp of": 2.0, "lamp off": -3.0})
        >>> odds.get("lamp off", 0.0), odds.get("lamp", 0.0), len(odds)
        (-3.0, 0.0, 2)
    """

    __slots__ = ("index", "numbers")

    def __init__(self, index: HashIndex, numbers: npt.NDArray[Any]) -> None:
        self.index = index
        self.numbers = numbers

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> "HashedNumbers":
        """Return the numbers of some texts without the texts."""
        return cls.of_keys({text_key(text): number for text, number in numbers.items()})

    @classmethod
    def of_keys(cls, numbers: Mapping[int, float]) -> "HashedNumbers":
        """Return numbers by `text_key`."""
        index, order = HashIndex.sort(numbers)
        return cls(index, np.array([*numbers.values()])[order] if numbers else np.zeros(0))

    def __len__(self) -> int:
        return len(self.index)

    def get(self, text: str, default: float, /) -> float:
        """Return the number of a text, or the default if there is none."""
        place = self.index.find(text_key(text))
        return default if place is None else self.numbers[place].item()

    def get_key(self, key: int, default: float, /) -> float:
        """Return the number of a `text_key`, or the default if there is none."""
        place = self.index.find(key)
        return default if place is None else self.numbers[place].item()

    def get_keys(self, keys: Sequence[int], default: float, /) -> list[Any]:
        """Return the number of each `text_key`, or the default where there is none, in one search."""
        if not len(self.index):
            return [default] * len(keys)
        wanted = np.array(keys, dtype=np.uint64)
        places = np.minimum(self.index.keys.searchsorted(wanted), len(self.index) - 1)
        known, numbers = (self.index.keys[places] == wanted).tolist(), self.numbers[places].tolist()
        return [number if there else default for number, there in zip(numbers, known, strict=True)]

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>_keys.npy`` and ``<name>.npy``."""
        self.index.save(folder, f"{name}_keys")
        np.save(folder / f"{name}.npy", self.numbers)

    @classmethod
    def open(cls, folder: Path, name: str) -> "HashedNumbers":
        """Map what `save` wrote; raises what `mapped` raises."""
        return cls(HashIndex.open(folder, f"{name}_keys"), mapped(folder / f"{name}.npy"))
