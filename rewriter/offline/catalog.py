"""`read_catalog`: what the operator knows the assistant to understand, read from files or given as rows.

The columns are those of section "Catalog" in docs/prior.md. A bad row is set aside and counted with its reason and an example; it
never stops the others.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Integral
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from rewriter.arrays import Floats
from rewriter.engines import first_line
from rewriter.errors import LogError
from rewriter.model.hypothesis import Scalar, hypothesis
from rewriter.offline import catalog_formats
from rewriter.text import normalise

Row = str | Mapping[str, Any]
"""A row of a catalog: a text, or columns by name."""

Sources = str | Path | Iterable[str | Path | Row] | Callable[[], Iterable[Row]]
"""What a catalog is read from: files, rows, or a callable that yields rows."""

COLUMNS: Final = ("text", "locale", "hypothesis", "intent", "slots", "weight", "scope")
ENDINGS: Final = (".parquet", ".pq", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", *catalog_formats.READERS)
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
_BATCH = 50_000  # rows that are fetched at once
_USER = "user_id"  # the column of a log that says whose a turn is
_ALIKE = 0.8  # least similarity of a misspelled column with the one that is meant
_LISTED = 5  # columns that are not read, at most so many are named
_MOST_WEIGHT = 1e9  # weights are added up as whole numbers of 64 bits
_SHOWN = 80  # characters of an example of a bad row
_LONGEST_SCOPE = 1_000  # characters of a user id, as `Rewriter.rewrite` reads it
OF_ONE_USER = "(a text of one user)"
"""Stands in place of an example: reports show nothing that is private."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Texts that the assistant understands, as parallel columns; each text once for a locale and scope.

    Attributes:
        texts: as written: what is sent.
        queries: normalised: what is looked up and compared.
        locales: BCP 47 of each.
        hypotheses: what the assistant makes of each.
        weights: (n,) float64, prior popularity.
        scopes: empty, or the user id that a text belongs to.
    """

    texts: list[str]
    queries: list[str]
    locales: list[str]
    hypotheses: list[str]
    weights: Floats
    scopes: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def keep(self, rows: Sequence[int]) -> "Catalog":
        """Return some of the rows."""
        columns = (self.texts, self.queries, self.locales, self.hypotheses)
        texts, queries, locales, hypotheses = ([column[i] for i in rows] for column in columns)
        scopes = [self.scopes[i] for i in rows]
        return Catalog(texts, queries, locales, hypotheses, self.weights[np.array(rows, dtype=np.int64)], scopes)

    def shared(self) -> "Catalog":
        """Return the rows for everybody."""
        return self.keep([i for i, scope in enumerate(self.scopes) if not scope])

    def interpretations(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """Return one number for all texts of the same hypothesis in a locale, (n,) int64."""
        numbers: dict[tuple[str, str], int] = {}
        keys = zip(self.locales, self.hypotheses, strict=True)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


@dataclass(slots=True)
class CatalogReport:
    """What became of the rows.

    Attributes:
        rows: all that were read.
        kept: rows of the catalog.
        merged: rows that say what another row says, whose weight was added to it.
        rejected: reason -> how many rows.
        examples: reason -> the first such row, cut; no text of a single user.
        unread: names of columns that mean nothing in a catalog.
        own: of the rows that were kept, those of single users.
        owners: how many users these belong to.
        unknown: how many of these users the log does not know; 0 without a log.
    """

    rows: int = 0
    kept: int = 0
    merged: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    own: int = 0
    owners: int = 0
    unknown: int = 0

    def reject(self, reason: str, example: object) -> None:
        """Count a bad row."""
        self.rejected[reason] += 1
        self.examples.setdefault(reason, str(example)[:_SHOWN])

    def __str__(self) -> str:
        """One line for people."""
        bad = "; ".join(
            f"{n} set aside, {reason}, such as {self.examples[reason]!r}" for reason, n in self.rejected.most_common()
        )
        counted = (self.rows, "row"), (self.kept, "text"), (self.owners, "user")
        rows, texts, owners = (f"{n:,} {what}{'s' * (n != 1)}" for n, what in counted)
        own = f", {self.own:,} of them private to {owners}" if self.own else ""
        unknown = f" ({self.unknown:,} of whom the log does not know)" if self.unknown else ""
        unread = f"; columns that are not read: {', '.join(sorted(self.unread)[:_LISTED])}" if self.unread else ""
        return f"catalog: {rows}, {texts}{own}{unknown}" + (f"; {bad}" if bad else "") + unread


class _BadRowError(ValueError):
    """The reason why a row is set aside."""


def read_catalog(
    sources: Sources,
    *,
    locale: str = "en",
    max_chars: int = 500,
) -> tuple[Catalog, CatalogReport]:
    """Read a catalog.

    Args:
        sources: one or several files (Parquet, JSON lines, CSV, plain text with one text a line, or training files of other
            assistants, see `rewriter.offline.catalog_formats`; text also .gz), a folder of such training files, a sequence of
            rows, or a callable that yields rows, such as a sampler of templates. A string is a file; rows that are only texts
            are given as ``{"text": ...}``.
        locale: of rows that name none.
        max_chars: a longer text is set aside.

    Returns:
        The catalog, and what became of the rows. A text with two hypotheses keeps the one of more weight; if they weigh alike,
        nobody knows what it would do, and both are set aside.

    Raises:
        LogError: a file is missing, damaged, or of another kind, has no column ``text``, or all of them are empty.

    Example:
        >>> rows = [{"text": "Lights on", "intent": "on", "slots": {"area": "hall"}}, {"text": "?"}, {"text": "lights on!"}]
        >>> catalog, report = read_catalog(rows)
        >>> catalog.texts, catalog.hypotheses, dict(report.rejected)
        (['Lights on'], ['on|area=hall'], {'no text': 1})
    """
    report, found = CatalogReport(), dict[tuple[str, str, str], dict[str, tuple[str, float]]]()
    for row in _rows(sources):
        report.rows += 1
        if isinstance(row, Mapping):
            report.unread.update(str(name) for name in row if name not in COLUMNS)
        if isinstance(row, catalog_formats.BadRow):
            report.reject(row.reason, row.example)
            continue
        try:
            text, key, meaning, weight = _read(row, locale, max_chars)
        except _BadRowError as refused:
            private = not isinstance(row, Mapping | str) or (isinstance(row, Mapping) and (row.get("scope") or _mistaken(row)))
            report.reject(str(refused), OF_ONE_USER if private else row)
            continue
        meanings = found.setdefault(key, {})
        first, before = meanings.get(meaning, (text, 0.0))
        report.merged += meaning in meanings
        meanings[meaning] = first, before + weight
    if not report.rows:
        raise LogError("the catalog is empty; write one text a line that the assistant understands, such as turn on the lamp")
    return _settled(found, report), report


def _settled(found: Mapping[tuple[str, str, str], dict[str, tuple[str, float]]], report: CatalogReport) -> Catalog:
    """Keep one hypothesis for each text: what is told beats a text by itself, then the greater weight counts.

    A text of one user that everybody may be sent is no row of its own.
    """
    kept: list[tuple[str, ...]] = []
    weights: list[float] = []
    everybodys: set[tuple[str, str]] = set()
    for (query, locale, scope), meanings in sorted(found.items(), key=lambda item: (item[0][1], item[0][0], item[0][2])):
        given = {meaning: held for meaning, held in meanings.items() if meaning != query} or meanings
        ranked = sorted(given.items(), key=lambda item: -item[1][1])
        report.merged += query in meanings and query not in given
        if scope and (query, locale) in everybodys:
            report.merged += 1
            continue
        if len(ranked) > 1 and ranked[0][1][1] == ranked[1][1][1]:
            for meaning, (text, _) in ranked:
                report.reject("two interpretations", OF_ONE_USER if scope else f"{text}: {meaning}")
            continue
        for meaning, (text, _) in ranked[1:]:
            report.reject("two interpretations", OF_ONE_USER if scope else f"{text}: {meaning}")
        meaning, (text, weight) = ranked[0]
        if not scope:
            everybodys.add((query, locale))
        kept.append((text, query, locale, meaning, scope))
        weights.append(weight)
    report.kept = len(kept)
    texts, queries, locales, hypotheses, scopes = ([row[i] for row in kept] for i in range(5))
    return Catalog(texts, queries, locales, hypotheses, np.array(weights, dtype=np.float64), scopes)


def _read(row: object, locale: str, max_chars: int) -> tuple[str, tuple[str, str, str], str, float]:
    """Return the text as written, the key of its row, what it means and what it weighs."""
    if isinstance(row, str):
        row = {"text": row}
    if not isinstance(row, Mapping):
        raise _BadRowError("not a row")
    for name, column in _mistaken(row).items():
        raise _BadRowError(f"column {name!r} is not read; did you mean {column}?")
    text = row.get("text")
    tag = _text(row.get("locale")) or locale
    query = normalise(text, tag) if isinstance(text, str) else ""
    if not isinstance(text, str) or not query:
        raise _BadRowError("no text")
    if len(text) > max_chars:
        raise _BadRowError("too long")
    if not _LOCALE.fullmatch(tag):
        raise _BadRowError("not a locale (BCP 47, such as en or de-AT)")
    meaning = _text(row.get("hypothesis")) or _meaning(row) or query
    return " ".join(text.split()), (query, tag.replace("_", "-"), _scope(row.get("scope"))), meaning, _weight(row.get("weight"))


def _mistaken(row: Mapping[str, Any]) -> dict[str, str]:
    """Return names that are nearly those of columns, or that of the log's column of users, each with the column that is meant.

    Such a row is set aside: a text of one user must not become everybody's because a name was misspelled.
    """
    names = {str(name): str(name).strip().casefold() for name in row if name not in COLUMNS}
    near = {name: ["scope"] if of == _USER else get_close_matches(of, COLUMNS, 1, _ALIKE) for name, of in names.items()}
    return {name: of[0] for name, of in near.items() if of and of[0] not in row}


def _meaning(row: Mapping[str, Any]) -> str:
    """Return the hypothesis that intent and slots make; empty if there is no intent."""
    intent, slots = _text(row.get("intent")), row.get("slots")
    if isinstance(slots, str) and slots.strip():
        try:
            slots = json.loads(slots)
        except json.JSONDecodeError as error:
            raise _BadRowError("slots are not JSON") from error
    if slots in (None, ""):
        slots = {}
    if not isinstance(slots, Mapping) or not all(isinstance(value, Scalar | None) for value in slots.values()):
        raise _BadRowError("slots are not an object of names and values")
    return hypothesis(intent, {str(name): value for name, value in slots.items()}) if intent else ""


def _weight(value: object) -> float:
    if value is None or value == "":
        return 1.0
    try:
        weight = float(str(value))
    except ValueError as error:
        raise _BadRowError("weight is no number") from error
    if not 0 < weight < float("inf"):
        raise _BadRowError("weight is not above 0")
    if weight > _MOST_WEIGHT:
        raise _BadRowError(f"weight is above {_MOST_WEIGHT:,.0f}")
    return weight


def _scope(value: object) -> str:
    """Return the user id that a row belongs to, as the log would give it; empty for everybody."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN is no value
        return ""
    is_number = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    if is_number and not isinstance(value, bool):
        value = str(int(value))  # type: ignore[call-overload]  # a whole number, also of a column with gaps
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_SCOPE:
        raise _BadRowError("scope is no user id, such as ann or 7")
    return value


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - NaN is no value


def _rows(sources: object) -> Iterator[Any]:
    """Yield the rows of whatever was given."""
    if callable(sources):
        yield from sources()
    elif isinstance(sources, str | Path):
        yield from _file(Path(sources))
    elif isinstance(sources, Iterable):
        for source in sources:
            if isinstance(source, str | Path):
                yield from _file(Path(source))
            else:
                yield source
    else:
        raise LogError(f"a catalog is files, rows or a callable that yields rows, not {type(sources).__name__}")


def _file(path: Path) -> Iterator[Any]:
    if path.is_dir():
        yield from _of_assistant(path, catalog_formats.folder)
        return
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if not path.is_file():
        raise LogError(f"no catalog at {path}; name a file that ends in {', '.join(ENDINGS)}")
    if ending not in ENDINGS:
        raise LogError(f"cannot tell how to read the catalog {path}: its name must end in {', '.join(ENDINGS)}")
    if ending in catalog_formats.READERS and path.suffix.lower() == ending:
        yield from _of_assistant(path, catalog_formats.READERS[ending])
    elif ending == ".json" and catalog_formats.is_alexa(path):
        yield from _of_assistant(path, catalog_formats.alexa)
    elif ending == ".txt":
        yield from _lines(path)
    elif ending in (".jsonl", ".ndjson", ".json"):
        yield from map(_json, _lines(path))
    else:
        yield from _table(path, "parquet" if ending in (".parquet", ".pq") else "csv")


def _of_assistant(path: Path, reader: Callable[[Path], catalog_formats.Found | None]) -> catalog_formats.Found:
    """Yield the rows of another assistant's training file."""
    try:
        found = reader(path)
        if found is None:
            raise LogError(f"the folder {path} holds no intents/*_usersays_*.json (Dialogflow) and no .intent file (OVOS)")
        yield from found
    except OSError as error:
        raise LogError(f"cannot read the catalog {path}: {error}; write it again") from error


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace") as file:
            yield from (line for line in map(str.strip, file) if line)
    except (OSError, EOFError) as error:
        raise LogError(f"cannot read the catalog {path}: {error}; write it again") from error


def _json(line: str) -> Any:  # noqa: ANN401 - a line may hold anything, and is set aside if it is no row
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return line.encode()  # neither a text nor an object: set aside as no row


def _table(path: Path, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a Parquet or CSV file, the known columns only."""
    name = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    reading = "read_parquet(?)" if kind == "parquet" else "read_csv(?, all_varchar = true, header = true, ignore_errors = true)"
    try:
        with duckdb.connect() as con:
            columns = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {reading}", [name]).fetchall()]
            known = [column for column in columns if column in COLUMNS]
            if "text" not in known:
                raise LogError(f"the catalog {path} has no column text; it has {', '.join(columns)}")
            for name, meant in _mistaken(dict.fromkeys(columns)).items():
                raise LogError(f"the catalog {path} has a column {name!r}, which is not read; did you mean {meant}? Rename it")
            unread = dict.fromkeys(column for column in columns if column not in COLUMNS)
            con.execute(f"SELECT {', '.join(known)} FROM {reading}", [name])
            while batch := con.fetchmany(_BATCH):
                yield from (dict(zip(known, row, strict=True)) | unread for row in batch)
    except duckdb.Error as error:
        raise LogError(f"cannot read the catalog {path}: {first_line(error)}; write it again") from error
