"""The teacher: P(defect) of every turn of a log, from the whole dialogue around it, the turns after it included.

Explicit feedback is believed. Elsewhere trees say what it would have been. They learn from what the log says of itself: turns
that were understood otherwise than other users are with the same words (`rewriter.detect.meaning`). Where users were asked, these
labels are only the beginning: other trees learn from the answers alone, with what the first ones say among what they see, so that
they find out how far it can be trusted, and how often a turn goes wrong at all. A turn is seen with the turn before it and the
two after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rewriter.detect.answers import coherence, fits
from rewriter.detect.cues import NAMES, Cues
from rewriter.detect.feedback import heeded, leaning
from rewriter.detect.likeness import Likeness
from rewriter.detect.listed import Floats, Turns
from rewriter.detect.meaning import Meaning
from rewriter.detect.trees import Columns, Examples, Forest, fold_of, log_odds

_BESIDE = (-1, 1, 2)  # turns before and after that are looked at
_ENOUGH = 30  # examples of each kind, below which nothing is learned
_EXPLICIT = 3.0  # weight of an explicit label beside an implicit one


@dataclass(frozen=True, slots=True)
class Teacher:
    """What was learned of defects; it can judge the turns of another log.

    Attributes:
        answers: whether an answer fits.
        missed: P(understood otherwise than other users are with the same words); None where there was too little to learn from.
        scale: weight of a constant, and of the log-odds of `missed`.
        told: P(a user says that it went wrong), where users were asked.
    """

    answers: Forest | None
    missed: Forest | None
    scale: Floats
    told: Forest | None

    @classmethod
    def learn(cls, turns: Turns, columns: Columns, meaning: Meaning, *, seed: int) -> "Teacher":
        """Learn what a defect looks like.

        Args:
            turns: of a log.
            columns: from `surroundings`.
            meaning: the implicit labels.
            seed: of what is drawn.
        """
        explicit, label, fold = *_feedback(turns, meaning), fold_of(turns["user_no"])
        told, known = np.flatnonzero(explicit), np.flatnonzero(explicit | np.isfinite(meaning.missed))
        answers = coherence(turns, fold, seed=seed)
        first = cls(answers, None, np.array([0.0, 1.0]), None)
        columns = first._heard(turns, columns)
        if _enough(label[known]):
            examples = Examples(known, label[known], np.where(explicit[known], _EXPLICIT, 1.0))
            missed = Forest.fit(columns, examples, fold, seed)
            first = replace(first, missed=missed, scale=platt(missed.p(columns, fold)[known], label[known]))
        if not _enough(label[told]):
            return first
        columns = first._told(turns, columns, meaning)
        return replace(first, told=Forest.fit(columns, Examples.of(told, label[told]), fold, seed, few=True))

    def judge(self, turns: Turns, columns: Columns, meaning: Meaning) -> "Defects":
        """Say how likely each turn is a defect, by trees that have not seen its user.

        Args:
            turns: of a log.
            columns: from `surroundings`.
            meaning: of that log.
        """
        columns, fold = self._heard(turns, columns), fold_of(turns["user_no"])
        guessed = self._guessed(turns, columns)
        if self.told is not None:
            guessed = heeded(turns, self.told.p(self._told(turns, columns, meaning), fold))
        explicit, label = _feedback(turns, meaning)
        return Defects(np.where(explicit, label, guessed), guessed, learned=self.missed is not None)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `of_arrays` reads again."""
        found: dict[str, npt.NDArray[Any]] = {"scale": self.scale}
        for name, forest in (("answers", self.answers), ("missed", self.missed), ("told", self.told)):
            found |= forest.arrays(name) if forest is not None else {}
        return found

    @classmethod
    def of_arrays(cls, found: Mapping[str, npt.NDArray[Any]]) -> "Teacher":
        """Return the teacher of some arrays.

        Raises:
            KeyError: one is missing.
        """
        answers, missed, told = (
            Forest.of_arrays(name, found) if f"{name}.used" in found else None for name in ("answers", "missed", "told")
        )
        return cls(answers, missed, found["scale"], told)

    def _heard(self, turns: Turns, columns: Columns) -> Columns:
        return np.column_stack([columns, fits(self.answers, turns, fold_of(turns["user_no"]))])

    def _guessed(self, turns: Turns, columns: Columns) -> Floats:
        if self.missed is None:
            return np.asarray(turns["cued"] / 1000, dtype=np.float64)
        odds = log_odds(self.missed.p(columns, fold_of(turns["user_no"])))
        return np.asarray(expit(self.scale[0] + self.scale[1] * odds), dtype=np.float64)

    def _told(self, turns: Turns, columns: Columns, meaning: Meaning) -> Columns:
        seen = log_odds(self._guessed(turns, columns)), meaning.missed, leaning(turns)
        return np.column_stack([columns, *seen]).astype(np.float32)


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
    """Learn what a defect looks like in a log, and say how likely each of its turns is one."""
    return Teacher.learn(turns, columns, meaning, seed=seed).judge(turns, columns, meaning)


def _feedback(turns: Turns, meaning: Meaning) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which turns users gave feedback on, and which went wrong, by that or else by the implicit labels."""
    explicit = np.nan_to_num(turns["feedback"]) != 0
    return explicit, np.where(explicit, turns["feedback"] < 0, meaning.missed == 1)


def _enough(label: npt.NDArray[np.bool_]) -> bool:
    return min(int(label.sum()), int((~label).sum())) >= _ENOUGH


def platt(p: Floats, label: npt.NDArray[np.bool_]) -> Floats:
    """Return constant and weight of Platt's scaling: logistic regression of labels on the log-odds of held-out users.

    Example:
        >>> platt(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, False, True, False])).round(2).tolist()
        [0.0, 0.0]
    """
    scale = LogisticRegression(C=1e3).fit(log_odds(p)[:, None], label)
    return np.append(scale.intercept_, scale.coef_[0]).astype(np.float64)


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
