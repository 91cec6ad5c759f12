"""DSTC2, real phone calls to a restaurant assistant: its log in the contract, what `learn` makes of it, and how well mining finds
the turns that restate a failed request.

    python benchmarks/dstc2.py [--seed 0] [--data ../shared/data/dstc2] [--log FILE]

The log holds what the live system knew and nothing else: heard text and n-best list (live ASR), hypothesis and its probability
(live SLU), barge-in, caller, time, what the system answered. `status` is failed if the top SLU is empty or the system repeats its
prompt, else null. None of this is annotation. A turn without any heard text stays in the log, as it would in a real one, and is
set aside when the log is read (no utterance, 1.3 % of the turns: hence `max_rejected`).

The failed turns are judged: those whose true request (inform, request, reqalts, confirm, deny) is not fully contained in the top
SLU. The events of fail_rephrase_success.jsonl.gz name the later turn that restates a failed turn; turns without an event have
none. Average precision and best F1 are over (failing, restating) pairs. An event that mining cannot reach counts as missed. The
rule is not fitted. The threshold for recall on the strict events is the best one of the train callers; no caller is in both train
and dev.
"""

import gzip
import json
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from pairs import (
    JudgedPairs,
    Pair,
    TextRatio,
    average_precision,
    best_f1,
    best_threshold,
    interval,
    judge,
    mined_pairs,
    strict_recall,
)
from script import options, write_result

from rewriter.config import Config, Logs
from rewriter.model.detector import Detector, RuleDetector
from rewriter.model.hypothesis import hypothesis
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader

DATA = Path("../shared/data/dstc2")
OUT = Path("benchmarks/results/dstc2_mining.json")
CONFIG = replace(Config(), logs=Logs(max_rejected=0.02))
REQUESTS = {"inform", "request", "reqalts", "confirm", "deny"}
"""Acts that ask for something; the others (bye, thankyou, affirm, …) are manners."""

Acts = list[tuple[str, list[tuple[str, str]]]]


def convert(data: Path, out: Path) -> int:
    """Write the log as Parquet in the contract and return the number of its rows.

    Args:
        data: folder of turns.parquet.
        out: file to write.
    """
    turns = _turns(data)
    call = turns.groupby("dialogue_id", sort=False)
    acts = turns["slu_live_nbest"].map(_top_slu)
    answer = call["sys_transcript"].shift(-1)
    failed = (acts.map(len) == 0) | (answer == turns["sys_transcript"])
    started = pd.to_datetime(turns["session_date"] + " " + turns["session_time"])
    heard = turns["asr_live_nbest"].map(lambda text: [hearing for hearing, _ in json.loads(text)])
    rows = pd.DataFrame(
        {
            "turn_id": turns["dialogue_id"] + ":" + turns["turn_index"].astype(str),
            "session_id": turns["dialogue_id"],
            "user_id": turns["user_id"],
            "timestamp": started + pd.to_timedelta(turns["user_start"], unit="s"),
            "utterance": heard.map(lambda texts: texts[0] if texts else None),
            "nbest": heard.map(lambda texts: list(dict.fromkeys(text for text in texts if text))),
            "hypothesis": acts.map(lambda top: written(top) if top else None),
            "nlu_confidence": turns["slu_live_nbest"].map(lambda text: json.loads(text)[0][1]),
            "status": failed.map({True: "failed", False: None}),
            "response": answer,
            "barge_in": turns["sys_aborted_by_barge_in"],
        }
    )
    with duckdb.connect() as con:
        con.register("rows", rows)
        con.sql("SELECT * FROM rows").write_parquet(str(out))
    return len(rows)


def _turns(data: Path) -> pd.DataFrame:
    with duckdb.connect() as con:
        return con.execute("SELECT * FROM read_parquet(?) ORDER BY dialogue_id, turn_index", [str(data / "turns.parquet")]).df()


def _top_slu(nbest: str) -> Acts:
    hypotheses = json.loads(nbest)
    return hypotheses[0][0] if hypotheses else []


def written(acts: Acts) -> str:
    """Return acts as one hypothesis: the kinds of acts are its intent, what they say its slots.

    Example:
        >>> written([("inform", [("food", "thai")]), ("request", [("slot", "addr")])])
        'inform+request|inform.food=thai|request.addr='
    """
    slots: dict[str, str] = {}
    for act, pairs in acts:
        for slot, value in pairs:
            name, text = (f"{act}.{value}", "") if slot == "slot" else (f"{act}.{slot}", str(value))
            slots[name] = f"{slots[name]}, {text}" if name in slots and text != slots[name] else text
    return hypothesis("+".join(sorted({act for act, _ in acts})), slots)


def asked(acts: Acts) -> set[tuple[str, ...]]:
    """Return the items of a request: (act, slot, value), or (act,) where an act has no slots."""
    wanted = [(act, pairs) for act, pairs in acts if act in REQUESTS]
    return {(act, slot, str(value)) for act, pairs in wanted for slot, value in pairs} | {
        (a,) for a, pairs in wanted if not pairs
    }


def truth(data: Path, split: str) -> tuple[dict[str, str], dict[Pair, bool]]:
    """Return failed turn -> caller, and (failing, restating) -> whether strict, of ``train``, ``dev`` or ``all``."""
    turns = _turns(data)
    rows = zip(turns["dialogue_id"], turns["turn_index"], turns["user_id"], turns["split"], strict=True)
    missed = (
        bool(asked(json.loads(true)) - asked(_top_slu(slu)))
        for true, slu in zip(turns["true_semantics"], turns["slu_live_nbest"], strict=True)
    )
    failed = {f"{call}:{i}": user for (call, i, user, s), bad in zip(rows, missed, strict=True) if bad and split in (s, "all")}
    with gzip.open(data / "fail_rephrase_success.jsonl.gz", "rt", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    pairs = {
        (f"{e['dialogue_id']}:{e['turn_fail']}", f"{e['dialogue_id']}:{e['turn_success']}"): _is_strict(e)
        for e in events
        if split in (e["split"], "all")
    }
    return failed, pairs


def _is_strict(event: Mapping[str, Any]) -> bool:
    return (
        event["kind"] == "rephrase"
        and not event["system_asked_that_slot"]
        and event["success_covers_fail_goal"]
        and event["success_fully_understood"]
        and event["heard_differs"]
    )


def evaluate_detector(detector: Detector, split: str = "dev", *, data: Path = DATA, seed: int = 0) -> dict[str, Any]:
    """Return how well a detector finds the events of a split, each figure with its interval over callers.

    Args:
        detector: mining scores candidates by it.
        split: ``train``, ``dev`` or ``all``.
        data: folder of DSTC2.
        seed: of the bootstrap.

    Returns:
        average_precision, best_f1, strict_recall (at the threshold that is best on train), strict_reachable, and counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        convert(data, work / "log.parquet")
        reader.read([work / "log.parquet"], out=work, key=bytes(16), config=CONFIG.logs)
        found = mined_pairs(work / "turns.parquet", detector, work / "mined", CONFIG)
    train, judged = (judge(found, *truth(data, s)) for s in ("train", split))
    return figures(judged, best_threshold(train), seed)


def figures(judged: JudgedPairs, threshold: float, seed: int) -> dict[str, Any]:
    """Return the figures of judged pairs, with intervals."""
    return {
        "average_precision": interval(judged, average_precision, seed),
        "best_f1": interval(judged, best_f1, seed),
        "strict_recall": interval(judged, partial(strict_recall, threshold=threshold), seed),
        "strict_reachable": interval(judged, partial(strict_recall, threshold=0.0), seed),
        "threshold": threshold,
        "events": len(judged.event_user),
        "strict_events": int(judged.strict.sum()),
        "pairs": len(judged.score),
    }


def learned(log: Path, folder: Path) -> dict[str, Any]:
    """Run `learn` on the log and return what it reports."""
    report = learn([log], out=folder, config=CONFIG)
    print("\n".join(report.log.lines()))
    print(f"rephrases found by {report.detector}; rules {dict(report.rules)}; refused {dict(report.refused)}")
    return {"turns": report.log.turns, "rejected": dict(report.log.rejected), "rules": dict(report.rules)} | {
        "refused": dict(report.refused),
        "expected_win": report.win,
        "expected_loss": report.loss,
    }


def main() -> None:
    """Convert, learn, judge, print and write the JSON."""
    parser = options(__doc__, seed=0, out=OUT)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--log", type=Path, help="keep the log in the contract here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = args.log or Path(folder) / "log.parquet"
        convert(args.data, log)
        report = learned(log, Path(folder) / "artefact")
    detectors: dict[str, Detector] = {"rule": RuleDetector(), "text ratio": TextRatio()}
    table = {
        split: {name: evaluate_detector(detector, split, data=args.data, seed=args.seed) for name, detector in detectors.items()}
        for split in ("dev", "all")
    }
    print(f"\n{'split':<6}{'detector':<12}{'AP':>22}{'best F1':>22}{'strict recall':>22}")
    for split, rows in table.items():
        for name, row in rows.items():
            cells = (row[figure] for figure in ("average_precision", "best_f1", "strict_recall"))
            print(f"{split:<6}{name:<12}" + "".join(f"{c['value']:>8.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells))
    result = {
        "command": f"python benchmarks/dstc2.py --seed {args.seed}",
        "seeds": [args.seed],
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("rewriter", "duckdb", "scikit-learn")},
        "failed_turns": {split: len(truth(args.data, split)[0]) for split in table},
        "learn": report,
        "pairs": table,
    }
    write_result(result, args.out)


if __name__ == "__main__":
    main()
