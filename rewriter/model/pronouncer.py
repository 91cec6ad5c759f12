"""`Pronouncer`: how a text sounds, one character a phone. `pronouncer_of` gives the one of a locale.

A language may have a table of letters in context, as ``benchmarks/fit_pronouncer.py`` makes it. In every other language the
phones are the letters in Latin script, with doubled letters once. This is coarse, but works for every script.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from rewriter.locales import language_of
from rewriter.similarity import letters_once

TABLES = Path(__file__).parent / "prior"
"""Holds one file ``<language>.phones.tsv`` for each language that has a table."""
_WIDTH = 4  # most letters of a context on either side
_EDGE = "#"  # marks the end of a word in a context
_REMEMBERED = 1 << 15  # words whose phones are kept in memory

_GROUPS = (
    "aɑæʌɔoeɛɝɪiıʊuyWIY",  # vowels
    "pbfv", "tdθð", "kgqxc", "szßʃʒCJ", "mnŋ", "lr", "wj", "h",
)  # fmt: skip
"""Groups of phones that are often mistaken for each other: the vowels, and consonants by place and manner of articulation."""
BROAD = str.maketrans({phone: group[0] for group in _GROUPS for phone in group})
"""Phone -> the first of its group, for ``str.translate``; a letter of another script is a group by itself."""


class Pronouncer(Protocol):
    """Turns texts into phones. Implement it to plug in a dictionary or a package for a language."""

    def phones(self, text: str) -> str:
        """Return the phones of a normalised text, one character each, nothing between the words."""


class LetterPronouncer:
    """Takes the letters in Latin script as phones, with doubled letters once.

    Example:
        >>> LetterPronouncer().phones("schließe die türen")
        'schliesedieturen'
    """

    def phones(self, text: str) -> str:
        """Return the letters of a normalised text."""
        return "".join(map(letters_once, text.split()))


class TablePronouncer:
    """Looks up each letter of a word in the widest context that the table holds.

    The table is an IGTree (Daelemans and van den Bosch 1997, "Language-independent data-oriented grapheme-to-phoneme conversion",
    in Progress in Speech Synthesis): it contains a wider context only if its phones differ from those of the narrower one.

    Args:
        table: context -> phones, see `contexts`. The phone of a letter that is not in the table is the letter.

    Example:
        >>> TablePronouncer({"|c|": "k", "|c|e": "s", "|e|": "", "|i|": "I", "|n|": "n"}).phones("nice")
        'nIs'
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table
        self._known: dict[str, str] = {}

    @classmethod
    def open(cls, path: Path) -> "TablePronouncer":
        """Read a file of lines ``context<TAB>phones``."""
        lines = path.read_text(encoding="utf-8").splitlines()
        return cls(dict(line.split("\t") for line in lines))

    def phones(self, text: str) -> str:
        """Return the phones of a normalised text."""
        return "".join(self._known.get(word) or self._word(word) for word in text.split())

    def _word(self, word: str) -> str:
        found = "".join(self._letter(word, i) for i in range(len(word))) or word
        if len(self._known) < _REMEMBERED:
            self._known[word] = found
        return found

    def _letter(self, word: str, i: int) -> str:
        return next((self._table[key] for key in reversed(contexts(word, i)) if key in self._table), word[i])


def contexts(word: str, i: int) -> list[str]:
    """Return the contexts of the letter at `i`, narrowest first: one more letter on the right, then one more on the left.

    Example:
        >>> contexts("nice", 2)[:4]
        ['|c|', '|c|e', 'i|c|e', 'i|c|e#']
    """
    left, right = (_EDGE + word[:i])[-_WIDTH:], (word[i + 1 :] + _EDGE)[:_WIDTH]
    keys = [f"|{word[i]}|"]
    for n in range(1, _WIDTH + 1):
        keys += [f"{left[-m:] if m else ''}|{word[i]}|{right[:n]}" for m in (n - 1, n)]
    return list(dict.fromkeys(keys))


@cache
def pronouncer_of(locale: str) -> Pronouncer:
    """Return the pronouncer of a locale (BCP 47); the same object every time.

    Example:
        >>> pronouncer_of("en-GB").phones("write") == pronouncer_of("en").phones("right")
        True
    """
    path = TABLES / f"{language_of(locale)}.phones.tsv"
    return TablePronouncer.open(path) if path.exists() else LetterPronouncer()
