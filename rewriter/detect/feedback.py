"""`heeded`: what users said of a turn counts for others whose same words were understood alike."""

import numpy as np

from rewriter.detect.listed import Floats, Turns

_PRIOR = 2.0  # answers that a model's P counts for


def heeded(turns: Turns, p: Floats) -> Floats:
    """Draw P(defect) towards the explicit feedback of other users, ``(bad + 2 p) / (told + 2)``, (n,).

    A misunderstanding that most users of a text share looks fine in all that a model can see of it; one answer tells. Every user
    has one voice for the same words understood alike, the mean of her answers. Her own turns are left to what others say.

    Args:
        turns: of a log.
        p: what a model says, (n,).
    """
    answer = np.nan_to_num(turns["feedback"])
    _, same = np.unique(np.column_stack([turns["said"], turns["hypothesis"]]), axis=0, return_inverse=True)
    pairs, own = np.unique(np.column_stack([same, turns["user_no"]]), axis=0, return_inverse=True)
    answers = np.bincount(own, answer != 0)
    told = (answers > 0).astype(np.float64)  # of each user and what was said
    bad = np.bincount(own, answer < 0) / np.maximum(answers, 1)

    def others(voice: Floats) -> Floats:
        return np.asarray(np.bincount(pairs[:, 0], voice)[same] - voice[own], dtype=np.float64)

    return (others(bad) + _PRIOR * p) / (others(told) + _PRIOR)
