"""Measures mining up to the transitions: time and memory for 1 to 20 million turns on two cores, compared with pandas.

    python benchmarks/mining.py [--turns 1000000 5000000 20000000] [--pandas 1000000] [--seed 0] [--work DIR]

The log is synthetic (`mining_log.py`). Each measurement is a separate process, pinned to two cores, that only mines. Figures are
clock seconds, processor seconds and peak resident memory. Others may use the machine at the same time. The load and the priority
are written with the figures; processor seconds hardly depend on them.
Both ways must find the same transitions, or the script stops.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from mining_log import write_log
from mining_pandas import mine_with_pandas
from script import options

from rewriter.config import Config
from rewriter.engines import DuckDB, glob
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining.pipeline import Mined, mine

CORES = 2
MEMORY_GB = 4.5
"""Where DuckDB starts to spill; Python needs the rest."""
RESULTS = Path(__file__).parent / "results" / "mining.json"


def cpu_seconds() -> float:
    """Seconds of the processor that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class StepTimer:
    """Notes when each step of mining starts."""

    def __init__(self) -> None:
        self.steps: dict[str, list[float]] = {}
        self._last = ""

    def __call__(self, step: str) -> None:
        """End the step that runs, and start one; the empty name starts none."""
        now = [time.perf_counter(), cpu_seconds()]
        if self._last:
            self.steps[self._last] = [round(b - a, 2) for a, b in zip(self.steps[self._last], now, strict=True)]
        self._last = step
        if step:
            self.steps[step] = now


def mined_totals(mined: Mined) -> dict[str, int]:
    """Totals of the transitions, to be compared with those of pandas."""
    with duckdb.connect() as con:
        con.read_parquet(glob(mined.nodes)).create_view("nodes")
        con.read_parquet(glob(mined.edges)).create_view("edges")
        nodes = con.sql("SELECT COUNT(*), SUM(success), SUM(failure), SUM(turns) FROM nodes").fetchall()[0]
        edges = con.sql("SELECT COUNT(*), SUM(mass) FROM edges").fetchall()[0]
    return dict(zip(("nodes", "success", "failure", "turns", "edges", "mass"), map(int, (*nodes, *edges)), strict=True))


def measure(way: str, log: Path, work: Path) -> dict[str, Any]:
    """Mine a log in this process, and return the time and memory."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    clock, start, before = StepTimer(), time.perf_counter(), cpu_seconds()
    if way == "pandas":
        totals = mine_with_pandas(log, Config())
    else:
        engine = DuckDB(work, threads=CORES, memory_gb=MEMORY_GB)
        mined = mine(engine, log, RuleDetector(), Config(), clock)
        engine.close()
        clock("")
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024
    if way != "pandas":
        totals = mined_totals(mined)
    found = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_gb": round(peak, 2), "found": totals}
    return found | {"load": os.getloadavg()[0], "steps": clock.steps}


def in_process(way: str, log: Path, work: Path) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, str(log), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(work, ignore_errors=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run(sizes: list[int], pandas_sizes: list[int], seed: int, work: Path) -> list[dict[str, Any]]:
    """Measure every size, both ways where asked."""
    rows = []
    for size in sizes:
        log = work / f"{size}.parquet"
        write_log(size, log, seed)
        with duckdb.connect() as con:
            sql = "SELECT COUNT(*), COUNT(DISTINCT utterance), COUNT(DISTINCT user_id) FROM read_parquet(?)"
            turns, texts, users = con.execute(sql, [str(log)]).fetchall()[0]
        about = {"turns": turns, "texts": texts, "users": users}
        ways = {way: in_process(way, log, work / way) for way in ["rewriter"] + ["pandas"] * (size in pandas_sizes)}
        if len({json.dumps(found["found"]) for found in ways.values()}) > 1:
            raise SystemExit(f"the two ways differ: {ways}")
        for way, found in ways.items():
            rows.append(about | {"way": way, "us_per_turn": round(1e6 * found["seconds"] / turns, 2)} | found)
            print({name: value for name, value in rows[-1].items() if name not in ("steps", "found")}, flush=True)
        log.unlink()
    return rows


def main() -> None:
    """Read the command line, measure, write the results."""
    parser = options(__doc__, seed=0, out=RESULTS)
    parser.add_argument("--turns", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--pandas", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        way, log, work = arguments.measure
        print(json.dumps(measure(way, Path(log), Path(work))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        rows = run(arguments.turns, arguments.pandas, arguments.seed, Path(work))
    versions = {
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "pandas": pd.__version__,
        "numpy": np.__version__,
    }
    autogroup = Path("/proc/self/autogroup")
    priority = autogroup.read_text(encoding="utf-8").split(" ", 1)[-1].strip() if autogroup.exists() else ""
    about = {
        "command": " ".join(["python", *sys.argv]),
        "seed": arguments.seed,
        "cores": CORES,
        "memory_gb": MEMORY_GB,
        "priority": priority,
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(about | {"versions": versions, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
