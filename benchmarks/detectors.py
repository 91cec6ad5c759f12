"""Which detector finds the turn that restates a request? The rule and the trees side by side, without annotation.

    python benchmarks/detectors.py [--seeds 0 1 2] [--data ../shared/data] [--reader FOLDER]

DSTC2: each of its turns that failed, of the dev callers and of all, as in `dstc2.py`. Home: three logs of recordings, as in
`home_spoken.py`. No label is read by any detector: the trees learn from what the log says of itself, and score a user's turns by
models that have not seen that user. What the trees look at, and how evidence is told from chance, was settled looking at the
truth of the train callers and of home 0 and 1; of the dev callers nothing was looked at before the end.

Each detector is asked twice. *Any turn*: P(the candidate restates the turn), as mining asks it. *Failed*: the same for a turn
that is known to have failed, which is what the judged turns are; the rule cannot be told. P is judged as it is, and as mining
spends it: candidates of a turn exclude each other, and the nearest takes its part first.

With `--reader`, the folder of a BERT-like transformer, the span detector stands beside them; it takes minutes for each log.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dstc2
import home_spoken
import numpy as np
import numpy.typing as npt
from pairs import Pair, average_precision, best_f1, interval, judge

from rewriter.config import Config
from rewriter.detect.goals import exclusive
from rewriter.detect.listed import Listed
from rewriter.detect.pair import Told, learn_pair
from rewriter.detect.readers import learn_span
from rewriter.engine import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline import logs
from rewriter.offline.mine import mine

OUT = Path("benchmarks/results/detectors.json")
Floats = npt.NDArray[np.float64]
Truths = Mapping[str, tuple[dict[str, str], dict[Pair, bool]]]


def read(log: Path, work: Path, config: Config) -> Told:
    """Mine a log as far as the candidates."""
    logs.read([log], out=work, key=bytes(16), config=config.logs)
    engine = DuckDB(work / "mined", threads=2)
    try:
        mined = mine(engine, work / "turns.parquet", RuleDetector(), config)
    finally:
        engine.close()
    return Told.read(Listed(work / "turns.parquet", mined.sessions, mined.texts, mined.candidates))


def scores(told: Told, seed: int, reader: str) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return P of every candidate by each detector, the span detector only with a reader; and what learning and scoring cost."""
    n = len(told.source)
    began = time.process_time()
    pair = learn_pair(told, seed=seed)
    if pair is None:
        raise SystemExit("the log tells of too few restatements")
    cost: dict[str, Any] = {"turns": len(told.turns), "candidates": n, "restatements_told": int(told.restates.sum())}
    cost["train_cpu_s"] = time.process_time() - began
    began = time.process_time()
    found = {"rule": RuleDetector().score(told.candidates) / 1000, "pair": pair.p(told.candidates)}
    cost["pairs_per_cpu_s"] = n / (time.process_time() - began)
    found["pair, failed"] = pair.of_failures().p(told.candidates)
    if reader:
        began = time.process_time()
        span = learn_span(told, pair, reader, min_users=Config().launch.min_users, seed=seed)
        cost["span_train_and_read_cpu_s"] = time.process_time() - began
        cost["span_read"] = int(np.isfinite(span.odds[:, 0]).sum())
        found |= {"span": span.p(told.candidates), "span, failed": span.of_failures().p(told.candidates)}
    return found, cost


def figures(told: Told, found: Mapping[str, Floats], truths: Truths, seed: int) -> dict[str, Any]:
    """Return average precision and best F1 of each detector on each part, of P as it is and as it is spent."""
    later = told.turns.turn_id[told.turns.rows(told.candidates["user_no"], told.candidates["next_turn_no"])]
    pairs = list(zip(told.turns.turn_id[told.source], later, strict=True))
    return {
        part: {
            name: {
                way: {
                    "average_precision": interval(judged, average_precision, seed),
                    "best_f1": interval(judged, best_f1, seed),
                }
                for way, values in (("as it is", p), ("as spent", exclusive(told.source, p)))
                for judged in [judge(dict(zip(pairs, values, strict=True)), failed, events)]
            }
            for name, p in found.items()
        }
        for part, (failed, events) in truths.items()
    }


def main() -> None:
    """Learn, judge, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--reader", default="")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    runs = []
    for name in ("dstc2", "home"):
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                work = Path(folder)
                truths: Truths
                if name == "dstc2":
                    dstc2.convert(args.data / "dstc2", work / "log.parquet")
                    truths = {part: dstc2.truth(args.data / "dstc2", part) for part in ("dev", "all")}
                    told = read(work / "log.parquet", work, dstc2.CONFIG)
                else:
                    home_spoken.log(work / "log.parquet", seed, data=args.data / "home_spoken")
                    truths = {"all": home_spoken.truth(work / "log.parquet")}
                    told = read(work / "log.parquet", work, Config())
                found, cost = scores(told, seed, args.reader)
            run = {
                "log": name,
                "seed": seed,
                "parts": figures(told, found, truths, seed),
                "cost": cost,
                "load": os.getloadavg()[0],
            }
            runs.append(run)
            print(name, seed, cost, flush=True)
            for part, rows in run["parts"].items():
                for detector, ways in rows.items():
                    cells = [f"{ways[way][f]['value']:.3f}" for way in ways for f in ("average_precision", "best_f1")]
                    print(f"  {part:<6}{detector:<14} AP, F1 as it is / as spent: {' '.join(cells)}", flush=True)
    result = {
        "command": f"python benchmarks/detectors.py --seeds {' '.join(map(str, args.seeds))}",
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("rewriter", "duckdb", "scikit-learn")},
        "runs": runs,
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
