"""The teacher: P(defect) of every turn of a log, from the whole dialogue around it, the turns after it included.

Explicit feedback is believed. Elsewhere trees say what it would have been. They learn from what the log says of itself: turns
that were understood otherwise than other users are with the same words (`detect.weak_labels`). Where users were asked, these
labels are only the beginning: other trees learn from the answers alone, with what the first ones say among what they see, so that
they find out how far it can be trusted, and how often a turn goes wrong at all. A turn is seen with the turn before it and the
two after it.

`coherence` and `fits`: does the answer fit the turn? Learned from the log alone, which answers are swapped in.

What users said of a turn counts for others: of the same words understood alike, and of what was done alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rewriter.arrays import Floats, Ints
from rewriter.detect.boosting import FOLDS, Columns, Forest, LabelledRows, fold_of, log_odds
from rewriter.detect.features import NAMES, Cues
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import Meaning
from rewriter.model.hypothesis import intent_of

_PRIOR = 1.0  # turns that the commonest answers count for, beside those to one interpretation


def coherence(turns: Turns, fold: Ints, *, seed: int) -> Forest | None:
    """Learn whether a turn and its answer belong together; None where fewer than two turns have an answer.

    The negatives of this self-supervision are turns with the answer of a turn drawn at random, as a defect model is pre-trained
    (Sarikaya 2022: swap answers between dialogues).

    Args:
        turns: of a log.
        fold: of the user of each turn; each is judged by a model of the other folds.
        seed: of what is drawn.
    """
    answered = np.flatnonzero(turns["reply"] >= 0)
    if len(answered) < 2:
        return None
    swapped = np.random.default_rng(seed).permutation(turns["reply"][answered])
    both = np.concatenate([_columns(turns, answered, reply, fold) for reply in (turns["reply"][answered], swapped)])
    label = np.repeat([True, False], len(answered))
    return Forest.fit(both, LabelledRows.of(np.arange(len(both)), label), np.tile(fold[answered], 2), seed)


def fits(forest: Forest | None, turns: Turns, fold: Ints) -> Floats:
    """Return the log-odds that each turn and its answer belong together, (n,); NaN where there is no answer, or no forest."""
    answered = np.flatnonzero(turns["reply"] >= 0)
    odds = np.full(len(turns), np.nan)
    if forest is not None:
        odds[answered] = log_odds(forest.p(_columns(turns, answered, turns["reply"][answered], fold), fold[answered]))
    return odds


def _columns(turns: Turns, rows: Ints, reply: Ints, fold: Ints) -> Columns:
    """Return what tells an answer that fits, (m, 4): words in common with utterance and hypothesis, how often it is given at all,
    and how much more often it is given to the intent.

    Counts are those of the other folds: a count that held the turn itself would tell which answer is its own.
    """
    text, said, hypothesis = turns.text, turns["said"][rows], turns["hypothesis"][rows]
    understood = np.asarray([text[h].replace("|", " ").replace("=", " ") if h >= 0 else "" for h in hypothesis], dtype=object)
    alike = [cpdist(one, text[reply], scorer=fuzz.token_set_ratio, dtype=np.float64) / 100 for one in (text[said], understood)]
    intents: dict[str, int] = {}
    named = {h: intents.setdefault(intent_of(text[h]), len(intents) + 1) for h in np.unique(turns["hypothesis"]) if h >= 0}
    intent = np.asarray([named.get(h, 0) for h in turns["hypothesis"]], dtype=np.int64)
    share, lift = np.zeros(len(rows)), np.zeros(len(rows))
    for k in range(FOLDS):
        own, others = np.flatnonzero(fold[rows] == k), fold != k
        given, answer = intent[rows[own]], reply[own]
        n = max(int(others.sum()), 1)
        share[own] = (_times(turns["reply"][others], answer) + _PRIOR) / (n + _PRIOR)
        both = _times(turns["reply"][others] * (len(intents) + 1) + intent[others], answer * (len(intents) + 1) + given)
        lift[own] = np.log((both + _PRIOR * share[own]) / (_times(intent[others], given) + _PRIOR) / share[own])
    return np.column_stack([*alike, np.log(share), lift]).astype(np.float32)


def _times(values: Ints, wanted: Ints) -> Ints:
    """How often each wanted number is among the values, (m,)."""
    known, many = np.unique(np.append(values, -2), return_counts=True)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, many[place], 0)


_PRIOR_FEEDBACK = 2.0  # answers that a model's P counts for
_EVEN = 0.5  # answers of each kind that every share begins with


def heeded(turns: Turns, p: Floats) -> Floats:
    """Draw P(defect) towards the explicit feedback of other users, ``(bad + 2 p) / (told + 2)``, (n,).

    A misunderstanding that most users of a text share looks fine in all that a model can see of it; one answer tells. Every user
    has one user weight for the same words understood alike, the mean of her answers. Her own turns are left to what others say.

    Args:
        turns: of a log.
        p: what a model says, (n,).
    """
    bad, told = _user_weights(turns, "said", "hypothesis")
    return (bad + _PRIOR_FEEDBACK * p) / (told + _PRIOR_FEEDBACK)


def feedback_trend(turns: Turns) -> Floats:
    """Return the log-odds of bad answers of others, ``log((bad + 1/2) / (good + 1/2))``, (n,), where the same was done.

    Of rare words nobody was asked; but what is often understood where something else was meant, and answered as if nothing had
    happened, is known from other words. Every user has one user weight for the same interpretation with the same response.

    Args:
        turns: of a log.
    """
    bad, told = _user_weights(turns, "hypothesis", "reply")
    return np.asarray(np.log((bad + _EVEN) / (told - bad + _EVEN)), dtype=np.float64)


def _user_weights(turns: Turns, *alike: str) -> tuple[Floats, Floats]:
    """Return how many other users said that turns like each went wrong, and how many said anything of them, (n,) each."""
    answer = np.nan_to_num(turns["feedback"])
    _, same = np.unique(np.column_stack([turns[name] for name in alike]), axis=0, return_inverse=True)
    pairs, own = np.unique(np.column_stack([same, turns["user_no"]]), axis=0, return_inverse=True)
    answers = np.bincount(own, answer != 0)
    told = (answers > 0).astype(np.float64)  # of each user and what is alike
    bad = np.bincount(own, answer < 0) / np.maximum(answers, 1)

    def others(user_weight: Floats) -> Floats:
        return np.asarray(np.bincount(pairs[:, 0], user_weight)[same] - user_weight[own], dtype=np.float64)

    return others(bad), others(told)


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
            examples = LabelledRows(known, label[known], np.where(explicit[known], _EXPLICIT, 1.0))
            missed = Forest.fit(columns, examples, fold, seed)
            first = replace(first, missed=missed, scale=platt(missed.p(columns, fold)[known], label[known]))
        if not _enough(label[told]):
            return first
        columns = first._told(turns, columns, meaning)
        return replace(first, told=Forest.fit(columns, LabelledRows.of(told, label[told]), fold, seed, few=True))

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

    def to_dict(self) -> dict[str, object]:
        """Return the model as JSON can hold it."""
        forests = (("answers", self.answers), ("missed", self.missed), ("told", self.told))
        texts = {name: forest.texts() if forest is not None else None for name, forest in forests}
        return texts | {"scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned.

        Raises:
            KeyError, ValueError: something is missing or damaged.
        """
        answers, missed, told = (
            Forest.of_texts(data[name]) if data[name] is not None else None for name in ("answers", "missed", "told")
        )
        return cls(answers, missed, np.array(data["scale"], dtype=np.float64), told)

    def _heard(self, turns: Turns, columns: Columns) -> Columns:
        return np.column_stack([columns, fits(self.answers, turns, fold_of(turns["user_no"]))])

    def _guessed(self, turns: Turns, columns: Columns) -> Floats:
        if self.missed is None:
            return np.asarray(turns["cued"] / 1000, dtype=np.float64)
        odds = log_odds(self.missed.p(columns, fold_of(turns["user_no"])))
        return np.asarray(expit(self.scale[0] + self.scale[1] * odds), dtype=np.float64)

    def _told(self, turns: Turns, columns: Columns, meaning: Meaning) -> Columns:
        seen = log_odds(self._guessed(turns, columns)), meaning.missed, feedback_trend(turns)
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
