"""How alike two texts are, to the eye and to the ear. Pure functions of normalised texts."""

import unicodedata
from collections.abc import Sequence
from itertools import groupby

import jellyfish
import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist

Floats = npt.NDArray[np.float64]


def phonetic_key(text: str, locale: str = "en") -> str:
    """Return the sounds of a text as a string to be compared.

    English: Metaphone of each word. Elsewhere: the letters without accents, doubled ones once, which is coarse but true
    for every alphabet.

    Example:
        >>> phonetic_key("turn of the lamp") == phonetic_key("turn off the lamp")
        True
    """
    if locale.split("-", maxsplit=1)[0] == "en":
        return " ".join(jellyfish.metaphone(word) or word for word in text.split())
    plain = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c)[0] != "M")
    return "".join(c for c, _ in groupby(plain))


def text_similarity(sources: Sequence[str], targets: Sequence[str]) -> Floats:
    """Normalised Indel similarity of each pair, (n,) in 0..1; the same as `rapidfuzz.fuzz.ratio` / 100."""
    return _pairwise(list(sources), list(targets))


def sound_similarity(sources: Sequence[str], targets: Sequence[str], locale: str = "en") -> Floats:
    """Normalised Indel similarity of the phonetic keys of each pair, (n,) in 0..1."""
    keys = {text: phonetic_key(text, locale) for text in {*sources, *targets}}
    return _pairwise([keys[s] for s in sources], [keys[t] for t in targets])


def _pairwise(left: list[str], right: list[str]) -> Floats:
    if not left:
        return np.zeros(0)
    return np.asarray(cpdist(left, right, scorer=Indel.normalized_similarity, dtype=np.float64))
