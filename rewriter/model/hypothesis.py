r"""Hypotheses of the NLU as one line of text, ``Intent|slot=value|slot=value``, with the slots sorted by name."""

import re
from collections.abc import Mapping

from rewriter.text import normalise

Scalar = str | int | float | bool

_ESCAPED = re.compile(r"\\([\\|=])")
_PART = re.compile(r"(?:[^\\|]|\\.?)*", re.DOTALL)
_NAME = re.compile(r"((?:[^\\=]|\\.)*)=(.*)", re.DOTALL)


def hypothesis(intent: str, slots: Mapping[str, Scalar | None] | None = None) -> str:
    r"""Write an intent and its slots as one line. Equal hypotheses give equal lines.

    ``\``, ``|`` and ``=`` are escaped with a backslash. A slot without a value is left out, a whole float is written as an
    integer (``20.0`` as ``20``), and a bool as ``true`` or ``false``. Texts stay as they are.

    Args:
        intent: name of the intent.
        slots: name -> value.

    Example:
        >>> hypothesis("HassTurnOn", {"name": "lamp", "area": "kitchen"})
        'HassTurnOn|area=kitchen|name=lamp'
    """
    filled = {name: value for name, value in (slots or {}).items() if value is not None}
    parts = [f"{_escape(name)}={_escape(_text(filled[name]))}" for name in sorted(filled)]
    return "|".join([_escape(intent), *parts])


def intent_of(line: str) -> str:
    """Return the intent of a hypothesis: everything before the first ``|`` that is not escaped.

    Example:
        >>> intent_of("HassTurnOn|name=lamp")
        'HassTurnOn'
    """
    return _unescape(_parts(line)[0])


def quotes(line: str, text: str) -> bool:
    """Return whether the intent of a hypothesis is a text itself, alone or after a group.

    Some assistants have an intent for each text ("faq: where is my order"). Such an interpretation says that a text was
    understood, and nothing about what its words mean. A single word is no such text: "play" is a usual name of an intent.

    Args:
        line: the hypothesis.
        text: normalised.

    Example:
        >>> quotes("faq: where is my order", "where is my order"), quotes("HassTurnOn|name=desk lamp", "desk lamp")
        (True, False)
    """
    return " " in text and f" {normalise(intent_of(line))}".endswith(f" {text}")


def slots_of(line: str) -> dict[str, str]:
    """Return the slots of a hypothesis, name -> value as text, the inverse of `hypothesis`.

    Lines of other programs can be read too: ``slot:value``, and a value without a name, whose name is then its place.

    Example:
        >>> slots_of("play|artist:abba|waterloo")
        {'artist': 'abba', '2': 'waterloo'}
    """
    return dict(_slot(place, part) for place, part in enumerate(_parts(line)[1:], start=1))


def _slot(place: int, part: str) -> tuple[str, str]:
    if "\\" not in part:  # most have none, and need no pattern
        name, sign, value = part.partition("=")
        name, sign, value = (name, sign, value) if sign else part.partition(":")
        return (name, value) if sign else (str(place), part)
    if named := _NAME.fullmatch(part):
        return _unescape(named[1]), _unescape(named[2])
    name, colon, value = part.partition(":")
    return (_unescape(name), _unescape(value)) if colon else (str(place), _unescape(part))


def _parts(line: str) -> list[str]:
    """Split a line at each ``|`` that is not escaped."""
    if "\\" not in line:
        return line.split("|")
    parts: list[str] = []
    start = 0
    while True:
        part = _PART.match(line, start)
        if part is None or part.end() >= len(line):
            return [*parts, line[start:]]
        parts.append(part[0])
        start = part.end() + 1


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("=", "\\=")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
