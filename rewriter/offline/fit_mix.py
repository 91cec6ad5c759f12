"""`fit_mix`: how much dense vectors, spelling and sound are worth in this log."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from rewriter.model.mix import Mix
from rewriter.model.querybook import Ints
from rewriter.model.retrieve import Retrieved, Retriever

_POOL = 32
_STEPS = 10  # of a weight between 0 and 1
_LEAST = 100  # rephrases, below which the default mix stays


def fit_mix(retriever: Retriever, heard: Sequence[str], locales: Sequence[str], meant: Ints) -> Mix:
    """Choose the weights under which the interpretation that was meant stands highest, by mean reciprocal rank.

    Args:
        retriever: over the global book, whatever its mix.
        heard: normalised sources of rephrases that the encoder was *not* trained on, each said by at least
            `Config.launch.min_users` users.
        locales: of each.
        meant: (n,) int64, what the restatement was understood as, as numbered in `Queries.interpretations`.

    Returns:
        The best of 66 mixes; the default one where there are fewer than 100 rephrases, or where nothing beats it.
    """
    default = Mix()
    if len(heard) < _LEAST:
        return default
    found = [retriever.retrieve([text], locale, k=_POOL, pool=_POOL) for text, locale in zip(heard, locales, strict=True)]
    steps = product(range(_STEPS + 1), repeat=2)
    mixes = [Mix(d / _STEPS, s / _STEPS, (_STEPS - d - s) / _STEPS, default.later) for d, s in steps if d + s <= _STEPS]
    return max([default, *mixes], key=lambda mix: _reciprocal_rank(mix, found, meant))


def _reciprocal_rank(mix: Mix, found: Sequence[Retrieved], meant: Ints) -> float:
    """Mean of 1 / rank of the first row with the interpretation that was meant; 0 where none has it."""
    total = 0.0
    for rows, goal in zip(found, meant.tolist(), strict=True):
        order = np.argsort(-mix.of(rows.channels[:, None, :])[:, 0], kind="stable")
        places = np.flatnonzero(rows.interpretations[order] == goal)
        total += 1 / (1 + int(places[0])) if len(places) else 0.0
    return total / len(found)
