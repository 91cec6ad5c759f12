"""`PairDetector`: P(a later turn restates an earlier one), by trees that learned from the weak labels of the log.

P has two parts: P(the turn went wrong), from the defect model (`rewriter.detect.defects`), and P(the candidate restates it | it
went wrong), from trees over the cues of the two turns. A logistic regression on held-out users combines them.

`segment` groups the turns of a session into goals, by what restates what.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from rewriter.arrays import Bools, Floats, Ints
from rewriter.detect.boosting import Columns, Forest, LabelledRows, fair_weights, fold_of, log_odds
from rewriter.detect.defects import DefectModel, surroundings
from rewriter.detect.features import GIVEN, Cues
from rewriter.detect.turns import Likeness, Listed, Turns
from rewriter.detect.weak_labels import Items, TrainingData, weak_labels
from rewriter.engines import connect
from rewriter.errors import reading_state
from rewriter.model.detector import Columns as Candidates
from rewriter.model.logistic import CALIBRATION_PENALTY, Logistic, fit_logistic

MIN_P = 30
"""A smaller P of a candidate, in thousandths, counts as 0, as in the rule. Such small shares would fill the chain with noise."""
_MIN_LABELS = 50  # least number of candidates of misunderstood turns that restate, and of those that do not


@dataclass(frozen=True, slots=True)
class PairDetector:
    """A `Detector` for one log. It holds the turns of that log, and cannot score candidates of other logs.

    Attributes:
        cues: measures pairs of turns of the log.
        turns: of the log, n of them.
        defects: the defect model.
        defect: (n,) P(defect) of each turn.
        forest: P(restates | the turn went wrong), not calibrated.
        joint: P(restates), of the log-odds of `forest` and of `defect`.
        failed: P(restates | the turn went wrong), of the log-odds of `forest`.
        known_failures: whether P is conditional on the turn having gone wrong.
    """

    cues: Cues
    turns: Turns
    defects: DefectModel
    defect: Floats
    forest: Forest
    joint: Logistic
    failed: Logistic
    known_failures: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The key of a candidate, and the cues that stand in its row."""
        return ("user_no", "turn_no", "next_turn_no", *GIVEN)

    def of_failures(self) -> "PairDetector":
        """Return the detector for turns that are known to have gone wrong."""
        return replace(self, known_failures=True)

    def p(self, candidates: Candidates, ignore_nbest: Bools | None = None) -> Floats:
        """Return P of each candidate, (m,).

        Args:
            candidates: name -> (m,), the `columns`.
            ignore_nbest: (m,) whether the other hearings of the earlier turn are not looked at; None for never.
        """
        source = self.turns.rows(candidates["user_no"], candidates["turn_no"])
        target = self.turns.rows(candidates["user_no"], candidates["next_turn_no"])
        columns = self.cues.measure(source, target, candidates, ignore_nbest)
        odds = log_odds(self.forest.p(columns, fold_of(candidates["user_no"])))
        if self.known_failures:
            return self.failed.p(odds[:, None])
        return self.joint.p(np.column_stack([odds, log_odds(self.defect[source])]))

    def score(self, candidates: Candidates) -> Ints:
        """Return P in thousandths, (m,), each 0..1000."""
        return thousandths(self.p(candidates))

    @property
    def learned(self) -> "LearnedPair":
        """What was learned, without the log."""
        return LearnedPair(self.defects, self.forest, self.joint, self.failed)


@dataclass(frozen=True, slots=True)
class LearnedPair:
    """What a `PairDetector` learned, and no turn or text of the log; its attributes are those of the detector."""

    defects: DefectModel
    forest: Forest
    joint: Logistic
    failed: Logistic

    def of(self, listed: Listed) -> PairDetector:
        """Return the detector for a log, or a part of one, in which users have the numbers that they had.

        It knows P(defect) of the turns that have candidates, and of no others (NaN): between two fits these are the turns of the
        day, among all that are kept.
        """
        turns = Turns.read(listed, hearings_of_all=False)  # no other are looked at
        items = Items.of(turns)
        cues = Cues(turns, items)
        with connect(candidates=listed.candidates) as con:
            found = con.execute("SELECT DISTINCT user_no, turn_no FROM candidates ORDER BY ALL").fetchnumpy()
        rows = turns.rows(found["user_no"], found["turn_no"])
        columns = surroundings(turns, cues, Likeness(listed.texts), rows)
        defect = np.full(len(turns), np.nan)
        defect[rows] = self.defects.predict(turns, columns, weak_labels(listed, turns, items, rows), rows).p
        return PairDetector(cues, turns, self.defects, defect, self.forest, self.joint, self.failed)

    def save(self, path: Path) -> None:
        """Write it as JSON: models of LightGBM and weights."""
        weights = {"joint": self.joint.to_dict(), "failed": self.failed.to_dict()}
        learned = {"forest": self.forest.texts(), "defects": self.defects.to_dict()} | weights
        path.write_text(json.dumps({"digest": _digest(learned), "learned": learned}), encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> "LearnedPair":
        """Read what `save` wrote.

        Raises:
            ArtefactError: the file is damaged.
        """
        with reading_state(path):
            return _parsed(path.read_bytes())


@lru_cache(maxsize=1)
def _parsed(content: bytes) -> LearnedPair:
    """Read the content of a file: once in this process, as long as nothing else was learned."""
    found = json.loads(content)
    learned = found["learned"]
    if found["digest"] != _digest(learned):
        raise ValueError("its digest does not match")
    defects, forest = DefectModel.from_dict(learned["defects"]), Forest.of_texts(learned["forest"])
    return LearnedPair(defects, forest, Logistic.from_dict(learned["joint"], 2), Logistic.from_dict(learned["failed"], 1))


def learn_pair(data: TrainingData, *, seed: int, min_users: int = 3) -> PairDetector | None:
    """Learn a detector from a log; None if the log has too few labels.

    The trees learn twice. First they learn from the candidates of misunderstood turns, with turns of other dialogues as further
    negatives. Then they learn from all other candidates as well, with their own P as soft labels (self-training; Scudder 1965).
    The most garbled texts have no known meaning, so none of them is among the examples of the first step.

    Args:
        data: the labelled log.
        seed: of what is sampled.
        min_users: k; the k - 1 users with most labelled candidates weigh no more than the next one.
    """
    failed = np.flatnonzero(data.failed == 1)
    if min(data.restates.sum(), (~data.restates[failed]).sum()) < _MIN_LABELS:
        return None
    cues = Cues(data.turns, data.items)
    turn_columns = surroundings(data.turns, cues, data.likeness)
    defects = DefectModel.learn(data.turns, turn_columns, data.labels, seed=seed, min_users=min_users)
    defect = defects.predict(data.turns, turn_columns, data.labels).p
    columns = cues.measure(data.source, data.target, data.candidates, data.ignore_nbest)
    fold = fold_of(data.candidates["user_no"])
    forest = _self_trained(data, cues, columns, failed, seed, min_users)
    odds, known = log_odds(forest.p(columns, fold)), np.isfinite(data.failed)
    both = np.column_stack([odds, log_odds(defect[data.source])])
    label = data.restates.astype(np.float64)
    return PairDetector(
        cues,
        data.turns,
        defects,
        defect,
        forest,
        joint=fit_logistic(both[known], label[known], penalty=CALIBRATION_PENALTY),
        failed=fit_logistic(odds[failed, None], label[failed], penalty=CALIBRATION_PENALTY),
    )


def _self_trained(data: TrainingData, cues: Cues, columns: Columns, failed: Ints, seed: int, min_users: int) -> Forest:
    """Learn P(restates | the turn went wrong) in the two steps of `learn_pair`."""
    fold = fold_of(data.candidates["user_no"])
    foreign, of = foreign_pairs(data, cues, failed, seed)
    rows, folds = np.concatenate([columns, foreign]), np.concatenate([fold, fold[of]])
    label = np.concatenate([data.restates[failed], np.zeros(len(of), dtype=bool)])
    weight = fair_weights(data.candidates["user_no"][np.concatenate([failed, of])], min_users)
    labelled = LabelledRows.of(np.concatenate([failed, len(columns) + np.arange(len(of))]), label, weight)
    p = Forest.fit(rows, labelled, folds, seed).p(columns, fold)
    others = np.flatnonzero(data.failed != 1)
    return Forest.fit(
        rows, labelled.with_soft(others, p[others], fair_weights(data.candidates["user_no"][others], min_users)), folds, seed
    )


def foreign_pairs(data: TrainingData, cues: Cues, rows: Ints, seed: int) -> tuple[Columns, Ints]:
    """Return the cues of candidates whose later turn is replaced by a turn of another user, which restates nothing.

    Args:
        data: the labelled log.
        cues: of the log.
        rows: (m,) numbers of the candidates.
        seed: of the turns that are drawn.

    Returns:
        The cues, and the number of the candidate of each. There are fewer than m, because draws of the same user are left out.
    """
    other = np.random.default_rng(seed).integers(0, len(data.turns), len(rows))
    foreign = data.turns["user_no"][other] != data.candidates["user_no"][rows]
    rows, other = rows[foreign], other[foreign]
    said, source = data.turns["said"], data.source[rows]
    given = {name: data.candidates[name][rows] for name in GIVEN} | data.likeness.measure(said[source], said[other])
    return cues.measure(source, other, given, data.ignore_nbest[rows]), rows


def thousandths(p: Floats) -> Ints:
    """Return P in whole thousandths, (m,), 0 where it is below `MIN_P`."""
    found = np.rint(1000 * p).astype(np.int64)
    return np.where(found < MIN_P, 0, found)


def _digest(learned: object) -> str:
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()


_LIKELY = 0.5  # P above which a candidate counts as a restatement, and a turn as a defect


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of a log, (n,) each, one entry for each turn.

    Attributes:
        goal: number of the goal; goals are numbered in the order of their first turns.
        last: row of the last turn of the goal.
        success: P(the goal was reached), which is P(its last turn is no defect). So a misunderstanding that the user repaired is
            no failed goal.
        repaired: row of the turn that repaired this one; -1 if this turn is no likely defect, or nothing repaired it.
    """

    goal: Ints
    last: Ints
    success: Floats
    repaired: Ints


def segment(source: Ints, target: Ints, p: Floats, defect: Floats) -> Goals:
    """Group turns that restate each other into goals.

    A turn is linked to the candidate that restates it with P > 1/2, if there is one. Turns that are linked, directly or through
    others, have one goal. Turns with other goals may lie between them.

    Args:
        source: (m,) row of the turn of each candidate; candidates of a turn stand together, the nearest first.
        target: (m,) row of each candidate.
        p: (m,) P(the candidate restates | no nearer one does).
        defect: (n,) P(defect) of each turn.

    Example:
        >>> goals = segment(np.array([0, 0]), np.array([1, 2]), np.array([0.1, 0.9]), np.array([0.9, 0.2, 0.1]))
        >>> goals.goal.tolist(), goals.repaired.tolist(), goals.success.tolist()
        ([0, 1, 0], [2, -1, -1], [0.9, 0.8, 0.9])
    """
    n = len(defect)
    linked = exclusive(source, p) > _LIKELY
    links = sparse.coo_array((np.ones(linked.sum()), (source[linked], target[linked])), shape=(n, n))
    _, part = connected_components(links, directed=False)
    _, first, goal = np.unique(part, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    goal = number[goal]
    last = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(last, goal, np.arange(n))
    ends = last[goal]
    repaired = (defect > _LIKELY) & (defect[ends] <= _LIKELY)
    return Goals(goal, ends, 1 - defect[ends], np.where(repaired, ends, -1))


def exclusive(source: Ints, p: Floats) -> Floats:
    """Return P(the candidate restates its turn and no nearer one does), (m,).

    Args:
        source: (m,) row of the turn of each candidate; candidates of a turn stand together, the nearest first.
        p: (m,) P(the candidate restates | no nearer one does).

    Example:
        >>> exclusive(np.array([3, 3, 4]), np.array([0.5, 0.5, 0.5])).tolist()
        [0.5, 0.25, 0.5]
    """
    found = p.astype(np.float64)
    left = 1.0
    for i in range(len(p)):
        left = 1.0 if i == 0 or source[i] != source[i - 1] else left * (1 - p[i - 1])
        found[i] = p[i] * left
    return found
