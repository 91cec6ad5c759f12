"""Names that the assistant knows: which stand in a text, and whether one gave way to another."""

from collections.abc import Container, Iterator, Sequence, Set
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from rewriter.guardrail.lexicon import Lexicon
from rewriter.guardrail.numbers import longest
from rewriter.guardrail.reading import Reading
from rewriter.guardrail.sound import changes

LONGEST = 6
"""Names of more words than this are not looked for."""


def names_in(text: Reading, names: Set[str]) -> list[tuple[int, int]]:
    """Return where known names stand in a text, (first word, one past the last); the longest at each place.

    A name whose every word says something in a slot ("5", "off", "monday") is read there and not here.

    Args:
        text: what the text says.
        names: normalised names.
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
    """Return where the longest name at place `i` ends; `i` where none stands there.

    Example:
        >>> longest_at("play the wall of sound".split(), 1, {"the wall", "the wall of sound"})
        5
    """
    end, name = i, ""
    for k, word in enumerate(words[i : i + LONGEST], start=i + 1):
        name = f"{name} {word}" if name else word
        if name in names:
            end = k
    return end


def swapped(source: Reading, target: Reading, lexicon: Lexicon, names: Set[str]) -> str | None:
    """Return "swaps name … for …" where a name of the source is missing from the target, which has another.

    A name is missing where not all its words are there, so that names may change places: "the lamp in the kitchen" is "the
    kitchen lamp". Two names that change places within an otherwise equal sentence are swapped all the same.
    """
    before, after = names_in(source, names), names_in(target, names)
    if not before or not after:
        return None
    whole = (0, len(source.words), 0, len(target.words))
    edits = changes(source.words, target.words, Levenshtein.opcodes) if len(before) > 1 else []
    for start, end, new_start, new_end in (whole, *edits):
        lost = _missing(source, before, (start, end), target.words[new_start:new_end], lexicon)
        gained = _missing(target, after, (new_start, new_end), source.words[start:end], lexicon)
        if lost and gained:
            return f"swaps name {lost} for {gained}"
    return None


def _missing(
    text: Reading, names: Sequence[tuple[int, int]], part: tuple[int, int], other: Sequence[str], lexicon: Lexicon
) -> str | None:
    """Return a name within part of a text that is not among the other words, in whatever order or written apart or as one."""
    there = set(_values(other, lexicon))
    there.update(first + second for first, second in pairwise(other))
    for start, end in names:
        name = text.words[start:end]
        if part[0] <= start and end <= part[1] and "".join(name) not in there and not there.issuperset(_values(name, lexicon)):
            return " ".join(name)
    return None


def _values(words: Sequence[str], lexicon: Lexicon) -> Iterator[str]:
    """Yield words, number words as digits."""
    for i, word in enumerate(words):
        value, end = longest(lexicon.numbers.words, words, i)
        yield str(value) if end == i + 1 else word
