"""Transcripts as text become records: each line with a time and a speaker is one, with what follows it until the next."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rewriter.errors import LogError
from rewriter.offline.logs.files import Source, open_text

NAMES: Final = ("time", "speaker", "text", "conversation", "title")
"""The names of a record: `conversation` numbers the parts that blank lines or titles divide, `title` is the line above them."""

_MONTH: Final = r"[^\W\d_]{3,9}\.?"
_TIME: Final = (
    rf"\d[\d/.\-]*(?:[ -]{_MONTH},?[ -]\d{{2,4}})?(?:,? ?[T ]?\d[\d:.,]*(?: ?[AaPp]\.?[Mm]\.?)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
)
_LINE: Final = re.compile(rf"\s*[\[(<]?({_TIME})[\])>]?[\s,;|–-]*\[?([^:\[\]|]{{1,60}}?)[\])>]?\s*[:|]\s?(.*)", re.DOTALL)
"""A time, in brackets or not; a speaker; a colon; a text."""
_RULE: Final = re.compile(r"\W*")


def write_records(source: Source, target: Path) -> None:
    """Write the records of a transcript as JSON lines with the keys `NAMES`.

    Raises:
        LogError: no line begins with a time and a speaker.
    """
    with target.open("w", encoding="utf-8") as file:
        n = sum(file.write(json.dumps(dict(zip(NAMES, record, strict=True))) + "\n") > 0 for record in _records(source))
    if not n:
        raise LogError(
            f"{source.shown} is no transcript: its lines have the form 2026-01-05 08:00:01 user: turn on the lamp, with a time"
        )


def _records(source: Source) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the records. A line that is none belongs to the text above it, or is a title if it stands above all texts."""
    part, title, held, is_open = 0, "", None, False
    for line in _lines(source):
        found = _LINE.fullmatch(line)
        if found:
            if held:
                yield held
            part += not is_open
            is_open = True
            held = (found[1], found[2].strip(), found[3].strip(), f"{source.checksum[:8]}-{part}", title)
        elif _RULE.fullmatch(line):
            is_open, title = False, ""
        elif is_open and held:
            held = (*held[:2], f"{held[2]} {line.strip()}".strip(), *held[3:])
        else:
            title = f"{title} {line.strip()}".strip()
    if held:
        yield held


def _lines(source: Source) -> Iterator[str]:
    with open_text(source.path) as file:
        for raw in file:
            yield raw.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")
