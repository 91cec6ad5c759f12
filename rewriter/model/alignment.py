"""`align`: which words of a heard text stand for which words of a meant text, and which words are left over.

The online layer measures each candidate with it. The costs below are in units of a word's weight. What a recogniser often does
(drop a word, split one, mishear one) costs less than what it seldom does. The ranker is fitted on top of these costs.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.guardrail.lexicon import Phrase
from rewriter.similarity import changes, phonetic_key, phonetic_keys

_LETTERS = 0.4  # share of spelling in the similarity of two words; the rest is sound
_DELETE = 0.5  # cost of a heard word that stands for nothing, per weight
_INSERT = 0.8  # cost of a meant word that nothing stands for, per weight
_SUBSTITUTE = 1.3  # cost of a replaced word, per weight and per dissimilarity
_JOIN = 1.5  # the same if two words were heard as one, or one as two
_SPLICE = 0.2  # constant cost of joining or splitting words
_LONGEST = 24  # words of a text that are aligned, which bounds the time; later words are ignored
_FEW = 4  # up to so many pairs of words are compared one by one, from a cache
_PAIRS_CACHED = 1 << 18  # pairs of words whose similarity is remembered

_Rows = list[list[float]]
_Step = tuple[float, int, int]
"""Cost of the cheapest path up to here; how many heard words and how many meant words its last step covers."""


class Alignment(NamedTuple):
    """The cheapest alignment of a heard text with a text that may have been meant. All but `swaps` are in weights of words.

    Attributes:
        cost: of the whole alignment.
        replaced: sum over replaced meant words of weight times dissimilarity.
        worst: the greatest term of that sum.
        missing: weight of the meant words that nothing stands for.
        most_missing: the greatest of these weights.
        extra: weight of the heard words that stand for nothing.
        most_extra: the greatest of these weights among known words.
        swaps: number of known words that stand for other words.
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
"""The alignment of equal texts."""


def align(heard: str, meant: str, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str = "en") -> Alignment:
    """Align two texts word by word: words are equal, replaced, missing, extra, two heard as one, or one heard as two.

    Equal words in the same order are matched first (longest common subsequence). The stretches between them are aligned by the
    edit distance of Wagner and Fischer (1974) over words. Replacing a word costs in proportion to the dissimilarity of the two
    in spelling and sound, and every cost is multiplied by the weight of the word, an inverse document frequency.

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
    left, right = tuple(heard.split()[:_LONGEST]), tuple(meant.split()[:_LONGEST])
    total = NOTHING
    for start, end, new_start, new_end in changes(left, right):
        stretch = _align_stretch(left[start:end], right[new_start:new_end], weigh, knows, locale)
        total = stretch if total is NOTHING else _sum(total, stretch)
    return total


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
    left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], locale: str
) -> list[list[_Step]]:
    """Return the last step of the cheapest path to each pair of prefixes, (left + 1) x (right + 1)."""
    plain, torn, joined = _unlikes(left, right, locale)
    table: list[list[_Step]] = [[(0.0, 0, 0)]]
    for heavy in heavy_right:
        table[0].append((table[0][-1][0] + _INSERT * heavy, 0, 1))
    for i in range(len(left)):
        above, dropped = table[i], _DELETE * heavy_left[i]
        row: list[_Step] = [(above[0][0] + dropped, 1, 0)]
        for j, there in enumerate(heavy_right):
            best, back, along = row[j][0] + _INSERT * there, 0, 1
            if (cost := above[j + 1][0] + dropped) < best:
                best, back, along = cost, 1, 0
            unlike = plain[i][j]
            if (cost := above[j][0] + _SUBSTITUTE * unlike * max(there, dropped)) < best:
                best, back, along = cost, 1, 1
            pair = there + heavy_right[j - 1]
            if unlike and j and (cost := above[j - 1][0] + _JOIN * torn[i][j - 1] * pair + _SPLICE) < best:
                best, back, along = cost, 1, 2
            if unlike and i and (cost := table[i - 1][j][0] + _JOIN * joined[i - 1][j] * there + _SPLICE) < best:
                best, back, along = cost, 2, 1
            row.append((best, back, along))
        table.append(row)
    return table


def _unlikes(left: Phrase, right: Phrase, locale: str) -> tuple[_Rows, _Rows, _Rows]:
    """Return dissimilarities, 0..1: of each left word to each right word, to each two right words joined, and of each two left
    words joined to each right word.
    """
    run_left, run_right = ([a + b for a, b in pairwise(words)] for words in (left, right))
    if len(left) * len(right) <= _FEW:
        pairs = ((left, right), (left, run_right), (run_left, right))
        plain, torn, joined = ([[1 - alike(one, other, locale) for other in others] for one in ones] for ones, others in pairs)
        return plain, torn, joined
    ones, others = [*left, *run_left], [*right, *run_right]
    letters = cdist(ones, others, scorer=Indel.normalized_similarity, dtype=np.float64)
    heard, meant = phonetic_keys(ones, locale), phonetic_keys(others, locale)
    sounds = cdist(heard, meant, scorer=Indel.normalized_similarity, dtype=np.float64)
    unlike = 1 - (_LETTERS * letters + (1 - _LETTERS) * sounds)
    n, m = len(left), len(right)
    return unlike[:n, :m].tolist(), unlike[:n, m:].tolist(), unlike[n:, :m].tolist()


def _align_stretch(
    left: Phrase, right: Phrase, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str
) -> Alignment:
    """Align two stretches that have no word in common: trace the cheapest path back and add up its steps."""
    heavy_left, heavy_right = [weigh(word) for word in left], [weigh(word) for word in right]
    table = _steps(left, right, heavy_left, heavy_right, locale)
    i, j = len(left), len(right)
    cost = table[i][j][0]
    replaced = worst = missing = most_missing = extra = most_extra = 0.0
    swaps = 0
    while i or j:
        _, back, along = table[i][j]
        if not along:
            extra += heavy_left[i - 1]
            most_extra = max(most_extra, heavy_left[i - 1] if knows(left[i - 1]) else 0.0)
        elif not back:
            missing += heavy_right[j - 1]
            most_missing = max(most_missing, heavy_right[j - 1])
        else:
            heard, meant = "".join(left[i - back : i]), "".join(right[j - along : j])
            unlike = (1 - alike(heard, meant, locale)) * sum(heavy_right[j - along : j])
            replaced, worst = replaced + unlike, max(worst, unlike)
            swaps += heard != meant and back == along and knows(heard)
        i, j = i - back, j - along
    return Alignment(cost, replaced, worst, missing, most_missing, extra, most_extra, swaps)


@lru_cache(maxsize=_PAIRS_CACHED)
def alike(one: str, other: str, locale: str = "en") -> float:
    """Return the similarity of two words, 0..1: 0.4 times that of their spelling plus 0.6 times that of their sound.

    Example:
        >>> alike("lamp", "lamp"), round(alike("lamp", "lamb"), 2), round(alike("lamp", "radio"), 2)
        (1.0, 0.78, 0.09)
    """
    if one == other:
        return 1.0
    letters = Indel.normalized_similarity(one, other)
    sounds = Indel.normalized_similarity(phonetic_key(one, locale), phonetic_key(other, locale))
    return _LETTERS * letters + (1 - _LETTERS) * sounds
