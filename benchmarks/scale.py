"""What mining costs on each engine: time, memory and disk; both must find the same chain.

    python benchmarks/scale.py [--turns 100000 1000000] [--spark 1000000] [--memory-gb 2] [--keep-spark] [--seed 0] [--out FILE]

The log is synthetic (`mining_log.py`), the detector is the rule. Each measurement is a process of its own on two cores, Spark
with the master local[2]. Seconds of the processor and memory are those of all its processes, the Java machine and the workers
included. Disk is what the folder of tables holds at the end, when it is largest. A plain pass of DuckDB over the file, counting
distinct texts and users, is the measure of the machine. The load that was found is written beside the figures. ``--keep-spark``
measures DuckDB alone, and takes what the result file says of Spark.

Of DuckDB, what it takes up to the counts of single days is told apart from their sums over all days, and so are the comparing of
texts and the scores of the rule. The two are seconds of the processor of one process, as are all others.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil
from mining import CORES, mined_totals
from mining_log import write_log
from script import RESULTS, made_with, options, write_result
from sizes import draw

from rewriter.config import Config
from rewriter.engines import SPARK, EngineChoice, glob
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining.pipeline import mine

ENGINES = ("duckdb", "spark")
_PASS = "SELECT COUNT(DISTINCT utterance), COUNT(DISTINCT user_id) FROM read_parquet(?)"


class Meter:
    """Adds up seconds of the processor of this process and its children, and their greatest memory, while it runs."""

    def __init__(self) -> None:
        self.cpu: dict[int, float] = {}
        self.peak = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Meter":
        self._look()
        self._before = sum(self.cpu.values())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._look()

    @property
    def cpu_seconds(self) -> float:
        """Seconds of the processor so far."""
        return sum(self.cpu.values()) - self._before

    def _watch(self) -> None:
        while not self._ends.wait(0.2):
            self._look()

    def _look(self) -> None:
        memory, me = 0, psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
                memory += process.memory_info().rss
            except psutil.Error:  # it has ended
                continue
            self.cpu[process.pid] = times.user + times.system
        self.peak = max(self.peak, memory / 1024**3)


class Marks:
    """Notes the seconds of the processor as each table is begun."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def __call__(self, table: str) -> None:
        """Note that a table is begun."""
        self.begun[table] = time.process_time()

    def between(self, first: str, last: str) -> float:
        """Return the seconds from the beginning of one table to that of another."""
        return round(self.begun[last] - self.begun[first], 2)


def measure(engine: str, log: Path, work: Path, memory_gb: float | None) -> dict[str, Any]:
    """Mine a log in this process, and return what it cost."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
    choice = EngineChoice(engine, f"local[{CORES}]" if engine == SPARK else None, memory_gb)
    start = time.perf_counter()
    with Meter() as meter, choice.limited(), choice.opened(work) as opened:
        marks = Marks()
        mined = mine(opened, log, RuleDetector(), Config(), marks)
    own = {} if engine == SPARK else {
        "to_counts_cpu_seconds": marks.between("stops", "row_days"),
        "compare_cpu_seconds": marks.between("likeness", "compared"),
        "score_cpu_seconds": marks.between("all_scores", "second_pairs"),
        "leave_out_cpu_seconds": marks.between("second_pairs", "spent"),
        "candidates": _rows(mined.candidates),
        "pairs": _rows(mined.candidates.with_name("pairs.parquet")),
    }  # fmt: skip
    return own | {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(meter.cpu_seconds, 1),
        "peak_gb": round(meter.peak, 2),
        "disk_mb": round(sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / 1e6, 1),
        "load": round(os.getloadavg()[0], 2),
        "found": mined_totals(mined),
    }


def _rows(table: Path) -> int:
    with duckdb.connect() as con:
        return int(con.execute("SELECT COUNT(*) FROM read_parquet(?)", [glob(table)]).fetchall()[0][0])


def plain_pass(log: Path) -> float:
    """Return the seconds of the processor of one pass of DuckDB over a log."""
    before = time.process_time()
    with duckdb.connect() as con:
        con.execute(f"SET threads = {CORES}")
        con.execute(_PASS, [str(log)]).fetchall()
    return round(time.process_time() - before, 2)


def in_process(engine: str, log: Path, work: Path, memory_gb: float | None) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    limit = [] if memory_gb is None else ["--memory-gb", str(memory_gb)]
    command = [sys.executable, __file__, "--measure", engine, str(log), str(work), *limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(work, ignore_errors=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every size on every engine, and write the figures."""
    parser = options(__doc__, seed=0, out=RESULTS / "scale.json")
    parser.add_argument("--turns", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--spark", type=int, nargs="*", default=[1_000_000], help="sizes that are mined on Spark, too")
    parser.add_argument("--memory-gb", type=float, help="memory_gb of the engine")
    parser.add_argument("--keep-spark", action="store_true", help="take the rows of Spark from the result file")
    parser.add_argument("--work", type=Path, help="folder for logs and tables")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        engine, log, work = args.measure
        print(json.dumps(measure(engine, Path(log), Path(work), args.memory_gb)))
        return
    old = json.loads(args.out.read_text(encoding="utf-8")) if args.keep_spark else {"rows": []}
    kept = [row for row in old["rows"] if row["engine"] == SPARK]
    result = made_with(["rewriter", "duckdb", "pyspark"]) | {"seeds": [args.seed], "memory_gb": args.memory_gb, "rows": []}
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        for turns in args.turns:
            log = Path(name) / f"{turns}.parquet"
            write_log(turns, log, args.seed)
            with duckdb.connect() as con:
                ((n,),) = con.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(log)]).fetchall()
            about = {"turns": n, "plain_pass_cpu_seconds": plain_pass(log)}
            totals = []
            for engine in ENGINES if turns in args.spark and not kept else ENGINES[:1]:
                found = in_process(engine, log, Path(name) / engine, args.memory_gb)
                totals.append(found.pop("found"))
                result["rows"].append({"engine": engine} | about | found)
                print(json.dumps(result["rows"][-1]), flush=True)
                write_result(result, args.out)
            result["rows"] += [row for row in kept if row["turns"] == n]
            if len({json.dumps(of) for of in totals}) > 1:
                raise SystemExit(f"the engines differ: {totals}")
            log.unlink()
    if kept:
        result["command"] = f"{old['command'].partition(';')[0]}; {result['command']}"
    write_result(result, args.out)
    draw(args.out)


if __name__ == "__main__":
    main()
