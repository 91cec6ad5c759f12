"""How alike two texts are in spelling and in sound, and where their words differ.

Every function is pure and takes normalised texts (`rewriter.text.normalise`). Similarities are normalised Indel similarities:
with the length L of the longest common subsequence, ``2 L / (len(a) + len(b))``, 1 for two empty texts. Phonetic keys are made
here and nowhere else.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

import jellyfish
import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel, Opcodes
from rapidfuzz.process import cpdist

from rewriter.arrays import Floats
from rewriter.locales import language_of, pack_of

Texts = Sequence[str] | npt.NDArray[np.object_]
Aligner = Callable[[Sequence[str], Sequence[str]], Opcodes]

_METAPHONE = "metaphone"
_WORDS_CACHED = 1 << 16  # words whose keys are remembered; about 10 MB
_LOCALES_CACHED = 64
_PAIRS_CACHED = 1 << 10  # pairs of texts whose differences are remembered: each rule of the guardrail asks for the same pair


def phonetic_key(text: str, locale: str = "en") -> str:
    """Return the sound of a text as a string that can be compared.

    A language whose `Pack.sounds` is ``metaphone``: the Metaphone code of each word (Philips 1990, "Hanging on the Metaphone").
    Others: the letters of each word in Latin script (`romanised`), doubled letters once. That is coarse, but works for every
    script, and compares what is written in two scripts.

    Args:
        text: normalised.
        locale: BCP 47; only its language counts.

    Example:
        >>> phonetic_key("turn of the lamp"), phonetic_key("turn off the lamp")
        ('TRN OF 0 LMP', 'TRN OF 0 LMP')
        >>> phonetic_key("müller nass", "de"), phonetic_key("привет", "ru"), phonetic_key("privet", "ru")
        ('muler nas', 'privet', 'privet')
    """
    return phonetic_keys((text,), locale)[0]


def phonetic_keys(texts: Iterable[str], locale: str = "en") -> list[str]:
    """Return the phonetic key of each text; the keys of words are cached."""
    sound = word_sound(locale)
    return [" ".join(map(sound, text.split())) for text in texts]


@lru_cache(maxsize=_LOCALES_CACHED)
def word_sound(locale: str) -> Callable[[str], str]:
    """Return the function that gives the phonetic key of one word.

    Args:
        locale: BCP 47; only its language counts.
    """
    return _metaphone if pack_of(language_of(locale)).sounds == _METAPHONE else letters_once


@lru_cache(maxsize=_WORDS_CACHED)
def _metaphone(word: str) -> str:
    return jellyfish.metaphone(word) or word


@lru_cache(maxsize=_WORDS_CACHED)
def letters_once(word: str) -> str:
    """Return the letters of a word in Latin script, and doubled ones once.

    Example:
        >>> letters_once("straßenn"), letters_once("çalış"), letters_once("включи")
        ('strasen', 'calis', 'vklyuchi')
    """
    return "".join(letter for letter, _ in groupby(romanised(word)))


def romanised(text: str) -> str:
    """Return a normalised text in lower-case Latin letters without accents, by the tables of the package anyascii.

    Example:
        >>> romanised("ışık"), romanised("打 开"), romanised("đorđe"), romanised("ђорђе")
        ('isik', 'da kai', 'dorde', 'djordje')
    """
    if text.isascii():
        return text
    from anyascii import anyascii  # noqa: PLC0415 - a process that meets Latin letters only needs no tables

    return anyascii(text).lower() or text


def base_letters(text: str) -> str:
    """Return a normalised text with each letter that only adds a diacritic to a Latin letter replaced by that letter.

    Example:
        >>> base_letters("ışığı aç"), base_letters("straße"), base_letters("включи")
        ('isigi ac', 'straße', 'включи')
    """
    return text if text.isascii() else "".join(map(_base_letter, text))


@cache
def _base_letter(letter: str) -> str:
    base = romanised(letter) if unicodedata.name(letter, "").startswith("LATIN") else letter
    return base if len(base) == 1 else letter


def run_key(run: str, locale: str) -> str:
    """Return the sound of words that were written together, so that word borders do not count.

    It is the phonetic key of one long word, with one exception: where it is a Metaphone code, all vowels at the beginning count
    as the same, because a recogniser is least sure of them.

    Args:
        run: normalised words without blanks between them.
        locale: BCP 47; only its language counts.

    Example:
        >>> run_key("turnoff", "en"), run_key("often", "en"), run_key("even", "en")
        ('TRNF', 'AFTN', 'AFN')
    """
    if pack_of(language_of(locale)).sounds == _METAPHONE and (key := jellyfish.metaphone(run)):
        return "A" + key[1:] if key[0] in "EIOU" else key
    return letters_once(run)


def text_similarity(sources: Sequence[str], targets: Sequence[str]) -> Floats:
    """Return the similarity in spelling of each pair, (n,) in 0..1; the same as ``rapidfuzz.fuzz.ratio / 100``.

    Example:
        >>> text_similarity(["lamp", "lamp"], ["lamb", "radio"]).tolist()
        [0.75, 0.2222222222222222]
    """
    return pairwise(list(sources), list(targets))


def sound_similarity(sources: Sequence[str], targets: Sequence[str], locale: str = "en") -> Floats:
    """Return the similarity of the phonetic keys of each pair, (n,) in 0..1.

    Example:
        >>> sound_similarity(["turn of the lamp"], ["turn off the lamp"]).tolist()
        [1.0]
    """
    texts = list(dict.fromkeys((*sources, *targets)))  # each once
    keys = dict(zip(texts, phonetic_keys(texts, locale), strict=True))
    return pairwise([keys[text] for text in sources], [keys[text] for text in targets])


def pairwise(left: Texts, right: Texts) -> Floats:
    """Return the normalised Indel similarity of each pair of strings, (n,) in 0..1."""
    if len(left) == 0:
        return np.zeros(0)
    return np.asarray(cpdist(left, right, scorer=Indel.normalized_similarity, dtype=np.float64))


def contained(one: str, other: str) -> bool:
    """Return whether all words of one text are found in the other in the same order, with or without other words between.

    Example:
        >>> contained("play harry potter", "play the harry potter audiobook")
        True
    """
    short, long = sorted((one.split(), other.split()), key=len)
    words = iter(long)
    return all(word in words for word in short)


class Change(NamedTuple):
    """A stretch of words of the source and the stretch of the target in its place. One of them may be empty.

    Attributes:
        start: place of its first word in the source.
        end: one past its last word.
        new_start: place of its first word in the target.
        new_end: one past its last word.
    """

    start: int
    end: int
    new_start: int
    new_end: int


@lru_cache(maxsize=_PAIRS_CACHED)
def changes(source: tuple[str, ...], target: tuple[str, ...], align: Aligner = Indel.opcodes) -> tuple[Change, ...]:
    """Return the stretches in which two texts differ; stretches that touch are merged.

    Args:
        source: words of the source.
        target: words of the target.
        align: how words are matched; the default matches as many equal words as possible (longest common subsequence).

    Example:
        >>> changes(("turn", "of", "lamp"), ("turn", "off", "the", "lamp"))
        (Change(start=1, end=2, new_start=1, new_end=3),)
    """
    n, m = len(source), len(target)
    start, end = 0, min(n, m)
    while start < end and source[start] == target[start]:
        start += 1
    tail, end = 0, end - start
    while tail < end and source[n - 1 - tail] == target[m - 1 - tail]:
        tail += 1
    lost, gained = source[start : n - tail], target[start : m - tail]
    if not lost or not gained or set(lost).isdisjoint(gained):  # most pairs; no way of matching finds anything else
        return (Change(start, n - tail, start, m - tail),) if lost or gained else ()
    found: list[Change] = []
    start = end = new_start = new_end = -1  # of the stretch that is not yet complete
    for op in align(source, target):
        if op.tag == "equal":
            continue
        if (end, new_end) == (op.src_start, op.dest_start):
            end, new_end = op.src_end, op.dest_end
            continue
        if end >= 0:
            found.append(Change(start, end, new_start, new_end))
        start, end, new_start, new_end = op.src_start, op.src_end, op.dest_start, op.dest_end
    return (*found, Change(start, end, new_start, new_end)) if end >= 0 else ()
