"""What users said of a turn counts for others: of the same words understood alike, and of what was done alike."""

import numpy as np

from rewriter.detect.listed import Floats, Turns

_PRIOR = 2.0  # answers that a model's P counts for
_EVEN = 0.5  # answers of each kind that every share begins with


def heeded(turns: Turns, p: Floats) -> Floats:
    """Draw P(defect) towards the explicit feedback of other users, ``(bad + 2 p) / (told + 2)``, (n,).

    A misunderstanding that most users of a text share looks fine in all that a model can see of it; one answer tells. Every user
    has one voice for the same words understood alike, the mean of her answers. Her own turns are left to what others say.

    Args:
        turns: of a log.
        p: what a model says, (n,).
    """
    bad, told = _voices(turns, "said", "hypothesis")
    return (bad + _PRIOR * p) / (told + _PRIOR)


def leaning(turns: Turns) -> Floats:
    """Return the log-odds of bad answers of others, ``log((bad + 1/2) / (good + 1/2))``, (n,), where the same was done.

    Of rare words nobody was asked; but what is often understood where something else was meant, and answered as if nothing had
    happened, is known from other words. Every user has one voice for the same interpretation with the same response.

    Args:
        turns: of a log.
    """
    bad, told = _voices(turns, "hypothesis", "reply")
    return np.asarray(np.log((bad + _EVEN) / (told - bad + _EVEN)), dtype=np.float64)


def _voices(turns: Turns, *alike: str) -> tuple[Floats, Floats]:
    """Return how many other users said that turns like each went wrong, and how many said anything of them, (n,) each."""
    answer = np.nan_to_num(turns["feedback"])
    _, same = np.unique(np.column_stack([turns[name] for name in alike]), axis=0, return_inverse=True)
    pairs, own = np.unique(np.column_stack([same, turns["user_no"]]), axis=0, return_inverse=True)
    answers = np.bincount(own, answer != 0)
    told = (answers > 0).astype(np.float64)  # of each user and what is alike
    bad = np.bincount(own, answer < 0) / np.maximum(answers, 1)

    def others(voice: Floats) -> Floats:
        return np.asarray(np.bincount(pairs[:, 0], voice)[same] - voice[own], dtype=np.float64)

    return others(bad), others(told)
