"""Measures the cost of a night: the last two days of a log are added to the others, compared with learning the others at once.

    python benchmarks/daily.py [--layers "exact layer" home everything] [--turns 30000 100000 365000] [--seed 0] [--out FILE]

A synthetic log (`mining_log.py`) of each size is a year long. *Exact layer* has only rules for everybody and the documented rule
as the detector; there is no online layer. *Everything*, for the largest size and for a simulated home of five weeks, is `learn`
with its defaults, which fits detector and online layer weekly; neither night is one of those. The rebuild is the `learn` of all
days but the last two, in a process of its own. The nights follow each other in another one: the first opens what is kept, the
second finds it in memory, as in a service that learns by itself. Figures are seconds of the processor by step of `learn`, and the
greatest resident memory; *start* is what a process takes to import `learn`. *Rows* are those of the counts, which grow day by
day, and of their sums by user, by row of the chain and by text. Writes results/daily.json and results/daily.svg.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from mining_log import DAY_MS, START_MS, write_log
from script import RESULTS, made_with, options, write_result
from sizes import draw

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.simulation import dialogue, turn, worlds

DAYS, HOME_DAYS = 365, 37
EXACT: dict[str, Any] = {"launch": {"personal": False}, "loop": {"refit_days": 0}}
Parts = tuple[Path, Path, Path]
"""The log of all days but the last two, and of these."""


def year(turns: int, seed: int, work: Path) -> Parts:
    """Write a year of about so many turns."""
    log, last = work / "year.parquet", START_MS + (DAYS - 2) * DAY_MS
    write_log(turns, log, seed, DAYS)
    parts = work / "before.parquet", work / "one.parquet", work / "two.parquet"
    when = f"ts_ms < {last}", f"ts_ms >= {last} AND ts_ms < {last + DAY_MS}", f"ts_ms >= {last + DAY_MS}"
    with duckdb.connect() as con:
        for path, days in zip(parts, when, strict=True):
            con.execute(f"COPY (SELECT *, ts_ms AS timestamp FROM '{log}' WHERE {days}) TO '{path}' (FORMAT parquet)")
    return parts


def home(people: int, seed: int, work: Path) -> Parts:
    """Write some weeks of a home of so many people."""
    days = list(
        dialogue.simulate_days(worlds.home_world(seed, n_users=people), days=HOME_DAYS, start=date(2026, 1, 5), seed=seed)
    )
    parts = work / "before.parquet", work / "one.parquet", work / "two.parquet"
    for path, turns in zip(parts, ([t for day in days[:-2] for t in day], *days[-2:]), strict=True):
        turn.write_log(turns, path)
    return parts


def measure(out: Path, *logs: Path, exact: bool) -> None:
    """Learn one log after the other, and print what it took."""
    found: list[dict[str, Any]] = []
    config = Config.from_dict((EXACT if exact else {}) | {"logs": {"max_rejected": 1.0}})
    for log in logs:
        starts: list[tuple[str, float]] = []

        def begin(step: str, starts: list[tuple[str, float]] = starts) -> None:
            starts.append((step, time.process_time()))

        began = time.process_time()
        report = learn([log], out=out, config=config, detector=RuleDetector() if exact else None, progress=begin)
        begin("end")
        steps: dict[str, float] = {}
        for (step, at), (_, after) in pairwise(starts):
            steps[step] = round(steps.get(step, 0.0) + after - at, 3)
        found.append(
            {
                "turns": report.log.turns,
                "restatements by": report.detector,
                "seconds": round(starts[-1][1] - began, 3),
                "steps": steps,
                "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024, 2),
            }
        )
    print(json.dumps(found))


def in_process(out: Path, logs: Sequence[Path], *, exact: bool) -> list[dict[str, Any]]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(int(exact)), str(out), *map(str, logs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def start() -> float:
    """Return the seconds of the processor that a process takes to import `learn`."""
    text = "import time; from rewriter.offline.learn import learn; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)


def rows(out: Path) -> dict[str, int]:
    """Return the rows of some tables of a private state."""
    paths = {name: current(out).state / f"{name}.parquet" for name in ("counts", "user_nodes", "nodes", "queries")}
    with connect(**paths) as con:
        return {name: con.execute(f"SELECT COUNT(*) FROM {name}").fetchall()[0][0] for name in paths}


def compare(layer: str, parts: Parts, work: Path) -> dict[str, Any]:
    """Learn all days but two at once, then each of these."""
    before, *nights = parts
    exact = layer == "exact layer"
    (rebuild,) = in_process(work / layer, [before], exact=exact)
    first, second = in_process(work / layer, nights, exact=exact)
    found = {
        "layer": layer,
        "turns": rebuild["turns"],
        "rebuild": rebuild,
        "start": round(start(), 3),
        "night": first,
        "warm night": second,
        "rows": rows(work / layer),
    }
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    """Measure every size."""
    parser = options(__doc__, seed=0, out=RESULTS / "daily.json")
    parser.add_argument("--turns", type=int, nargs="+", default=[30_000, 100_000, 365_000])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument(
        "--layers", nargs="+", default=["exact layer", "home", "everything"], help="others stand in --out as they were"
    )
    parser.add_argument("--measure", nargs="+")
    args = parser.parse_args()
    if args.measure:
        exact, out, *logs = args.measure
        measure(Path(out), *map(Path, logs), exact=exact == "1")
        return
    head = made_with(("duckdb", "numpy", "pandas", "scipy")) | {"seed": args.seed}
    before = json.loads(args.out.read_text(encoding="utf-8"))["rows"] if args.out.exists() else []
    rows: list[dict[str, Any]] = [row for row in before if row["layer"] not in args.layers]
    sizes = [*(("exact layer", turns) for turns in args.turns), ("home", 0), ("everything", max(args.turns))]
    for layer, size in (of for of in sizes if of[0] in args.layers):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            parts = year(size, args.seed, work) if size else home(args.people, args.seed, work)
            rows.append(compare(layer, parts, work))
        write_result({**head, "rows": rows}, args.out)
    draw(args.out)


if __name__ == "__main__":
    main()
