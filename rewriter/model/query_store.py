"""`QueryBook`: the texts that are known to work, with their counts and vectors, in memory-mapped columns."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.errors import reading_artefact
from rewriter.model.columns import HashIndex, TextColumn, mapped, save_texts, text_key
from rewriter.model.encoder import Encoder
from rewriter.similarity import phonetic_key

_BATCH = 20_000  # number of texts that are encoded at once; it bounds the memory


@dataclass(frozen=True, slots=True)
class Queries:
    """Utterances that were sent with success, as parallel columns.

    Attributes:
        texts: normalised utterances.
        locales: BCP 47 locale of each.
        interpretations: (n,) int64; texts that the NLU understands alike share one number.
        turns: (n,) int64, how often each was sent.
        success: (n,) int64, how much of that succeeded, in thousandths of a turn.
        users: (n,) int64, how many distinct users said each.
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
_KEYS, _ROWS = "keys", "rows"  # hashes of locale and text, ascending, and the row of each
_GOALS, _GOAL_PRIORS = "goals", "goal_priors"  # interpretations, ascending, and the prior of each


class QueryBook:
    """Queries in memory-mapped columns that all processes share. Safe to use from many threads.

    Attributes:
        locales: the locales that occur.
        newest: the last day of any row, days since 1970-01-01 UTC; 0 where there is none.
        locale_ids: (n,) int16, numbers into `locales`.
        interpretations: as in `Queries`, like the four below.
        turns: (n,) int64.
        success: (n,) int64, thousandths.
        users: (n,) int64.
        last_day: (n,) int64.
        vectors: (n, dim) float16, the vectors of the texts.

    Example:
        >>> import tempfile
        >>> from rewriter.model.encoder import StaticEncoder, random_table
        >>> one = np.ones(1, dtype=np.int64)
        >>> queries = Queries(["turn off the lamp"], ["en"], one, 9 * one, 8500 * one, 4 * one, 20_000 * one)
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_book(folder, queries, StaticEncoder(random_table(64, seed=0)))
        >>> book = QueryBook.open(folder)
        >>> rows = np.array([0])
        >>> len(book), book.texts(rows), book.sounds(rows), book.locale(0), int(book.turns[0]), book.vectors.shape
        (1, ['turn off the lamp'], ['TRN OF 0 LMP'], 'en', 9, (1, 64))
    """

    __slots__ = (
        "_goals",
        "_index",
        "_rows",
        "_sounds",
        "_texts",
        "locale_ids",
        "locales",
        "newest",
        "vectors",
        "_goal_priors",
        *_COLUMNS,
    )

    def __init__(self, folder: Path) -> None:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        self.locales: tuple[str, ...] = tuple(header["locales"])
        self.newest = int(header["newest"])
        self._texts = TextColumn.open(folder, "texts")
        self._sounds = TextColumn.open(folder, "sounds")
        self._index = HashIndex.open(folder, _KEYS)
        self._rows: Ints = mapped(folder / f"{_ROWS}.npy")
        self._goals: Ints = mapped(folder / f"{_GOALS}.npy")
        self._goal_priors: Floats = mapped(folder / f"{_GOAL_PRIORS}.npy")
        self.locale_ids: npt.NDArray[np.int16] = mapped(folder / "locale_ids.npy")
        self.vectors: npt.NDArray[np.float16] = mapped(folder / "vectors.npy")
        self.interpretations: Ints = mapped(folder / "interpretations.npy")
        self.turns: Ints = mapped(folder / "turns.npy")
        self.success: Ints = mapped(folder / "success.npy")
        self.users: Ints = mapped(folder / "users.npy")
        self.last_day: Ints = mapped(folder / "last_day.npy")

    @classmethod
    def open(cls, folder: Path) -> "QueryBook":
        """Map what `write_book` wrote.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        with reading_artefact(folder):
            return cls(folder)

    def __len__(self) -> int:
        return len(self.turns)

    def texts(self, rows: Ints) -> list[str]:
        """Return the utterances of rows."""
        return self._texts.take(rows)

    def sounds(self, rows: Ints) -> list[str]:
        """Return the phonetic keys of rows (`rewriter.similarity.phonetic_key`)."""
        return self._sounds.take(rows)

    def rows_of(self, text: str, locale: str) -> Ints:
        """Return the rows that hold exactly this text, ascending. The text itself is compared, not only its hash.

        Args:
            text: normalised.
            locale: BCP 47, as spelled in the book.
        """
        if locale not in self.locales:
            return _NO_ROWS
        rows = self._rows[self._index.find_all(text_key(locale, text))]
        return rows[[held == text for held in self.texts(rows)]] if len(rows) else rows

    def holds(self, text: str, locale: str) -> bool:
        """Return whether a row has exactly this text: whether `rows_of` finds any."""
        if locale not in self.locales:
            return False
        key = text_key(locale, text)
        place, keys = self._index.find(key), self._index.keys
        while place is not None and place < len(keys) and keys[place] == key:
            if self._texts.at(int(self._rows[place])) == text:
                return True
            place += 1
        return False

    def goal_prior(self, interpretations: Ints) -> Floats:
        """Return the share of each interpretation in the success of its locale, (m,) in 0..1; 0 for one without a row."""
        if not len(self._goals):
            return np.zeros(len(interpretations))
        place = self._goals.searchsorted(interpretations)
        place[place == len(self._goals)] = 0
        priors: Floats = self._goal_priors[place] * (self._goals[place] == interpretations)
        return priors

    @property
    def n_goals(self) -> int:
        """How many different interpretations there are."""
        return len(self._goals)

    def locale(self, row: int) -> str:
        """Return the locale of a row."""
        return self.locales[int(self.locale_ids[row])]

    def speaks(self, rows: Ints, locale: str) -> npt.NDArray[np.bool_]:
        """Return which of some rows are of a locale, (m,) bool."""
        number = self.locales.index(locale) if locale in self.locales else -1
        spoken: npt.NDArray[np.bool_] = self.locale_ids[rows] == number
        return spoken

    def keep(self, kept: npt.NDArray[np.bool_], folder: Path) -> None:
        """Write some of the rows as a book of their own. A locale without rows is left out.

        Args:
            kept: (n,) bool, which rows.
            folder: must not be the folder of this book; created if it is missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rows = np.flatnonzero(kept)
        numbers, locale_ids = np.unique(self.locale_ids[kept], return_inverse=True)
        save_texts(folder, "texts", self.texts(rows))
        save_texts(folder, "sounds", self.sounds(rows))
        np.save(folder / "locale_ids.npy", locale_ids.astype(np.int16))
        for name in ("vectors", *_COLUMNS):
            np.save(folder / f"{name}.npy", getattr(self, name)[kept])
        _save_keys(folder, self.texts(rows), [self.locale(row) for row in rows.tolist()])
        _save_goal_priors(folder, self.interpretations[kept], self.success[kept], locale_ids.astype(np.int16))
        _save_header(folder, [self.locales[number] for number in numbers.tolist()], self.newest)


def write_book(folder: Path, queries: Queries, encoder: Encoder) -> None:
    """Encode queries and write them, in their order, as the files that `QueryBook` maps.

    For the global book the caller keeps only texts of at least `Config.launch.min_users` users, and puts the rows of each locale
    side by side, as `rewriter.model.index.build_index` needs them.

    Args:
        folder: where the files go; created if it is missing.
        queries: the rows.
        encoder: encodes the texts here and requests later; the caller saves it.

    Raises:
        ValueError: the columns differ in length.
    """
    n = len(queries.texts)
    for name in ("locales", *_COLUMNS):
        if len(getattr(queries, name)) != n:
            raise ValueError(f"column {name} has {len(getattr(queries, name))} rows, texts has {n}")
    folder.mkdir(parents=True, exist_ok=True)
    save_texts(folder, "texts", queries.texts)
    save_texts(folder, "sounds", map(phonetic_key, queries.texts, queries.locales))
    numbers = {locale: i for i, locale in enumerate(dict.fromkeys(queries.locales))}
    np.save(folder / "locale_ids.npy", np.array([numbers[locale] for locale in queries.locales], dtype=np.int16))
    for name in _COLUMNS:
        np.save(folder / f"{name}.npy", np.asarray(getattr(queries, name), dtype=np.int64))
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="w+", dtype=np.float16, shape=(n, encoder.dim))
    for start in range(0, n, _BATCH):
        vectors[start : start + _BATCH] = encoder.encode(queries.texts[start : start + _BATCH])
    vectors.flush()
    _save_keys(folder, queries.texts, queries.locales)
    _save_goal_priors(folder, queries.interpretations, queries.success, np.load(folder / "locale_ids.npy"))
    _save_header(folder, list(numbers), int(np.max(queries.last_day, initial=0)))


def query_texts(folder: Path) -> int:
    """Return how many texts of enough users an online layer may rewrite to; 0 where it was not fitted.

    Args:
        folder: the version.
    """
    book = folder / "online" / "book"
    return len(QueryBook.open(book)) if book.is_dir() else 0


_NO_ROWS = np.zeros(0, dtype=np.int64)


def _save_keys(folder: Path, texts: Iterable[str], locales: Iterable[str]) -> None:
    index, rows = HashIndex.sort(map(text_key, locales, texts))
    index.save(folder, _KEYS)
    np.save(folder / f"{_ROWS}.npy", rows)


def _save_goal_priors(folder: Path, interpretations: Ints, success: Ints, locales: npt.NDArray[np.int16]) -> None:
    goals, first, place = np.unique(interpretations, return_index=True, return_inverse=True)
    goal_priors = np.bincount(place, weights=success, minlength=len(goals))
    of = locales[first]  # each interpretation belongs to one locale
    totals = np.bincount(of, weights=goal_priors, minlength=1)
    np.save(folder / f"{_GOALS}.npy", goals)
    np.save(folder / f"{_GOAL_PRIORS}.npy", goal_priors / np.maximum(totals[of], 1.0))


def _save_header(folder: Path, locales: Sequence[str], newest: int) -> None:
    (folder / _HEADER).write_text(json.dumps({"locales": list(locales), "newest": newest}), encoding="utf-8")
