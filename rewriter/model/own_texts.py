"""`OwnTexts`: the texts of one user beside those of a `PairIndex`, measured as if the index held them.

A catalog may hold hundreds of texts for each of many users: contacts, names of devices, playlists. They are no part of the
index, because nothing of them may be seen by others. Words, shares and contrasts of a user's texts are added when this user asks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.guardrail.contrasts import NOTHING, SMOOTHING, Counts, Pair, WordContrasts
from rewriter.model.channel import Views
from rewriter.model.contrasts import shares
from rewriter.model.pair_features import RAREST, Asked, PairIndex, columns, compare_words, distinct
from rewriter.similarity import base_letters

_SHOWING: Final = 50
"""Texts of a user with a word that are compared with their counterparts, and texts of a frame; so many show what a word does."""
_PAIRS_KEPT: Final = 1024  # pairs of words whose counts are kept for a user


@dataclass(frozen=True, slots=True)
class SharedTexts:
    """A `PairIndex` with what is looked up in it for the texts of a user.

    Attributes:
        index: of everybody's texts in a locale; they may be none.
        meanings: text -> its interpretation.
        shown: the same of the texts whose interpretation is known.
        shares: interpretation -> its share among all texts.
        weight: the sum of the weights of all texts.
        frames: (2,) float64, the frames of all words that change the meaning, and those that do not.
    """

    index: PairIndex
    meanings: Mapping[str, int]
    shown: Mapping[str, int]
    shares: Mapping[int, float]
    weight: float
    frames: Floats

    @classmethod
    def of(cls, index: PairIndex, shows: Bools, weight: float) -> "SharedTexts":
        """Look up the texts of an index once.

        Args:
            index: of a locale.
            shows: (n,) bool, of which texts the interpretation is known.
            weight: the sum of the weights of all texts.
        """
        goals, frames = index.interpretations, index.contrasts.frames.sum(axis=0)
        shares_of = dict(zip(goals.tolist(), index.share.tolist(), strict=True))
        every = np.ones(len(index), dtype=bool)
        return cls(index, shown(index.texts, goals, every), shown(index.texts, goals, shows), shares_of, weight, frames)


class OwnTexts:
    """The texts of one user in one locale, beside everybody's. Safe to use from many threads.

    Args:
        shared: everybody's texts.
        texts: n normalised texts of the user, none of which is everybody's.
        interpretations: (n,) int64, as numbered in the index.
        shows: (n,) bool, of which texts the interpretation is known.
        weights: (n,) float64, how often each is said, in the unit of the weight of `shared`.

    Example:
        >>> from rewriter.model.channel import channel_of
        >>> channel = channel_of("spoken", "en", [0.1, 3.0, 5.0, 4.0, 4.0])
        >>> index, yes = PairIndex(["stop the music"], np.arange(1), channel), np.ones(1, dtype=bool)
        >>> own = OwnTexts(SharedTexts.of(index, yes, 1.0), ["call zoe"], np.array([1]), yes, np.ones(1))
        >>> one, other = own.measure(index.asked("call zo"), np.array([0, 1])).tolist()
        >>> one[0] < other[0]
        True
    """

    __slots__ = (
        "_average", "_changing", "_counts", "_frames", "_interpretations", "_pairs", "_shared", "_shown", "_texts", "_total",
        "_totals", "_weights",
    )  # fmt: skip

    def __init__(self, shared: SharedTexts, texts: Sequence[str], interpretations: Ints, shows: Bools, weights: Floats) -> None:
        self._shared, self._texts, self._interpretations = shared, list(texts), interpretations
        goals = interpretations.tolist()
        self._weights: dict[int, float] = defaultdict(float)
        for goal, weight in zip(goals, weights.tolist(), strict=True):
            self._weights[goal] += weight
        self._total = max(shared.weight + float(weights.sum()), 1e-9)
        self._average = 1 / max(1, len(shared.shares) + len(self._weights.keys() - shared.shares.keys()))
        self._counts = Counter(word for text in texts for word in distinct(text))
        meanings = dict(zip(texts, goals, strict=True))
        known = shared.index.knows
        self._pairs = OwnPairs(meanings, shared.meanings, known)
        self._shown = OwnPairs(shown(texts, interpretations, shows), shared.shown, known)
        self._frames = frames_of_words(meanings)
        self._totals = shared.frames + np.array([*self._frames.values()], dtype=np.float64).sum(axis=0)
        self._changing = lru_cache(maxsize=_PAIRS_KEPT)(self._share_of_word)

    def measure(self, asked: Asked, rows: Ints, own: Floats | None = None) -> Floats:
        """Measure candidates, the columns of `PAIR`, (m, len(PAIR)) float64.

        Args:
            asked: the request.
            rows: (m,) int64, rows of the index, then ``len(index) + i`` for text i of the user; ascending, at least one.
            own: (m,) float64, how often this user was understood so with success; None for nobody.
        """
        index = self._shared.index
        shared, mine = rows[rows < len(index)], rows[rows >= len(index)] - len(index)
        hers = [self._texts[i] for i in mine.tolist()]
        texts = [*(index.texts[i] for i in shared.tolist()), *hers]
        words = tuple(np.array([self._compared(asked, text) for text in texts]).T)
        goals = self.interpretations(rows)
        turns = np.zeros(len(rows)) if own is None else own
        return columns(
            index.channel, asked, _joined(index.said(shared), index.channel.views(hers)), list(map(base_letters, texts)), goals,
            words, turns, self._share(goals), self._average, complete=index.complete,
        )  # fmt: skip

    def interpretations(self, rows: Ints) -> Ints:
        """Return the interpretations of some rows, as `measure` takes them, (m,) int64."""
        n = len(self._shared.index)
        return np.concatenate([self._shared.index.interpretations[rows[rows < n]], self._interpretations[rows[rows >= n] - n]])

    def contrasts(self, shared: WordContrasts) -> WordContrasts:
        """Return what everybody's texts show about words, with what those of the user add."""
        return replace(shared, words=_Joined(shared.words, self._shown))

    def _share(self, goals: Ints) -> Floats:
        """Return the share of each interpretation among all texts, those of the user too."""
        before = self._shared.weight
        weights = [self._shared.shares.get(goal, 0.0) * before + self._weights.get(goal, 0.0) for goal in goals.tolist()]
        return np.maximum(np.array(weights) / self._total, RAREST)

    def _compared(self, asked: Asked, text: str) -> list[float]:
        n = len(self._shared.index) + len(self._texts)
        return compare_words(asked.words, distinct(text), self._count, n, self._p_change, self._changing)

    def knows(self, word: str) -> bool:
        """Return whether a text of everybody or of the user has a word."""
        return word in self._counts or self._shared.index.knows(word)

    def _count(self, word: str) -> int:
        return self._shared.index.count(word) + self._counts.get(word, 0)

    def _p_change(self, one: str, other: str) -> float:
        """Return P(the meaning changes | two words are exchanged); 0 for words that share no frame."""
        index, counts = self._shared.index, self._pairs.counts(one, other)
        numbers = index.number(one), index.number(other)
        if numbers[0] is not None and numbers[1] is not None:
            counts = _sum(counts, index.contrasts.counts(numbers[0], numbers[1]))
        return (counts.changes + SMOOTHING) / (sum(counts) + 2 * SMOOTHING) if sum(counts) else 0.0

    def _share_of_word(self, word: str) -> float:
        """Return the share of frames in which a word changes the meaning.

        Frames with texts of both the user and the index are left out: they would have to be found again for each user.
        """
        number, mine = self._shared.index.number(word), self._frames.get(word, (0, 0))
        shared = np.zeros(2) if number is None else self._shared.index.contrasts.frames[number]
        return float(shares((shared + mine)[None], self._totals)[0])


class OwnPairs:
    """Counts, for two words, the frames that texts of one user make with each other or with everybody's texts.

    Args:
        own: text of the user -> interpretation.
        shared: text of everybody -> interpretation.
        known: tells whether a text of everybody has a word.

    Example:
        >>> pairs = OwnPairs({"call zoe": 1, "call kim": 2, "ring zoe": 1}, {"call mum": 3}, {"call", "mum"}.__contains__)
        >>> pairs.counts("zoe", "kim"), pairs.counts("call", "ring"), pairs.counts("mum", "kim"), pairs.counts("mum", "dad")
        (Counts(changes=1, keeps=0), Counts(changes=0, keeps=1), Counts(changes=1, keeps=0), Counts(changes=0, keeps=0))
    """

    __slots__ = ("_having", "_known", "_own", "_shared", "counts")

    def __init__(self, own: Mapping[str, int], shared: Mapping[str, int], known: Callable[[str], bool]) -> None:
        self._own, self._shared, self._known = own, shared, known
        self._having: dict[str, list[list[str]]] = defaultdict(list)
        for text in own:
            words = text.split()
            for word in set(words):
                if len(self._having[word]) < _SHOWING:
                    self._having[word].append(words)
        self.counts = lru_cache(maxsize=_PAIRS_KEPT)(self._count)

    def _count(self, one: str, other: str) -> Counts:
        spans = sorted((one.split(), other.split()), key=lambda span: len(self._rows(span)) or _SHOWING + 1)
        rarer, common = spans  # no text of the user may have the second; nothing stands for no word
        found = self._exchanged(rarer, common, self._own)
        for span, others in ((rarer, common), (common, rarer)):
            if all(map(self._known, others)):
                found = _sum(found, self._exchanged(span, others, self._shared))
        return found

    def _rows(self, span: Sequence[str]) -> Sequence[Sequence[str]]:
        return self._having.get(span[0], ()) if span else ()

    def _exchanged(self, span: Sequence[str], others: Sequence[str], texts: Mapping[str, int]) -> Counts:
        """Count the texts that those of the user become if some words are exchanged for others, by whether they mean the same."""
        found, n = [0, 0], len(span)
        for words in self._rows(span):
            for i in range(len(words) - n + 1):
                if words[i : i + n] == span:
                    meaning = texts.get(" ".join([*words[:i], *others, *words[i + n :]]))
                    if meaning is not None:
                        found[meaning == self._own[" ".join(words)]] += 1
        return Counts(*found)


class _Joined(Mapping[Pair, Counts]):
    """Counts of everybody's texts, with those of one user's added when they are asked for."""

    __slots__ = ("_own", "_shared")

    def __init__(self, shared: Mapping[Pair, Counts], own: OwnPairs) -> None:
        self._shared, self._own = shared, own

    def __getitem__(self, pair: Pair) -> Counts:
        shared, own = self._shared.get(pair), self._own.counts(*pair)
        if shared is None and not sum(own):
            raise KeyError(pair)
        return own if shared is None else _sum(shared, own)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._shared)

    def __len__(self) -> int:
        return len(self._shared) + 1  # as there are texts of the user, it is never taken for empty


def frames_of_words(texts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return, for each word, the frames in which it changes the meaning of a text, and those in which it does not.

    Args:
        texts: text -> interpretation.

    Example:
        >>> frames_of_words({"call zoe": 1, "call kim": 2, "call": 3})
        {'call': (0, 0), 'zoe': (2, 0), 'kim': (2, 0)}
    """
    frames: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for text, meant in texts.items():
        words = text.split()
        for i, word in enumerate(words):
            frame = (*words[:i], NOTHING, *words[i + 1 :])
            if not frames[frame] and (rest := texts.get(" ".join([*words[:i], *words[i + 1 :]]))) is not None:
                frames[frame].append((NOTHING, rest))
            frames[frame].append((word, meant))
    found: dict[str, tuple[int, int]] = {}
    for members in frames.values():
        if len(members) == 1:
            found.setdefault(members[0][0], (0, 0))
            continue
        chosen = members[:_SHOWING]
        alike = Counter(meant for _, meant in chosen)
        for word, meant in chosen:
            changes, keeps = found.get(word, (0, 0))
            same = alike[meant] - 1
            found[word] = changes + len(chosen) - 1 - same, keeps + same
    found.pop(NOTHING, None)
    return found


def shown(texts: Sequence[str], interpretations: Ints, shows: Bools) -> dict[str, int]:
    """Return text -> interpretation of the texts whose interpretation is known."""
    found = zip(texts, interpretations.tolist(), shows.tolist(), strict=True)
    return {text: meant for text, meant, is_shown in found if is_shown}


def _joined(one: Views, other: Views) -> Views:
    forms = tuple([*left, *right] for left, right in zip(one.forms, other.forms, strict=True))
    return Views(forms, np.concatenate([one.lengths, other.lengths]))


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(one.changes + other.changes, one.keeps + other.keeps)
