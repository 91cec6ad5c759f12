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

NUMBER = "number"
"""The slot of the numbers."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a language writes numbers.

    Attributes:
        words: number phrases and their values, ordinals among them.
        scales: (words, size) of hundred, thousand …, the smallest and the longest word first.
        joiners: words between the parts of a number ("two hundred *and* five").
        glued: in languages that write a number as one word ("einhundertzwei"), what stands only inside ("ein" is 1).
        articles: words that mean one before a unit ("*an* hour").
        minus: words that make the next number negative.
        clock_before: phrase before an hour -> minutes, negative ones before it ("quarter to" -> -15).
        clock_after: the same behind an hour ("et demie" -> 30).
        decimal: the decimal mark, "." or ",".
        starts: words that a number can begin with.
    """

    words: Index
    scales: tuple[tuple[tuple[str, ...], int], ...]
    joiners: frozenset[str]
    glued: Mapping[str, int]
    articles: frozenset[str]
    minus: frozenset[str]
    clock_before: Index
    clock_after: Index
    decimal: str
    starts: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """The word list of one language; two are the same if they are one object, so that what was read with one can be kept.

    Attributes:
        language: BCP 47 language.
        kinds: slot -> the section that it stands in.
        phrases: what phrases mean, as tuples of `Meaning`; idioms mean nothing.
        parted: first word -> (last word, what they mean), of phrases with a gap ("halt … an").
        units: the single words of the units.
        numbers: how numbers are written.
        particles: words that are a polarity only as the particle of a verb, and a preposition elsewhere ("on").
        weak: phrases that count only where nothing else is said in their slot ("set", "more").
        openers: words that begin a clause ("and"); what follows one is no preposition.
        closers: words that cannot follow a preposition ("please"); what stands before one is none.
        elisions: words that lean on the next one with an apostrophe ("l" in "l'alarme").
        sounds: word -> the first of the words that sound the same.
        mistaken: number -> words that are heard for it (2 -> "to", "too").
        spoken: number -> its first phrase in the list.
        danger: requests to destroy, buy or unlock, as sets of words that may stand anywhere in a text.
        light: articles, prepositions, pronouns, what is said out of politeness or while thinking; without them a
            request is the same.
    """

    language: str
    kinds: Mapping[str, Kind]
    phrases: Index
    parted: Mapping[str, tuple[tuple[str, tuple[Meaning, ...]], ...]]
    units: frozenset[str]
    numbers: Numbers
    particles: frozenset[str]
    weak: frozenset[str]
    openers: frozenset[str]
    closers: frozenset[str]
    elisions: frozenset[str]
    sounds: Mapping[str, str]
    mistaken: Mapping[str, frozenset[str]]
    spoken: Mapping[str, str]
    danger: Index
    light: frozenset[str]
