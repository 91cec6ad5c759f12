"""Measures how well the teacher, the student and single cues find turns that went wrong, and how many labels the teacher needs.

    python benchmarks/defects.py [--seeds 0 1 2] [--data ../shared/data] [--days 7] [--users 150]

DSTC2: a defect is a turn whose true request is not fully contained in the top SLU hypothesis (the output of language
understanding). Teacher and student learn without annotation, and each caller is scored by models that have not seen that caller.
The dev callers are judged. Some refused turns asked for nothing; the log does not show which, and `refused` is their number. With
feedback on a twentieth of the turns of the train callers (the truth, given as if the caller had been asked) the model can learn
this too. `even` is the calibration error that an exactly right P has by chance. The best single cue is `status`: an empty SLU or
a repeated prompt.

Calls: the mean P(reached) of the goals of a call is compared with the caller's own "success" and with the five steps of
"understood me well".

Labels: a home with simulated feedback on part of the turns, which is right in 95 of 100 cases. The turns are drawn at random, or
as `Rewrite.ask` draws them (`model.risk.asking_rate` of the teacher's P without feedback, at most one a day and user). The figure
is F1 at P >= .5 over the turns of users that the model has not seen.
"""

import json
import platform
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dstc2
import duckdb
import numpy as np
import numpy.typing as npt
from detectors import read
from scipy.stats import spearmanr
from script import options, write_result
from sklearn.metrics import f1_score, roc_auc_score

from rewriter.arrays import Bools, Floats
from rewriter.config import Config
from rewriter.detect.boosting import Columns
from rewriter.detect.defects import find_defects, surroundings
from rewriter.detect.features import Cues
from rewriter.detect.rephrase import learn_pair, segment
from rewriter.detect.turns import Turns
from rewriter.detect.weak_labels import TrainingData
from rewriter.detect.word_risk import learn_risk
from rewriter.model.risk import asking_rate
from rewriter.simulation.worlds import simulate

OUT = Path("benchmarks/results/defects.json")
SHARES = ((0.0, "nobody"), (0.05, "at random"), (0.05, "as it teaches"), (1.0, "everybody"))
DAY_MS = 86_400_000
NOISE = 0.05
BINS = 15


def ece(label: Bools, p: Floats) -> float:
    """Return the expected calibration error over `BINS` bins of as many turns each."""
    bins = np.array_split(np.argsort(p, kind="stable"), BINS)
    return float(sum(abs(label[rows].mean() - p[rows].mean()) * len(rows) for rows in bins) / len(p))


def judged(label: Bools, p: Floats, threshold: float) -> dict[str, float]:
    """Return AUC, F1 at a threshold and calibration error."""
    return {"auc": float(roc_auc_score(label, p)), "f1": float(f1_score(label, p >= threshold)), "ece": ece(label, p)}


def best_threshold(label: Bools, p: Floats) -> float:
    """Return the threshold of the largest F1, of twenty."""
    thresholds: list[float] = np.linspace(0.025, 0.975, 20).tolist()
    return max(thresholds, key=lambda t: float(f1_score(label, p >= t)))


def with_feedback(turns: Turns, label: Bools, rows: npt.NDArray[np.int64], noise: float, rng: np.random.Generator) -> Turns:
    """Return turns with feedback on some of them, and on no others."""
    feedback = np.full(len(turns), np.nan)
    wrong = rng.random(len(rows)) < noise
    feedback[rows] = np.where(label[rows] != wrong, -1.0, 1.0)
    return replace(turns, column=turns.column | {"feedback": feedback})


def as_asked(turns: Turns, p: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return turns in the order in which `Rewrite.ask` may draw them, one a day and user at most."""
    drawn = np.argsort(rng.exponential(size=len(p)) / np.array([asking_rate(one) for one in p.tolist()]))
    day = np.column_stack([turns["user_no"], turns["ts_ms"] // DAY_MS])[drawn]
    _, first = np.unique(day, axis=0, return_index=True)
    return np.asarray(drawn[np.sort(first)], dtype=np.int64)


def calls(data: Path, seed: int) -> dict[str, Any]:
    """Judge teacher, student, cue and goals on DSTC2."""
    with tempfile.TemporaryDirectory() as folder:
        dstc2.convert(data, Path(folder) / "log.parquet")
        labelled = read(Path(folder) / "log.parquet", Path(folder), dstc2.CONFIG)
    turns, columns = labelled.turns, _turn_columns(labelled)
    parts = {part: dstc2.truth(data, part)[0] for part in ("train", "dev")}
    label = np.array([any(t in failed for failed in parts.values()) for t in turns.turn_id])
    users = _callers(data)
    caller = np.array([users[t.partition(":")[0]] for t in turns.turn_id])
    train, dev = (caller == part for part in ("train", "dev"))
    teacher = find_defects(turns, columns, labelled.labels, seed=seed)
    rng = np.random.default_rng(seed)
    asked = np.sort(rng.choice(np.flatnonzero(train), len(turns) // 20, replace=False))
    taught = find_defects(with_feedback(turns, label, asked, 0.0, rng), columns, labelled.labels, seed=seed)
    student = learn_risk(turns, teacher.p, min_users=3, budget=0.02)
    after = learn_risk(turns, taught.without_own_feedback, min_users=3, budget=0.02)
    found = {
        "teacher": teacher.p,
        "teacher, a twentieth of the train turns with feedback": taught.without_own_feedback,
        "student": student.held_out,
        "student of the teacher with feedback": after.held_out,
        "friction": turns["cued"] / 1000,
        "status": np.nan_to_num(turns["failed"]),
    }
    rows = {name: judged(label[dev], p[dev], best_threshold(label[train], p[train])) for name, p in found.items()}
    refused = dev & (np.nan_to_num(turns["failed"]) == 1)
    right = taught.without_own_feedback[dev]
    chance = [ece(rng.random(len(right)) < right, right) for _ in range(50)]
    return {
        "seed": seed,
        "turns": int(dev.sum()),
        "defects": int(label[dev].sum()),
        "even": float(np.mean(chance)),
        "refused": {
            "turns": int(refused.sum()),
            "defects": float(label[refused].mean()),
            "teacher": float(teacher.p[refused].mean()),
        },
        "turn": rows,
        "call": _goals(labelled, data, seed),
    }


def _goals(labelled: TrainingData, data: Path, seed: int) -> dict[str, float]:
    """Compare P(reached) of the goals of a call with what the caller said of it."""
    pair = learn_pair(labelled, seed=seed)
    if pair is None:
        raise SystemExit("the log tells of too few restatements")
    target = labelled.turns.rows(labelled.candidates["user_no"], labelled.candidates["next_turn_no"])
    goals = segment(labelled.source, target, pair.p(labelled.candidates), pair.defect)
    call = np.array([t.partition(":")[0] for t in labelled.turns.turn_id])
    names, place = np.unique(call, return_inverse=True)
    reached, plain = (np.bincount(place, value) / np.bincount(place) for value in (goals.success, 1 - pair.defect))
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT dialogue_id, feedback_success, feedback_questionnaire FROM read_parquet(?)", [str(data / "dialogs.parquet")]
        ).fetchall()
    said = {name: (success, _step(answers)) for name, success, answers in rows}
    success, step = (np.array([said[name][k] for name in names], dtype=np.float64) for k in (0, 1))
    answered_step = np.isfinite(step)
    return {
        "calls": len(names),
        "success_auc, goals": float(roc_auc_score(success, reached)),
        "success_auc, turns": float(roc_auc_score(success, plain)),
        "understood_spearman, goals": float(spearmanr(step[answered_step], reached[answered_step]).statistic),
        "understood_spearman, turns": float(spearmanr(step[answered_step], plain[answered_step]).statistic),
    }


def _step(answers: str | None) -> float:
    steps = ["strongly disagree", "disagree", "slightly disagree", "slightly agree", "agree", "strongly agree"]
    said = dict(json.loads(answers or "[]")).get("The system understood me well.")
    return float(steps.index(said)) if said in steps else np.nan


def _callers(data: Path) -> dict[str, str]:
    with duckdb.connect() as con:
        rows = con.execute("SELECT DISTINCT dialogue_id, split FROM read_parquet(?)", [str(data / "turns.parquet")]).fetchall()
    return dict(rows)


def _turn_columns(labelled: TrainingData) -> Columns:
    return surroundings(labelled.turns, Cues(labelled.turns, labelled.items), labelled.likeness)


def home(seed: int, days: int, users: int) -> dict[str, Any]:
    """Judge the teacher in a home, with feedback on more and more of the turns."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.parquet"
        simulate("home", log, days=days, users=users, seed=seed)
        with duckdb.connect() as con:
            sql = "SELECT turn_id, goal <> '' AND COALESCE(hypothesis, '') <> goal FROM read_parquet(?)"
            missed = dict(con.execute(sql, [str(log)]).fetchall())
        labelled = read(log, Path(folder), Config())
    turns, columns = labelled.turns, _turn_columns(labelled)
    label = np.array([missed[t] for t in turns.turn_id])
    rng = np.random.default_rng(seed)
    nobody = np.zeros(0, dtype=np.int64)
    first = find_defects(with_feedback(turns, label, nobody, 0.0, rng), columns, labelled.labels, seed=seed).without_own_feedback
    silent = replace(labelled.labels, misunderstood=np.full(len(turns), np.nan))
    random, taught = rng.permutation(len(turns)), as_asked(turns, first, rng)
    runs = []
    for share, way in SHARES:
        rows = np.sort((taught if way == "as it teaches" else random)[: int(share * len(turns))])
        asked = with_feedback(turns, label, rows, NOISE, rng)
        both = find_defects(asked, columns, labelled.labels, seed=seed).without_own_feedback if share else first
        without_feedback = find_defects(asked, columns, silent, seed=seed)
        found = {"share": share, "asked": way, **judged(label, both, 0.5)}
        f1 = float(f1_score(label, without_feedback.without_own_feedback >= 0.5)) if without_feedback.learned else None
        runs.append(found | {"f1, feedback alone": f1})
    return {"seed": seed, "turns": len(turns), "defects": int(label.sum()), "labels": runs}


def main() -> None:
    """Run all seeds, print and write the figures."""
    parser = options(__doc__, seeds=[0, 1, 2], days=7, users=150, out=OUT)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    result: dict[str, Any] = {
        "command": f"python benchmarks/defects.py --seeds {' '.join(map(str, args.seeds))}",
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("rewriter", "duckdb", "scikit-learn")},
        "dstc2": [],
        "home": [],
    }
    for seed in args.seeds:
        result["dstc2"].append(calls(args.data / "dstc2", seed))
        print(json.dumps(result["dstc2"][-1]), flush=True)
    for seed in args.seeds:
        result["home"].append(home(seed, args.days, args.users))
        print(json.dumps(result["home"][-1]), flush=True)
    write_result(result, args.out)


if __name__ == "__main__":
    main()
