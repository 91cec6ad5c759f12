"""What a recogniser writes instead of a word: `Rates`, the figures; `Confusions`, the words.

The figures stand in `channel.json`; `benchmarks/fit_channel.py` wrote them, once.
"""

import json
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.model.similarity import phonetic_key

_HERE = Path(__file__).parent
CLOSE = 0.5  # two words are close where letters or sounds are at least this similar
_OFFERED = 20  # close words that a word may become
_FAR = 60  # words that are not close, the closest of them, that a word may become


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a word of one class goes wrong, each a share of the words spoken.

    Attributes:
        substituted: another word is heard.
        deleted: nothing is heard.
        split: two words are heard.
        hazard: the rate from which the three come out on average, once takes, words and speakers differ: the probability of
            an error is 1 - exp(-hazard * severity of the take * weakness of the word * weakness in this mouth).
    """

    substituted: float
    deleted: float
    split: float
    hazard: float

    @property
    def total(self) -> float:
        """Share of the words that are not heard as they were said."""
        return self.substituted + self.deleted + self.split


@dataclass(frozen=True, slots=True)
class Rates:
    """The error profile of a recogniser.

    Attributes:
        classes: class of a word (`word_class`) -> how often it goes wrong.
        inserted: inserted words per word spoken.
        inserted_function: share of the inserted words that are function words.
        filler: share of utterances in which a filler is heard.
        close: share of substituted words whose substitute is close to the eye or the ear.
        known: share of the substitutes that belong to the domain, for close and for far ones.
        sharpness: a close candidate is chosen with weight similarity ** sharpness.
        take_shape: gamma shape of the severity of one take; small means that errors come in the same utterances.
        word_shape: gamma shape of the weakness of a word, whoever speaks.
        pair_shape: gamma shape of the weakness of a word in the mouth of one speaker.
        speaker_habit: probability that an error takes the form that is this speaker's favourite for the word.
        shared_habit: probability that a speaker's favourite is everybody's favourite.
        nbest_truth: where the best hearing is wrong, the share of n-best lists with the truth further down.
        confidence_right: mean and standard deviation of the confidence in a right hearing.
        confidence_wrong: the same for a wrong one.
    """

    classes: Mapping[str, ErrorRates]
    inserted: float
    inserted_function: float
    filler: float
    close: float
    known: tuple[float, float]
    sharpness: float
    take_shape: float
    word_shape: float
    pair_shape: float
    speaker_habit: float
    shared_habit: float
    nbest_truth: float
    confidence_right: tuple[float, float]
    confidence_wrong: tuple[float, float]

    @classmethod
    def from_json(cls, path: Path = _HERE / "channel.json") -> "Rates":
        """Read the figures; without a path those of the package."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["rates"]
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        values["classes"] = {name: ErrorRates(**rates) for name, rates in data["classes"].items()}
        return cls(**values)


@cache
def common_words() -> Mapping[str, frozenset[str]]:
    """Return the English words of `words.json`: ``function`` and ``common``."""
    data = json.loads((_HERE / "words.json").read_text(encoding="utf-8"))
    return {kind: frozenset(" ".join(data[kind]).split()) for kind in ("function", "common")}


def word_class(word: str) -> str:
    """Return how common and how long a word is, the key of `Rates.classes`.

    Example:
        >>> word_class("the"), word_class("thermostat")
        ('function/short', 'common/long')
    """
    words = common_words()
    kind = "function" if word in words["function"] else "common" if word in words["common"] else "rare"
    return f"{kind}/{'short' if len(word) <= 3 else 'medium' if len(word) <= 6 else 'long'}"


def closeness(word: str, others: list[str], locale: str = "en") -> npt.NDArray[np.float64]:
    """Return how close other words are to the eye or the ear, whichever is closer, (n,) in 0..1."""
    if not others:
        return np.zeros(0)
    letters = cdist([word], others, scorer=Indel.normalized_similarity, dtype=np.float64)[0]
    keys = [_key(other, locale) for other in others]
    sounds = cdist([_key(word, locale)], keys, scorer=Indel.normalized_similarity, dtype=np.float64)[0]
    return np.asarray(np.maximum(letters, sounds))


@cache
def _key(word: str, locale: str) -> str:
    return phonetic_key(word, locale)


class Confusions:
    """Chooses what is written instead of a word.

    Args:
        domain: words that the assistant knows.
        general: other words of the language.
        rates: the error profile.
        locale: BCP 47; decides how words sound.
    """

    def __init__(self, domain: Iterable[str], general: Iterable[str], rates: Rates, locale: str = "en") -> None:
        inside = set(domain)
        self._pools = (sorted(set(general) - inside) or sorted(inside), sorted(inside))
        self._vocabulary = inside | set(general)
        self._rates = rates
        self._locale = locale
        self._candidates: dict[tuple[str, bool, int], tuple[list[str], list[float]]] = {}

    def draw(self, word: str, u: tuple[float, float, float, float]) -> str:
        """Return what is written: a word, two words, or nothing.

        Args:
            word: the word said.
            u: four uniform numbers of [0, 1) that decide: the kind of error, close or far, which pool, which word.
        """
        rates = self._rates.classes[word_class(word)]
        kind = u[0] * rates.total
        if kind < rates.deleted:
            return ""
        if kind < rates.deleted + rates.split and len(word) > 3:
            return self._split(word, u[3])
        far = u[1] >= self._rates.close
        words, weights = self.candidates(word, far=far, pool=int(u[2] < self._rates.known[far]))
        return words[bisect(weights, u[3] * weights[-1], hi=len(words) - 1)] if words else ""

    def candidates(self, word: str, *, far: bool, pool: int) -> tuple[list[str], list[float]]:
        """Return what may be written for a word, and the cumulated weights.

        Where a pool has nothing close, the closest of what it has is offered.

        Args:
            word: the word said.
            far: whether the substitute is unlike the word.
            pool: 0 for words outside, 1 for words inside the domain.
        """
        key = (word, far, pool)
        if key not in self._candidates:
            words = [w for w in self._pools[pool] if w != word]
            scores = closeness(word, words, self._locale)
            order = np.argsort(-scores, kind="stable")
            close = int((scores >= CLOSE).sum())
            kept = order[close : close + _FAR] if far else order[: min(max(close, 1), _OFFERED)]
            weights = accumulate(1.0 if far else max(float(scores[i]), 0.1) ** self._rates.sharpness for i in kept)
            self._candidates[key] = ([words[i] for i in kept], list(weights))
        return self._candidates[key]

    def _split(self, word: str, u: float) -> str:
        """Cut a word in two, where the halves are words if there is such a place."""
        cuts = [(word[:i], word[i:]) for i in range(2, len(word) - 1)]
        found = [sum(half in self._vocabulary for half in cut) for cut in cuts]
        good = [cut for cut, n in zip(cuts, found, strict=True) if n == max(found)]
        return " ".join(good[int(u * len(good))])
