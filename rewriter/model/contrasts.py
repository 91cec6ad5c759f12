"""`Contrasts`: which words change the meaning of a text and which do not, learned from the texts of an index.

Two texts that differ in one word form a frame. If they mean different things, the two words *contrast* (on and off, kitchen and
bedroom). If they mean the same, the words are *synonyms* there (raum and zimmer). A word that only one of the texts has is
compared with no word (not, please). Names of two words are found in the same way (living room and kitchen). No word list is
needed, and the method works for any language.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rewriter.arrays import Floats, Ints
from rewriter.guardrail.contrasts import SMOOTHING, Counts, WordContrasts

NOTHING = -1
"""Stands for no word in a pair."""
_SPAN = 2
"""Most words of a stretch that is compared with another one. Each more would cost as much memory as single words."""
_LARGEST = 200
"""Largest number of texts of one frame that are compared with each other. A frame with more is a slot, and 200 texts show it."""


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Counts of frames by pair of words.

    Attributes:
        keys: (p,) int64, ascending: lower number x `size` + higher number of the pair, each plus one, so that `NOTHING` is 0.
        changes: (p,) float64, frames in which the pair changes the meaning.
        keeps: (p,) float64, frames in which it does not.
        size: one more than the number of words.
        frames: (words + 1, 2) float64, for each word the frames in which it changes the meaning and those in which it does not.
            The last row is for no word.
        weight: (words + 1,) float64, for each word the share of its frames in which it changes the meaning (`shares`). The last
            entry, for no word, is 0.
    """

    keys: Ints
    changes: Floats
    keeps: Floats
    size: int
    frames: Floats
    weight: Floats

    def counts(self, one: int, other: int) -> Counts:
        """Return the frames of a pair of words, either of which may be `NOTHING`."""
        key = _key(np.array([one]), np.array([other]), self.size)
        place = int(np.searchsorted(self.keys, key)[0])
        if place == len(self.keys) or self.keys[place] != key[0]:
            return Counts(0, 0)
        return Counts(int(self.changes[place]), int(self.keeps[place]))

    def p_change(self, one: Ints, other: Ints) -> Floats:
        """Return P(another meaning | these two words are exchanged) for pairs that share a frame, 0 for all others, (n,).

        Args:
            one: (n,) numbers of words, or `NOTHING`.
            other: (n,) the same.
        """
        if not len(self.keys):
            return np.zeros(len(one))
        keys = _key(one, other, self.size)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        changes, keeps = self.changes[places], self.keeps[places]
        p = (changes + SMOOTHING) / (changes + keeps + 2 * SMOOTHING)
        return np.where(self.keys[places] == keys, p, 0.0)


def mine(texts: Sequence[Sequence[int]], interpretations: Sequence[int], words: int) -> Contrasts:
    """Find contrasts and synonyms among texts.

    Args:
        texts: numbers of the words of each text, in order.
        interpretations: of each text.
        words: how many words there are.

    Example:
        >>> on, off, the, lamp = range(4)
        >>> found = mine([(on, lamp), (off, lamp), (on, the, lamp)], [1, 2, 1], 4)
        >>> found.p_change(np.array([on, the]), np.array([off, NOTHING])).round(2).tolist()
        [0.67, 0.33]
    """
    counts: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for members in _frames(texts).values():
        chosen = list(dict.fromkeys((word, interpretations[row]) for word, row in members))[:_LARGEST]
        for (one, meant), (other, others) in combinations(chosen, 2):
            if one != other:
                counts[min(one, other), max(one, other)][meant == others] += 1
    pairs = np.array(sorted(counts), dtype=np.int64).reshape(-1, 2)
    table = np.array([counts[one, other] for one, other in pairs.tolist()], dtype=np.float64).reshape(-1, 2)
    of_word = np.zeros((words + 1, 2))
    for side in (0, 1):
        named = pairs[:, side] != NOTHING
        np.add.at(of_word, pairs[named, side], table[named])
    share = shares(of_word, of_word.sum(axis=0))
    share[-1] = 0.0
    return Contrasts(_key(pairs[:, 0], pairs[:, 1], words + 1), table[:, 0], table[:, 1], words + 1, of_word, share)


def shares(frames: Floats, all_frames: Floats) -> Floats:
    """Return the share of frames in which each word changes the meaning, smoothed towards that of all words, (words,).

    Args:
        frames: (words, 2) float64, frames of each word in which it changes the meaning, and those in which it does not.
        all_frames: (2,) float64, their sums over all words.

    Example:
        >>> shares(np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([3.0, 1.0])).round(2).tolist()
        [0.87, 0.67]
    """
    total = all_frames + SMOOTHING
    typical = 2 * SMOOTHING * total / total.sum()
    return np.asarray((frames[:, 0] + typical[0]) / (frames.sum(axis=1) + typical.sum()))


def mine_words(locales: Sequence[str], texts: Sequence[str], interpretations: Sequence[int]) -> dict[str, WordContrasts]:
    """Find contrasts and synonyms among texts by their words, for each locale.

    Args:
        locales: of each text.
        texts: normalised. The caller has checked that each comes from enough users.
        interpretations: of each text; -1 where it is unknown, so that the text shows nothing.

    Example:
        >>> texts = ["turn on the lamp", "turn off the lamp", "turn on the light"]
        >>> sorted(mine_words(["en"] * 3, texts, [1, 2, 1])["en"].words.items())
        [(('lamp', 'light'), Counts(changes=0, keeps=1)), (('off', 'on'), Counts(changes=1, keeps=0))]
    """
    found: dict[str, WordContrasts] = {}
    for locale in sorted(set(locales)):
        rows = [i for i, of in enumerate(locales) if of == locale and interpretations[i] >= 0]
        numbers: dict[str, int] = {}
        numbered = [[numbers.setdefault(word, len(numbers)) for word in texts[i].split()] for i in rows]
        words, mined = [*numbers, ""], mine(numbered, [interpretations[i] for i in rows], len(numbers))
        counts = zip(mined.keys.tolist(), mined.changes.tolist(), mined.keeps.tolist(), strict=True)
        pairs = {
            tuple(sorted((words[key // mined.size - 1], words[key % mined.size - 1]))): Counts(int(changed), int(kept))
            for key, changed, kept in counts
        }
        spans = _spans([texts[i].split() for i in rows], [interpretations[i] for i in rows])
        found[locale] = WordContrasts.of({(one, other): of for (one, other), of in sorted((pairs | spans).items())})
    return found


def _spans(texts: Sequence[Sequence[str]], interpretations: Sequence[int]) -> dict[tuple[str, str], Counts]:
    """Count pairs of stretches of which at least one has several words; neither is empty, and no word is at the same end of both.

    Example:
        >>> said = [text.split() for text in ("light the living room", "light the kitchen", "light the dining room")]
        >>> _spans(said, [1, 2, 3])
        {('kitchen', 'living room'): Counts(changes=1, keeps=0), ('dining room', 'kitchen'): Counts(changes=1, keeps=0)}
    """
    frames: dict[tuple[str, ...], list[tuple[tuple[str, ...], int]]] = defaultdict(list)
    for row, text in enumerate(texts):
        for n in range(1, _SPAN + 1):
            for i in range(len(text) - n + 1):
                frames[(*text[:i], "", *text[i + n :])].append((tuple(text[i : i + n]), row))
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for members in frames.values():
        if len(members) == 1:
            continue
        chosen = list(dict.fromkeys((span, interpretations[row]) for span, row in members))[:_LARGEST]
        if all(len(span) == 1 for span, _ in chosen):
            continue
        stretches = [(" ".join(span), span[0], span[-1], len(span) > 1, meant) for span, meant in chosen]
        for (one, first, last, long, meant), (other, other_first, other_last, other_long, others) in combinations(stretches, 2):
            if (long or other_long) and first != other_first and last != other_last:
                counts[(one, other) if one < other else (other, one)][meant == others] += 1
    return {pair: Counts(changes, keeps) for pair, (changes, keeps) in counts.items()}


def _frames(texts: Sequence[Sequence[int]]) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """Return frame -> (word, row): each text without one of its words, beside texts that lack just this word."""
    whole = {tuple(text): row for row, text in enumerate(texts)}
    frames: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for row, text in enumerate(texts):
        for i, word in enumerate(text):
            rest = (*text[:i], *text[i + 1 :])
            frames[(*text[:i], NOTHING, *text[i + 1 :])].append((word, row))
            if rest and rest in whole:
                frames[(*text[:i], NOTHING, *text[i + 1 :])].append((NOTHING, whole[rest]))
    return {frame: members for frame, members in frames.items() if len(members) > 1}


def _key(one: Ints, other: Ints, size: int) -> Ints:
    return np.asarray((np.minimum(one, other) + 1) * size + np.maximum(one, other) + 1, dtype=np.int64)
