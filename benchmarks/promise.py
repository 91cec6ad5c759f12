"""Compares the expected and the true losses of the online layer, in several worlds, before the NLU and after a refusal.

    python benchmarks/promise.py 11 12 13 [--worlds es de it home spoken] [--users 40] [--days 8] [--requests 2000]
        [--out benchmarks/results/small_logs.json]

A world is a locale of Home Assistant's test sentences (`worlds.sentences`), ``home`` (the simulated home, with an assistant that
knows its phrases) or ``spoken`` (recordings). For each world and seed: simulate a log, learn from it, and judge fresh requests of
the days after it. A tenth of the goals and a fifth of the phrases never occur in the log. The table shows, for each mode, the
win/loss ratio that held-out texts promised and the true one, and both shares of success by band of the score of a rewrite.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from script import RESULTS, options, write_result
from worlds.recorded import recorded_world
from worlds.sentences import sentence_world

from rewriter.artefact.versions import current
from rewriter.evaluation.judge import healthy_texts, judge, logged, proposer
from rewriter.evaluation.outcomes import Outcomes, defects, losses, only, pooled, wins
from rewriter.evaluation.summary import plain, row
from rewriter.model.layer_slices import Promise, open_promises
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import phrase_world

START = date(2026, 1, 5)
SPOKEN = Path(__file__).parents[2] / "shared" / "data" / "home_spoken"
BANDS = (0.0, 0.1, 0.3, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)
MODES = {"before": False, "after": True}


@dataclass(frozen=True, slots=True)
class Kept:
    """One world, seed and mode: the expected figures by held-out texts, and the outcomes of new requests."""

    promise: Promise
    outcomes: Outcomes
    turns: int


def main() -> None:
    """Judge every world and write the results."""
    args = arguments()
    found = {name: run(name, args) for name in args.worlds}
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "seeds": args.seeds,
        "worlds": {name: {mode: figures(of[mode]) for mode in MODES} for name, of in found.items()},
        "all worlds": {mode: figures([kept for of in found.values() for kept in of[mode]]) for mode in MODES},
    }
    write_result(result, args.out)
    for name, modes in (*result["worlds"].items(), ("all worlds", result["all worlds"])):
        for mode, of in modes.items():
            print("\n".join(lines(f"{name}, {mode}", of)), flush=True)


def run(name: str, args: argparse.Namespace) -> dict[str, list[Kept]]:
    """Return what was kept in one world, by mode, one entry for each seed."""
    found: dict[str, list[Kept]] = {mode: [] for mode in MODES}
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            for mode, kept in keep(build(name, seed, args.users), seed, args.days, args.requests, Path(folder)).items():
                found[mode].append(kept)
                w, n = int(wins(kept.outcomes).sum()), int(losses(kept.outcomes).sum())
                print(f"{name}, seed {seed}, {mode}: {w} wins, {n} losses, promised {kept.promise.ratio:.1f}", flush=True)
    return found


def build(name: str, seed: int, users: int) -> World:
    """Make the world of a name."""
    match name:
        case "home":
            return phrase_world(seed, n_users=users)
        case "spoken":
            return recorded_world(SPOKEN / "recordings.parquet", SPOKEN / "phrases.csv", seed=seed, n_users=users)
        case _:
            return sentence_world(name, seed=seed, n_users=users)


def keep(world: World, seed: int, days: int, n: int, folder: Path) -> dict[str, Kept]:
    """Learn from the log of some days of a world, and judge `n` requests of the days after it, in each mode."""
    turns = [turn for day in simulate_days(world, days=days, start=START, seed=seed) for turn in day]
    write_log(turns, folder / "log.parquet")
    learn([folder / "log.parquet"], out=folder / "artefact")
    promises = open_promises(current(folder / "artefact").folder / "online")
    asked = requests(world, n=n, seed=seed, start=START + timedelta(days=days))
    propose, healthy = proposer(Rewriter.open(folder / "artefact").rewrite), healthy_texts(logged(turns))
    return {
        mode: Kept(
            promises[f"online-{mode}-global"],
            judge(asked, propose, world.assistant, after_failure=after_failure, healthy_in_log=healthy),
            len(turns),
        )
        for mode, after_failure in MODES.items()
    }


def figures(kept: Sequence[Kept]) -> dict[str, Any]:
    """Return promised and true figures over some worlds and seeds: of all rewrites, and of the online layer by band."""
    outcomes = pooled([of.outcomes for of in kept])
    online = only(outcomes, outcomes.layer == "online")
    promised = [(of.promise.win, of.promise.loss) for of in kept]
    win, loss = (sum(column) for column in zip(*promised, strict=True))
    return {
        "promised loss share": loss / (win + loss) if win + loss else None,
        "thresholds": [of.promise.threshold for of in kept],
        "by the shipped prior": [of.promise.least_prior > 0 for of in kept],
        "turns": [of.turns for of in kept],
        "pooled": plain(row("all", outcomes)),
        "defects": int(defects(outcomes).sum()),
        "all": decided(outcomes),
        "online": decided(online),
        "never-heard goals": decided(only(online, online.slices["never-heard goals"])),
        "bands": {
            f"{low}-{high}": decided(only(online, (online.score >= low) & ((online.score < high) | (high == 1.0))))
            for low, high in pairwise(BANDS)
        },
    }


def decided(outcomes: Outcomes) -> dict[str, Any]:
    """Return wins and losses, their true loss share, and the mean score of the rewrites."""
    win, loss, scores = int(wins(outcomes).sum()), int(losses(outcomes).sum()), outcomes.score[outcomes.applied]
    return {
        "rewrites": int(outcomes.applied.sum()),
        "wins": win,
        "losses": loss,
        "loss share": loss / (win + loss) if win + loss else None,
        "mean score": float(np.mean(scores)) if len(scores) else None,
    }


def lines(name: str, of: dict[str, Any]) -> list[str]:
    """Return the figures of one world and mode as lines of text."""

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    def line(label: str, row: dict[str, Any]) -> str:
        lost = share(row["loss share"])
        return f"  {label:18} {row['wins']:5}:{row['losses']:<4} lost {lost:>6}, score {row['mean score']:.2f}"

    rows = {"all": of["all"], "online": of["online"], "never-heard goals": of["never-heard goals"], **of["bands"]}
    fixed = of["all"]["wins"] / max(of["defects"], 1)
    head = f"{name}: {fixed:.1%} of {of['defects']} defects won, promised loss share {share(of['promised loss share'])}"
    return [head, *(line(label, row) for label, row in rows.items() if row["rewrites"])]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, days=8, users=40, requests=2000, out=RESULTS / "small_logs.json")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--worlds", nargs="+", default=["es", "de", "it", "home", "spoken"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
