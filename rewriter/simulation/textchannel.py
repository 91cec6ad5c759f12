"""`TextChannel`: a simulated speech recogniser for text, with error rates fitted to a real one.

`Confusions` draws the words that a recogniser writes instead of a word.
"""

import hashlib
from bisect import bisect
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from math import expm1
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.errors import ConfigError
from rewriter.similarity import phonetic_key
from rewriter.simulation.channels import Heard, Rates, common_words, word_class

EDGE = ""
"""The neighbour of the first and of the last word of a phrase."""
CLOSE = 0.5
"""Two words are close if their letters or sounds are at least this similar (0..1)."""
_OFFERED = 20  # at most so many close or fluent substitutes of a word
_FAR = 60  # at most so many other substitutes of a word, the closest ones
_LEAST = 0.1  # smaller closeness counts as this


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
            u: five uniform numbers of [0, 1). They decide on the kind of error, on fluent or not, on close or far, on the pool,
                and on the word.
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
        """Return words that occur in the domain between the two neighbours."""
        key = (word, before, after)
        if key not in self._offers:
            words = sorted(self._after.get(before, set()) & self._before.get(after, set()) - {word, EDGE})
            scores = closeness(word, words, self._locale)
            self._offers[key] = self._offer(words, scores, np.argsort(-scores, kind="stable")[:_OFFERED])
        return self._offers[key]

    def _unfluent(self, word: str, far: bool, pool: int) -> Offer:
        """Return the words of a pool (0 outside, 1 inside the domain) that are close to a word, or the closest of the others."""
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
        """Cut a word in two, at a place where both halves are words if there is one."""
        cuts = [(word[:i], word[i:]) for i in range(2, len(word) - 1)]
        found = [sum(half in self._vocabulary for half in cut) for cut in cuts]
        good = [cut for cut, n in zip(cuts, found, strict=True) if n == max(found)]
        return " ".join(good[int(u * len(good))])


SETTINGS = {"quiet": 0.2, "normal": 0.5, "noisy": 1.0}
"""Setting -> multiplier of the fitted rates. *noisy* is the fitted profile: read speech, half of it from a distant microphone;
every second utterance has an error. *normal* is a device adapted to its room. *quiet* is a person close to the microphone."""
FILLERS = ("uh", "um", "er", "hm")
_QUANTILES = 1024
_ALTERNATIVES = 2  # number of wrong hearings in the n-best list besides the best one


class TextChannel:
    """A recogniser with the error profile of `Rates`.

    The probability of an error depends on the class of the word, the severity of the take, a weakness of the word, and a weakness
    of the word for this speaker. What is written instead is mostly the favourite confusion of this speaker for this word. So
    errors recur, as those of real recognisers do. Weaknesses and favourites follow from `seed`, and everything else from the
    generator that is passed to `hear`.

    Args:
        phrases: what is said to the assistant. A recogniser prefers words that it expects.
        general: other words of the language; None for the package's English list.
        setting: ``quiet``, ``normal`` or ``noisy``, see `SETTINGS`.
        multiplier: multiplies all error rates; overrules `setting`.
        locale: BCP 47.
        seed: decides which weaknesses and favourites speakers have.
        rates: the error profile; None for the package's.

    Raises:
        ConfigError: `setting` is unknown, or `multiplier` negative.

    Example:
        >>> channel = TextChannel(["turn on the lamp", "turn off the lamp"], setting="noisy")
        >>> channel.hear("turn on the lamp", "ann", np.random.default_rng(1)).text
        'turn on the lamp'
    """

    def __init__(
        self,
        phrases: Iterable[str],
        *,
        general: Iterable[str] | None = None,
        setting: str = "normal",
        multiplier: float | None = None,
        locale: str = "en",
        seed: int = 0,
        rates: Rates | None = None,
    ) -> None:
        if setting not in SETTINGS:
            raise ConfigError(f"unknown channel setting {setting!r}; choose one of {', '.join(SETTINGS)}")
        if multiplier is not None and multiplier < 0:
            raise ConfigError(f"the multiplier of a channel must not be negative, not {multiplier}")
        self.rates = rates or Rates.from_json()
        self.multiplier = SETTINGS[setting] if multiplier is None else multiplier
        words = common_words()
        everyday = words["function"] | words["common"]
        self._confusions = Confusions(phrases, everyday if general is None else general, self.rates, locale)
        self._function = sorted(words["function"])
        self._common = sorted(words["common"])
        self._seed = seed
        self._weak_words = _gamma_quantiles(self.rates.word_shape)
        self._weak_pairs = _gamma_quantiles(self.rates.pair_shape)
        self._hazards: dict[tuple[str, str], tuple[list[str], list[float]]] = {}

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard:
        """Return one hearing of `speaker` saying `said`."""
        words, hazards = self._spoken(said, speaker)
        severity = self.multiplier * rng.gamma(self.rates.take_shape, 1 / self.rates.take_shape)
        inserting = -expm1(-severity * self.rates.inserted)
        u = iter(rng.random(2 * len(words) + 2).tolist())
        heard = [self._insertion(rng)] if next(u) < inserting else []
        for i, word in enumerate(words):
            heard.append(self._mishear(words, i, speaker, rng) if next(u) < -expm1(-severity * hazards[i]) else word)
            if next(u) < inserting:
                heard.append(self._insertion(rng))
        if next(u) < self.rates.filler * self.multiplier:
            heard.insert(0, FILLERS[int(rng.random() * len(FILLERS))])
        text = " ".join(w for w in heard if w) or said
        return Heard(text, self._nbest(text, words, speaker, rng), self._confidence(text == " ".join(words), rng))

    def _spoken(self, said: str, speaker: str) -> tuple[list[str], list[float]]:
        """Return the words of an utterance and the error hazard of each for this speaker."""
        key = (speaker, said)
        if key not in self._hazards:
            words = said.split()
            self._hazards[key] = words, [self.rates.classes[word_class(w)].hazard * self._weakness(w, speaker) for w in words]
        return self._hazards[key]

    def _weakness(self, word: str, speaker: str) -> float:
        everybody = self._weak_words[int(_uniforms(f"{self._seed}|{word}")[5] * _QUANTILES)]
        own = self._weak_pairs[int(_uniforms(f"{self._seed}|{word}|{speaker}")[5] * _QUANTILES)]
        return float(everybody * own)

    def _mishear(self, words: list[str], i: int, speaker: str, rng: np.random.Generator) -> str:
        word = words[i]
        if rng.random() < self.rates.speaker_habit:
            own = _uniforms(f"{self._seed}|{word}|{speaker}")
            u: Sequence[float] = _uniforms(f"{self._seed}|{word}") if own[6] < self.rates.shared_habit else own
        else:
            u = rng.random(5).tolist()
        before, after = words[i - 1] if i else EDGE, words[i + 1] if i + 1 < len(words) else EDGE
        return self._confusions.draw(word, before, after, u)

    def _insertion(self, rng: np.random.Generator) -> str:
        words = self._function if rng.random() < self.rates.inserted_function else self._common
        return words[int(rng.random() * len(words))]

    def _nbest(self, text: str, words: list[str], speaker: str, rng: np.random.Generator) -> tuple[str, ...]:
        said = " ".join(words)
        others = []
        for _ in range(_ALTERNATIVES):
            i = int(rng.random() * len(words))
            changed = self._mishear(words, i, speaker, rng)
            others.append(" ".join(w for w in (*words[:i], changed, *words[i + 1 :]) if w))
        others = [o for o in others if o and o != said]
        if text != said and rng.random() < self.rates.nbest_truth:
            others.insert(int(rng.random() * (len(others) + 1)), said)
        return tuple(dict.fromkeys((text, *others)))

    def _confidence(self, right: bool, rng: np.random.Generator) -> float:
        mean, sd = self.rates.confidence_right if right else self.rates.confidence_wrong
        size = mean * (1 - mean) / sd**2 - 1  # the Beta distribution with this mean and standard deviation
        return round(float(rng.beta(mean * size, (1 - mean) * size)), 4)


def _gamma_quantiles(shape: float) -> npt.NDArray[np.float64]:
    """Return quantiles of a gamma distribution with mean 1, from a large sample that is always the same."""
    draws = np.sort(np.random.default_rng(0).gamma(shape, 1 / shape, size=_QUANTILES * 64))
    middles: npt.NDArray[np.float64] = draws.reshape(_QUANTILES, 64).mean(axis=1)
    return np.asarray(middles / middles.mean())


@lru_cache(maxsize=1 << 18)
def _uniforms(key: str) -> tuple[float, ...]:
    """Return seven numbers of [0, 1) that follow from a text."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=28).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in range(0, 28, 4))
