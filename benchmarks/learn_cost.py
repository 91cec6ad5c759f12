"""The whole of `learn`, from the log to the published artefact: time and memory by step.

    python benchmarks/learn_cost.py [--turns 100000 300000 1000000] [--seed 0] [--out FILE]

The log is synthetic (`mining_log.py`). Each size is a process of its own, pinned to two cores: seconds of the clock, seconds of
the processor, and the greatest resident memory so far at the end of each step. Others may use the machine at the same time: the
load that was found is written beside the figures, and seconds of the processor hardly depend on it.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mining import cpu_seconds
from mining_log import write_log
from script import options, write_result
from sizes import draw

from rewriter import learn

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
            before = self.found.get(self._step, {"seconds": 0.0, "cpu_seconds": 0.0})  # launch comes twice
            taken = {"seconds": clock - self._clock, "cpu_seconds": cpu - self._cpu}
            summed = {name: round(before[name] + value, 1) for name, value in taken.items()}
            self.found[self._step] = summed | {"peak_gb": peak_gb()}
        self._step, self._clock, self._cpu = step, clock, cpu


def peak_gb() -> float:
    """The greatest resident memory of this process so far, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024, 2)


def measure(log: Path, out: Path) -> dict[str, Any]:
    """Learn from a log in this process, and return the time and memory."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    steps, start, before = Steps(), time.perf_counter(), cpu_seconds()
    report = learn([log], out=out, mapping={"timestamp": "ts_ms"}, progress=steps)
    steps("")
    return {
        "turns": report.log.turns,
        "rules": sum(report.rules.values()),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(cpu_seconds() - before, 1),
        "peak_gb": peak_gb(),
        "load": os.getloadavg()[0],
        "steps": steps.found,
    }


def in_process(turns: int, seed: int) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log.parquet"
        write_log(turns, log, seed)
        command = [sys.executable, __file__, "--measure", str(log), str(Path(name) / "artefact")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every size and write the figures."""
    parser = options(__doc__, seed=0, out=Path(__file__).parent / "results" / "learn_cost.json")
    parser.add_argument("--turns", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.measure)))
        return
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": [args.seed],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("rewriter", "duckdb", "torch")},
    }
    for turns in args.turns:
        result[f"{turns} turns"] = in_process(turns, args.seed)
        print(turns, json.dumps(result[f"{turns} turns"]), flush=True)
        write_result(result, args.out)
    draw(args.out)


if __name__ == "__main__":
    main()
