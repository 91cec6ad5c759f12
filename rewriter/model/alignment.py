"""Which words of a heard text correspond to which words of a meant text, and which words are left over.

Costs are in units of a word's weight. What a recogniser often does (drop a word, split one, mishear one) costs less than what it
seldom does. The ranker is fitted on top of these costs.

`align` aligns two texts, and an `Aligner` many.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Indel

from rewriter.guardrail.lexicon import Phrase
from rewriter.recent import Recent
from rewriter.similarity import changes, word_sound

_LETTERS = 0.4  # share of spelling in the similarity of two words
_SOUNDS = 1 - _LETTERS
_DELETE = 0.5  # cost of a heard word without a meant word, per weight
_INSERT = 0.8  # cost of a meant word without a heard word, per weight
_SUBSTITUTE = 1.3  # cost of a replaced word, per weight and per dissimilarity
_JOIN = 1.5  # the same if two words were heard as one, or one as two
_SPLICE = 0.2  # constant cost of joining or splitting words
_LONGEST = 24  # largest number of words of a text that are aligned; later words are ignored, which bounds the time
_LETTERS_ALIGNED = 64
"""Letters of a word that are aligned. No language writes longer words; it bounds the memory of the stretches that are kept."""
_KEPT = 1 << 12  # half the number of alignments that an aligner keeps; about 0.5 KB each
_similar = Indel.normalized_similarity

Fields = tuple[float, float, float, float, float, float, float, int]
"""The fields of an `Alignment`."""
_Pair = tuple[Phrase, Phrase]
"""Heard words and meant words."""
_Step = tuple[float, int, int, float]
"""Cost of the cheapest path up to here; how many heard and meant words its last step covers; and how unlike these are."""


class Alignment(NamedTuple):
    """The cheapest alignment of a heard text with a text that may have been meant. All fields but `swaps` are in weights of
    words.

    Attributes:
        cost: of the whole alignment.
        replaced: sum over replaced meant words of weight times dissimilarity.
        worst: the greatest term of that sum.
        missing: weight of the meant words without a heard word.
        most_missing: the greatest of these weights.
        extra: weight of the heard words without a meant word.
        most_extra: the greatest of these weights among known words.
        swaps: number of known words that were heard for other words.
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
    return Alignment(*Aligner(weigh, knows, locale).align(aligned(heard.split()), aligned(meant.split())))


def aligned(words: Sequence[str]) -> Phrase:
    """Return the words of a text that are aligned: the first ones, and the first letters of each."""
    words = words[:_LONGEST]
    if max(map(len, words), default=0) <= _LETTERS_ALIGNED:
        return tuple(words)
    return tuple(word[:_LETTERS_ALIGNED] for word in words)


class Aligner:
    """Aligns texts with the weights of one wording. Recent alignments, and those of stretches, which many texts share, are kept.

    Args:
        weigh: weight of a word, > 0.
        knows: whether a word is known.
        locale: BCP 47; decides how words sound.
    """

    __slots__ = ("_knows", "_sound", "_stretches", "_texts", "_weigh")

    def __init__(self, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str) -> None:
        self._weigh, self._knows, self._sound = weigh, knows, word_sound(locale)
        self._texts: Recent[tuple[Phrase, Phrase], Fields] = Recent(_KEPT)
        self._stretches: Recent[tuple[Phrase, Phrase], Fields] = Recent(_KEPT)

    def align(self, left: Phrase, right: Phrase) -> Fields:
        """Return the fields of the alignment of two texts, given as words."""
        return self.align_all([(left, right)])[0]

    def align_all(self, pairs: Sequence[_Pair]) -> list[Fields]:
        """Return the fields of the alignment of each pair of texts, given as words."""
        return [self._texts.get(pair) or self._align(pair) for pair in pairs]

    def _align(self, texts: _Pair) -> Fields:
        total: Fields = NOTHING
        left, right = texts
        for start, end, new_start, new_end in changes(left, right):
            pair = left[start:end], right[new_start:new_end]
            stretch = self._stretches.get(pair)
            if stretch is None:
                stretch = self._stretch(*pair)
                self._stretches.put(pair, stretch)
            total = stretch if total is NOTHING else _sum(total, stretch)
        self._texts.put(texts, total)
        return total

    def _stretch(self, left: Phrase, right: Phrase) -> Fields:
        """Align two stretches that have no word in common."""
        weigh = self._weigh
        if len(left) == len(right) == 1:
            return self._pair(left[0], right[0])
        heavy_left, heavy_right = [weigh(word) for word in left], [weigh(word) for word in right]
        if not left:
            return sum(_INSERT * heavy for heavy in heavy_right), 0.0, 0.0, sum(heavy_right[::-1]), max(heavy_right), 0.0, 0.0, 0
        table = _steps(left, right, heavy_left, heavy_right, self._sound)
        return self._traced(left, right, heavy_left, heavy_right, table)

    def _pair(self, heard: str, meant: str) -> Fields:
        """Align one word with one other: the same as `_steps` and `_traced`, without a table."""
        one, other, sound = self._weigh(heard), self._weigh(meant), self._sound
        dropped, known = _DELETE * one, self._knows(heard)
        unlike = 1 - (_LETTERS * _similar(heard, meant) + _SOUNDS * _similar(sound(heard), sound(meant)))
        apart, cost = dropped + _INSERT * other, _SUBSTITUTE * unlike * max(other, dropped)
        if cost < apart:
            return cost, unlike * other, unlike * other, 0.0, 0.0, 0.0, 0.0, int(known)
        return apart, 0.0, 0.0, other, other, one, one if known else 0.0, 0

    def _traced(
        self, left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], table: list[list[_Step]]
    ) -> Fields:
        """Trace the cheapest path back, and add up its steps."""
        knows = self._knows
        i, j = len(left), len(right)
        cost = table[i][j][0]
        replaced = worst = missing = most_missing = extra = most_extra = 0.0
        swaps = 0
        while i or j:
            _, back, along, unlike = table[i][j]
            if not along:
                heavy = heavy_left[i - 1]
                extra += heavy
                if heavy > most_extra and knows(left[i - 1]):
                    most_extra = heavy
            elif not back:
                heavy = heavy_right[j - 1]
                missing += heavy
                most_missing = max(most_missing, heavy)
            else:
                unlike *= heavy_right[j - 1] if along == 1 else heavy_right[j - 1] + heavy_right[j - 2]
                replaced, worst = replaced + unlike, max(worst, unlike)
                swaps += back == along and left[i - 1] != right[j - 1] and knows(left[i - 1])
            i, j = i - back, j - along
        return cost, replaced, worst, missing, most_missing, extra, most_extra, swaps


def _sum(one: Fields, other: Fields) -> Fields:
    cost, replaced, worst, missing, most_missing, extra, most_extra, swaps = one
    more, changed, worse, gone, most_gone, added, most_added, also = other
    return (
        cost + more, replaced + changed, max(worst, worse), missing + gone, max(most_missing, most_gone), extra + added,
        max(most_extra, most_added), swaps + also,
    )  # fmt: skip


def _steps(  # noqa: C901 - written out, because most of the time of a request goes into it
    left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], sound: Callable[[str], str]
) -> list[list[_Step]]:
    """Return the last step of the cheapest path to each pair of prefixes, (left + 1) x (right + 1).

    Two words are only compared where their replacement would be the cheapest step if they were alike, by the formula of `alike`.
    """
    similar, sounds = _similar, list(map(sound, right))
    row: list[_Step] = [(0.0, 0, 0, 0.0)]
    here = 0.0
    for heavy in heavy_right:
        here += _INSERT * heavy
        row.append((here, 0, 1, 0.0))
    table = [row]
    for i, word in enumerate(left):
        dropped, above, spoken = _DELETE * heavy_left[i], row, sound(word)
        joined, joined_spoken = "", ""
        here = above[0][0] + dropped
        row = [(here, 1, 0, 0.0)]
        for j, other in enumerate(right):
            there, back, along, kept = heavy_right[j], 0, 1, 0.0
            here += _INSERT * there
            if (cost := above[j + 1][0] + dropped) < here:
                here, back, along = cost, 1, 0
            if (least := above[j][0]) < here:
                unlike = 1 - (_LETTERS * similar(word, other) + _SOUNDS * similar(spoken, sounds[j]))
                cost = least + _SUBSTITUTE * unlike * (there if there > dropped else dropped)
                if cost < here:
                    here, back, along, kept = cost, 1, 1, unlike
            if j and (least := above[j - 1][0]) + _SPLICE < here:
                torn = right[j - 1] + other
                unlike = 1 - (_LETTERS * similar(word, torn) + _SOUNDS * similar(spoken, sound(torn)))
                cost = least + _JOIN * unlike * (there + heavy_right[j - 1]) + _SPLICE
                if cost < here:
                    here, back, along, kept = cost, 1, 2, unlike
            if i and (least := table[i - 1][j][0]) + _SPLICE < here:
                if not joined:
                    joined = left[i - 1] + word
                    joined_spoken = sound(joined)
                unlike = 1 - (_LETTERS * similar(joined, other) + _SOUNDS * similar(joined_spoken, sounds[j]))
                cost = least + _JOIN * unlike * there + _SPLICE
                if cost < here:
                    here, back, along, kept = cost, 2, 1, unlike
            row.append((here, back, along, kept))
        table.append(row)
    return table


def alike(one: str, other: str, locale: str = "en") -> float:
    """Return the similarity of two words, 0..1: 0.4 times that of their spelling plus 0.6 times that of their sound.

    Example:
        >>> alike("lamp", "lamp"), round(alike("lamp", "lamb"), 2), round(alike("lamp", "radio"), 2)
        (1.0, 0.78, 0.09)
    """
    sound = word_sound(locale)
    return _LETTERS * _similar(one, other) + _SOUNDS * _similar(sound(one), sound(other))
