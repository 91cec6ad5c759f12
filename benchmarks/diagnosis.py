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
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
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
    parser = options(__doc__, seed=1, users=45, days=8, out=RESULTS / "diagnosis.json")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--ship", action="store_true", help="write the model that ships")
    parser.add_argument("--only-ship", action="store_true", help="and judge nothing")
    args = parser.parse_args()
    cells = simulated(args)
    if args.ship or args.only_ship:
        ship(cells, args.seed)
    if args.only_ship:
        return
    left_out = {f"{world}, {assistant}": left_out_of(cells, (world, assistant), args.seed) for world, assistant in cells}
    result = {
        **made_with(("rewriter", "lightgbm", "numpy", "scikit-learn")),
        "seed": args.seed,
        "turns": sum(len(c.label) for c in cells.values()),
        "worlds": left_out,
        "pooled": pooled(left_out),
        "corpora": corpora(args.data),
        "throughput": throughput(next(iter(cells.values()))),
    }
    print(json.dumps(result["pooled"], indent=1), json.dumps(result["corpora"], indent=1), result["throughput"])
    write_result(result, args.out)


def simulated(args: argparse.Namespace) -> dict[Key, Cell]:
    """Simulate one log for each world and assistant."""
    found = {}
    for number, (name, make) in enumerate(worlds(args.seed, args.users).items()):
        world = make()
        for assistant in assistants(name):
            found[name, assistant] = cell(world, assistant, days=args.days, seed=args.seed + 10 * number)
            print(f"{name}, {assistant}: {len(found[name, assistant].label):,} turns", flush=True)
    return found


def learned(cells: Mapping[Key, Cell], seed: int) -> FailureModel:
    """Learn from cells; the temperature is that of a model which has not seen the last of their worlds."""
    last = list(cells)[-1][0]
    seen = [of for (world, _), of in cells.items() if world != last]
    unseen = [of for (world, _), of in cells.items() if world == last]
    model = FailureModel.learn(*joined(seen), seed=seed).calibrated(*joined(unseen))
    whole = FailureModel.learn(*joined(list(cells.values())), seed=seed)
    return FailureModel(whole.text, model.temperature, whole.prior)


def joined(cells: list[Cell]) -> tuple[np.ndarray, Ints]:
    """Return the turns of cells as one: columns and classes."""
    return np.concatenate([of.columns for of in cells]), np.concatenate([of.label for of in cells])


def ship(cells: Mapping[Key, Cell], seed: int) -> None:
    """Write what the package reads."""
    (HOME / "failure_model.json.gz").write_bytes(learned(cells, seed).to_bytes())
    columns, label = joined(list(cells.values()))
    rules = Rules.measure(signs(columns), label)
    (HOME / "failure_signs.json").write_text(json.dumps(rules.to_dict(), indent=1) + "\n", encoding="utf-8")


def left_out_of(cells: Mapping[Key, Cell], key: Key, seed: int) -> dict[str, Any]:
    """Judge a cell by what was learned from other worlds and other assistants."""
    others = {(w, a): of for (w, a), of in cells.items() if w != key[0] and a != key[1]}
    judged, model = cells[key], learned(others, seed)
    columns, label = joined(list(others.values()))
    rules = Rules.measure(signs(columns), label)
    by_rules = adapted(rules.p(signs(judged.columns)), rules.prior)
    found = {"model": figures(adapted(model.p(judged.columns), model.prior), judged), "rules": figures(by_rules, judged)}
    print(key, {name: round(of["macro_f1"], 3) for name, of in found.items()}, flush=True)
    return found


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
    for name in ("model", "rules"):
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
            columns, label = judge(data / name, Path(folder))
        for by, model in (("model", FailureModel.shipped()), ("rules", None)):
            p = three(diagnosed(columns, model=model, rules=Rules.shipped()))
            each = f1_score(label, p.argmax(axis=1), labels=range(3), average=None)
            found[f"{name}, {by}"] = {
                "n": len(label),
                "macro_f1": float(each.mean()),
                "f1": dict(zip(THREE, map(float, each), strict=True)),
                "ece": calibration_error(p.max(axis=1), p.argmax(axis=1) == label),
            }
    return found


def three(p: Floats) -> Floats:
    """Return P of the three stages that the corpora know."""
    of = {name: p[:, k] for k, name in enumerate(CLASSES)}
    meant = of[FailurePoint.NLU] + of[FailurePoint.ENTITY]
    found = np.column_stack([of[FailurePoint.ASR], meant, of[FailurePoint.CORRECT] + of[FailurePoint.RESULT] + of["unsupported"]])
    return np.asarray((found + 1e-9) / (found + 1e-9).sum(axis=1, keepdims=True))


def dstc2(data: Path, work: Path) -> tuple[np.ndarray, Ints]:
    """Return the columns and the truth of the turns of DSTC2 of which something was heard and transcribed."""
    convert(data, work / "log.parquet")
    columns, turn_id = measured(work / "log.parquet", work, CONFIG)
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
    return columns[label >= 0], label[label >= 0]


def slurp(data: Path, work: Path) -> tuple[np.ndarray, Ints]:
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
    columns, turn_id = measured(work / "log.jsonl", work)
    truth = {row[0]: 2 if row[6] else 1 if normalise(row[1]) == normalise(row[5]) else 0 for row in rows}
    return columns, np.asarray([truth[turn] for turn in turn_id])


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
