"""The teacher: P(defect) of every turn of a log, from the whole dialogue around it, the turns after it included.

Explicit feedback is believed. Elsewhere trees say what it would have been. They learn from what the log says of itself: turns
that were understood otherwise than other users are with the same words (`rewriter.detect.meaning`). Where users were asked, these
labels are only the beginning: other trees learn from the answers alone, with what the first ones say among what they see, so that
they find out how far it can be trusted, and how often a turn goes wrong at all. A turn is seen with the turn before it and the
two after it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from rewriter.detect.answers import coherence
from rewriter.detect.cues import NAMES, Cues
from rewriter.detect.feedback import heeded
from rewriter.detect.likeness import Likeness
from rewriter.detect.listed import Floats, Turns
from rewriter.detect.meaning import Meaning
from rewriter.detect.trees import Columns, Examples, Forest, fold_of, log_odds

_BESIDE = (-1, 1, 2)  # turns before and after that are looked at
_ENOUGH = 30  # examples of each kind, below which nothing is learned
_EXPLICIT = 3.0  # weight of an explicit label beside an implicit one


@dataclass(frozen=True, slots=True)
class Defects:
    """What the teacher says, (n,) each, one for each turn.

    Attributes:
        p: P(defect), calibrated; where the user said it, 0 or 1.
        guessed: the same without looking at the feedback of that user.
        learned: whether there was enough evidence to learn from; else friction stands in.
    """

    p: Floats
    guessed: Floats
    learned: bool


def surroundings(turns: Turns, cues: Cues, likeness: Likeness) -> Columns:
    """Return what the teacher sees of every turn, (n, f): its confidences, its place, its answer, and the turns beside it."""
    beside = [_beside(turns, cues, likeness, step) for step in _BESIDE]
    own = [turns[name] for name in ("asr_confidence", "nlu_confidence", "cued", "failed", "engaged")]
    return np.column_stack([*own, turns.last, *beside]).astype(np.float32)


def teach(turns: Turns, columns: Columns, meaning: Meaning, *, seed: int) -> Defects:
    """Learn what a defect looks like, and say how likely each turn is one, by a model that has not seen its user.

    Args:
        turns: of a log.
        columns: from `surroundings`.
        meaning: the implicit labels.
        seed: of what is drawn.
    """
    explicit = np.nan_to_num(turns["feedback"]) != 0
    label = np.where(explicit, turns["feedback"] < 0, meaning.missed == 1)
    told, known = np.flatnonzero(explicit), np.flatnonzero(explicit | np.isfinite(meaning.missed))
    fold = fold_of(turns["user_no"])
    columns = np.column_stack([columns, coherence(turns, fold, seed=seed)])
    guessed = turns["cued"] / 1000
    if _enough(label[known]):
        examples = Examples(known, label[known], np.where(explicit[known], _EXPLICIT, 1.0))
        p = Forest.fit(columns, examples, fold, seed).p(columns, fold)
        guessed = calibrated(p, p[known], label[known])
    if _enough(label[told]):
        columns = np.column_stack([columns, log_odds(guessed), meaning.missed]).astype(np.float32)
        examples = Examples.of(told, label[told])
        guessed = heeded(turns, Forest.fit(columns, examples, fold, seed, few=True).p(columns, fold))
    return Defects(np.where(explicit, label, guessed), guessed, learned=_enough(label[known]))


def _enough(label: npt.NDArray[np.bool_]) -> bool:
    return min(int(label.sum()), int((~label).sum())) >= _ENOUGH


def calibrated(p: Floats, held_out: Floats, label: npt.NDArray[np.bool_]) -> Floats:
    """Return P by Platt's scaling: logistic regression of the labels on the log-odds that held-out users were given.

    Example:
        >>> calibrated(np.array([0.9]), np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, False, True, False])).round(2).tolist()
        [0.5]
    """
    scale = LogisticRegression(C=1e3).fit(log_odds(held_out)[:, None], label)
    return np.asarray(scale.predict_proba(log_odds(p)[:, None])[:, 1], dtype=np.float64)


def _beside(turns: Turns, cues: Cues, likeness: Likeness, step: int) -> Columns:
    """Return the cues of each turn with the one `step` after it in its session, NaN where there is none, (n, len(NAMES))."""
    rows = np.arange(len(turns))
    other = np.clip(rows + step, 0, len(turns) - 1)
    session = np.cumsum(turns["opens"])
    real = (other == rows + step) & (session[other] == session)
    one, later = (rows[real], other[real]) if step > 0 else (other[real], rows[real])
    given = {
        "gap_ms": turns["ts_ms"][later] - turns["ts_ms"][one],
        "ahead": np.full(len(one), abs(step)),
        "barge_in": np.nan_to_num(turns["barge_in"][later]),
    } | likeness.measure(turns["said"][one], turns["said"][later])
    found = np.full((len(turns), len(NAMES)), np.nan, dtype=np.float32)
    found[real] = cues.measure(one, later, given)
    return found
