"""`QueryBook`: the texts that are known to work, their counts and their vectors, in memory-mapped arrays."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.errors import ArtefactError
from rewriter.model.channels import Channels

Ints = npt.NDArray[np.int64]

_BATCH = 20_000  # texts encoded at once


@dataclass(frozen=True, slots=True)
class Queries:
    """Utterances that were sent with success, as parallel columns.

    Attributes:
        texts: normalised utterances.
        locales: BCP 47, of each.
        interpretations: (n,) int64; texts that the NLU understood alike share one number.
        turns: (n,) int64, how often it was sent.
        success: (n,) int64, how much of that succeeded, in thousandths of a turn.
        users: (n,) int64, how many distinct users said it.
        last_day: (n,) int64, days since 1970-01-01 UTC.
    """

    texts: Sequence[str]
    locales: Sequence[str]
    interpretations: Ints
    turns: Ints
    success: Ints
    users: Ints
    last_day: Ints

    def take(self, order: Ints) -> "Queries":
        """Return the rows at these places, in this order."""
        texts, locales = ([column[i] for i in order.tolist()] for column in (self.texts, self.locales))
        return Queries(texts, locales, *(getattr(self, name)[order] for name in _COLUMNS))


_COLUMNS = tuple(f.name for f in fields(Queries))[2:]
_HEADER = "book.json"


class QueryBook:
    """The rows of one file of queries, read from memory maps that all processes share.

    Attributes:
        locales: the locales that occur.
        locale_ids: (n,) int16, numbers into `locales`.
        interpretations: as in `Queries`, like the four below.
        turns: (n,) int64.
        success: (n,) int64, thousandths.
        users: (n,) int64.
        last_day: (n,) int64.
        vectors: (n, dim) float16, what `Channels.encode` gave.
        blob: the texts' bytes (UTF-8), one after the other.
        ends: (n,) int64, where each text ends in `blob`.

    Example:
        >>> import tempfile
        >>> from rewriter.model.channels import Channel
        >>> from rewriter.model.encoder_grams import Grams
        >>> one = np.ones(1, dtype=np.int64)
        >>> queries = Queries(["turn off the lamp"], ["en"], one, 9 * one, 8500 * one, 4 * one, 20_000 * one)
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_book(folder, queries, Channels([Channel("letters", "text", Grams(64), 1)]))
        >>> book = QueryBook.open(folder)
        >>> len(book), book.text(0), book.locale(0), int(book.turns[0]), book.vectors.shape
        (1, 'turn off the lamp', 'en', 9, (1, 64))
    """

    __slots__ = ("blob", "ends", "locale_ids", "locales", "vectors", *_COLUMNS)

    def __init__(self, folder: Path) -> None:
        self.locales: tuple[str, ...] = tuple(json.loads((folder / _HEADER).read_text(encoding="utf-8"))["locales"])
        self.blob = mapped(folder, "texts")
        self.ends = mapped(folder, "ends")
        self.locale_ids: npt.NDArray[np.int16] = mapped(folder, "locale_ids")
        self.vectors: npt.NDArray[np.float16] = mapped(folder, "vectors")
        self.interpretations: Ints = mapped(folder, "interpretations")
        self.turns: Ints = mapped(folder, "turns")
        self.success: Ints = mapped(folder, "success")
        self.users: Ints = mapped(folder, "users")
        self.last_day: Ints = mapped(folder, "last_day")

    @classmethod
    def open(cls, folder: Path) -> "QueryBook":
        """Map what `write_book` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        try:
            return cls(folder)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {folder}: {error!r}; copy the artefact again or go back a version") from error

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, row: int) -> str:
        """Return the utterance of a row."""
        start = int(self.ends[row - 1]) if row else 0
        return bytes(self.blob[start : int(self.ends[row])]).decode("utf-8", "surrogatepass")

    def locale(self, row: int) -> str:
        """Return the locale of a row."""
        return self.locales[int(self.locale_ids[row])]

    def speaks(self, rows: Ints, locale: str) -> npt.NDArray[np.bool_]:
        """Return which of the rows are of this locale, (m,) bool."""
        number = self.locales.index(locale) if locale in self.locales else -1
        spoken: npt.NDArray[np.bool_] = self.locale_ids[rows] == number
        return spoken


def write_book(folder: Path, queries: Queries, channels: Channels) -> None:
    """Encode queries and write them, in their order, as the files that `QueryBook` maps.

    For the book of the global index every text must come from at least `Config.launch.min_users` users: the caller has
    filtered, and `Queries.users` says so. For `build_index` the rows of one locale must lie side by side.

    Args:
        folder: where the files go; made if it is missing.
        queries: the rows.
        channels: what encodes them; the caller saves it.

    Raises:
        ValueError: the columns differ in length.
    """
    n = len(queries.texts)
    for name in ("locales", *_COLUMNS):
        if len(getattr(queries, name)) != n:
            raise ValueError(f"column {name} has {len(getattr(queries, name))} rows, texts has {n}")
    folder.mkdir(parents=True, exist_ok=True)
    encoded = [text.encode("utf-8", "surrogatepass") for text in queries.texts]
    np.save(folder / "texts.npy", np.frombuffer(b"".join(encoded), dtype=np.uint8))
    np.save(folder / "ends.npy", np.cumsum([len(text) for text in encoded], dtype=np.int64))
    numbers = {locale: i for i, locale in enumerate(dict.fromkeys(queries.locales))}
    np.save(folder / "locale_ids.npy", np.array([numbers[locale] for locale in queries.locales], dtype=np.int16))
    for name in _COLUMNS:
        np.save(folder / f"{name}.npy", np.asarray(getattr(queries, name), dtype=np.int64))
    _write_vectors(folder / "vectors.npy", queries, channels)
    (folder / _HEADER).write_text(json.dumps({"locales": list(numbers)}), encoding="utf-8")


def _write_vectors(path: Path, queries: Queries, channels: Channels) -> None:
    n = len(queries.texts)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(n, channels.dim))
    for start in range(0, n, _BATCH):
        locales = queries.locales[start : start + _BATCH]
        texts = queries.texts[start : start + _BATCH]
        for locale in dict.fromkeys(locales):
            of = [i for i, other in enumerate(locales) if other == locale]
            rows[start + np.array(of)] = channels.encode([texts[i] for i in of], locale)
    rows.flush()


def copy_book(book: QueryBook, keep: npt.NDArray[np.bool_], folder: Path) -> None:
    """Write the rows of a book that are kept, (n,) bool, as a book of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.diff(book.ends, prepend=0)
    np.save(folder / "texts.npy", book.blob[np.repeat(keep, lengths)])
    np.save(folder / "ends.npy", np.cumsum(lengths[keep]))
    for name in ("locale_ids", "vectors", *_COLUMNS):
        np.save(folder / f"{name}.npy", getattr(book, name)[keep])
    (folder / _HEADER).write_text(json.dumps({"locales": book.locales}), encoding="utf-8")


def mapped(folder: Path, name: str) -> npt.NDArray[Any]:
    """Return an array of a folder as a read-only memory map, viewed as a plain array: slices of a memmap object are slow."""
    array: npt.NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return np.asarray(array)
