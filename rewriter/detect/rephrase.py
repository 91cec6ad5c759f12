"""`PairDetector`: P(a later turn restates an earlier one), by trees that learned from the evidence of the log itself.

Two parts: P(the turn went wrong), from the teacher (`rewriter.detect.defects`), and P(the candidate restates it | it went wrong),
from trees over the cues of the two turns. The trees learn from candidates of turns whose meaning other users tell
(`rewriter.detect.weak_labels`), and once more with all other candidates, at what they make of them (self-training: texts of which
nobody knows the meaning are the worst garbled ones, and look otherwise). How the two parts make one P is fitted on what each
says of held-out users.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from rewriter.arrays import Floats, Ints
from rewriter.detect.boosting import Columns, Forest, LabelledRows, fold_of, log_odds
from rewriter.detect.defects import Teacher, surroundings
from rewriter.detect.features import GIVEN, Cues
from rewriter.detect.turns import Likeness, Listed, Turns
from rewriter.detect.weak_labels import Items, Meaning, meaning
from rewriter.engines.duckdb import glob
from rewriter.errors import reading_state
from rewriter.model.detector import Columns as Candidates

_ENOUGH = 50  # restatements that the log tells of, below which nothing is learned
_LEAST = 30  # P below this, in thousandths, is taken for 0, as the rule does


@dataclass(frozen=True, slots=True)
class PairDetector:
    """A `Detector` of one log: it holds the turns of that log, and scores candidates of no other.

    Attributes:
        cues: of the log.
        turns: of the log.
        teacher: tells P(defect).
        defect: that of each turn, (n,).
        forest: P(restates | the turn went wrong), before calibration.
        joint: weights of a constant, the log-odds of the forest, and those of the defect.
        failed: the same without the defect, for turns that are known to have gone wrong.
        known_failures: whether P is asked given that the turn went wrong.
    """

    cues: Cues
    turns: Turns
    teacher: Teacher
    defect: Floats
    forest: Forest
    joint: Floats
    failed: Floats
    known_failures: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The key of a candidate, and the cues that stand in its row."""
        return ("user_no", "turn_no", "next_turn_no", *GIVEN)

    def of_failures(self) -> "PairDetector":
        """Return the detector that takes every turn for one that went wrong."""
        return replace(self, known_failures=True)

    def p(self, candidates: Candidates, ignore_nbest: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Return P of each candidate, (n,), of some without a look at the other hearings of the earlier turn."""
        source = self.turns.rows(candidates["user_no"], candidates["turn_no"])
        target = self.turns.rows(candidates["user_no"], candidates["next_turn_no"])
        columns = self.cues.measure(source, target, candidates, ignore_nbest)
        odds = log_odds(self.forest.p(columns, fold_of(candidates["user_no"])))
        weights = self.failed if self.known_failures else self.joint
        return _p(odds, log_odds(self.defect[source]), weights)

    def score(self, candidates: Candidates) -> npt.NDArray[np.int64]:
        """Return P in thousandths, (n,), each 0..1000."""
        p = np.rint(1000 * self.p(candidates)).astype(np.int64)
        return np.where(p < _LEAST, 0, p)

    def save(self, path: Path) -> None:
        """Write what was learned as JSON: models of LightGBM and weights, and no turn or text of the log."""
        weights = {"joint": self.joint.tolist(), "failed": self.failed.tolist()}
        learned = {"forest": self.forest.texts(), "teacher": self.teacher.to_dict()} | weights
        path.write_text(json.dumps({"digest": _digest(learned), "learned": learned}), encoding="utf-8")

    @classmethod
    def open(cls, path: Path, listed: Listed) -> "PairDetector":
        """Return what was learned from one log for the turns of another, whose users have the numbers that they had there.

        Raises:
            ArtefactError: the file is not what `save` writes.
        """
        with reading_state(path):
            found = json.loads(path.read_text(encoding="utf-8"))
            learned = found["learned"]
            if found["digest"] != _digest(learned):
                raise ValueError("its digest does not match")
            teacher, forest = Teacher.from_dict(learned["teacher"]), Forest.of_texts(learned["forest"])
            joint, failed = (np.array(learned[name], dtype=np.float64) for name in ("joint", "failed"))
        turns = Turns.read(listed)
        items = Items.of(turns)
        cues = Cues(turns, items)
        around = surroundings(turns, cues, Likeness(listed.texts))
        defect = teacher.judge(turns, around, meaning(listed, turns, items)).p
        return cls(cues, turns, teacher, defect, forest, joint, failed)


@dataclass(frozen=True, slots=True)
class Told:
    """What a log tells of itself, for whoever learns from it or is judged by it.

    Attributes:
        turns: of the log.
        items: of their hypotheses.
        meaning: what they were meant to say.
        candidates: columns of every candidate, those of `tables.CANDIDATES` that any detector reads and the likeness.
        source: row of the turn of each candidate.
        missed: of each candidate, 1.0 if its turn was misunderstood, 0.0 if not, NaN where nobody tells.
        restates: of each candidate, whether it gave what was missed; False where nobody tells.
        overheard: of each candidate, whether other hearings told what was meant. Then they are no cue: whoever learned from them
            would find that what they do not hold is never meant.
    """

    turns: Turns
    items: Items
    meaning: Meaning
    likeness: Likeness
    candidates: Candidates
    source: Ints
    missed: Floats
    restates: npt.NDArray[np.bool_]
    overheard: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, listed: Listed) -> "Told":
        """Read the mined tables of a log."""
        turns = Turns.read(listed)
        items = Items.of(turns)
        said = meaning(listed, turns, items)
        with duckdb.connect() as con:
            found = con.execute(
                "SELECT * FROM read_parquet(?) ORDER BY user_no, turn_no, ahead", [glob(listed.candidates)]
            ).fetchnumpy()
        likeness = Likeness(listed.texts)
        nullable = {name for name, values in found.items() if np.ma.isMaskedArray(values) and np.ma.is_masked(values)}
        columns = {
            name: np.ma.filled(values.astype(np.float64), np.nan) if name in nullable else np.ma.getdata(values)
            for name, values in found.items()
        } | likeness.measure(np.ma.getdata(found["source"]), np.ma.getdata(found["target"]))
        source = turns.rows(columns["user_no"], columns["turn_no"])
        empty = np.full(len(source), np.nan), *np.zeros((2, len(source)), dtype=bool)
        told = cls(turns, items, said, likeness, columns, source, *empty)
        place = told.places(said.evidence.row, said.evidence.ahead)
        told.missed[place], told.restates[place] = said.evidence.missed, said.evidence.restates
        told.overheard[place] = said.evidence.overheard
        return told

    def places(self, row: Ints, ahead: Ints) -> Ints:
        """Return where candidates stand, by the row of their turn and their place after it, (m,)."""
        return np.searchsorted(self.source * 4 + self.candidates["ahead"], row * 4 + ahead)


def learn_pair(told: Told, *, seed: int) -> PairDetector | None:
    """Learn a detector from a log; None where the log tells of too few restatements.

    Args:
        told: what the log tells.
        seed: of what is drawn.
    """
    turns, known = told.turns, np.isfinite(told.missed)
    went_wrong = np.flatnonzero(told.missed == 1)
    if min(told.restates.sum(), (~told.restates[went_wrong]).sum()) < _ENOUGH:
        return None
    cues = Cues(turns, told.items)
    around = surroundings(turns, cues, told.likeness)
    teacher = Teacher.learn(turns, around, told.meaning, seed=seed)
    defect = teacher.judge(turns, around, told.meaning).p
    columns, fold = _columns(told, cues), fold_of(told.candidates["user_no"])
    foreign, of = elsewhere(told, cues, went_wrong, seed)
    taught, folds = np.concatenate([columns, foreign]), np.concatenate([fold, fold[of]])
    label = np.concatenate([told.restates[went_wrong], np.zeros(len(of), dtype=bool)])
    first = LabelledRows.of(np.concatenate([went_wrong, len(columns) + np.arange(len(of))]), label)
    p = Forest.fit(taught, first, folds, seed).p(columns, fold)
    others = np.flatnonzero(told.missed != 1)
    forest = Forest.fit(taught, first.with_soft(others, p[others]), folds, seed)
    odds, risk = log_odds(forest.p(columns, fold)), log_odds(defect[told.source])
    joint = _weights(np.column_stack([odds, risk])[known], told.restates[known])
    failed = _weights(odds[went_wrong, None], told.restates[went_wrong])
    return PairDetector(cues, turns, teacher, defect, forest, joint, np.append(failed, 0.0))


def elsewhere(told: Told, cues: Cues, rows: Ints, seed: int) -> tuple[Columns, Ints]:
    """Return the cues of candidates with a turn of somebody else's dialogue in their place, which restates nothing.

    Args:
        told: what the log tells.
        cues: of the log.
        rows: of the candidates, (m,).
        seed: of the turns that are drawn.

    Returns:
        The cues, and the row of the candidate of each; fewer than m where a turn of the same user was drawn.
    """
    other = np.random.default_rng(seed).integers(0, len(told.turns), len(rows))
    foreign = told.turns["user_no"][other] != told.candidates["user_no"][rows]
    rows, other = rows[foreign], other[foreign]
    said, source = told.turns["said"], told.source[rows]
    given = {name: told.candidates[name][rows] for name in GIVEN} | told.likeness.measure(said[source], said[other])
    return cues.measure(source, other, given, told.overheard[rows]), rows


def _digest(learned: object) -> str:
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()


def _columns(told: Told, cues: Cues) -> Columns:
    target = told.turns.rows(told.candidates["user_no"], told.candidates["next_turn_no"])
    return cues.measure(told.source, target, told.candidates, told.overheard)


def _weights(odds: Floats, label: npt.NDArray[np.bool_]) -> Floats:
    """Return constant and weights of the log-odds, by logistic regression on held-out users."""
    fitted = LogisticRegression(C=1e3).fit(odds, label)
    return np.append(fitted.intercept_, fitted.coef_[0])


def _p(odds: Floats, risk: Floats, weights: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(weights[0] + weights[1] * odds + weights[2] * risk))), dtype=np.float64)
