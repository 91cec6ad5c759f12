"""Compares detectors of restatements, all without annotation: the rule, the trees, and a transformer that reads the dialogue.

    python benchmarks/detectors.py [--seeds 0 1 2] [--data ../shared/data] [--reader FOLDER]

DSTC2: all failed turns, of the dev callers and of all callers, as in `dstc2.py`. Home: three logs of recordings, as in
`home_spoken.py`. No detector reads a label. The trees learn from weak labels of the log, and score the turns of a user by models
that have not seen that user. The cues of the trees and the rules of the weak labels were chosen with the truth of the train
callers and of home 0 and 1. The truth of the dev callers was not looked at before the end.

Each detector is applied in two ways. *Any turn*: P(the candidate restates the turn), as in mining. *Failed*: the same, given that
the turn failed, which is true of all judged turns; the rule has no such variant. P is judged as it is, and *as spent* by mining:
candidates of a turn exclude each other, and the nearest one takes its share first.

With `--reader`, the folder of a BERT-like transformer, the span detector is judged too; it takes minutes for each log. A
simulated home of 100,000 turns shows the cost only. No cost includes mining up to the candidates. Processor seconds are summed
over all cores; clock seconds depend on other processes of the machine.
"""

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
from pairs import Pair, average_precision, best_f1, interval, judge
from script import options, write_result

from rewriter.arrays import Floats
from rewriter.config import Config
from rewriter.detect.rephrase import exclusive, learn_pair
from rewriter.detect.span import REACH, DialogueWriter, SpanReader, learn_span
from rewriter.detect.turns import Listed
from rewriter.detect.weak_labels import TrainingData
from rewriter.engines import DuckDB
from rewriter.model.detector import RuleDetector
from rewriter.offline.logs import reader as reader_
from rewriter.offline.mining.pipeline import mine
from rewriter.simulation.worlds import simulate

OUT = Path("benchmarks/results/detectors.json")
DAYS, USERS = 14, 840
"""Of a home with about 100,000 turns."""
DIALOGUES = 256
"""Read to tell how fast the reader is."""
Truths = Mapping[str, tuple[dict[str, str], dict[Pair, bool]]]


def read(log: Path, work: Path, config: Config) -> TrainingData:
    """Mine a log as far as the candidates."""
    reader_.read([log], out=work, key=bytes(16), config=config.logs)
    engine = DuckDB(work / "mined", threads=2)
    try:
        mined = mine(engine, work / "turns.parquet", RuleDetector(), config)
    finally:
        engine.close()
    return TrainingData.read(Listed(work / "turns.parquet", mined.sessions, mined.texts, mined.candidates))


class Stopwatch:
    """Seconds since it was made, of the processor and of the clock."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.perf_counter()

    def cpu(self) -> float:
        """Return the seconds of the processor, all threads together."""
        return time.process_time() - self._cpu

    def named(self, what: str) -> dict[str, float]:
        """Return both, by name."""
        return {f"{what}_cpu_s": self.cpu(), f"{what}_s": time.perf_counter() - self._clock}


def scores(labelled: TrainingData, seed: int, reader: str) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return P of every candidate by each detector, the span detector only with a reader; and what learning and scoring cost."""
    n = len(labelled.source)
    clock = Stopwatch()
    pair = learn_pair(labelled, seed=seed)
    if pair is None:
        raise SystemExit("the log tells of too few restatements")
    cost: dict[str, Any] = {"turns": len(labelled.turns), "candidates": n, "restatements_told": int(labelled.restates.sum())}
    cost |= clock.named("train")
    clock = Stopwatch()
    found = {"rule": RuleDetector().score(labelled.candidates) / 1000, "pair": pair.p(labelled.candidates)}
    cost["pairs_per_cpu_s"] = n / clock.cpu()
    found["pair, failed"] = pair.of_failures().p(labelled.candidates)
    if reader:
        clock = Stopwatch()
        span = learn_span(labelled, pair, reader, min_users=Config().launch.min_users, seed=seed)
        cost |= clock.named("span_train_and_read")
        cost["span_read"] = int(np.isfinite(span.odds[:, 0]).sum())
        cost["span_dialogues_per_cpu_s"] = reading_rate(labelled, reader, seed)
        found |= {"span": span.p(labelled.candidates), "span, failed": span.of_failures().p(labelled.candidates)}
    return found, cost


def reading_rate(labelled: TrainingData, reader: str, seed: int) -> float:
    """Return how many turns with their candidates are read in a second of the processor."""
    sources = np.random.default_rng(seed).permutation(np.unique(labelled.source))[:DIALOGUES].tolist()
    target = labelled.turns.rows(labelled.candidates["user_no"], labelled.candidates["next_turn_no"])
    scribe, reads = DialogueWriter(labelled.turns, Config().launch.min_users), SpanReader.open(reader, seed)
    clock = Stopwatch()
    reads.p([scribe.write(source, target[labelled.source == source].tolist()) for source in sources], REACH)
    return len(sources) / clock.cpu()


def figures(labelled: TrainingData, found: Mapping[str, Floats], truths: Truths, seed: int) -> dict[str, Any]:
    """Return average precision and best F1 of each detector on each part, of P as it is and as it is spent."""
    later = labelled.turns.turn_id[labelled.turns.rows(labelled.candidates["user_no"], labelled.candidates["next_turn_no"])]
    pairs = list(zip(labelled.turns.turn_id[labelled.source], later, strict=True))
    return {
        part: {
            name: {
                way: {
                    "average_precision": interval(judged, average_precision, seed),
                    "best_f1": interval(judged, best_f1, seed),
                }
                for way, values in (("as it is", p), ("as spent", exclusive(labelled.source, p)))
                for judged in [judge(dict(zip(pairs, values, strict=True)), failed, events)]
            }
            for name, p in found.items()
        }
        for part, (failed, events) in truths.items()
    }


def opened(name: str, seed: int, data: Path, work: Path) -> tuple[TrainingData, Truths]:
    """Write the log of a name and a seed, and mine it; with the truth of its parts, which is none for the large one."""
    log = work / "log.parquet"
    if name == "dstc2":
        dstc2.convert(data / "dstc2", log)
        return read(log, work, dstc2.CONFIG), {part: dstc2.truth(data / "dstc2", part) for part in ("dev", "all")}
    if name == "home":
        home_spoken.log(log, seed, data=data / "home_spoken")
        return read(log, work, Config()), {"all": home_spoken.truth(log)}
    simulate("home", log, days=DAYS, users=USERS, seed=seed)
    return read(log, work, Config()), {}


def run(name: str, seed: int, data: Path, reader: str) -> dict[str, Any]:
    """Learn from one log, judge and print."""
    with tempfile.TemporaryDirectory() as folder:
        labelled, truths = opened(name, seed, data, Path(folder))
        found, cost = scores(labelled, seed, reader)
    parts = figures(labelled, found, truths, seed)
    print(name, seed, cost, flush=True)
    for part, rows in parts.items():
        for detector, ways in rows.items():
            cells = [f"{ways[way][f]['value']:.3f}" for way in ways for f in ("average_precision", "best_f1")]
            print(f"  {part:<6}{detector:<14} AP, F1 as it is / as spent: {' '.join(cells)}", flush=True)
    return {"log": name, "seed": seed, "parts": parts, "cost": cost, "load": os.getloadavg()[0]}


def main() -> None:
    """Learn, judge, print and write the JSON."""
    parser = options(__doc__, seeds=[0, 1, 2], out=OUT)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--reader", default="")
    args = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for i, seed in enumerate(args.seeds):
        runs += [run(name, seed, args.data, args.reader) for name in ("dstc2", "home")]
        write(args.out, runs, args.seeds[: i + 1], args.reader)
    write(args.out, [*runs, run("large", args.seeds[0], args.data, args.reader)], args.seeds, args.reader)


def write(out: Path, runs: list[dict[str, Any]], seeds: list[int], reader: str) -> None:
    """Write what is known after some seeds, as if they had been all."""
    asked = f" --reader {Path(reader).name}" if reader else ""
    packages = ("rewriter", "duckdb", "scikit-learn", *(("torch", "transformers") if reader else ()))
    result = {
        "command": f"python benchmarks/detectors.py --seeds {' '.join(map(str, seeds))}{asked}",
        "seeds": seeds,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "runs": runs,
    }
    write_result(result, out)


if __name__ == "__main__":
    main()
