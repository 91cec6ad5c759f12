"""`mistype`: how people mistype on a keyboard, as a channel of its own."""

import numpy as np

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_PLACE = {key: (row, column) for row, keys in enumerate(_KEYS) for column, key in enumerate(keys)}
_NEAR = {
    key: [other for other, (r, c) in _PLACE.items() if other != key and abs(r - row) <= 1 and abs(c - column) <= 1]
    for key, (row, column) in _PLACE.items()
}
_KINDS = ("near", "deleted", "swapped", "doubled", "space", "any")
_SHARES = (0.34, 0.28, 0.12, 0.1, 0.1, 0.06)
"""Shares of the kinds of error, about those of Damerau (1964) and of the 136 million keystrokes of Dhakal et al. (2018)."""


def mistype(text: str, rate: float, rng: np.random.Generator) -> str:
    """Return a text with errors; how careless the writer is varies from text to text.

    Args:
        text: normalised.
        rate: errors per letter, in the mean.
        rng: of the draws.
    """
    letters = list(text)
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
            keys = _NEAR.get(letters[i], []) if kind == "near" else list(_PLACE)
            letters[i] = keys[int(rng.random() * len(keys))] if keys else letters[i]
    return " ".join("".join(letters).split()) or text
