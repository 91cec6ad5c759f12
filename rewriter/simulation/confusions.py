"""`Confusions`: the words that a recogniser writes instead of a word."""

from bisect import bisect
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.similarity import phonetic_key
from rewriter.simulation.channels import Rates, word_class

EDGE = ""
"""Stands before the first and after the last word of a phrase."""
CLOSE = 0.5
"""Two words are close if their letters or sounds are at least this similar (0..1)."""
_OFFERED = 20  # close or fluent words that a word may become
_FAR = 60  # words that are not close, the closest of them, that a word may become
_LEAST = 0.1  # closeness below this weighs no less


class Offer(NamedTuple):
    """Words to choose from, and their cumulated weights."""

    words: list[str]
    weights: list[float]

    def choose(self, u: float) -> str:
        """Return the word at a uniform number of [0, 1); nothing where there is none."""
        return self.words[bisect(self.weights, u * self.weights[-1], hi=len(self.words) - 1)] if self.words else ""


def closeness(word: str, others: Sequence[str], locale: str = "en") -> npt.NDArray[np.float64]:
    """Return the similarity of other words by letters or by sound, the larger of the two, (n,) in 0..1."""
    return _closeness(word, others, [_key(other, locale) for other in others], locale)


def _closeness(word: str, others: Sequence[str], keys: Sequence[str], locale: str) -> npt.NDArray[np.float64]:
    letters = cdist([word], others, scorer=Indel.normalized_similarity, dtype=np.float64)[0]
    sounds = cdist([_key(word, locale)], keys, scorer=Indel.normalized_similarity, dtype=np.float64)[0]
    return np.asarray(np.maximum(letters, sounds))


@cache
def _key(word: str, locale: str) -> str:
    return phonetic_key(word, locale)


class Confusions:
    """Draws what is written instead of a word.

    Args:
        phrases: phrases of the domain; they give its words, and which words may follow each other.
        general: other words of the language.
        rates: the error profile.
        locale: BCP 47; decides how words sound.
    """

    def __init__(self, phrases: Iterable[str], general: Iterable[str], rates: Rates, locale: str = "en") -> None:
        self._after: dict[str, set[str]] = {}
        self._before: dict[str, set[str]] = {}
        for phrase in phrases:
            for left, right in pairwise((EDGE, *phrase.split(), EDGE)):
                self._after.setdefault(left, set()).add(right)
                self._before.setdefault(right, set()).add(left)
        inside = set(self._after) - {EDGE}
        pools = (sorted(set(general) - inside) or sorted(inside), sorted(inside))
        self._pools = [(words, [_key(word, locale) for word in words]) for words in pools]
        self._vocabulary = inside | set(general)
        self._rates = rates
        self._locale = locale
        self._offers: dict[tuple[str, ...], Offer] = {}

    def draw(self, word: str, before: str, after: str, u: Sequence[float]) -> str:
        """Return what is written: a word, two words, or nothing.

        Args:
            word: the word said.
            before: the word before it, `EDGE` where there is none.
            after: the word after it, `EDGE` where there is none.
            u: five uniform numbers of [0, 1) that decide: the kind of error, whether it must be fluent, close or far, which
                pool, which word.
        """
        rates = self._rates.classes[word_class(word)]
        kind = u[0] * rates.total
        if kind < rates.deleted:
            return ""
        if kind < rates.deleted + rates.split and len(word) > 3:
            return self._split(word, u[4])
        if u[1] < self._rates.fluent and (fluent := self._fluent(word, before, after)).words:
            return fluent.choose(u[4])
        far = u[2] >= self._rates.close
        return self._unfluent(word, far, int(u[3] < self._rates.known[far])).choose(u[4])

    def _fluent(self, word: str, before: str, after: str) -> Offer:
        """Words that the domain has between the two beside them."""
        key = (word, before, after)
        if key not in self._offers:
            words = sorted(self._after.get(before, set()) & self._before.get(after, set()) - {word, EDGE})
            scores = closeness(word, words, self._locale)
            self._offers[key] = self._offer(words, scores, np.argsort(-scores, kind="stable")[:_OFFERED])
        return self._offers[key]

    def _unfluent(self, word: str, far: bool, pool: int) -> Offer:
        """Words of a pool (0 outside, 1 inside the domain) close to a word, or the closest of the others."""
        key = (word, "far" if far else "close", "inside" if pool else "outside")
        if key not in self._offers:
            words, keys = self._pools[pool]
            scores = _closeness(word, words, keys, self._locale)
            order = [i for i in np.argsort(-scores, kind="stable") if words[i] != word]
            close = sum(scores[order] >= CLOSE)
            kept = order[close : close + _FAR] if far else order[: min(max(close, 1), _OFFERED)]
            self._offers[key] = self._offer(words, scores, np.asarray(kept, dtype=np.intp))
        return self._offers[key]

    def _offer(self, words: list[str], scores: npt.NDArray[np.float64], kept: npt.NDArray[np.intp]) -> Offer:
        weights = np.maximum(scores[kept], _LEAST) ** self._rates.sharpness
        return Offer([words[i] for i in kept], list(accumulate(weights.tolist())))

    def _split(self, word: str, u: float) -> str:
        """Cut a word in two, where the halves are words if there is such a place."""
        cuts = [(word[:i], word[i:]) for i in range(2, len(word) - 1)]
        found = [sum(half in self._vocabulary for half in cut) for cut in cuts]
        good = [cut for cut, n in zip(cuts, found, strict=True) if n == max(found)]
        return " ".join(good[int(u * len(good))])
