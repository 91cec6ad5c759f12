"""What single texts tell of where a turn broke: strange words, kinds of response, values they hold, how alike they sound.

Each is worked out once for a distinct text or pair of texts.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Set
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel, Postfix, Prefix
from rapidfuzz.process import cdist

from rewriter import similarity
from rewriter.arrays import Floats, Ints
from rewriter.locales import language_of
from rewriter.model.channel import NoisyChannel
from rewriter.model.prior import Prior
from rewriter.text import normalise

_SYMBOLS = 35  # about as many phones as a language has
_LONGEST = 6  # words of a value that is looked for
_BLOCK = 2048  # texts that are compared at once
_MOST = 5.0  # odds beyond which nothing is told apart

Texts = npt.NDArray[np.object_]


def fluency(text: Texts, said: Ints, user: Ints) -> tuple[Floats, Floats]:
    """Return how many other users say the rarest word, and the rarest pair of neighbouring words, of each turn, log(1 + users).

    Args:
        text: (t,) str.
        said: (n,) id of the text of each turn.
        user: (n,) its user.
    """
    pairs = np.unique(said * (int(user.max(initial=0)) + 1) + user) // (int(user.max(initial=0)) + 1)
    ids, users = np.unique(pairs, return_counts=True)
    words: Counter[str] = Counter()
    twos: Counter[tuple[str, str]] = Counter()
    split = {i: text[i].split() for i in ids.tolist()}
    for i, n in zip(ids.tolist(), users.tolist(), strict=True):
        for word in set(split[i]):
            words[word] += n
        for two in set(pairwise(split[i])):
            twos[two] += n
    rarest = np.zeros((2, len(text)))
    for i, parts in split.items():  # the user is one of those who say it
        rarest[0, i] = min((words[w] for w in parts), default=1) - 1
        rarest[1, i] = min((twos[two] for two in pairwise(parts)), default=rarest[0, i] + 1) - 1
    return np.log1p(rarest[0])[said], np.log1p(rarest[1])[said]


def values_in(text: Texts, said: Ints, known: Set[str]) -> dict[int, tuple[str, ...]]:
    """Return the known values that each text holds, the longest first and none within another.

    Args:
        text: (t,) str.
        said: ids of the texts that are looked at.
        known: values, normalised.
    """
    longest = min(max((value.count(" ") + 1 for value in known), default=0), _LONGEST)
    found: dict[int, tuple[str, ...]] = {}
    for i in np.unique(said).tolist():
        words, here = text[i].split(), []
        place = 0
        while place < len(words):
            sizes = range(min(longest, len(words) - place), 0, -1)
            size = next((k for k in sizes if " ".join(words[place : place + k]) in known), 0)
            if size:
                here.append(" ".join(words[place : place + size]))
            place += max(size, 1)
        if here:
            found[i] = tuple(dict.fromkeys(here))
    return found


def nearest(text: Texts, locale: Texts, said: Ints, known: Ints) -> tuple[Ints, Floats]:
    """Return for each text the known text that is most like it and not itself, (m,), -1 for none, and how alike, (2, m).

    Args:
        text: (t,) str.
        locale: (t,) str.
        said: (m,) ids of the texts that are looked at.
        known: (k,) ids of the texts that they are compared with.

    Returns:
        The ids; and the similarities in spelling and in sound, 0..1, of the pair.
    """
    best, alike = np.full(len(said), -1, dtype=np.int64), np.zeros((2, len(said)))
    if not len(known):
        return best, alike
    choices = text[known].tolist()
    for start in range(0, len(said), _BLOCK):
        block = said[start : start + _BLOCK]
        found = cdist(text[block].tolist(), choices, scorer=Indel.normalized_similarity, dtype=np.float32)
        found[block[:, None] == known[None, :]] = -1
        top = found.argmax(axis=1)
        best[start : start + _BLOCK] = known[top]
        alike[0, start : start + _BLOCK] = np.maximum(found[np.arange(len(block)), top], 0)
    for place in set(locale[said].tolist()):
        rows = np.flatnonzero(locale[said] == place)
        sounds = [similarity.phonetic_keys(text[ids[rows]], place) for ids in (said, best)]
        alike[1, rows] = similarity.pairwise(*sounds)
    return best, alike


def kinds_of_reply(reply: str, locale: str) -> frozenset[str]:
    """Return which kinds of failure a response speaks of.

    Example:
        >>> sorted(kinds_of_reply("Sorry, I couldn't find the lamp.", "en"))
        ['not_found']
    """
    known = _phrases().get(language_of(locale), {})
    text = f" {normalise(reply)} "
    return frozenset(kind for kind, phrases in known.items() if any(f" {phrase}" in text for phrase in phrases))


@cache
def _phrases() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    text = (resources.files("rewriter.detect") / "words" / "replies.json").read_text(encoding="utf-8")
    return {
        locale: {kind: tuple(map(normalise, phrases)) for kind, phrases in kinds.items()}
        for locale, kinds in json.loads(text).items()
    }


def channel_odds(text: Texts, locale: Texts, heard: Ints, said: Ints) -> Floats:
    """Return for pairs of texts how much likelier the first is as a mishearing of the second than as random symbols, (m,).

    It is ``log P(heard | said) / n + log(symbols)`` over the words in which the texts differ, n of their symbols, cut to -5..5:
    above 0 a mishearing explains the first text better. Equal texts are NaN.
    """
    pairs, places = np.unique(np.column_stack([heard, said]), axis=0, return_inverse=True)
    odds = [_odds(*_differing(text[a], text[b]), locale[a]) if a != b else math.nan for a, b in pairs.tolist()]
    return np.asarray(odds, dtype=np.float64)[places.reshape(-1)]


def _differing(heard: str, said: str) -> tuple[str, str]:
    """Return two texts without the words with which both begin or end."""
    one, other = heard.split(), said.split()
    head = int(Prefix.similarity(one, other))
    tail = min(int(Postfix.similarity(one, other)), len(one) - head, len(other) - head)
    return " ".join(one[head : len(one) - tail]), " ".join(other[head : len(other) - tail])


def _odds(heard: str, said: str, locale: str) -> float:
    channel = _channel(locale)
    views, meant = channel.views([heard]), channel.views([said])
    n = max(float(views.lengths[0]), float(meant.lengths[0]))
    odds = math.log(_SYMBOLS) - float(channel.cost(views, meant)[0]) / n
    return min(max(odds, -_MOST), _MOST)


@cache
def _channel(locale: str) -> NoisyChannel:
    return Prior.load().channel("spoken", locale)
