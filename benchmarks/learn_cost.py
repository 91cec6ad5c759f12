"""The whole of `learn`, from the log to the published artefact: time and memory by step, and what both grow with.

    python benchmarks/learn_cost.py [--turns 50000 150000 300000 1000000] [--memory-gb GB] [--seed 0] [--add] [--out FILE]

The log is synthetic (`mining_log.py`). Each size is a process of its own, pinned to two cores: seconds of the clock, seconds of
the processor, and the greatest resident memory within each step. Others may use the machine at the same time: the load that was
found is written beside the figures, and seconds of the processor hardly depend on it. ``--add`` keeps the sizes that the result
file holds and adds others.

From the sizes two numbers of each step are found: seconds however short the log is, and further seconds for a million turns
(`rewriter.offline.learn.COSTS`). Two numbers of the memory, too, beside that of the part of the users which a detector holds:
gigabytes however short the log is, and kilobytes for each thing that a user says, however often (`rewriter.offline.memory`). Both
are fits by least squares of the relative error, without negative numbers. ``--add --turns`` without sizes finds them again.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from mining import cpu_seconds
from mining_log import write_log
from scipy.optimize import nnls
from script import options, write_result
from sizes import draw

from rewriter import learn
from rewriter.detect.select import KB_A_TURN, BestDetector, parts_for
from rewriter.engines import Engine, connect
from rewriter.offline.learn import STEPS
from rewriter.offline.mining import pipeline, score

CORES = 2


class Steps:
    """Notes what each step of `learn` took; to be called with the name of the one that starts."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._step, self._clock, self._cpu = "", 0.0, 0.0

    def __call__(self, step: str) -> None:
        """End the step that runs, and start another."""
        clock, cpu = time.perf_counter(), cpu_seconds()
        if self._step:
            before = self.found.get(self._step, {"seconds": 0.0, "cpu_seconds": 0.0, "peak_gb": 0.0})  # a step may come twice
            taken = {"seconds": clock - self._clock, "cpu_seconds": cpu - self._cpu}
            summed = {name: round(before[name] + value, 1) for name, value in taken.items()}
            self.found[self._step] = summed | {"peak_gb": max(peak_gb(), before["peak_gb"])}
        self._step, self._clock, self._cpu = step, clock, cpu
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the greatest memory is that of now


def peak_gb() -> float:
    """The greatest resident memory of this process since it was last looked at, in GB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024**2, 2)


class Parts:
    """Adds up seconds of the processor of some functions while they are replaced by ones that do the same."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, owner: object, name: str) -> None:
        """Time a function of a module or class from now on."""
        real = getattr(owner, name)

        def timed(*args: object, **kwargs: object) -> object:
            before = cpu_seconds()
            try:
                return real(*args, **kwargs)
            finally:
                self.seconds[name] = round(self.seconds.get(name, 0.0) + cpu_seconds() - before, 2)

        setattr(owner, name, timed)


DETECTOR = ((pipeline, "compare"), (BestDetector, "choose"), (pipeline, "score"), (pipeline, "score_parts"))
"""What compares texts, learns the detector, and scores candidates, all at once or part by part."""


def measure(log: Path, out: Path, memory_gb: float | None) -> dict[str, Any]:
    """Learn from a log in this process, and return the time and memory."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    parts, counts = Parts(), dict[str, int]()
    real = score.compare

    def compare(engine: Engine, pairs: Path, to: Path) -> Path:
        with connect(pairs=pairs, candidates=pairs.parent / "candidates.parquet") as con:
            for name in ("pairs", "candidates"):
                counts[name] = con.execute(f"SELECT COUNT(*) FROM {name}").fetchall()[0][0]
        return real(engine, pairs, to)

    setattr(pipeline, "compare", compare)  # noqa: B010 - mypy knows no such name there
    for owner, name in DETECTOR:
        parts.time(owner, name)
    steps, start, before = Steps(), time.perf_counter(), cpu_seconds()
    report = learn([log], out=out, mapping={"timestamp": "ts_ms"}, progress=steps, memory_gb=memory_gb)
    steps("")
    return {
        "turns": report.log.turns,
        "users": report.log.users,
        **counts,
        "rules": sum(report.rules.values()),
        "detector": report.detector,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(cpu_seconds() - before, 1),
        "peak_gb": max(of["peak_gb"] for of in steps.found.values()),
        "memory_gb": memory_gb,
        "load": os.getloadavg()[0],
        "steps": steps.found,
        "detector_cpu_seconds": parts.seconds,
    }


_SAID = "SELECT COUNT(DISTINCT utterance), COUNT(*) FROM (SELECT DISTINCT user_id, utterance FROM read_parquet(?))"


def line(sizes: Sequence[float], figures: Sequence[float]) -> tuple[float, float]:
    """Return the two numbers a, b >= 0 for which a + b size is nearest to the figures, by the relative error.

    Example:
        >>> line([1.0, 2.0], [3.0, 5.0])
        (1.0, 2.0)
    """
    weight = 1 / np.maximum(np.asarray(figures, dtype=np.float64), 0.05)
    fixed, more = nnls(np.column_stack([weight, np.asarray(sizes) * weight]), np.asarray(figures) * weight)[0]
    return round(float(fixed), 2), round(float(more), 2)


BEFORE_LAYER = ("log", "mine", "chain", "launch")


def fits(sizes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the two numbers of each step, and of the memory with and without the online layer."""
    turns, said = [of["turns"] / 1e6 for of in sizes], [of["said"] / 1e6 for of in sizes]
    parts = [KB_A_TURN / 1e6 * of["turns"] / parts_for(of["turns"], of["memory_gb"]) for of in sizes]
    costs = {step: line(turns, [of["steps"][step]["cpu_seconds"] for of in sizes]) for step in STEPS}
    memory = {}
    for name, steps in (("rules alone", BEFORE_LAYER), ("with the online layer", STEPS)):
        peaks = [max(of["steps"][step]["peak_gb"] for step in steps) for of in sizes]
        fit = line(said, [peak - part for peak, part in zip(peaks, parts, strict=True)])
        memory[name] = dict(zip(("gb", "kb_of_each_said"), fit, strict=True))
    return {"costs": costs, "memory": memory}


def in_process(turns: int, seed: int, memory_gb: float | None) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    limit = [] if memory_gb is None else ["--memory-gb", str(memory_gb)]
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log.parquet"
        write_log(turns, log, seed)
        with duckdb.connect() as con:
            ((texts, said),) = con.execute(_SAID, [str(log)]).fetchall()
        command = [sys.executable, __file__, "--measure", str(log), str(Path(name) / "artefact"), *limit]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"turns": found.pop("turns"), "texts": texts, "said": said} | found


def write(about: Mapping[str, Any], found: Mapping[int, Any], out: Path) -> dict[str, Any]:
    """Write what was measured, and return the numbers that are found from it."""
    sizes = {f"{turns} turns": of for turns, of in sorted(found.items())}
    numbers = fits(list(sizes.values())) if len(sizes) > 1 else {}
    write_result(dict(about) | sizes | numbers, out)
    return numbers


def main() -> None:
    """Measure every size and write the figures."""
    parser = options(__doc__, seed=0, out=Path(__file__).parent / "results" / "learn_cost.json")
    parser.add_argument("--turns", type=int, nargs="*", default=[50_000, 150_000, 300_000, 1_000_000])
    parser.add_argument("--memory-gb", type=float, help="memory_gb of learn")
    parser.add_argument("--add", action="store_true", help="keep the sizes that the result file holds")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        log, out = args.measure
        print(json.dumps(measure(log, out, args.memory_gb)))
        return
    kept: dict[str, Any] = json.loads(args.out.read_text(encoding="utf-8")) if args.add else {}
    about = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": [args.seed],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("rewriter", "duckdb", "torch")},
    }
    if args.add:
        about = {name: kept[name] for name in about} if not args.turns else about
        about["command"] = f"{kept['command']}; {about['command']}" if args.turns else kept["command"]
    found: dict[int, Any] = {int(name.split()[0]): of for name, of in kept.items() if name.endswith(" turns")}
    for turns in args.turns:
        found[turns] = in_process(turns, args.seed, args.memory_gb)
        print(turns, json.dumps(found[turns]), flush=True)
        write(about, found, args.out)
    print(json.dumps(write(about, found, args.out), indent=1))
    draw(args.out)


if __name__ == "__main__":
    main()
