"""How people say what they prefer, that an answer was wrong, yes and no: `phrases.json`, by language."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from rewriter.locales import language_of
from rewriter.text import normalise

_FALLBACK = "en"
_PATTERNS = ("prefer", "teach")
_FIELD = re.compile(r"\{(\w+)\}")


def phrases(locale: str) -> Mapping[str, Any]:
    """Return how people say things in the language of a locale; English where the language has no phrases.

    Example:
        >>> phrases("de-AT")["and"], phrases("tlh")["and"]
        (' und ', ' and ')
    """
    every = _phrases()
    return every.get(language_of(locale), every[_FALLBACK])


def languages() -> frozenset[str]:
    """Return the languages that have phrases."""
    return frozenset(_phrases())


def complaints() -> Iterator[str]:
    """Yield the sentences, normalised, by which people say that an answer was wrong, in all languages that have phrases."""
    yield from (said for words in _phrases().values() for said in words["complain"])


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern with fields as a regular expression over normalised texts, a named group for each field.

    Example:
        >>> compiled("{said} heißt {meant}").fullmatch("kinozeit heisst licht an").groupdict()
        {'said': 'kinozeit', 'meant': 'licht an'}
    """
    parts = _FIELD.split(pattern)
    return re.compile("".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(_folded(part)) for i, part in enumerate(parts)))


def _folded(text: str) -> str:
    """Normalise a text and keep the blanks around it."""
    return " " * text.startswith(" ") + normalise(text) + " " * (text.endswith(" ") and text != " ")


@lru_cache(maxsize=1)
def _phrases() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files("rewriter.model").joinpath("phrases.json").read_text(encoding="utf-8")
    every = {language: words for language, words in json.loads(text).items() if language != "about"}
    return {language: {name: _read(name, said) for name, said in words.items()} for language, words in every.items()}


def _read(name: str, said: Any) -> Any:  # noqa: ANN401 - a text, or a list of texts
    """Return what is said by people in the normal form; patterns and what the assistant says stay as they are."""
    return [normalise(one) for one in said] if isinstance(said, list) and name not in _PATTERNS else said
