"""`Reading`: the values that a text has in each slot of the word list, and the known names in it."""

import re
from collections.abc import Container, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rewriter.guardrail.lexicon import NUMBER, Lexicon, Meaning, Phrase
from rewriter.guardrail.numbers import Mention, longest, numbers_in

MAX_NAME_WORDS = 6
"""Names of more words are not looked for."""

_READINGS_CACHED = 1 << 13  # number of texts whose readings are cached
_FULL_HOUR = re.compile(r"(?<=\d):00(?![\d:])")
_HAS_DIGIT = re.compile(r"\d")
_TOKEN = re.compile(r"(?<!\S)(?:1/[24]|3/4)(?!\S)|(?<!\d)-?\d+(?:[.,]\d+)*|[^\d\s:/-]+")


class _Found(NamedTuple):
    """A phrase in a text: its meanings, one past its last word, whether it is weak, and places that mean nothing else."""

    meanings: tuple[Meaning, ...]
    end: int
    weak: bool
    silent: Iterable[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says.

    Attributes:
        words: its words, digits apart from letters ("7:30pm" is 7, 30, pm).
        mentions: slot -> what is said in it, in the order of the words.
        covered: places of the words that belong to a mention.
    """

    words: tuple[str, ...]
    mentions: dict[str, list[Mention]]
    covered: frozenset[int]

    def values(self, slot: str) -> list[str]:
        """Return the values that are said in a slot, in order."""
        return [mention.value for mention in self.mentions.get(slot, ())]

    def sides(self, slot: str) -> list[str]:
        """Return the values that are said in a slot, in order, without direct repetitions."""
        return [value for value, _ in groupby(self.values(slot))]

    def text(self, slot: str) -> str:
        """Return the words that say something in a slot."""
        places = sorted({place for mention in self.mentions.get(slot, ()) for place in range(mention.start, mention.end)})
        return " ".join(self.words[place] for place in places)


@lru_cache(maxsize=_READINGS_CACHED)
def read(text: str, lexicon: Lexicon) -> Reading:
    """Read a text with the word list of its language. Every text can be read; recent readings are cached.

    Args:
        text: a normalised utterance.
        lexicon: the word list.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> read("turn off the lamp on the porch", for_locale("en")).values("run")
        ['off']
    """
    words = _words(text, lexicon)
    mentions: dict[str, list[Mention]] = {}
    silent: set[int] = set()
    end = 0
    for i in [i for i, word in enumerate(words) if word in lexicon.starts]:
        found = None if i < end or i in silent else _found_at(words, i, lexicon)
        if found is None:
            continue
        end = found.end
        silent.update(found.silent)
        for slot, value in found.meanings:
            mentions.setdefault(slot, []).append(Mention(value, i, end, found.weak))
    for slot, every in mentions.items():
        mentions[slot] = [one for one in every if not one.weak] or every
    if numbers := numbers_in(words, lexicon, silent):
        mentions[NUMBER] = numbers
    covered = frozenset(place for every in mentions.values() for one in every for place in range(one.start, one.end))
    return Reading(words, mentions, covered)


def names_in(text: Reading, names: Set[str]) -> list[tuple[int, int]]:
    """Return where known names stand in a text, as (first word, one past the last); the longest name at each place.

    A name is skipped if each of its words already says something in a slot ("5", "off", "monday").

    Args:
        text: the reading of the text.
        names: normalised names.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> names_in(read("call mary ann on monday", for_locale("en")), {"mary", "mary ann", "monday"})
        [(1, 3)]
    """
    found: list[tuple[int, int]] = []
    i = 0
    while names and i < len(text.words):
        end = longest_at(text.words, i, names)
        if not text.covered.issuperset(range(i, end)):
            found.append((i, end))
        i = max(end, i + 1)
    return found


def longest_at(words: Sequence[str], i: int, names: Container[str]) -> int:
    """Return one past the last word of the longest name that begins at place `i`; `i` if no name begins there.

    Example:
        >>> longest_at("play the wall of sound".split(), 1, {"the wall", "the wall of sound"})
        5
    """
    end, name = i, ""
    for k, word in enumerate(words[i : i + MAX_NAME_WORDS], start=i + 1):
        name = f"{name} {word}" if name else word
        if name in names:
            end = k
    return end


def _words(text: str, lexicon: Lexicon) -> Phrase:
    words = _TOKEN.findall(_FULL_HOUR.sub("", text)) if _HAS_DIGIT.search(text) else text.split()
    if "'" in text and lexicon.elisions:
        words = [part for word in words for part in _parted(word, lexicon.elisions)]
    return tuple(lexicon.digraphs.get(word, word) for word in words) if lexicon.digraphs else tuple(words)


def _parted(word: str, elisions: Set[str]) -> Phrase:
    """Split a word from an elided one before it: "n'allume" is "n" and "allume"."""
    head, apostrophe, tail = word.partition("'")
    return (head, tail) if apostrophe and tail and head in elisions else (word,)


def _found_at(words: Phrase, i: int, lexicon: Lexicon) -> _Found | None:
    """Return the longest phrase at place `i`. A verb with its particle is preferred to the verb alone."""
    meanings, end = longest(lexicon.phrases, words, i)
    if end <= i + 1 and words[i] in lexicon.parted and (verb := _verb_at(words, i, lexicon)):
        return verb
    if meanings is None:
        return None
    if not meanings:
        return _Found((), end, False, range(i, end))
    weak = " ".join(words[i:end]) in lexicon.weak or _is_preposition(words, i, end, lexicon)
    unit = end > i + 1 and all(lexicon.kinds[slot] == "units" for slot, _ in meanings)  # "por ciento" is no hundred
    return _Found(meanings, end, weak, range(i, end) if unit else ())


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
