"""Which words of a heard text correspond to which words of a meant text, and which words are left over.

Costs are in units of a word's weight. What a recogniser often does (drop a word, split one, mishear one) costs less than what it
seldom does. The ranker is fitted on top of these costs.

`align` aligns two texts, and an `Aligner` many. A few stretches of words are aligned one by one, and many at once as arrays, with
the same result.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.guardrail.lexicon import Phrase
from rewriter.recent import Recent
from rewriter.similarity import changes, word_sound

_LETTERS = 0.4  # share of spelling in the similarity of two words; the rest is sound
_DELETE = 0.5  # cost of a heard word without a meant word, per weight
_INSERT = 0.8  # cost of a meant word without a heard word, per weight
_SUBSTITUTE = 1.3  # cost of a replaced word, per weight and per dissimilarity
_JOIN = 1.5  # the same if two words were heard as one, or one as two
_SPLICE = 0.2  # constant cost of joining or splitting words
_LONGEST = 24  # largest number of words of a text that are aligned; later words are ignored, which bounds the time
_LETTERS_ALIGNED = 64
"""Letters of a word that are aligned. No language writes longer words; it bounds the memory of the pairs that are cached."""
_KEPT = 1 << 12  # half the number of alignments that an aligner keeps; about 0.5 KB each
_PAIRS_CACHED = 1 << 18  # number of pairs of words whose similarity is cached
_MANY = 96  # stretches of like size from which on they are aligned as arrays, which has a constant cost for each pair of places

Fields = tuple[float, float, float, float, float, float, float, int]
"""The fields of an `Alignment`."""
_Pair = tuple[Phrase, Phrase]
"""Heard words and meant words."""
_Step = tuple[float, int, int]
"""Cost of the cheapest path up to here; how many heard words and how many meant words its last step covers."""


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

    __slots__ = ("_knows", "_locale", "_stretches", "_texts", "_weigh")

    def __init__(self, weigh: Callable[[str], float], knows: Callable[[str], bool], locale: str) -> None:
        self._weigh, self._knows, self._locale = weigh, knows, locale
        self._texts: Recent[tuple[Phrase, Phrase], Fields] = Recent(_KEPT)
        self._stretches: Recent[tuple[Phrase, Phrase], Fields] = Recent(_KEPT)

    def align(self, left: Phrase, right: Phrase) -> Fields:
        """Return the fields of the alignment of two texts, given as words."""
        return self.align_all([(left, right)])[0]

    def align_all(self, pairs: Sequence[_Pair]) -> list[Fields]:
        """Return the fields of the alignment of each pair of texts, given as words."""
        found: list[Fields | None] = list(map(self._texts.get, pairs))
        new = [i for i, fields in enumerate(found) if fields is None]
        cut = [_stretches(*pairs[i]) for i in new]
        ready = self._many(stretch for stretches in cut for stretch in stretches) if len(new) >= _MANY else {}
        for i, stretches in zip(new, cut, strict=True):
            total: Fields = NOTHING
            for pair in stretches:
                stretch = ready.get(pair) or self._stretches.get(pair)
                if stretch is None:
                    stretch = self._stretch(*pair)
                    self._stretches.put(pair, stretch)
                total = stretch if total is NOTHING else _sum(total, stretch)
            self._texts.put(pairs[i], total)
            found[i] = total
        return [fields or NOTHING for fields in found]

    def _many(self, pairs: Iterable[_Pair]) -> dict[_Pair, Fields]:
        """Return the alignments of those stretches of which there are many of like size."""
        sized: dict[int, list[_Pair]] = defaultdict(list)
        for pair in dict.fromkeys(pairs):
            sized[max(map(len, pair)).bit_length()].append(pair)
        many = [alike_in_size for alike_in_size in sized.values() if len(alike_in_size) >= _MANY]
        return {pair: fields for of in many for pair, fields in zip(of, self._at_once(of), strict=True)}

    def _at_once(self, pairs: Sequence[_Pair]) -> list[Fields]:
        """Return what `_stretch` returns for each of many pairs."""
        left, right = (_Side.of(of, self._weigh, self._knows, word_sound(self._locale)) for of in zip(*pairs, strict=True))
        return _traced_all(left, right, *_steps_all(left, right))

    def _stretch(self, left: Phrase, right: Phrase) -> Fields:
        """Align two stretches that have no word in common."""
        weigh = self._weigh
        if len(left) == len(right) == 1:
            return self._pair(left[0], right[0])
        heavy_left, heavy_right = [weigh(word) for word in left], [weigh(word) for word in right]
        if not left:
            return sum(_INSERT * heavy for heavy in heavy_right), 0.0, 0.0, sum(heavy_right[::-1]), max(heavy_right), 0.0, 0.0, 0
        table = _steps(left, right, heavy_left, heavy_right, self._locale)
        return self._traced(left, right, heavy_left, heavy_right, table)

    def _pair(self, heard: str, meant: str) -> Fields:
        """Align one word with one other: the same as `_steps` and `_traced`, without a table."""
        one, other = self._weigh(heard), self._weigh(meant)
        dropped, known, unlike = _DELETE * one, self._knows(heard), 1 - alike(heard, meant, self._locale)
        apart, cost = dropped + _INSERT * other, _SUBSTITUTE * unlike * max(other, dropped)
        if cost < apart:
            return cost, unlike * other, unlike * other, 0.0, 0.0, 0.0, 0.0, int(known)
        return apart, 0.0, 0.0, other, other, one, one if known else 0.0, 0

    def _traced(
        self, left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], table: list[list[_Step]]
    ) -> Fields:
        """Trace the cheapest path back, and add up its steps."""
        knows, locale = self._knows, self._locale
        i, j = len(left), len(right)
        cost = table[i][j][0]
        replaced = worst = missing = most_missing = extra = most_extra = 0.0
        swaps = 0
        while i or j:
            _, back, along = table[i][j]
            if not along:
                heavy = heavy_left[i - 1]
                extra += heavy
                if heavy > most_extra and knows(left[i - 1]):
                    most_extra = heavy
            elif not back:
                missing += heavy_right[j - 1]
                most_missing = max(most_missing, heavy_right[j - 1])
            else:
                heard, meant = "".join(left[i - back : i]), "".join(right[j - along : j])
                unlike = (1 - alike(heard, meant, locale)) * sum(heavy_right[j - along : j])
                replaced, worst = replaced + unlike, max(worst, unlike)
                swaps += heard != meant and back == along and knows(heard)
            i, j = i - back, j - along
        return cost, replaced, worst, missing, most_missing, extra, most_extra, swaps


def _sum(one: Fields, other: Fields) -> Fields:
    cost, replaced, worst, missing, most_missing, extra, most_extra, swaps = one
    more, changed, worse, gone, most_gone, added, most_added, also = other
    return (
        cost + more, replaced + changed, max(worst, worse), missing + gone, max(most_missing, most_gone), extra + added,
        max(most_extra, most_added), swaps + also,
    )  # fmt: skip


def _steps(
    left: Phrase, right: Phrase, heavy_left: Sequence[float], heavy_right: Sequence[float], locale: str
) -> list[list[_Step]]:
    """Return the last step of the cheapest path to each pair of prefixes, (left + 1) x (right + 1).

    Two words are only compared where their replacement would be the cheapest step if they were alike.
    """
    row: list[_Step] = [(0.0, 0, 0)]
    for heavy in heavy_right:
        row.append((row[-1][0] + _INSERT * heavy, 0, 1))
    table = [row]
    for i, word in enumerate(left):
        dropped, above = _DELETE * heavy_left[i], row
        here = above[0][0] + dropped
        row = [(here, 1, 0)]
        for j, other in enumerate(right):
            there = heavy_right[j]
            best = (here + _INSERT * there, 0, 1)
            if (cost := above[j + 1][0] + dropped) < best[0]:
                best = (cost, 1, 0)
            if (least := above[j][0]) < best[0]:
                cost = least + _SUBSTITUTE * (1 - alike(word, other, locale)) * (there if there > dropped else dropped)
                best = (cost, 1, 1) if cost < best[0] else best
            if j and (least := above[j - 1][0]) + _SPLICE < best[0]:
                pair = there + heavy_right[j - 1]
                cost = least + _JOIN * (1 - alike(word, right[j - 1] + other, locale)) * pair + _SPLICE
                best = (cost, 1, 2) if cost < best[0] else best
            if i and (least := table[i - 1][j][0]) + _SPLICE < best[0]:
                cost = least + _JOIN * (1 - alike(left[i - 1] + word, other, locale)) * there + _SPLICE
                best = (cost, 2, 1) if cost < best[0] else best
            row.append(best)
            here = best[0]
        table.append(row)
    return table


@lru_cache(maxsize=_PAIRS_CACHED)
def alike(one: str, other: str, locale: str = "en") -> float:
    """Return the similarity of two words, 0..1: 0.4 times that of their spelling plus 0.6 times that of their sound.

    Example:
        >>> alike("lamp", "lamp"), round(alike("lamp", "lamb"), 2), round(alike("lamp", "radio"), 2)
        (1.0, 0.78, 0.09)
    """
    if one == other:
        return 1.0
    sound, letters = word_sound(locale), Indel.normalized_similarity(one, other)
    sounds = Indel.normalized_similarity(sound(one), sound(other))
    return _LETTERS * letters + (1 - _LETTERS) * sounds


def _stretches(left: Phrase, right: Phrase) -> list[_Pair]:
    """Return the stretches in which two texts differ."""
    return [(left[edit[0] : edit[1]], right[edit[2] : edit[3]]) for edit in changes(left, right)]


_Words = tuple[npt.NDArray[np.object_], npt.NDArray[np.object_] | list[str]]
"""Words and their phonetic keys."""
_Try = tuple[int, Floats, float, float, Floats, Callable[[int, Ints], _Words], Callable[[int, Ints], _Words]]
"""Number of a step, cost of the path before it, its least cost, its cost per dissimilarity and weight, that weight, its words."""


class _Side(NamedTuple):
    """The heard or the meant words of n stretches, as columns: one row for each place in a stretch, up to the longest.

    Attributes:
        lengths: (n,) int64, words of each stretch.
        words: (places, n) of str; empty beyond the end.
        sounds: (places, n), their phonetic keys.
        heavy: (places, n) float64, their weights; 0 beyond the end.
        known: (places, n) bool.
        sound: gives the phonetic key of a word.
    """

    lengths: Ints
    words: npt.NDArray[np.object_]
    sounds: npt.NDArray[np.object_]
    heavy: Floats
    known: Bools
    sound: Callable[[str], str]

    @classmethod
    def of(
        cls, phrases: Sequence[Phrase], weigh: Callable[[str], float], knows: Callable[[str], bool], sound: Callable[[str], str]
    ) -> "_Side":
        """Look each word up, once."""
        lengths = np.array(list(map(len, phrases)), dtype=np.int64)
        places = int(lengths.max())
        number = {word: i for i, word in enumerate(dict.fromkeys(word for phrase in phrases for word in phrase))}
        padded = [[number[word] for word in phrase] + [len(number)] * (places - len(phrase)) for phrase in phrases]
        table = np.array(padded, dtype=np.int64).reshape(len(phrases), places).T
        words, sounds = (np.array([*of, ""], dtype=object) for of in (number, map(sound, number)))
        heavy = np.array([*map(weigh, number), 0.0])
        known = np.array([*map(knows, number), False], dtype=bool)
        return cls(lengths, words[table], sounds[table], heavy[table], known[table], sound)

    def spoken(self, place: int, of: Ints) -> _Words:
        """Return the words at a place of some stretches, and their phonetic keys."""
        return self.words[place, of], self.sounds[place, of]

    def joined(self, place: int, of: Ints) -> _Words:
        """Return the words at a place and before it, written together, and their phonetic keys."""
        words = self.words[place - 1, of] + self.words[place, of]
        return words, list(map(self.sound, words))


_STEPS = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))
"""How many heard words and how many meant words a step covers; in arrays a step is its number here."""


def _unlike(one: _Words, other: _Words) -> Floats:
    """Return 1 - `alike` of each pair of words, given with their phonetic keys."""
    letters, sounds = (cpdist(*of, scorer=Indel.normalized_similarity, dtype=np.float64) for of in zip(one, other, strict=True))
    return np.asarray(1 - (_LETTERS * letters + (1 - _LETTERS) * sounds), dtype=np.float64)


def _steps_all(left: _Side, right: _Side) -> tuple[Floats, npt.NDArray[np.int8], Floats]:
    """Do what `_steps` does for n stretches at once.

    Returns:
        The cost of the cheapest path to each pair of prefixes, the number of its last step, and how unlike the words of that step
        are, (left + 1, right + 1, n) each.
    """
    shape = len(left.words) + 1, len(right.words) + 1, len(left.lengths)
    cost, unlike = np.zeros(shape), np.zeros(shape)
    step: npt.NDArray[np.int8] = np.zeros(shape, dtype=np.int8)
    dropped, added = _DELETE * left.heavy, _INSERT * right.heavy
    step[1:, 0] = 1
    cost[1:, 0], cost[0, 1:] = dropped.cumsum(axis=0), added.cumsum(axis=0)
    for i, j in np.ndindex(shape[0] - 1, shape[1] - 1):
        here = np.flatnonzero((left.lengths > i) & (right.lengths > j))
        if not len(here):
            continue
        there, gone = right.heavy[j, here], dropped[i, here]
        best, kept = cost[i + 1, j, here] + added[j, here], np.zeros(len(here))
        way: npt.NDArray[np.int8] = np.zeros(len(here), dtype=np.int8)
        drop = cost[i, j + 1, here] + gone
        cheaper = drop < best
        best, way = np.where(cheaper, drop, best), cheaper.astype(np.int8)
        tries: list[_Try] = [(2, cost[i, j, here], 0.0, _SUBSTITUTE, np.maximum(there, gone), left.spoken, right.spoken)]
        if j:
            pair = there + right.heavy[j - 1, here]
            tries.append((3, cost[i, j - 1, here], _SPLICE, _JOIN, pair, left.spoken, right.joined))
        if i:
            tries.append((4, cost[i - 1, j, here], _SPLICE, _JOIN, there, left.joined, right.spoken))
        for number, least, splice, rate, heavy, of_left, of_right in tries:
            at = np.flatnonzero(least + splice < best)
            if not len(at):
                continue
            apart = _unlike(of_left(i, here[at]), of_right(j, here[at]))
            total = least[at] + rate * apart * heavy[at] + splice
            won = total < best[at]
            at = at[won]
            best[at], kept[at], way[at] = total[won], apart[won], number
        cost[i + 1, j + 1, here], unlike[i + 1, j + 1, here], step[i + 1, j + 1, here] = best, kept, way
    return cost, step, unlike


def _traced_all(left: _Side, right: _Side, cost: Floats, step: npt.NDArray[np.int8], unlike: Floats) -> list[Fields]:
    """Trace the cheapest path of each stretch back, and add up its steps, as `Aligner._traced` does for one."""
    n, back, along = len(left.lengths), *np.array(_STEPS).T
    replaced, worst, missing, most_missing, extra, most_extra = np.zeros((6, n))
    swaps = np.zeros(n, dtype=np.int64)
    i, j = left.lengths.copy(), right.lengths.copy()
    while len(open_ := np.flatnonzero(i + j)):
        taken = step[i[open_], j[open_], open_]
        of = open_[taken == 0]
        heavy = right.heavy[j[of] - 1, of]
        missing[of] += heavy
        most_missing[of] = np.maximum(most_missing[of], heavy)
        of = open_[taken == 1]
        heavy = left.heavy[i[of] - 1, of]
        extra[of] += heavy
        most_extra[of] = np.maximum(most_extra[of], heavy * left.known[i[of] - 1, of])
        of = open_[taken > 1]
        heavy = right.heavy[j[of] - 1, of] + np.where(step[i[of], j[of], of] == 3, right.heavy[j[of] - 2, of], 0.0)
        apart = unlike[i[of], j[of], of] * heavy
        replaced[of] += apart
        worst[of] = np.maximum(worst[of], apart)
        of = open_[taken == 2]
        heard, meant = left.words[i[of] - 1, of], right.words[j[of] - 1, of]
        swaps[of] += left.known[i[of] - 1, of] & (heard != meant).astype(bool)
        i[open_] -= back[taken]
        j[open_] -= along[taken]
    total = cost[left.lengths, right.lengths, np.arange(n)]
    fields = (total, replaced, worst, missing, most_missing, extra, most_extra, swaps)
    return list(zip(*(field.tolist() for field in fields), strict=True))
