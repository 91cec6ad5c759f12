"""`StaticEncoder`: a vector for each piece of a text, drawn at random or learned, and their sum for the text.

Pieces: the character n-grams of a text, each known only by the number of the bucket it is hashed to.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rewriter.errors import reading_artefact
from rewriter.model.encoder import HEADER, Vectors, unit_rows

_SIZES = (2, 3, 4)
_REACH = 3  # letters on either side of a border between words


def parts(text: str) -> Iterator[str]:
    """Return what a text is made of, each part once: its words, and the letters around each border between two words.

    A border is written with a blank, ``"eam now"`` in "ice cream nowadays"; a word holds none. A text is the bag of its
    parts, so that whatever is computed of a part can be remembered.

    Args:
        text: normalised.

    Example:
        >>> list(parts("turn it up"))
        ['turn', 'it', 'up', 'urn it', 'it up']
    """
    words = text.split(" ") if text else []
    yield from dict.fromkeys(words)
    yield from dict.fromkeys([f"{left[-_REACH:]} {right[:_REACH]}" for left, right in pairwise(words)])


def buckets(part: str, n: int) -> list[int]:
    """Return the buckets, 0..n-1, of the pieces of a part.

    A word has its n-grams of two to four characters with its ends marked, and itself; a border those that cross it, without
    the blank, for a recogniser hears none: "i scream" is "ice cream".
    """
    left, _, right = part.partition(" ")
    if right:
        joined, cut = left + right, len(left)
        grams = [joined[i : i + size] for size in _SIZES for i in range(len(joined) - size + 1) if i < cut < i + size]
    else:
        marked = f"<{part}>"
        grams = [marked[i : i + size] for size in _SIZES for i in range(len(marked) - size + 1)] + [f"={part}"]
    return [crc32(gram.encode("utf-8", "surrogatepass")) % n for gram in grams]


Table = npt.NDArray[np.float32]

_CACHED = 100_000  # parts; 50 MB at 128 floats each
_BUCKETS = 1 << 14
_FILE = "table.npy"


class StaticEncoder:
    """Sums the vectors of a text's pieces: tens of microseconds a text, from a table of a few megabytes.

    Untrained, the pieces have random directions, which keeps inner products of the bags of pieces within about
    ``1 / sqrt(dim)`` (Johnson and Lindenstrauss 1984): a model-free measure of spelling. Training moves them, so that what
    is misheard comes near to what was meant (`rewriter.offline.fit.static_encoder`). A part's vector is computed once and kept.

    Attributes:
        table: vector of each bucket of pieces, (buckets, dim), any floating type.
        dim: length of a vector.

    Example:
        >>> lamp, clamp, radio = StaticEncoder(random_table(dim=256, seed=0)).encode(["lamp", "clamp", "radio"])
        >>> bool(lamp @ clamp > 0.5 > lamp @ radio)
        True
    """

    __slots__ = ("_kept", "dim", "table")

    def __init__(self, table: npt.NDArray[np.floating]) -> None:
        self.dim = table.shape[1]
        self.table = table
        self._kept: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text, (n, dim) float32; zeros for an empty text."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if text:
                np.add.reduce([self._part(part) for part in parts(text)], axis=0, out=row)
        return unit_rows(rows)

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and ``table.npy`` in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / _FILE, self.table.astype(np.float16))
        (folder / HEADER).write_text(json.dumps({"kind": "static"}), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "StaticEncoder":
        """Open what `save` wrote.

        Raises:
            ArtefactError: the table is missing or unreadable.
        """
        with reading_artefact(folder / _FILE):
            return cls(np.asarray(np.load(folder / _FILE, mmap_mode="r")))

    def _part(self, part: str) -> Vectors:
        vector = self._kept.get(part)
        if vector is None:
            if len(self._kept) >= _CACHED:
                self._kept.clear()
            pieces = self.table[buckets(part, len(self.table))]
            vector = self._kept[part] = pieces.sum(axis=0, dtype=np.float32)
        return vector


def random_table(dim: int, seed: int) -> Table:
    """Return normal vectors of about unit length for 16,384 buckets, (16384, dim)."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((_BUCKETS, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
