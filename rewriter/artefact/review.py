"""`review.csv`: what people decided about rewrites. It lies beside ``CURRENT`` and holds for every version.

People edit it by hand and in spreadsheet programs, so reading takes what these write: a byte order mark, semicolons, tabs or
bars, UTF-16, a line of column names, ``sep=;``, quoted comments, empty cells at the end, capital letters. A line that cannot be
read is kept and ignored.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from rewriter.artefact.disk import explained, replace
from rewriter.errors import ArtefactError
from rewriter.text import normalise

FILE = "review.csv"
"""Its name in the artefact folder."""

Choice = Literal["approve", "block", "edit"]

HEAD: Final = """\
# Decisions about rewrites. They take effect with the next request. Each line: choice, locale, source, target, note.
#   approve  this rewrite is right: `rewriter review` does not list it again
#   block    this rewrite is never made; no target: the source is never rewritten; no source: the target is never sent
#   edit     this source is sent as this target, whatever was learned
# An empty locale stands for all locales. `rewriter review` sorts the lines and writes these comments anew.
"""

_CHOICES = get_args(Choice)
_COLUMNS = ["choice", "locale", "source", "target", "note"]
_DELIMITERS = ",;\t|"
_BEGINS = re.compile(rf'\s*"?(?:{"|".join(_CHOICES)})"?\s*([{_DELIMITERS}])', re.IGNORECASE)
_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""First line by which a spreadsheet program notes its delimiter."""
_NO_UTF8 = re.compile("[\ud800-\udfff]")
_RECORD_LINES = 20  # most lines of one decision: a quote that is never closed must not swallow the rest of the file
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Begins a cell that a spreadsheet program would run."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One decision.

    Attributes:
        locale: BCP 47; empty for all. Case makes no difference, and ``_`` is read as ``-``.
        source: normalised utterance; empty for all, in a block.
        target: normalised utterance; empty for all, in a block.
        choice: what was decided.
        note: why, for people.

    Raises:
        ValueError: there is no such choice, or a text is missing.
    """

    locale: str
    source: str
    target: str
    choice: Choice
    note: str = ""

    def __post_init__(self) -> None:
        if self.choice not in _CHOICES:
            raise ValueError(f"no such choice: {self.choice!r}; it is one of {', '.join(_CHOICES)}")
        texts = bool(self.source) + bool(self.target)
        if texts < (1 if self.choice == "block" else 2):
            raise ValueError(f"{self.choice} needs {'a source or a target' if self.choice == 'block' else 'source and target'}")

    @property
    def pair(self) -> tuple[str, str, str]:
        """Which rewrite this is about; there is one line for each."""
        return self.locale, self.source, self.target


class Wrong(NamedTuple):
    """A line that cannot be read: its number, from 1, the reason, and the line."""

    number: int
    reason: str
    text: str


class Reviewed(NamedTuple):
    """A file of decisions: those that can be read, and the lines that cannot."""

    lines: list[Line]
    wrong: list[Wrong]

    def warnings(self, path: Path) -> list[str]:
        """Return one line of text for each line of the file that cannot be read."""
        cure = "write choice,locale,source,target,note, such as block,en,turn on,,"
        return [f"{path}, line {each.number}: {each.reason}; {cure}" for each in self.wrong]


def read(path: Path) -> Reviewed:
    """Read a file of decisions; no file holds no decisions.

    Raises:
        ArtefactError: the disk refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "review.csv"
        >>> _ = path.write_text("Block;en;turn on;;\\nblok;en;a;b;\\n")
        >>> found = read(path)
        >>> found.lines[0].choice, found.lines[0].source, found.wrong[0].reason
        ('block', 'turn on', "no such choice: 'blok'; it is one of approve, block, edit")
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Reviewed([], [])
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error}") from error
    found = Reviewed([], [])
    for number, text, cells in _records(_decoded(raw)):
        if _says_nothing(text, cells):
            continue
        try:
            found.lines.append(_line(text, cells))
        except ValueError as error:
            found.wrong.append(Wrong(number, str(error), text))
    return found


def write(path: Path, lines: Iterable[Line], wrong: Iterable[Wrong] = ()) -> None:
    """Write decisions in order, one line each, in one step on the disk.

    Args:
        path: the file.
        lines: the decisions.
        wrong: lines that cannot be read, which are kept as they are.

    Raises:
        ArtefactError: the disk refuses.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for line in sorted(lines):
        rows.writerow((line.choice, *map(_one_line, line.pair), _harmless(_one_line(line.note))))
    kept = "".join(each.text + "\n" for each in wrong)
    with explained(path):
        replace(path, (HEAD + text.getvalue() + kept).encode("utf-8", "surrogateescape"))


def _decoded(raw: bytes) -> str:
    """Return the text of a file without its byte order mark. Bytes that are no UTF-8 become lone surrogates."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    return raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _says_nothing(text: str, cells: list[str] | None) -> bool:
    """Return whether a record is empty, a comment, or a header of a spreadsheet program."""
    if not text.strip(f'{_DELIMITERS} "') or text.lstrip('" ').startswith("#"):
        return True
    names = [cell.lower() for cell in cells or () if cell]
    return (len(names) >= 4 and names == _COLUMNS[: len(names)]) or _SEPARATOR.fullmatch(text.strip()) is not None


def _records(text: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """Yield the number of the first line, the text and the cells of each record; no cells if it is no CSV."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = 0
    while start < len(lines):
        record, cells, end = _record(lines, start)
        yield start + 1, record, cells
        start = end


def _record(lines: list[str], start: int) -> tuple[str, list[str] | None, int]:
    """Return the text and the cells of the record that begins at a line, and the line after it."""
    for end in range(start + 1, min(start + _RECORD_LINES, len(lines)) + 1):
        if end > start + 1 and _BEGINS.match(lines[end - 1]):  # a quote of a line before it was never closed
            break
        record = "\n".join(lines[start:end])
        if (cells := _cells(record)) is not None:
            return record, cells, end
    return lines[start], None, start + 1


def _cells(record: str) -> list[str] | None:
    """Return the cells of one record, by the delimiter after its choice, else by its commonest one; None if it is no CSV."""
    begins = _BEGINS.match(record)
    delimiter = begins[1] if begins else max(_DELIMITERS, key=record.count)
    if '"' not in record:
        return [cell.strip() for cell in record.split(delimiter)]
    try:
        rows = list(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else [] if not rows else None


def _line(text: str, cells: list[str] | None) -> Line:
    """Return the decision of a record.

    Raises:
        ValueError: it is none; says why.
    """
    if cells is None:
        raise ValueError("a quote is not closed, or stands inside a cell")
    if _NO_UTF8.search(text):
        raise ValueError("it is not UTF-8: save the file as CSV UTF-8")
    while len(cells) > 5 and not cells[-1]:
        cells = cells[:-1]
    if not 4 <= len(cells) <= 5:
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        raise ValueError(f"{count}, not {', '.join(_COLUMNS)}")
    choice, locale, source, target, *note = cells
    plain = [each[1:] if each.startswith("'") and each[1:].startswith(_FORMULA) else each for each in note]
    texts = (normalise(source, locale), normalise(target, locale))
    return Line(locale.replace("_", "-"), *texts, choice.lower(), *map(_one_line, plain))  # type: ignore[arg-type]


def _one_line(text: str) -> str:
    """Return a text without line breaks of any kind."""
    return " ".join(text.splitlines())


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet program runs as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
