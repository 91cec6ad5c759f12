"""The defect model: P(defect) of every turn of a log, from the dialogue around it, including the turns that follow.

The model is a stack of boosted trees, each scored on users that it has not seen:

1. *Answer fit*: does the response belong to the turn? Learned from the log alone, with swapped responses as negatives.
2. *Implicit model*: P(the turn was misunderstood), learned from the weak labels (`rewriter.detect.weak_labels`).
3. *Explicit model*: P(the user says that it went wrong), learned from explicit feedback alone, with the output of the implicit
   model among its columns. So it learns how far that output can be trusted, and how often turns go wrong at all.

Then P is shrunk towards the feedback that other users gave to the same words. If the turn's own user gave feedback, it decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.detect.boosting import FOLDS, Columns, Forest, LabelledRows, fair_weights, fold_of, log_odds
from rewriter.detect.features import NAMES, Cues
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import WeakLabels
from rewriter.model.hypothesis import intent_of
from rewriter.model.logistic import CALIBRATION_PENALTY, Logistic, fit_logistic

_NEIGHBOURS = (-1, 1, 2)  # positions of the neighbours that are used, relative to the turn
_MIN_LABELS = 30  # a model is learned only from at least so many labels of each kind
_EXPLICIT_WEIGHT = 3.0  # weight of explicit feedback beside a weak label, which is wrong more often
_UNCALIBRATED = Logistic(np.array([1.0]), 0.0)


@dataclass(frozen=True, slots=True)
class Defects:
    """P(defect) of n turns.

    Attributes:
        p: (n,) calibrated P(defect); 0 or 1 where the user gave feedback.
        without_own_feedback: (n,) the same, without the feedback of the turn's own user.
        learned: whether there were enough labels to learn from; if not, P is friction.
    """

    p: Floats
    without_own_feedback: Floats
    learned: bool


@dataclass(frozen=True, slots=True)
class DefectModel:
    """A learned defect model. It can score the turns of another log.

    Attributes:
        answers: the answer-fit model; None if hardly any turn has a response.
        implicit: the implicit model; None if there are too few labels.
        calibration: Platt's calibration of `implicit`, of its log-odds.
        explicit: the explicit model; None if there is too little feedback.
    """

    answers: Forest | None
    implicit: Forest | None
    calibration: Logistic
    explicit: Forest | None

    @classmethod
    def learn(cls, turns: Turns, columns: Columns, labels: WeakLabels, *, seed: int, min_users: int = 3) -> Self:
        """Learn from a log.

        Args:
            turns: of the log, n of them.
            columns: (n, f) from `surroundings`.
            labels: the weak labels.
            seed: of what is sampled.
            min_users: k; the k - 1 users with most labelled turns weigh no more than the next one.
        """
        has_feedback, label, fold = *_feedback(turns, labels), fold_of(turns["user_no"])
        answers = learn_answer_fit(turns, fold, seed=seed)
        model = cls(answers, None, _UNCALIBRATED, None)
        every = np.arange(len(turns))
        columns = model._with_answer_fit(turns, columns, every)
        known = np.flatnonzero(has_feedback | np.isfinite(labels.misunderstood))
        if _enough(label[known]):
            fair = fair_weights(turns["user_no"][known], min_users)
            rows = LabelledRows(known, label[known], np.where(has_feedback[known], _EXPLICIT_WEIGHT, 1.0) * fair)
            implicit = Forest.fit(columns, rows, fold, seed)
            odds = log_odds(implicit.p(columns, fold)[known])[:, None]
            calibration = fit_logistic(odds, label[known].astype(np.float64), penalty=CALIBRATION_PENALTY)
            model = cls(answers, implicit, calibration, None)
        asked = np.flatnonzero(has_feedback)
        if not _enough(label[asked]):
            return model
        columns = model._with_implicit(turns, columns, labels, every, model._implicit_p(turns, columns, every))
        rows = LabelledRows.of(asked, label[asked], fair_weights(turns["user_no"][asked], min_users))
        explicit = Forest.fit(columns, rows, fold, seed, few=True)
        return cls(answers, model.implicit, model.calibration, explicit)

    def predict(self, turns: Turns, columns: Columns, labels: WeakLabels, rows: Ints | None = None) -> Defects:
        """Return P(defect) of some turns, by trees that have not seen their users.

        Args:
            turns: of a log, n of them.
            columns: (m, f) from `surroundings`.
            labels: the weak labels of that log.
            rows: (m,) of the turns; None for all.
        """
        rows = np.arange(len(turns)) if rows is None else rows
        columns = self._with_answer_fit(turns, columns, rows)
        p = self._implicit_p(turns, columns, rows)
        if self.explicit is not None:
            columns = self._with_implicit(turns, columns, labels, rows, p)
            p = smoothed_by_feedback(turns, self.explicit.p(columns, fold_of(turns["user_no"][rows])), rows)
        has_feedback, label = (of[rows] for of in _feedback(turns, labels))
        return Defects(np.where(has_feedback, label, p), p, learned=self.implicit is not None)

    def to_dict(self) -> dict[str, object]:
        """Return the model as JSON can hold it."""
        forests = (("answers", self.answers), ("implicit", self.implicit), ("explicit", self.explicit))
        texts = {name: forest.texts() if forest is not None else None for name, forest in forests}
        return texts | {"calibration": self.calibration.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned.

        Raises:
            KeyError, ValueError: something is missing or damaged.
        """
        answers, implicit, explicit = (
            Forest.of_texts(data[name]) if data[name] is not None else None for name in ("answers", "implicit", "explicit")
        )
        return cls(answers, implicit, Logistic.from_dict(data["calibration"], 1), explicit)

    def _with_answer_fit(self, turns: Turns, columns: Columns, rows: Ints) -> Columns:
        return np.column_stack([columns, answer_fit(self.answers, turns, fold_of(turns["user_no"]), rows)])

    def _implicit_p(self, turns: Turns, columns: Columns, rows: Ints) -> Floats:
        if self.implicit is None:
            return np.asarray(turns["cued"][rows] / 1000, dtype=np.float64)
        return self.calibration.p(log_odds(self.implicit.p(columns, fold_of(turns["user_no"][rows])))[:, None])

    def _with_implicit(self, turns: Turns, columns: Columns, labels: WeakLabels, rows: Ints, p: Floats) -> Columns:
        added = log_odds(p), labels.misunderstood[rows], feedback_trend(turns)[rows]
        return np.column_stack([columns, *added]).astype(np.float32)


def find_defects(turns: Turns, columns: Columns, labels: WeakLabels, *, seed: int) -> Defects:
    """Learn a defect model from a log and return P(defect) of the same turns; arguments as of `DefectModel.learn`."""
    return DefectModel.learn(turns, columns, labels, seed=seed).predict(turns, columns, labels)


def surroundings(turns: Turns, cues: Cues, likeness: Likeness, rows: Ints | None = None) -> Columns:
    """Return the columns of some turns, (m, f): their confidences, their outcome, and the cues between them and their neighbours.

    Args:
        turns: of a log.
        cues: of the log.
        likeness: compares texts of the log.
        rows: (m,) of the turns; None for all.
    """
    rows = np.arange(len(turns)) if rows is None else rows
    neighbours = [_neighbour(turns, cues, likeness, rows, step) for step in _NEIGHBOURS]
    own = [turns[name][rows] for name in ("asr_confidence", "nlu_confidence", "cued", "failed", "engaged")]
    return np.column_stack([*own, turns.last[rows], *neighbours]).astype(np.float32)


def _neighbour(turns: Turns, cues: Cues, likeness: Likeness, rows: Ints, step: int) -> Columns:
    """Return the cues of each turn and the turn `step` later in its session, (m, len(NAMES)); NaN if there is none."""
    other = np.clip(rows + step, 0, len(turns) - 1)
    session = np.cumsum(turns["opens"])
    real = (other == rows + step) & (session[other] == session[rows])
    one, later = (rows[real], other[real]) if step > 0 else (other[real], rows[real])
    given = {
        "gap_ms": turns["ts_ms"][later] - turns["ts_ms"][one],
        "ahead": np.full(len(one), abs(step)),
        "barge_in": np.nan_to_num(turns["barge_in"][later]),
    } | likeness.measure(turns["said"][one], turns["said"][later])
    found = np.full((len(rows), len(NAMES)), np.nan, dtype=np.float32)
    found[real] = cues.measure(one, later, given)
    return found


def _feedback(turns: Turns, labels: WeakLabels) -> tuple[Bools, Bools]:
    """Return which turns have explicit feedback, and which turns went wrong: by feedback, or without it by the weak labels."""
    has_feedback = np.nan_to_num(turns["feedback"]) != 0
    return has_feedback, np.where(has_feedback, turns["feedback"] < 0, labels.misunderstood == 1)


def _enough(label: Bools) -> bool:
    return min(int(label.sum()), int((~label).sum())) >= _MIN_LABELS


_PRIOR_ANSWERS = 1.0  # the overall share of a response counts as so many turns beside the turns of one intent


def learn_answer_fit(turns: Turns, fold: Ints, *, seed: int) -> Forest | None:
    """Learn whether a turn and its response belong together; None if fewer than two turns have a response.

    The negatives are turns with the response of another turn, drawn at random. Sarikaya (2022, "Why ambient computing needs
    self-learning", SIGIR) pre-trains a defect model in this way, by swapping the answers of dialogues.

    Args:
        turns: of a log, n of them.
        fold: (n,) the fold of the user of each turn.
        seed: of what is drawn.
    """
    answered = np.flatnonzero(turns["reply"] >= 0)
    if len(answered) < 2:
        return None
    swapped = np.random.default_rng(seed).permutation(turns["reply"][answered])
    both = np.concatenate([_answer_columns(turns, answered, reply, fold) for reply in (turns["reply"][answered], swapped)])
    label = np.repeat([True, False], len(answered))
    return Forest.fit(both, LabelledRows.of(np.arange(len(both)), label), np.tile(fold[answered], 2), seed)


def answer_fit(model: Forest | None, turns: Turns, fold: Ints, rows: Ints | None = None) -> Floats:
    """Return the log-odds that each of some turns, or of all, and its response belong together, (m,).

    NaN without a response or a model.
    """
    rows = np.arange(len(turns)) if rows is None else rows
    place = np.flatnonzero(turns["reply"][rows] >= 0)
    odds, answered = np.full(len(rows), np.nan), rows[place]
    if model is not None:
        columns = _answer_columns(turns, answered, turns["reply"][answered], fold)
        odds[place] = log_odds(model.p(columns, fold[answered]))
    return odds


def _answer_columns(turns: Turns, rows: Ints, reply: Ints, fold: Ints) -> Columns:
    """Return the columns that distinguish a response that fits, (m, 4).

    The columns are: words in common with the utterance and with the hypothesis, the log of how often the response is given at
    all, and the log of how much more often it is given to the intent. Counts are those of the other folds. A count that included
    the turn itself would reveal which response belongs to it.
    """
    text, said, hypothesis = turns.text, turns["said"][rows], turns["hypothesis"][rows]
    understood = np.asarray([text[h].replace("|", " ").replace("=", " ") if h >= 0 else "" for h in hypothesis], dtype=object)
    alike = [cpdist(one, text[reply], scorer=fuzz.token_set_ratio, dtype=np.float64) / 100 for one in (text[said], understood)]
    intents: dict[str, int] = {}
    numbers = {h: intents.setdefault(intent_of(text[h]), len(intents) + 1) for h in np.unique(turns["hypothesis"]) if h >= 0}
    intent = np.asarray([numbers.get(h, 0) for h in turns["hypothesis"]], dtype=np.int64)
    share, lift = np.zeros(len(rows)), np.zeros(len(rows))
    for k in range(FOLDS):
        own, others = np.flatnonzero(fold[rows] == k), fold != k
        given, answer = intent[rows[own]], reply[own]
        n = max(int(others.sum()), 1)
        share[own] = (_count(turns["reply"][others], answer) + _PRIOR_ANSWERS) / (n + _PRIOR_ANSWERS)
        both = _count(turns["reply"][others] * (len(intents) + 1) + intent[others], answer * (len(intents) + 1) + given)
        of_intent = _count(intent[others], given) + _PRIOR_ANSWERS
        lift[own] = np.log((both + _PRIOR_ANSWERS * share[own]) / of_intent / share[own])
    return np.column_stack([*alike, np.log(share), lift]).astype(np.float32)


def _count(values: Ints, wanted: Ints) -> Ints:
    """Return how often each wanted number is among the values, (m,)."""
    known, counts = np.unique(np.append(values, -2), return_counts=True)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, counts[place], 0)


_PRIOR_FEEDBACK = 2.0  # a model's P counts as so many users beside the users who gave feedback
_HALF = 0.5  # added to both counts, so that the log-odds are finite


def smoothed_by_feedback(turns: Turns, p: Floats, rows: Ints | None = None) -> Floats:
    """Shrink P(defect) towards the feedback of other users, ``(bad + 2 p) / (users + 2)``, (m,).

    A misunderstanding that most users of a text share leaves no trace that a model could see; a single answer reveals it. `users`
    are those who gave feedback to the same words with the same interpretation. `bad` sums up, over these users, the share of bad
    feedback.
    The feedback of the turn's own user is left out.

    Args:
        turns: of a log, n of them.
        p: (m,) P(defect) by a model.
        rows: (m,) of the turns; None for all.
    """
    rows = np.arange(len(turns)) if rows is None else rows
    bad, users = (of[rows] for of in _feedback_of_others(turns, "said", "hypothesis"))
    return (bad + _PRIOR_FEEDBACK * p) / (users + _PRIOR_FEEDBACK)


def feedback_trend(turns: Turns) -> Floats:
    """Return the log-odds of bad feedback of other users, ``log((bad + 1/2) / (users - bad + 1/2))``, (n,).

    It pools turns with the same interpretation and the same response, whatever the words are. So it has a value for rare words,
    to
    which nobody gave feedback: it shows that what was done is often not what was meant.

    Args:
        turns: of a log, n of them.
    """
    bad, users = _feedback_of_others(turns, "hypothesis", "reply")
    return np.asarray(np.log((bad + _HALF) / (users - bad + _HALF)), dtype=np.float64)


def _feedback_of_others(turns: Turns, *alike: str) -> tuple[Floats, Floats]:
    """Return, for each turn, the feedback of other users on turns that equal it in some columns, (n,) each.

    Each user counts once: the first array sums the share of bad feedback of each user, the second counts the users.
    """
    answer = np.nan_to_num(turns["feedback"])
    _, same = np.unique(np.column_stack([turns[name] for name in alike]), axis=0, return_inverse=True)
    pairs, own = np.unique(np.column_stack([same, turns["user_no"]]), axis=0, return_inverse=True)
    answers = np.bincount(own, answer != 0)
    users = (answers > 0).astype(np.float64)
    bad = np.bincount(own, answer < 0) / np.maximum(answers, 1)

    def others(per_pair: Floats) -> Floats:
        return np.asarray(np.bincount(pairs[:, 0], per_pair)[same] - per_pair[own], dtype=np.float64)

    return others(bad), others(users)
