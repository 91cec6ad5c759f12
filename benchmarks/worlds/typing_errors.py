"""`mistype`: how people mistype on a keyboard, as a channel of its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rewriter.locales import language_of, pack_of
from rewriter.similarity import base_letters, romanised

_KINDS = ("near", "deleted", "swapped", "doubled", "space", "any")
_SHARES = (0.34, 0.28, 0.12, 0.1, 0.1, 0.06)
"""Shares of the kinds of error, about those of Damerau (1964) and of the 136 million keystrokes of Dhakal et al. (2018)."""


class Keyboard(NamedTuple):
    """What is typed by mistake.

    Attributes:
        near: letter -> what is typed for it: neighbouring keys, or where Latin letters are converted, what sounds the same.
        letters: all letters that can be typed.
        bare: whether some people leave out diacritics.
    """

    near: Mapping[str, Sequence[str]]
    letters: Sequence[str]
    bare: bool = False


def keyboard_of(locale: str, texts: Iterable[str] = ()) -> Keyboard:
    """Return the keyboard of a locale.

    Args:
        locale: BCP 47.
        texts: where Latin letters are converted into another script, the letters that can come out.
    """
    pack = pack_of(language_of(locale))
    if pack.typed == "romanised":
        letters = sorted({letter for text in texts for letter in text if letter.isalpha()})
        alike = defaultdict(list)
        for letter in letters:
            alike[romanised(letter)].append(letter)
        return Keyboard({letter: [o for o in alike[romanised(letter)] if o != letter] for letter in letters}, letters)
    place = {key: (row, column) for row, keys in enumerate(pack.keyboard) for column, key in enumerate(keys)}
    near = {
        key: [other for other, (r, c) in place.items() if other != key and abs(r - row) <= 1 and abs(c - column) <= 1]
        for key, (row, column) in place.items()
    }
    return Keyboard(near, list(place), bare=any(base_letters(text) != text for text in texts))


_QWERTY = keyboard_of("en")
_BARE = 0.1  # share of texts without diacritics, in languages that have them


def mistype(text: str, rate: float, rng: np.random.Generator, keyboard: Keyboard = _QWERTY) -> str:
    """Return a text with errors; how careless the writer is varies from text to text.

    Args:
        text: normalised.
        rate: errors per letter, in the mean.
        rng: of the draws.
        keyboard: on which it is typed.
    """
    letters = list(base_letters(text) if keyboard.bare and rng.random() < _BARE else text)
    for _ in range(rng.poisson(rate * len(text) * rng.gamma(1.0))):
        kind = _KINDS[int(np.searchsorted(np.cumsum(_SHARES), rng.random()))]
        places = [i for i, c in enumerate(letters) if (c == " ") == (kind == "space")]
        if not places:
            continue
        i = places[int(rng.random() * len(places))]
        if kind in ("deleted", "space"):
            del letters[i]
        elif kind == "doubled":
            letters.insert(i, letters[i])
        elif kind == "swapped" and i + 1 < len(letters):
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        else:
            keys = keyboard.near.get(letters[i], []) if kind == "near" else keyboard.letters
            letters[i] = keys[int(rng.random() * len(keys))] if keys else letters[i]
    return " ".join("".join(letters).split()) or text
