"""Is it found where requests break? In worlds and with assistants that the model has not seen, and in two real corpora.

    python benchmarks/diagnosis.py [--seed 1] [--users 45] [--days 8] [--data ../shared/data] [--ship] [--only-ship]

In each world one stage at a time breaks (`rewriter.simulation.fault_injection`), so it is known where. The model that judges a
log learned neither from its world nor from its assistant; what it learned from is calibrated on one more world that it has not
seen. "Two" are the turns in which two stages failed: is the first one named? The rules are judged alike, their likelihoods
measured without that world and assistant.

DSTC2 and SLURP are judged by the model that ships, which has seen neither. Truth is recognition where the transcript differs
and the meaning was missed, understanding where the words were right and the meaning was missed, else correct. These corpora
know three stages, so P is added up: entity to understanding, result to correct, and false wakes are left out. SLURP has single
requests of nobody known: users are invented, and nothing comes before or after. Both are skipped where they are not there.

--ship writes the model and the likelihoods of the rules into the package, learned from all worlds and assistants.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
from diagnosis_cells import Cell, assistants, cell, measured, worlds
from dstc2 import CONFIG, asked, convert
from script import RESULTS, made_with, options, write_result
from sklearn.metrics import f1_score

from rewriter.arrays import Floats, Ints
from rewriter.codes import FailurePoint
from rewriter.detect.failure_model import FailureModel, adapted, diagnosed
from rewriter.detect.failure_rules import CLASSES, Rules, signs
from rewriter.model.hypothesis import hypothesis
from rewriter.text import normalise

HOME = Path(__file__).parents[1] / "rewriter" / "detect"
STAGES = list(FailurePoint)
THREE = ("recognition", "understanding", "correct")
_USERS = 200  # invented, among whom the recordings of SLURP are dealt
_BINS = 10

Key = tuple[str, str]


def main() -> None:
    """Simulate, learn, judge and write the result."""
    parser = options(__doc__, seed=2, users=45, days=8, out=RESULTS / "diagnosis.json")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--worlds", nargs="+", help="only these worlds; all by default")
    parser.add_argument("--ship", action="store_true", help="write the model that ships")
    parser.add_argument("--only-ship", action="store_true", help="and judge nothing")
    args = parser.parse_args()
    cells = simulated(args)
    if args.ship or args.only_ship:
        ship(cells, args.seed)
    if args.only_ship:
        return
    known = corpora(args.data)
    left_out: dict[str, Any] = {}
    for world in dict.fromkeys(name for name, _ in cells):
        left_out |= left_out_of(cells, world, args.seed)
        write_result(left_out, args.out.with_suffix(".part.json"))
    args.out.with_suffix(".part.json").unlink()
    result = {
        **made_with(("rewriter", "lightgbm", "numpy", "scikit-learn")),
        "seed": args.seed,
        "turns": sum(len(c.label) for c in cells.values()),
        "worlds": left_out,
        "pooled": pooled(left_out),
        "corpora": known,
        "throughput": throughput(next(iter(cells.values()))),
    }
    print(json.dumps(result["pooled"], indent=1), json.dumps(result["corpora"], indent=1), result["throughput"])
    write_result(result, args.out)


def simulated(args: argparse.Namespace) -> dict[Key, Cell]:
    """Simulate one log for each world and assistant."""
    found = {}
    for number, (name, make) in enumerate(worlds(args.seed, args.users).items()):
        if args.worlds and name not in args.worlds:
            continue
        world = make()
        for assistant in assistants(name):
            found[name, assistant] = cell(world, assistant, days=args.days, seed=args.seed + 10 * number)
            print(f"{name}, {assistant}: {len(found[name, assistant].label):,} turns", flush=True)
    return found


def learned(cells: Mapping[Key, Cell], seed: int, temperature: float | None = None) -> FailureModel:
    """Learn from cells; the temperature, unless given, is that of a model which has not seen the last of their worlds."""
    whole = FailureModel.learn(*joined(list(cells.values())), seed=seed)
    return replace(whole, temperature=temperature or temperature_of(cells, seed))


def temperature_of(cells: Mapping[Key, Cell], seed: int) -> float:
    """Return the temperature of a model that has not seen the last of the worlds, on that world."""
    last = list(cells)[-1][0]
    unseen = [of for (world, _), of in cells.items() if world == last]
    model = FailureModel.learn(*joined([of for (world, _), of in cells.items() if world != last]), seed=seed)
    p = np.concatenate([adapted(model.p(of.unlisted), model.prior, of.groups) for of in unseen])
    return model.calibrated(p, np.concatenate([of.label for of in unseen])).temperature


def joined(cells: list[Cell]) -> tuple[np.ndarray, Ints]:
    """Return the turns of cells as one: columns and classes."""
    return np.concatenate([of.columns for of in cells]), np.concatenate([of.label for of in cells])


def ship(cells: Mapping[Key, Cell], seed: int) -> None:
    """Write what the package reads."""
    (HOME / "failure_model.json.gz").write_bytes(learned(cells, seed).to_bytes())
    columns, label = joined(list(cells.values()))
    rules = Rules.measure(signs(columns), label)
    (HOME / "failure_signs.json").write_text(json.dumps(rules.to_dict(), indent=1) + "\n", encoding="utf-8")


def left_out_of(cells: Mapping[Key, Cell], world: str, seed: int) -> dict[str, Any]:
    """Judge the cells of a world, each by what was learned from other worlds and other assistants."""
    unseen = {key: of for key, of in cells.items() if key[0] != world}
    temperature, found = temperature_of(unseen, seed), {}
    for assistant in [a for w, a in cells if w == world][::2]:  # every second assistant, because each needs a model of its own
        others = {key: of for key, of in unseen.items() if key[1] != assistant}
        judged, model = cells[world, assistant], learned(others, seed, temperature)
        columns, label = joined(list(others.values()))
        rules = Rules.measure(signs(columns), label)
        p = {
            "model": diagnosed(judged.unlisted, model=model, rules=rules, groups=judged.groups),
            "model, with a catalog": diagnosed(judged.columns, model=model, rules=rules, groups=judged.groups),
            "model, each turn by itself": adapted(model.p(judged.unlisted), model.prior),
            "rules": diagnosed(judged.unlisted, model=None, rules=rules, groups=judged.groups),
            "learned from this log's own truth": within(judged, seed),
        }
        found[f"{world}, {assistant}"] = {by: figures(of, judged) for by, of in p.items()}
        print(world, assistant, {by: round(of["macro_f1"], 3) for by, of in found[f"{world}, {assistant}"].items()}, flush=True)
    return found


def within(judged: Cell, seed: int) -> Floats:
    """Return P by models that learned from the truth of the other half of this very log: what is reached without a new world."""
    half = np.random.default_rng(seed).random(len(judged.label)) < 0.5
    p = np.zeros((len(half), len(CLASSES)))
    for rows in (half, ~half):
        model = FailureModel.learn(judged.unlisted[rows], judged.label[rows], seed=seed)
        p[~rows] = adapted(model.p(judged.unlisted), model.prior, judged.groups)[~rows]
    return p


def figures(p: Floats, judged: Cell) -> dict[str, Any]:
    """Return F1 of each stage that occurs, their mean, ECE, and how often the first of two failed stages is named."""
    six = p[:, :-1].copy()
    six[:, -1] += p[:, -1]
    label = np.where(judged.label == len(CLASSES) - 1, len(CLASSES) - 2, judged.label)
    top = six.argmax(axis=1)
    there = [k for k in range(len(STAGES)) if (label == k).any()]
    each = f1_score(label, top, labels=there, average=None)
    return {
        "macro_f1": float(np.mean(each)),
        "f1": {STAGES[k]: float(f) for k, f in zip(there, each, strict=True)},
        "ece": calibration_error(six.max(axis=1), top == label),
        "two": {"right": int((top == label)[judged.two].sum()), "n": int(judged.two.sum())},
        "n": len(label),
    }


def calibration_error(p: Floats, right: np.ndarray) -> float:
    """Return the expected calibration error of P of the top class, in ten bins of equal width."""
    place = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return float(sum(abs(p[place == b].mean() - right[place == b].mean()) * (place == b).mean() for b in set(place.tolist())))


def pooled(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over the cells; two failed stages are added up."""
    result = {}
    for name in next(iter(found.values())):
        of = [cell_figures[name] for cell_figures in found.values()]
        stages = {s: [f["f1"][s] for f in of if s in f["f1"]] for s in STAGES}
        result[name] = {
            "macro_f1": float(np.mean([f["macro_f1"] for f in of])),
            "f1": {s: float(np.mean(values)) for s, values in stages.items()},
            "ece": float(np.mean([f["ece"] for f in of])),
            "two": sum(f["two"]["right"] for f in of) / max(sum(f["two"]["n"] for f in of), 1),
        }
    return result


def corpora(data: Path) -> dict[str, Any]:
    """Judge the two corpora by the model that ships and by the rules."""
    found: dict[str, Any] = {}
    for name, judge in (("dstc2", dstc2), ("slurp", slurp)):
        if not (data / name).exists():
            print(f"{name} skipped: there is no {data / name}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            columns, groups, label = judge(data / name, Path(folder))
        users = np.asarray(groups.pop("user"))
        found[f"{name}, learned from its own truth"] = judged_three(supervised(columns, label, users), label)
        for by, model in (("model", FailureModel.shipped()), ("rules", None)):
            p = three(diagnosed(columns, model=model, rules=Rules.shipped(), groups=groups))
            found[f"{name}, {by}"] = judged_three(p, label)
    return found


def judged_three(p: Floats, label: Ints) -> dict[str, Any]:
    """Return F1 of each of `THREE`, their mean, and ECE."""
    each = f1_score(label, p.argmax(axis=1), labels=range(3), average=None)
    return {
        "n": len(label),
        "macro_f1": float(each.mean()),
        "f1": dict(zip(THREE, map(float, each), strict=True)),
        "ece": calibration_error(p.max(axis=1), p.argmax(axis=1) == label),
    }


def supervised(columns: np.ndarray, label: Ints, user: Ints) -> Floats:
    """Return P of the three stages by trees that learned from the truth of other users: how far these columns tell them."""
    p = np.zeros((len(label), 3))
    fold = np.random.default_rng(0).integers(0, 3, int(user.max()) + 1)[user]
    for k in range(3):
        trees = lightgbm.LGBMClassifier(
            n_estimators=60, num_leaves=15, class_weight="balanced", n_jobs=1, verbosity=-1, random_state=0
        )
        p[fold == k] = trees.fit(columns[fold != k], label[fold != k]).predict_proba(columns[fold == k])
    return p


def three(p: Floats) -> Floats:
    """Return P of the three stages that the corpora know."""
    of = {name: p[:, k] for k, name in enumerate(CLASSES)}
    meant = of[FailurePoint.NLU] + of[FailurePoint.ENTITY]
    found = np.column_stack([of[FailurePoint.ASR], meant, of[FailurePoint.CORRECT] + of[FailurePoint.RESULT] + of["unsupported"]])
    return np.asarray((found + 1e-9) / (found + 1e-9).sum(axis=1, keepdims=True))


def dstc2(data: Path, work: Path) -> tuple[np.ndarray, dict[str, Ints], Ints]:
    """Return the columns and the truth of the turns of DSTC2 of which something was heard and transcribed."""
    convert(data, work / "log.parquet")
    with duckdb.connect() as con:  # the recogniser's log score of its best hearing, which `convert` leaves out
        sql = "SELECT dialogue_id || ':' || turn_index AS turn_id, asr_live_nbest AS nbest FROM read_parquet(?)"
        sure = con.execute(sql, [str(data / "turns.parquet")]).df()
        sure["asr_confidence"] = sure.pop("nbest").map(score_of)
        con.register("sure", sure)
        con.register("log", con.read_parquet(str(work / "log.parquet")))
        con.sql("SELECT log.*, asr_confidence FROM log JOIN sure USING (turn_id)").write_parquet(str(work / "heard.parquet"))
    columns, groups, turn_id = measured(work / "heard.parquet", work, CONFIG)
    sql = """SELECT dialogue_id || ':' || turn_index, transcription, asr_live_nbest, true_semantics, slu_live_nbest
    FROM read_parquet(?)"""
    with duckdb.connect() as con:
        rows = con.execute(sql, [str(data / "turns.parquet")]).fetchall()
    truth = {}
    for turn, said, nbest, true, slu in rows:
        heard, understood = json.loads(nbest), json.loads(slu)
        missed = bool(asked(json.loads(true)) - asked(understood[0][0] if understood else []))
        right = bool(heard) and normalise(heard[0][0]) == normalise(said)
        truth[turn] = (2 if not missed else 1 if right else 0) if normalise(said) else -1
    label = np.asarray([truth[turn] for turn in turn_id])
    calls = np.unique([turn.partition(":")[0] for turn in turn_id], return_inverse=True)[1]
    known = label >= 0
    return columns[known], {name: of[known] for name, of in {**groups, "user": calls}.items()}, label[known]


def score_of(nbest: str) -> float | None:
    """Return exp of the log score of the best hearing, at most 1; None where nothing was heard."""
    heard = json.loads(nbest)
    return min(math.exp(heard[0][1]), 1.0) if heard else None


def slurp(data: Path, work: Path) -> tuple[np.ndarray, dict[str, Ints], Ints]:
    """Return the columns and the truth of the recordings of SLURP of which something was heard."""
    sql = """SELECT file, asr_text, pred_scenario, pred_action, pred_entities, sentence, nlu_exact FROM read_parquet(?)
    WHERE asr_text <> '' AND pred_action IS NOT NULL ORDER BY slurp_id, file"""
    with duckdb.connect() as con:
        rows = con.execute(sql, [str(data / "recordings_asr.parquet")]).fetchall()
    user = np.random.default_rng(0).integers(0, _USERS, len(rows))
    with (work / "log.jsonl").open("w", encoding="utf-8") as file:
        for place, (name, heard, scenario, action, entities, _, _) in enumerate(rows):
            slots = {one["type"]: one["filler"] for one in json.loads(entities)}
            turn = {"turn_id": name, "user_id": f"u{user[place]}", "timestamp": 1767600000 + 3600 * place, "locale": "en"}
            turn |= {"utterance": heard, "hypothesis": hypothesis(f"{scenario}_{action}", slots)}
            file.write(json.dumps(turn) + "\n")
    columns, groups, turn_id = measured(work / "log.jsonl", work)
    truth = {row[0]: 2 if row[6] else 1 if normalise(row[1]) == normalise(row[5]) else 0 for row in rows}
    sentence = {row[0]: row[5] for row in rows}  # all recordings of a sentence are in one part
    said = np.unique([sentence[turn] for turn in turn_id], return_inverse=True)[1]
    return columns, {**groups, "user": said}, np.asarray([truth[turn] for turn in turn_id])


def throughput(one: Cell) -> dict[str, float]:
    """Return the turns that the model and the rules score in a second, on one core, columns given."""
    columns = np.concatenate([one.columns] * 10)
    found = {}
    for name, model in (("model", FailureModel.shipped()), ("rules", None)):
        start = time.process_time()
        diagnosed(columns, model=model, rules=Rules.shipped())
        found[f"{name}, turns a second"] = len(columns) / (time.process_time() - start)
    return found


if __name__ == "__main__":
    main()
