"""How people say what they prefer, that an answer was wrong, yes and no: `phrases.json`, by language."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

_FALLBACK = "en"


def phrases(locale: str) -> Mapping[str, Any]:
    """Return how people say things in the language of a locale; English where the language has no phrases.

    Example:
        >>> phrases("de-AT")["and"], phrases("tlh")["and"]
        (' und ', ' and ')
    """
    every = _phrases()
    return every.get(locale.replace("_", "-").split("-", maxsplit=1)[0].lower(), every[_FALLBACK])


def complaints() -> Iterator[str]:
    """Yield the sentences, normalised, by which people say that an answer was wrong, in all languages that have phrases."""
    yield from (said for words in _phrases().values() for said in words["complain"])


@lru_cache(maxsize=1)
def _phrases() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files("rewriter.model").joinpath("phrases.json").read_text(encoding="utf-8")
    return {language: words for language, words in json.loads(text).items() if language != "about"}
