"""How alike two texts are, to the eye and to the ear. Pure functions of normalised texts."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby

import jellyfish
import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist

from rewriter.arrays import Floats

Texts = Sequence[str] | npt.NDArray[np.object_]


def phonetic_key(text: str, locale: str = "en") -> str:
    """Return the sounds of a text as a string to be compared.

    English: Metaphone of each word. Elsewhere: the letters without accents, doubled ones once, which is coarse but true
    for every alphabet.

    Example:
        >>> phonetic_key("turn of the lamp") == phonetic_key("turn off the lamp")
        True
    """
    return phonetic_keys((text,), locale)[0]


def phonetic_keys(texts: Iterable[str], locale: str = "en") -> list[str]:
    """Return the phonetic key of each text; a word is heard once, however often it comes."""
    sound = _metaphone if locale.split("-", maxsplit=1)[0] == "en" else _letters
    return [" ".join(map(sound, text.split())) for text in texts]


def text_similarity(sources: Sequence[str], targets: Sequence[str]) -> Floats:
    """Normalised Indel similarity of each pair, (n,) in 0..1; the same as `rapidfuzz.fuzz.ratio` / 100."""
    return pairwise(list(sources), list(targets))


def sound_similarity(sources: Sequence[str], targets: Sequence[str], locale: str = "en") -> Floats:
    """Normalised Indel similarity of the phonetic keys of each pair, (n,) in 0..1."""
    return pairwise(phonetic_keys(sources, locale), phonetic_keys(targets, locale))


def contained(one: str, other: str) -> bool:
    """Whether the words of one of the texts stand in the other in the same order, others between them or not.

    Example:
        >>> contained("play harry potter", "play the harry potter audiobook")
        True
    """
    short, long = sorted((one.split(), other.split()), key=len)
    words = iter(long)
    return all(word in words for word in short)


def pairwise(left: Texts, right: Texts) -> Floats:
    """Normalised Indel similarity of each pair of strings, (n,) in 0..1."""
    if len(left) == 0:
        return np.zeros(0)
    return np.asarray(cpdist(left, right, scorer=Indel.normalized_similarity, dtype=np.float64))


@lru_cache(maxsize=1 << 16)
def _metaphone(word: str) -> str:
    return jellyfish.metaphone(word) or word


@lru_cache(maxsize=1 << 16)
def _letters(word: str) -> str:
    plain = (c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c)[0] != "M")
    return "".join(c for c, _ in groupby(plain))
