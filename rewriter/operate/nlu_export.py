"""Repaired turns as training data for an NLU: JSON lines, or the YAML that Rasa reads."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rewriter.errors import LogError

_REPAIRED = """
SELECT locale, utterance, intent, slots, COUNT(*) AS turns, COUNT(DISTINCT user_no) AS users
FROM labels WHERE intent IS NOT NULL
GROUP BY locale, utterance, intent, slots
HAVING COUNT(DISTINCT user_no) >= ?
ORDER BY locale, intent, slots, turns DESC, utterance
"""
_ENDINGS = (".jsonl", ".yml", ".yaml")
_SPECIAL = re.compile(r"[\[\](){}]")


@dataclass(frozen=True, slots=True)
class Example:
    """A text that the NLU got wrong, and what it meant.

    Attributes:
        locale: BCP 47.
        text: as heard, normalised.
        intent: that was meant.
        slots: name -> value.
        turns: how often that was seen.
        users: distinct users.
    """

    locale: str
    text: str
    intent: str
    slots: Mapping[str, str]
    turns: int
    users: int


def examples(con: duckdb.DuckDBPyConnection, min_users: int) -> list[Example]:
    """Return what at least `min_users` users meant by the same text.

    Args:
        con: has a table ``labels`` with the columns of `tables.LABELS` and user_no.
        min_users: training data is shared, so it holds nothing that fewer people said.
    """
    rows = con.execute(_REPAIRED, [min_users]).fetchall()
    return [Example(locale, text, intent, json.loads(slots), n, users) for locale, text, intent, slots, n, users in rows]


def write(found: Iterable[Example], path: Path) -> None:
    """Write examples as ``.jsonl``, or as ``.yml`` for Rasa.

    Raises:
        LogError: the name of the file has another ending.
    """
    check(path)
    path.write_text((json_lines if path.suffix == ".jsonl" else rasa_yaml)(found), encoding="utf-8")


def check(path: Path) -> None:
    """Refuse a file of which nobody could say what goes into it.

    Raises:
        LogError: the name of the file has another ending.
    """
    if path.suffix not in _ENDINGS:
        raise LogError(f"cannot write {path}: training data ends in {', '.join(_ENDINGS)}")


def json_lines(found: Iterable[Example]) -> str:
    """Return one JSON object a line.

    Example:
        >>> print(json_lines([Example("en", "lamp of", "Off", {"name": "lamp"}, 4, 3)]), end="")
        {"text": "lamp of", "intent": "Off", "slots": {"name": "lamp"}, "locale": "en", "turns": 4, "users": 3}
    """
    rows = ({"text": e.text, "intent": e.intent, "slots": dict(e.slots), "locale": e.locale, "turns": e.turns, "users": e.users}
            for e in found)  # fmt: skip
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rasa_yaml(found: Iterable[Example]) -> str:
    """Return Rasa's NLU training data, slots marked where their value stands in the text.

    Example:
        >>> print(rasa_yaml([Example("en", "lamp of", "Off", {"name": "lamp"}, 4, 3)]), end="")
        version: "3.1"
        nlu:
        - intent: "Off"
          examples: |
            - [lamp](name) of
    """
    lines = ['version: "3.1"', "nlu:"]
    last = None
    for example in sorted(found, key=lambda e: e.intent):
        if example.intent != last:
            last = example.intent
            lines += [f"- intent: {json.dumps(example.intent, ensure_ascii=False)}", "  examples: |"]
        lines.append(f"    - {_marked(example)}")
    return "\n".join(lines) + "\n"


def _marked(example: Example) -> str:
    """Mark slots in a text, from the longest value on; what already stands in a mark is left alone."""
    text = _SPECIAL.sub("", example.text)
    marks: dict[str, str] = {}
    for name, value in sorted(example.slots.items(), key=lambda slot: -len(slot[1])):
        key = chr(0xE000 + len(marks))  # of the private use area: no text has it
        text, found = re.subn(rf"(?<!\w){re.escape(value)}(?!\w)", key, text, count=1) if value else (text, 0)
        if found:
            marks[key] = f"[{value}]({_SPECIAL.sub('', name)})"
    return "".join(marks.get(c, c) for c in text)
