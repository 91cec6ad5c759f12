"""A word list, made ready for reading texts: what the phrases of one language mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["polarity", "negation", "values", "units"]
Phrase = tuple[str, ...]
Meaning = tuple[str, str]
"""Slot and what is said in it, e.g. ``("power", "off")``."""
Index = Mapping[str, tuple[tuple[Phrase, Any], ...]]
"""First word -> (phrase, what it means), the longest phrase first."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a language writes numbers.

    Attributes:
        words: number phrases and their values, ordinals among them.
        scales: (words, size) of hundred, thousand …, the smallest first.
        joiners: words between the parts of a number ("two hundred *and* five").
        glued: whether a number is one word ("zweihundertfünf").
        articles: words that mean one before a unit ("*an* hour").
        minus: words that make the next number negative.
        clock_before: phrase before an hour -> minutes, negative ones before it ("quarter to" -> -15).
        clock_after: the same behind an hour ("et demie" -> 30).
        decimal: the decimal mark, "." or ",".
        starts: words that a number can begin with.
    """

    words: Index
    scales: tuple[tuple[frozenset[str], int], ...]
    joiners: frozenset[str]
    glued: bool
    articles: frozenset[str]
    minus: frozenset[str]
    clock_before: Index
    clock_after: Index
    decimal: str
    starts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The word list of one language.

    Attributes:
        language: BCP 47 language.
        kinds: slot -> the section that it stands in.
        phrases: what phrases mean, as tuples of `Meaning`; idioms mean nothing.
        units: the single words of the units.
        numbers: how numbers are written.
        particles: words that are a polarity only as the particle of a verb, and a preposition elsewhere ("on").
        weak: words that count only where nothing else is said in their slot ("set", "more").
        joints: words that part clauses; a particle stands before or behind one.
        sounds: word -> the first of the words that sound the same.
        mistaken: number -> words that are heard for it (2 -> "to", "too").
        spoken: number -> its first phrase in the list.
        danger: requests to destroy, buy or unlock, as sets of words that may stand anywhere in a text.
    """

    language: str
    kinds: Mapping[str, Kind]
    phrases: Index
    units: frozenset[str]
    numbers: Numbers
    particles: frozenset[str]
    weak: frozenset[str]
    joints: frozenset[str]
    sounds: Mapping[str, str]
    mistaken: Mapping[str, frozenset[str]]
    spoken: Mapping[str, str]
    danger: Index
