"""The student: what the teacher knows of a turn after the fact, taught to a `Risk` that sees it before the NLU does."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from rewriter.config import Config
from rewriter.detect.hindsight import Hindsight
from rewriter.detect.listed import Floats, Ints, Turns
from rewriter.detect.pair import PairDetector
from rewriter.detect.trees import FOLDS, fold_of
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk, worth

_HEARD = 4  # other hearings that are looked at


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
        seen = _hindsight(turns, defect, np.flatnonzero(fold != k), min_users).risk()
        for row in rows:
            columns[row] = seen.columns(*_request(turns, int(row)))
    spoken = turns["rewritten"] == 0
    twice, label = np.concatenate([columns[spoken], columns[spoken]]), np.repeat([True, False], spoken.sum())
    weight = np.concatenate([defect[spoken], 1 - defect[spoken]])
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(twice, label, sample_weight=weight)
    weigh = Logistic(fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0]))
    p = weigh.p(columns)
    whole = _hindsight(turns, defect, np.arange(len(turns)), min_users).risk()
    rate = budget / float(np.mean([worth(one) for one in p.tolist()]))
    return Student(replace(whole, weigh=weigh, rate=rate, a_day=a_day), p)


def export_risk(pair: PairDetector | None, known: Risk, config: Config, folder: Path) -> None:
    """Write ``risk.json``, which `Risk.open` reads while serving.

    Args:
        pair: the detector; its turns and their P(defect) say how much each column is worth. Without one nobody is asked.
        known: how texts and words fared, by all that is known (`Hindsight.risk`).
        config: `launch.min_users`, and of `trigger` the budgets of prompts.
        folder: where the file goes.
    """
    if pair is not None:
        least, trigger = config.launch.min_users, config.trigger
        found = learn_student(pair.turns, pair.defect, min_users=least, budget=trigger.max_asked, a_day=trigger.max_asked_a_day)
        known = replace(found.risk, texts=known.texts, words=known.words, mean=known.mean)
    known.save(folder)


def _request(turns: Turns, row: int) -> tuple[list[str], str]:
    """Return the hearings of a turn, and what the user had said before in the session."""
    first, last = turns.heard_at[row], turns.heard_at[row + 1]
    hearings = [str(turns.text[i]) for i in (turns["said"][row], *turns.heard[first : min(last, first + _HEARD)])]
    return hearings, "" if turns["opens"][row] else str(turns.text[turns["said"][row - 1]])


def _hindsight(turns: Turns, defect: Floats, rows: Ints, min_users: int) -> Hindsight:
    """Count those of some turns whose words were sent as they were spoken: what becomes of a rewrite is not their doing."""
    rows = rows[turns["rewritten"][rows] == 0]
    return Hindsight(turns.text[turns["said"][rows]], turns["user_no"][rows], defect[rows], np.ones(len(rows)), min_users)
