"""Utterances that only ask the assistant to stop: they say something about the turn before them, and are no restatement."""

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from rewriter.database import connect, save
from rewriter.text import normalise

_WORDS = resources.files("rewriter.offline") / "words" / "stop.json"


def stop_words(locale: str) -> list[str]:
    """Return the normalised stop words of a locale's language; none where we know none.

    Example:
        >>> "hör auf" in stop_words("de-AT")
        True
    """
    language = locale.split("-", maxsplit=1)[0]
    words: dict[str, list[str]] = json.loads(_WORDS.read_text(encoding="utf-8"))
    return sorted({normalise(word) for word in words.get(language, ())})


def write_stops(locales: Iterable[str], path: Path) -> Path:
    """Write the stop words of each locale as Parquet with columns locale and text."""
    with connect() as con:
        con.execute("CREATE TEMP TABLE stops (locale VARCHAR, text VARCHAR)")
        for locale in locales:
            con.execute("INSERT INTO stops SELECT ?, UNNEST(CAST(? AS VARCHAR[]))", [locale, stop_words(locale)])
        save(con, "SELECT * FROM stops", path)
    return path
