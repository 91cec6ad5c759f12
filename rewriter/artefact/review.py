"""`review.csv`: what people decided about rewrites. It lies beside ``CURRENT`` and holds for every version."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from rewriter.artefact.disk import explained, replace
from rewriter.errors import ArtefactError
from rewriter.text import normalise

FILE = "review.csv"
"""Its name in the artefact folder."""

Choice = Literal["approve", "block", "edit"]

HEAD: Final = """\
# What people decided about rewrites; counts from the next request on. Every line: choice, locale, source, target, note.
#   approve  this rewrite was looked at, and is fine: `rewriter review` does not list it again
#   block    this rewrite never; without a target: this source is never rewritten; without a source: this target is never sent
#   edit     this source is sent as this target, whatever was learned
# An empty locale stands for all. Lines are sorted; this head is written anew by `rewriter review`.
"""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One decision.

    Attributes:
        locale: BCP 47, spelled as in the log; empty for all.
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
        if self.choice not in get_args(Choice):
            raise ValueError(f"no such choice: {self.choice!r}; it is one of {', '.join(get_args(Choice))}")
        texts = bool(self.source) + bool(self.target)
        if texts < (1 if self.choice == "block" else 2):
            raise ValueError(f"{self.choice} needs {'a source or a target' if self.choice == 'block' else 'source and target'}")

    @property
    def pair(self) -> tuple[str, str, str]:
        """Which rewrite this is about; there is one line for each."""
        return self.locale, self.source, self.target


def read(path: Path) -> list[Line]:
    """Read a file of decisions; none where there is no file.

    Raises:
        ArtefactError: it cannot be read, or a line is wrong; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"cannot read {path}: {error}") from error
    return [
        _line(path, number, raw) for number, raw in enumerate(text.splitlines(), 1) if raw.strip() and not raw.startswith("#")
    ]


def write(path: Path, lines: Iterable[Line]) -> None:
    """Write decisions in order, one line each, in one step on the disk.

    Raises:
        ArtefactError: the disk refuses.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for line in sorted(lines):
        rows.writerow((line.choice, *line.pair, line.note))
    with explained(path):
        replace(path, (HEAD + text.getvalue()).encode())


def _line(path: Path, number: int, raw: str) -> Line:
    try:
        cells = next(csv.reader([raw], strict=True))
        if not 4 <= len(cells) <= 5:
            raise ValueError(f"{len(cells)} cells, not choice, locale, source, target, note")
        choice, locale, source, target, *note = (cell.strip() for cell in cells)
        return Line(locale, normalise(source), normalise(target), choice, *note)  # type: ignore[arg-type]
    except (ValueError, csv.Error) as error:
        raise ArtefactError(f"{path}, line {number}: {error}") from error
