"""Measures the effect of the detector: the same log is mined with the rule, with the learned detector, and with the truth.

    python benchmarks/detector_effect.py [--world home] [--seeds 0 1 2] [--days 14] [--users 120] [--requests 4000]

`learn` runs three times on each log, with nothing else changed. Each artefact is judged on the same new requests, some of them by
users, with phrases and for goals that the log never held. The truth is, for each turn that missed its goal, the first later turn
that reached it, among those that mining considers. No detector can do better, so it is the ceiling. The *gap closed* is the gain
of the learned detector over the rule, as a share of the gain of the ceiling over the rule.

`--world recordings`: users are heard as in the recordings of home_spoken. The log plays a recording several times, because a log
with each of them once would be too short to learn from. The judged requests play other recordings.
"""

import argparse
import platform
import shlex
import sys
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from script import options, write_result
from worlds.recorded import recorded_world

from rewriter.detect.select import BestDetector
from rewriter.detect.turns import Listed, Turns
from rewriter.evaluation.judge import healthy_texts, judge, logged, proposer
from rewriter.evaluation.outcomes import Outcomes, pooled
from rewriter.evaluation.summary import curve, plain, row
from rewriter.model.detector import Columns, Detector, RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world

START = date(2026, 1, 5)
SPOKEN = Path("../shared/data/home_spoken")
MODES = {"before": False, "after": True}
REACH, WINDOW_MS = 3, 60_000


@dataclass(frozen=True, slots=True)
class Truth:
    """A `Detector` that knows the truth: 1000 for the pairs of turns that restate, else 0."""

    turns: Turns
    restates: frozenset[tuple[str, str]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of both turns."""
        return ("user_no", "turn_no", "next_turn_no")

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return 1000 or 0, (n,)."""
        one, later = (
            self.turns.turn_id[self.turns.rows(candidates["user_no"], candidates[key])] for key in ("turn_no", "next_turn_no")
        )
        return np.asarray([1000 * (pair in self.restates) for pair in zip(one, later, strict=True)], dtype=np.int64)


@dataclass(slots=True)
class TrueRestatements(BestDetector):
    """Chooses the truth."""

    restates: frozenset[tuple[str, str]] = frozenset()

    def choose(self, listed: Listed, *, whole: bool = True) -> Detector:  # noqa: ARG002
        """Return the truth about the turns of a log."""
        return Truth(Turns.read(listed), self.restates)


def restated(turns: list[Turn]) -> frozenset[tuple[str, str]]:
    """Return (turn that missed its goal, first later turn of the user that reached it, soon enough to be looked at)."""
    of_user: dict[str, list[Turn]] = {}
    for turn in turns:
        of_user.setdefault(turn.user_id, []).append(turn)
    found = set()
    for own in of_user.values():
        for i, turn in enumerate(own):
            later = own[i + 1 : i + 1 + REACH] if turn.goal and turn.hypothesis != turn.goal else []
            reached = (t for t in later if t.goal == turn.goal == t.hypothesis and t.ts_ms - turn.ts_ms <= WINDOW_MS)
            found.update({(turn.turn_id, t.turn_id) for t in list(reached)[:1]})
    return frozenset(found)


def build(args: argparse.Namespace, seed: int) -> World:
    """Make the world that the command line names."""
    if args.world == "recordings":
        return recorded_world(SPOKEN / "recordings.parquet", SPOKEN / "phrases.csv", seed=seed, n_users=args.users, again=True)
    return home_world(seed, setting=args.setting, n_users=args.users)


def one_seed(args: argparse.Namespace, seed: int) -> tuple[dict[str, dict[str, Outcomes]], dict[str, Any]]:
    """Learn three times from one log; return outcomes by detector and mode, and what `learn` says of each."""
    world = build(args, seed)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    healthy = healthy_texts(logged(turns))
    detectors: dict[str, Detector | BestDetector] = {
        "rule": RuleDetector(),
        "learned": BestDetector(seed),
        "truth": TrueRestatements(seed, restates=restated(turns)),
    }
    outcomes: dict[str, dict[str, Outcomes]] = {}
    figures: dict[str, Any] = {"seed": seed, "turns": len(turns)}
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        for name, detector in detectors.items():
            report = learn([Path(folder) / "log.parquet"], out=Path(folder) / name, detector=detector)
            propose = proposer(Rewriter.open(Path(folder) / name).rewrite)
            outcomes[name] = {
                mode: judge(asked, propose, world.assistant, after_failure=after, healthy_in_log=healthy)
                for mode, after in MODES.items()
            }
            figures[name] = {"rules": dict(report.rules), "win": report.win, "loss": report.loss}
            if name == "learned":
                figures[name] |= {"chosen": detector.name, "held_out": dict(detector.figures)}  # type: ignore[union-attr]
    return outcomes, figures


def main() -> None:
    """Run all seeds, print and write the figures."""
    parser = options(__doc__, setting="normal", seeds=[0, 1, 2], days=14, users=120, requests=4000, out=None)
    parser.add_argument("--world", choices=["home", "recordings"], default="home")
    args = parser.parse_args()
    runs = []
    judged: dict[str, dict[str, list[Outcomes]]] = {}
    for seed in args.seeds:
        outcomes, figures = one_seed(args, seed)
        runs.append(figures)
        print(figures, flush=True)
        for name, modes in outcomes.items():
            for mode, found in modes.items():
                judged.setdefault(mode, {}).setdefault(name, []).append(found)
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("rewriter", "duckdb", "scikit-learn")},
        "runs": runs,
        "modes": {},
    }
    for mode, systems in judged.items():
        rows = {name: row(name, pooled(parts)) for name, parts in systems.items()}
        rule, learned, truth = (rows[name].fixed.value for name in ("rule", "learned", "truth"))
        result["modes"][mode] = {
            "gap_closed": (learned - rule) / (truth - rule) if truth != rule else None,
            "systems": {name: plain(found) for name, found in rows.items()},
            "curves": {name: [plain(point) for point in curve(pooled(parts))] for name, parts in systems.items()},
        }
        for name, line in rows.items():
            print(mode, name, f"wins {line.wins}, losses {line.losses}, fixed {line.fixed}", flush=True)
    out = args.out or Path(f"benchmarks/results/detector_effect_{args.world}.json")
    write_result(result, out)


if __name__ == "__main__":
    main()
