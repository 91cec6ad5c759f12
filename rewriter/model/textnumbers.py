"""`TextNumbers`: a number for each of many texts, in memory-mapped arrays."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.model.textcolumn import mapped


class TextNumbers:
    """Numbers by text, of which only the hashes are kept: 16 bytes each, and nothing to read when a process starts.

    Two texts of one hash would share a number; among a million it happens once in forty million artefacts.

    Args:
        keys: (n,) uint64, ascending, hashes of the texts.
        numbers: (n,) float64.

    Example:
        >>> odds = TextNumbers.of({"lamp of": 2.0, "lamp off": -3.0})
        >>> odds.get("lamp off", 0.0), odds.get("lamp", 0.0), len(odds)
        (-3.0, 0.0, 2)
    """

    __slots__ = ("_keys", "_numbers")

    def __init__(self, keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.float64]) -> None:
        self._keys = keys
        self._numbers = numbers

    @classmethod
    def of(cls, numbers: "Mapping[str, float] | TextNumbers") -> "TextNumbers":
        """Return the numbers of texts, with the texts left out."""
        if isinstance(numbers, TextNumbers):
            return numbers
        keys = np.array([_key(text) for text in numbers], dtype=np.uint64)
        order = np.argsort(keys)
        return cls(keys[order], np.array([*numbers.values()], dtype=np.float64)[order])

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, text: str, default: float, /) -> float:
        """Return the number of a text, or the default."""
        key = np.uint64(_key(text))
        place = int(self._keys.searchsorted(key))
        return float(self._numbers[place]) if place < len(self._keys) and self._keys[place] == key else default

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>_keys.npy`` and ``<name>.npy``."""
        np.save(folder / f"{name}_keys.npy", self._keys)
        np.save(folder / f"{name}.npy", self._numbers)

    @classmethod
    def open(cls, folder: Path, name: str) -> "TextNumbers":
        """Map what `save` wrote.

        Raises:
            OSError: a file is missing.
            ValueError: a file is none of ours.
        """
        return cls(mapped(folder / f"{name}_keys.npy"), mapped(folder / f"{name}.npy"))


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
