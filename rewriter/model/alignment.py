"""`align`: which words of a text explain which words of another, and what is left unexplained."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import Indel

from rewriter.model.similarity import phonetic_key

_LETTERS = 0.4  # share of the letters in how alike two words are; the rest is sound
_DELETE, _INSERT, _SUBSTITUTE, _JOIN = 0.5, 0.8, 1.3, 1.5
_SPLICE = 0.2  # what it costs at least that words were run together or torn apart
_LONGEST = 24
"""Words of a text that are aligned; what comes after them is looked upon as not there."""


class Alignment(NamedTuple):
    """What the cheapest way from a text that was heard to a text that may have been meant costs.

    Attributes:
        cost: of the whole way.
        replaced: weight of meant words that were heard as others, as far as they differ.
        worst: the greatest of these.
        missing: weight of the meant words that nothing stands for.
        most_missing: the greatest of these.
        extra: weight of the heard words that stand for nothing.
        most_extra: the greatest of these, of words that are known.
        swaps: known words that stand for other known words.
    """

    cost: float
    replaced: float
    worst: float
    missing: float
    most_missing: float
    extra: float
    most_extra: float
    swaps: int


NOTHING = Alignment(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
"""Between equal texts."""


def align(heard: str, meant: str, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str = "en") -> Alignment:
    """Align two texts word by word: equal, replaced, missing, extra, two heard as one or one heard as two.

    Words that are equal in the same order are laid side by side first. The stretches between them are aligned by the edit
    distance of Wagner and Fischer (1974) over words, where replacing costs as much as two words differ to the
    eye and the ear, and each word weighs what it says (`weigh`, an inverse document frequency).

    Args:
        heard: normalised.
        meant: normalised.
        weigh: weight of a word, > 0.
        knows: whether a word is known.
        locale: BCP 47; decides how words sound.

    Example:
        >>> align("turn of the lamp", "turn off the lamp", lambda word: 1.0, lambda word: True).swaps
        1
        >>> align("turnoff the lamp", "turn off the lamp", lambda word: 1.0, lambda word: True).missing
        0.0
    """
    left, right = heard.split()[:_LONGEST], meant.split()[:_LONGEST]
    total = NOTHING
    for start, end, new_start, new_end in _changed(left, right):
        heard_part, meant_part = left[start:end], right[new_start:new_end]
        weights = [weigh(word) for word in heard_part], [weigh(word) for word in meant_part]
        total = _sum(
            total, _told(heard_part, meant_part, *weights, _steps(heard_part, meant_part, *weights, locale), knows, locale)
        )
    return total


def _changed(left: Sequence[str], right: Sequence[str]) -> list[list[int]]:
    """Return the stretches in which two texts differ, neighbours merged, once as many words as can be are equal."""
    found: list[list[int]] = []
    for op in Indel.opcodes(left, right):
        if op.tag == "equal":
            continue
        if found and found[-1][1] == op.src_start and found[-1][3] == op.dest_start:
            found[-1][1], found[-1][3] = op.src_end, op.dest_end
        else:
            found.append([op.src_start, op.src_end, op.dest_start, op.dest_end])
    return found


def _sum(one: Alignment, other: Alignment) -> Alignment:
    return Alignment(
        one.cost + other.cost,
        one.replaced + other.replaced,
        max(one.worst, other.worst),
        one.missing + other.missing,
        max(one.most_missing, other.most_missing),
        one.extra + other.extra,
        max(one.most_extra, other.most_extra),
        one.swaps + other.swaps,
    )


def _steps(
    left: Sequence[str], right: Sequence[str], heavy_left: Sequence[float], heavy_right: Sequence[float], locale: str
) -> list[list[tuple[float, int, int]]]:
    """Return, for each pair of prefixes, the cheapest cost and the step that leads there: (cost, words left, words right)."""
    table = [[(0.0, 0, 0)] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(1, len(left) + 1):
        table[i][0] = (table[i - 1][0][0] + _DELETE * heavy_left[i - 1], 1, 0)
    for j in range(1, len(right) + 1):
        table[0][j] = (table[0][j - 1][0] + _INSERT * heavy_right[j - 1], 0, 1)
    for i, one in enumerate(left, start=1):
        above, row = table[i - 1], table[i]
        for j, other in enumerate(right, start=1):
            here, there = heavy_left[i - 1], heavy_right[j - 1]
            unlike = 1 - alike(one, other, locale)
            best = (above[j - 1][0] + _SUBSTITUTE * unlike * max(there, _DELETE * here), 1, 1)
            best = min(best, (above[j][0] + _DELETE * here, 1, 0), (row[j - 1][0] + _INSERT * there, 0, 1))
            if unlike and i > 1:
                unlike_joined = 1 - alike(left[i - 2] + one, other, locale)
                best = min(best, (table[i - 2][j - 1][0] + _JOIN * unlike_joined * there + _SPLICE, 2, 1))
            if unlike and j > 1:
                unlike_joined = 1 - alike(one, right[j - 2] + other, locale)
                best = min(best, (above[j - 2][0] + _JOIN * unlike_joined * (there + heavy_right[j - 2]) + _SPLICE, 1, 2))
            row[j] = best
    return table


def _told(
    left: Sequence[str],
    right: Sequence[str],
    heavy_left: Sequence[float],
    heavy_right: Sequence[float],
    table: list[list[tuple[float, int, int]]],
    knows: Callable[[str], bool],
    locale: str,
) -> Alignment:
    """Walk the cheapest way back and add up what it says."""
    i, j = len(left), len(right)
    cost = table[i][j][0]
    replaced = worst = missing = most_missing = extra = most_extra = 0.0
    swaps = 0
    while i or j:
        _, back, along = table[i][j]
        heard, meant = "".join(left[i - back : i]), "".join(right[j - along : j])
        if not along:
            extra += heavy_left[i - 1]
            most_extra = max(most_extra, heavy_left[i - 1] if knows(heard) else 0.0)
        elif not back:
            missing += heavy_right[j - 1]
            most_missing = max(most_missing, heavy_right[j - 1])
        else:
            unlike = (1 - alike(heard, meant, locale)) * sum(heavy_right[j - along : j])
            replaced, worst = replaced + unlike, max(worst, unlike)
            swaps += heard != meant and back == along and knows(heard)
        i, j = i - back, j - along
    return Alignment(cost, replaced, worst, missing, most_missing, extra, most_extra, swaps)


@lru_cache(maxsize=1 << 18)
def alike(one: str, other: str, locale: str = "en") -> float:
    """Return how alike two words are to the eye and to the ear, 0..1; 1 only for the same word or the same letters and sounds."""
    if one == other:
        return 1.0
    letters = Indel.normalized_similarity(one, other)
    sounds = Indel.normalized_similarity(phonetic_key(one, locale), phonetic_key(other, locale))
    return _LETTERS * letters + (1 - _LETTERS) * sounds
