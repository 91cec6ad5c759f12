"""A year in a home: Home Assistant's own parser, a loop that learns week by week, the online layer fitted anew every month.

    python benchmarks/year.py [--seed 0] [--users 20] [--days 364] [--every 7] [--refit 28]

The users of `rewriter.simulation` talk to hassil every day, and a rewriter with all its layers is called before it. Every
`--every` days it learns from what was said, sent and decided since. The same year without rewriting is simulated for comparison.
A win is wrong as spoken and right as sent, a loss the reverse. Writes results/year.json and results/year.svg.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from script import RESULTS, options, write_result

from rewriter.config import Config
from rewriter.evaluation.charts import by_day
from rewriter.evaluation.loop import Day, Learner, NoRewriting, SelfAware, live
from rewriter.simulation.turn import Turn
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world

START = date(2026, 1, 5)
MONTH, WEEK = 28, 7


@dataclass(slots=True)
class Patient(SelfAware):
    """The self-aware loop with all layers, which learns only every few days.

    Attributes:
        every: days.
        waiting: turns that were not learned from yet.
        seconds: of the processor, each time it learned.
    """

    every: int = WEEK
    waiting: list[Turn] = field(default_factory=list)
    waited: int = 0
    seconds: list[float] = field(default_factory=list)

    def learn(self, turns: Sequence[Turn]) -> None:
        """Keep the day, and learn if it is time."""
        self.waiting += turns
        self.waited += 1
        if self.waited % self.every == 0:
            began = time.process_time()
            SelfAware.learn(self, self.waiting)
            self.seconds.append(time.process_time() - began)
            self.waiting = []


def lived(world: World, learner: Learner, args: argparse.Namespace, name: str) -> list[Day]:
    """Live through the days, and say how it goes."""
    days = []
    for day in live(lambda _: world, learner, days=args.days, start=START, seed=args.seed):
        days.append(day)
        if (day.number + 1) % MONTH == 0:
            print(name, json.dumps(month(days[-MONTH:])), flush=True)
    return days


def month(days: Sequence[Day]) -> dict[str, Any]:
    """Return the figures of some days."""
    turns = [turn for day in days for turn in day.turns]
    layers = Counter(turn.layer for turn in turns if turn.layer)
    return {
        "from day": days[0].number,
        "turns": len(turns),
        "defect rate": float(np.mean([turn.hypothesis != turn.goal for turn in turns])),
        "rewritten": {layer: layers[layer] for layer in sorted(layers)},
        "wins": sum(day.wins for day in days),
        "losses": sum(day.losses for day in days),
        "rules by life": dict(days[-1].states),
    }


def weekly(days: Sequence[Day]) -> Mapping[str, float]:
    """Return the defect rate of each week by its first day."""
    weeks = [days[i : i + WEEK] for i in range(0, len(days), WEEK)]
    return {(START + timedelta(days=week[0].number)).isoformat(): month(week)["defect rate"] for week in weeks}


def main() -> None:
    """Live through the year twice and write the results."""
    args = arguments()
    world = home_world(args.seed, n_users=args.users)
    config = Config.from_dict({"loop": {"draw": True, "refit_days": args.refit}})
    with tempfile.TemporaryDirectory() as folder:
        learner = Patient(Path(folder), config, layers=("precomputed", "online"), every=args.every)
        years = {"no rewriting": lived(world, NoRewriting(), args, "without"), "rewriter": lived(world, learner, args, "with")}
    months = {name: [month(days[i : i + MONTH]) for i in range(0, len(days), MONTH)] for name, days in years.items()}
    whole = {name: month(days) for name, days in years.items()}
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "seed": args.seed,
        "versions": {name: metadata.version(name) for name in ("hassil", "home-assistant-intents", "duckdb", "numpy", "scipy")}
        | {"python": platform.python_version()},
        "load": os.getloadavg()[0],
        "whole": whole,
        "defects fewer than without": 1 - whole["rewriter"]["defect rate"] / whole["no rewriting"]["defect rate"],
        "CPU seconds to learn": {"median": float(np.median(learner.seconds)), "largest": max(learner.seconds)},
        "months": months,
    }
    RESULTS.mkdir(exist_ok=True)
    write_result(result, RESULTS / "year.json")
    (RESULTS / "year.svg").write_text(by_day({name: weekly(days) for name, days in years.items()}), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, seed=0, users=20, days=364)
    parser.add_argument("--every", type=int, default=WEEK)
    parser.add_argument("--refit", type=int, default=MONTH)
    return parser.parse_args()


if __name__ == "__main__":
    main()
