"""The student: what the teacher knows of a turn after the fact, taught to a `Risk` that sees it before the NLU does."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from rewriter.config import Config
from rewriter.detect.listed import Floats, Ints, Turns
from rewriter.detect.pair import PairDetector
from rewriter.detect.trees import FOLDS, fold_of
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk, worth

_PRIOR = 2.0  # turns of mean risk that every text and word begins with
_HEARD = 4  # other hearings that are looked at
_NO_WEIGHTS = Logistic(np.zeros(len(COLUMNS)), 0.0)


@dataclass(frozen=True, slots=True)
class Student:
    """What was learned, and how far it can be trusted.

    Attributes:
        risk: for serving.
        held_out: (n,) P of each turn of the log, by counts of other users.
    """

    risk: Risk
    held_out: Floats


def learn_student(turns: Turns, defect: Floats, *, min_users: int, budget: float, a_day: int = 1) -> Student:
    """Distil the teacher's P into what can be known at the time of the request.

    The columns of a turn are taken from the other folds of users, so that the weights know what a text is worth of which the
    user says the first time what others said before.

    Args:
        turns: of a log.
        defect: the teacher's P(defect) of each, (n,).
        min_users: distinct users of every text and word that is kept.
        budget: share of the turns that may be asked about.
        a_day: how often one user may be asked in a day.
    """
    fold = fold_of(turns["user_no"])
    columns = np.zeros((len(turns), len(COLUMNS)))
    for k in range(FOLDS):
        rows = np.flatnonzero(fold == k)
        seen = _counted(turns, defect, np.flatnonzero(fold != k), min_users)
        for row in rows:
            columns[row] = seen.columns(*_request(turns, int(row)))
    twice, label = np.concatenate([columns, columns]), np.repeat([True, False], len(turns))
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(twice, label, sample_weight=np.concatenate([defect, 1 - defect]))
    weigh = Logistic(fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0]))
    p = weigh.p(columns)
    whole = _counted(turns, defect, np.arange(len(turns)), min_users)
    rate = budget / float(np.mean([worth(one) for one in p.tolist()]))
    return Student(Risk(whole.texts, whole.words, whole.mean, weigh, rate, a_day), p)


def export_risk(pair: PairDetector | None, config: Config, folder: Path) -> None:
    """Teach a student what the teacher of a detector knows, and write ``risk.json``, which `Risk.open` reads while serving.

    Args:
        pair: the detector; its turns and their P(defect) are learned from. Without one nothing is written.
        config: `launch.min_users`, and of `trigger` the budgets of prompts.
        folder: where the file goes.
    """
    if pair is not None:
        least, trigger = config.launch.min_users, config.trigger
        found = learn_student(pair.turns, pair.defect, min_users=least, budget=trigger.max_asked, a_day=trigger.max_asked_a_day)
        found.risk.save(folder)


def _request(turns: Turns, row: int) -> tuple[list[str], str]:
    """Return the hearings of a turn, and what the user had said before in the session."""
    first, last = turns.heard_at[row], turns.heard_at[row + 1]
    hearings = [str(turns.text[i]) for i in (turns["said"][row], *turns.heard[first : min(last, first + _HEARD)])]
    return hearings, "" if turns["opens"][row] else str(turns.text[turns["said"][row - 1]])


def _counted(turns: Turns, defect: Floats, rows: Ints, min_users: int) -> Risk:
    """Return the log-odds of texts and words among some turns, without weights."""
    mean = float(defect[rows].mean()) if len(rows) else 0.5
    texts, words = _Tally(mean), _Tally(mean)
    for row in rows:
        text, user = str(turns.text[turns["said"][row]]), int(turns["user_no"][row])
        texts.add((text,), user, float(defect[row]))
        words.add(set(text.split()), user, float(defect[row]))
    return Risk(texts.odds(min_users), words.odds(min_users), _odds(mean), _NO_WEIGHTS)


class _Tally:
    """Adds up defects and users by key."""

    def __init__(self, mean: float) -> None:
        self._mean = mean
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._users: dict[str, set[int]] = defaultdict(set)

    def add(self, keys: Iterable[str], user: int, defect: float) -> None:
        for key in keys:
            self._sums[key][0] += defect
            self._sums[key][1] += 1
            self._users[key].add(user)

    def odds(self, min_users: int) -> dict[str, float]:
        return {
            key: round(_odds((bad + _PRIOR * self._mean) / (n + _PRIOR)), 3)
            for key, (bad, n) in self._sums.items()
            if len(self._users[key]) >= min_users
        }


def _odds(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return float(np.log(p / (1 - p)))
