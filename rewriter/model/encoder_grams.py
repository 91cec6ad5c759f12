"""`Grams`: a model-free encoder of hashed character n-grams."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.errors import ArtefactError
from rewriter.model.encoder import HEADER, Vectors, unit_rows

_SIZES = (2, 3, 4)
_BUCKETS = 1 << 16
_PLACES = 7  # of a vector that one n-gram touches
_CACHED = 100_000  # words and borders; 100 MB at 256 floats each

Weights = npt.NDArray[np.float32]
_Cut = Callable[[str], list[str]]


class Grams:
    """Character n-grams (2 to 4) of each word, and across each border of two words, hashed into a fixed vector.

    Each n-gram adds ±idf at seven places chosen by its hash: signed feature hashing (Weinberger et al. 2009, "Feature hashing
    for large scale multitask learning"), spread as in the sparse random projections of Achlioptas (2003). The inner product
    of two texts is that of their n-gram counts within about ``1 / sqrt(dim)``. A word's vector is computed once and kept.

    Args:
        dim: length of a vector.
        idf: weight of each bucket of n-grams, (65536,); None for 1 everywhere. See `gram_idf`.

    Example:
        >>> lamp, clamp, radio = Grams(dim=256).encode(["lamp", "clamp", "radio"])
        >>> bool(lamp @ clamp > 0.5 > lamp @ radio)
        True
    """

    __slots__ = ("_borders", "_idf", "_words", "dim")

    def __init__(self, dim: int = 256, idf: Weights | None = None) -> None:
        self.dim = dim
        self._idf = np.ones(_BUCKETS, dtype=np.float32) if idf is None else idf
        self._words: dict[str, Vectors] = {}
        self._borders: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text, (n, dim); zeros for an empty text."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for i, text in enumerate(texts):
            words = text.split()
            parts = [self._remembered(self._words, word, _grams) for word in words]
            parts += [self._remembered(self._borders, border, _border_grams) for border in _borders(words)]
            if parts:
                np.sum(parts, axis=0, out=rows[i])
        return unit_rows(rows)

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and ``idf.npy``."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "idf.npy", self._idf)
        (folder / HEADER).write_text(json.dumps({"kind": "grams", "dim": self.dim}), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Grams":
        """Open what `save` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        try:
            header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
            return cls(int(header["dim"]), np.load(folder / "idf.npy", mmap_mode="r"))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {folder}: {error!r}; copy the artefact again or go back a version") from error

    def _remembered(self, cache: dict[str, Vectors], key: str, grams: _Cut) -> Vectors:
        vector = cache.get(key)
        if vector is None:
            if len(cache) >= _CACHED:
                cache.clear()
            vector = cache[key] = self._vector(grams(key))
        return vector

    def _vector(self, grams: list[str]) -> Vectors:
        hashes = _hashes(grams)
        places, signs = hashes[:, 1:] >> 1, 1.0 - 2.0 * (hashes[:, 1:] & 1)
        weights = signs * self._idf[hashes[:, :1]]
        return np.bincount((places % self.dim).ravel(), weights.ravel(), self.dim).astype(np.float32)


def gram_idf(texts: Iterable[str]) -> Weights:
    """Return what each bucket of n-grams is worth, ``ln((1 + n) / (1 + texts with it)) + 1``, (65536,) float32.

    An n-gram is counted once for each word of a text that holds it.

    Args:
        texts: normalised texts (or their sounds), each said by at least as many users as `Config.launch.min_users`.
    """
    words: Counter[str] = Counter()
    borders: Counter[str] = Counter()
    n = 0
    for n, text in enumerate(texts, start=1):  # noqa: B007
        parts = text.split()
        words.update(set(parts))
        borders.update(set(_borders(parts)))
    found = np.zeros(_BUCKETS)
    for counts, cut in ((words, _grams), (borders, _border_grams)):
        for key, count in counts.items():
            found[np.unique(_hashes(cut(key))[:, 0])] += count
    return (np.log((1 + n) / (1 + np.minimum(found, n))) + 1).astype(np.float32)


def _grams(word: str) -> list[str]:
    """The n-grams of a word between its ends, and the word itself."""
    marked = f"<{word}>"
    return [marked, *(marked[i : i + n] for n in _SIZES for i in range(len(marked) - n + 1))]


def _borders(words: list[str]) -> list[str]:
    return [f"{left[-2:]} {right[:2]}" for left, right in pairwise(words)]


def _border_grams(border: str) -> list[str]:
    """The n-grams across the blank of ``"ab cd"``, without the blank: "i scream" sounds like "ice cream"."""
    left, right = border.split(" ")
    both, cut = left + right, len(left)
    return [both[i : i + n] for n in _SIZES for i in range(len(both) - n + 1) if i < cut < i + n]


def _hashes(grams: list[str]) -> npt.NDArray[np.uint16]:
    """One row per n-gram: its bucket, then seven numbers, each a place and a sign, (n, 8)."""
    size = 2 * (1 + _PLACES)
    digests = b"".join(blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=size).digest() for gram in grams)
    return np.frombuffer(digests, dtype="<u2").reshape(-1, 1 + _PLACES)
