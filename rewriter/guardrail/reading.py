"""Text -> all that it says in each slot of the word list."""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rewriter.guardrail.lexicon import NUMBER, Lexicon, Meaning, Phrase
from rewriter.guardrail.numbers import Said, longest, numbers_in

_FULL_HOUR = re.compile(r"(?<=\d):00(?![\d:])")
_HAS_DIGIT = re.compile(r"\d")
_TOKEN = re.compile(r"(?<!\S)(?:1/[24]|3/4)(?!\S)|(?<!\d)-?\d+(?:[.,]\d+)*|[^\d\s:/-]+")


class _Found(NamedTuple):
    """A phrase in a text: what it means, where it ends, and the places that say nothing besides."""

    meanings: tuple[Meaning, ...]
    end: int
    faint: bool
    silent: Iterable[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says.

    Attributes:
        words: its words, digits apart from letters ("7:30pm" is 7, 30, pm).
        said: slot -> what is said in it, in order.
        covered: places of the words that say something.
    """

    words: tuple[str, ...]
    said: dict[str, list[Said]]
    covered: frozenset[int]

    def values(self, slot: str) -> list[str]:
        """Return what is said in a slot, in order."""
        return [said.value for said in self.said.get(slot, ())]

    def sides(self, slot: str) -> list[str]:
        """Return what is said in a slot, in order, the same thing said again left out."""
        return [value for value, _ in groupby(self.values(slot))]

    def text(self, slot: str) -> str:
        """Return the words in which a slot is said."""
        places = sorted({place for said in self.said.get(slot, ()) for place in range(said.start, said.end)})
        return " ".join(self.words[place] for place in places)


@lru_cache(maxsize=1 << 13)
def read(text: str, lexicon: Lexicon) -> Reading:
    """Read a text with the word list of its language, or return how it was read lately. Every text can be read.

    Args:
        text: a normalised utterance.
        lexicon: the word list.

    Example:
        >>> from rewriter.guardrail.wordlist import for_locale
        >>> read("turn off the lamp on the porch", for_locale("en")).values("run")
        ['off']
    """
    words = _words(text, lexicon)
    said: dict[str, list[Said]] = {}
    silent: set[int] = set()
    i = 0
    while i < len(words):
        found = None if i in silent else _found_at(words, i, lexicon)
        if found is None:
            i += 1
            continue
        silent.update(found.silent)
        for slot, value in found.meanings:
            said.setdefault(slot, []).append(Said(value, i, found.end, found.faint))
        i = found.end
    for slot, every in said.items():
        said[slot] = [one for one in every if not one.faint] or every
    if numbers := numbers_in(words, lexicon, silent):
        said[NUMBER] = numbers
    covered = frozenset(place for every in said.values() for one in every for place in range(one.start, one.end))
    return Reading(words, said, covered)


def _words(text: str, lexicon: Lexicon) -> Phrase:
    words = _TOKEN.findall(_FULL_HOUR.sub("", text)) if _HAS_DIGIT.search(text) else text.split()
    if "'" in text and lexicon.elisions:
        words = [part for word in words for part in _parted(word, lexicon.elisions)]
    return tuple(words)


def _parted(word: str, elisions: Set[str]) -> Phrase:
    """Part a word from one that leans on it: "n'allume" is "n" and "allume"."""
    head, apostrophe, tail = word.partition("'")
    return (head, tail) if apostrophe and tail and head in elisions else (word,)


def _found_at(words: Phrase, i: int, lexicon: Lexicon) -> _Found | None:
    """Return the longest phrase at place `i`; a verb with its particle goes before the verb alone."""
    meanings, end = longest(lexicon.phrases, words, i)
    if end <= i + 1 and words[i] in lexicon.parted and (verb := _verb_at(words, i, lexicon)):
        return verb
    if meanings is None:
        return None
    if not meanings:
        return _Found((), end, False, range(i, end))
    faint = " ".join(words[i:end]) in lexicon.weak or _is_preposition(words, i, end, lexicon)
    return _Found(meanings, end, faint, ())


def _verb_at(words: Phrase, i: int, lexicon: Lexicon) -> _Found | None:
    """Return the verb at place `i` whose particle stands at the end of the clause."""
    clause_end = next((k for k in range(i + 1, len(words)) if words[k] in lexicon.openers), len(words))
    for particle, meanings in lexicon.parted[words[i]]:
        for k in range(i + 1, clause_end):
            if words[k] == particle and (k + 1 == clause_end or words[k + 1] in lexicon.closers):
                return _Found(meanings, i + 1, False, (k,))
    return None


def _is_preposition(words: Phrase, i: int, end: int, lexicon: Lexicon) -> bool:
    """Whether a particle stands between two words of one clause, as prepositions do."""
    if end > i + 1 or words[i] not in lexicon.particles or i == 0 or end == len(words):
        return False
    return words[i - 1] not in lexicon.openers and words[i + 1] not in lexicon.closers
