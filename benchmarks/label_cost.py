"""`label` and `diagnose`: time and memory by step, of logs of one part and of several.

    python benchmarks/label_cost.py [--turns 100000 500000] [--memory-gb GB] [--seed 0] [--out FILE]

The log is synthetic (`mining_log.py`). Each job and size is a process of its own, pinned to two cores; the figures are those of
`learn_cost.py`. Users are dealt into parts of up to 250,000 turns, so that the memory of a large log should be that of one part.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from learn_cost import CORES, Steps, line
from mining import cpu_seconds
from mining_log import write_log
from script import RESULTS, made_with, options, write_result

from rewriter.detect.select import parts_for
from rewriter.operate import diagnose, label

JOBS: Final[Mapping[str, ModuleType]] = {"label": label, "diagnose": diagnose}


def measure(job: str, log: Path, out: Path, memory_gb: float | None) -> dict[str, Any]:
    """Run a job on a log in this process, and return the time and memory."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    steps, start, before = Steps(), time.perf_counter(), cpu_seconds()
    run = getattr(JOBS[job], job)
    found = run([log], out=out, mapping={"timestamp": "ts_ms"}, progress=steps, memory_gb=memory_gb)
    steps("")
    return {
        "job": job,
        "turns": found.turns,
        "parts": parts_for(found.turns, memory_gb),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(cpu_seconds() - before, 1),
        "peak_gb": max(of["peak_gb"] for of in steps.found.values()),
        "load": round(os.getloadavg()[0], 2),
        "steps": steps.found,
    }


def in_process(job: str, log: Path, memory_gb: float | None) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    limit = [] if memory_gb is None else ["--memory-gb", str(memory_gb)]
    command = [sys.executable, __file__, "--measure", job, str(log), str(log.with_name(f"{job}.parquet")), *limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def costs(rows: list[dict[str, Any]], job: str) -> dict[str, tuple[float, float]]:
    """Return the two numbers of each step of a job."""
    own = [row for row in rows if row["job"] == job]
    turns = [row["turns"] / 1e6 for row in own]
    return {step: line(turns, [row["steps"][step]["cpu_seconds"] for row in own]) for step in JOBS[job].STEPS}


def main() -> None:
    """Measure both jobs at every size and write the figures."""
    parser = options(__doc__, seed=0, out=RESULTS / "label_cost.json")
    parser.add_argument("--turns", type=int, nargs="+", default=[100_000, 500_000])
    parser.add_argument("--memory-gb", type=float, help="memory_gb of the jobs")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        job, log, out = args.measure
        print(json.dumps(measure(job, Path(log), Path(out), args.memory_gb)))
        return
    result = made_with(["rewriter", "duckdb", "lightgbm"]) | {"seeds": [args.seed], "memory_gb": args.memory_gb}
    rows: list[dict[str, Any]] = []
    for turns in args.turns:
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "log.parquet"
            write_log(turns, log, args.seed)
            for job in JOBS:
                rows.append(in_process(job, log, args.memory_gb))
                print(json.dumps(rows[-1]), flush=True)
                write_result(result | {"rows": rows, "costs": {}}, args.out)
    write_result(result | {"rows": rows, "costs": {job: costs(rows, job) for job in JOBS}}, args.out)


if __name__ == "__main__":
    main()
