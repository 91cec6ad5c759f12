"""Measures the cost of adding one day: the last day of a year is added to the others, compared with a rebuild of the whole year.

    python benchmarks/daily.py [--turns 365000] [--seed 0] [--work DIR]

The log is synthetic (`mining_log.py`), a year long. There are two runs. *Everything* is `learn` with its defaults, which keeps
the detector, the priors and the online layer between two fits. *Exact layer* has only rules for everybody and the documented rule
as the detector; nothing but the priors is fitted, in every run. Figures are processor seconds by step of `learn`: reading,
mining, the chain, launch, fitting, writing. Writes results/daily.json.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from mining_log import DAY_MS, START_MS, write_log
from script import RESULTS

from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

DAYS = 365
EXACT: dict[str, Any] = {"launch": {"personal": False}, "loop": {"refit_days": 0}}


def cut(log: Path, work: Path) -> tuple[Path, Path]:
    """Write all days but the last, and the last."""
    last = START_MS + (DAYS - 1) * DAY_MS
    parts = work / "before.parquet", work / "day.parquet"
    with duckdb.connect() as con:
        for path, when in zip(parts, ("<", ">="), strict=True):
            con.execute(f"COPY (SELECT *, ts_ms AS timestamp FROM '{log}' WHERE ts_ms {when} {last})"
                        f" TO '{path}' (FORMAT parquet)")  # fmt: skip
    return parts


def measure(logs: list[Path], out: Path, *, exact: bool) -> dict[str, Any]:
    """Learn, and return the seconds of each step."""
    starts: list[tuple[str, float]] = []

    def begin(step: str) -> None:
        starts.append((step, time.process_time()))

    began = time.process_time()
    config = Config.from_dict((EXACT if exact else {}) | {"logs": {"max_rejected": 1.0}})
    report = learn(logs, out=out, config=config, detector=RuleDetector() if exact else None, progress=begin)
    begin("end")
    steps = {step: after - at for (step, at), (_, after) in pairwise(starts)}
    found = {
        "turns": report.log.turns,
        "restatements by": report.detector,
        "rules": report.rules["global"],
        "seconds": starts[-1][1] - began,
        "steps": steps,
    }
    print(json.dumps(found), flush=True)
    return found


def compare(before: Path, day: Path, work: Path, *, exact: bool) -> dict[str, Any]:
    """Learn the year but for a day, the day, and the year at once."""
    measure([before], work / "daily", exact=exact)
    daily = measure([day], work / "daily", exact=exact)
    rebuilt = measure([before, day], work / "rebuilt", exact=exact)
    return {"day": daily, "rebuild": rebuilt, "rebuild / day": rebuilt["seconds"] / daily["seconds"]}


def main() -> None:
    """Learn the year but for a day, the day, and the year at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=365_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        work = Path(folder)
        write_log(args.turns, work / "year.parquet", args.seed, DAYS)
        before, day = cut(work / "year.parquet", work)
        found = {name: compare(before, day, work / name, exact=name == "exact layer") for name in ("everything", "exact layer")}
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "seed": args.seed,
        "versions": {name: metadata.version(name) for name in ("duckdb", "numpy", "pandas", "scipy")}
        | {"python": platform.python_version()},
        "load": os.getloadavg()[0],
        **found,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "daily.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
