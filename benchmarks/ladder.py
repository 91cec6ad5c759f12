"""Measures what each layer adds: nothing, exact rules, the global online layer, personal evidence; same requests, both modes.

    python benchmarks/ladder.py [--world home] [--setting normal] [--seeds 0 1 2] [--days 20] [--users 200] [--requests 3000]
        [--out benchmarks/results/ladder_home]

For each seed: simulate the log of some days, learn from it, draw new requests of the following week from all users, in the log or
not, and judge every set of layers (*rung*). Writes OUT.json: the figures of each rung, pooled over the seeds (bootstrap by user)
and by seed; the same for users in the log, who are the only ones with habits; and what the personal rung adds to the global one.
"""

import argparse
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from script import made_with, options, write_result
from worlds.media import media_world

from rewriter.evaluation.intervals import net_share, per_user
from rewriter.evaluation.judge import GLOBAL, PERSONAL, RUNGS, climb, healthy_texts, logged
from rewriter.evaluation.outcomes import Outcomes, broken, defects, pooled, where, wins
from rewriter.evaluation.summary import plain, row, summary, table
from rewriter.offline.learn import learn
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world

START = date(2026, 1, 5)
MODES = {"before": False, "after": True}
KNOWN = "users of the log"
PACKAGES = ("rewriter", "numpy", "scipy", "duckdb", "rapidfuzz")


def main() -> None:
    """Run all seeds and write the results."""
    args = arguments()
    out = args.out or Path(__file__).parent / "results" / f"ladder_{args.world}"
    parts: dict[str, dict[str, list[Outcomes]]] = {mode: {rung: [] for rung in RUNGS} for mode in MODES}
    for seed in args.seeds:
        for mode, rungs in run(args, seed).items():
            for rung, outcomes in rungs.items():
                parts[mode][rung].append(outcomes)
            print(seed, mode, table([replace(summary(of)[0], name=rung) for rung, of in rungs.items()]), sep="\n", flush=True)
    result = {
        **made_with(PACKAGES),
        "seeds": args.seeds,
        "modes": {mode: figures(rungs) for mode, rungs in parts.items()},
    }
    write_result(result, out.with_suffix(".json"))


def run(args: argparse.Namespace, seed: int) -> dict[str, dict[str, Outcomes]]:
    """Simulate, learn and judge one seed."""
    world = build(args, seed)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    healthy = healthy_texts(logged(turns))
    known = {turn.user_id for turn in turns}
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=Path(folder) / "artefact")
        found = {
            mode: climb(Path(folder) / "artefact", asked, world.assistant, after_failure=late, healthy_in_log=healthy)
            for mode, late in MODES.items()
        }
    of_log = {KNOWN: np.array([request.user_id in known for request in asked], dtype=bool)}
    return {mode: {rung: replace(of, slices=of_log) for rung, of in rungs.items()} for mode, rungs in found.items()}


def build(args: argparse.Namespace, seed: int) -> World:
    """Make the world that the command line names."""
    if args.world == "media":
        return media_world(seed, setting=args.setting, n_users=args.users)
    return home_world(seed, setting=args.setting, n_users=args.users)


def figures(rungs: dict[str, list[Outcomes]]) -> dict[str, Any]:
    """Return the figures of every rung, of all requests and of known users, and what the personal rung adds."""
    together = {rung: pooled(parts) for rung, parts in rungs.items()}
    of_log = {rung: where(of, of.slices[KNOWN]) for rung, of in together.items()}
    return {
        "rungs": {rung: plain(row(rung, of)) for rung, of in together.items()},
        "rungs, users of the log": {rung: plain(row(rung, of)) for rung, of in of_log.items()},
        "seeds": {rung: [plain(row(rung, part)) for part in parts] for rung, parts in rungs.items()},
        "personal adds to fixed": added(together[GLOBAL], together[PERSONAL]),
        "personal adds to fixed, users of the log": added(of_log[GLOBAL], of_log[PERSONAL]),
    }


def added(without: Outcomes, with_: Outcomes) -> dict[str, float]:
    """Return the difference of two shares fixed of the same requests, with its interval over users."""
    users, number = np.unique(without.user.astype(str), return_inverse=True)

    def gain(more: Outcomes, less: Outcomes) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        better = (wins(more) & ~wins(less)) | (broken(less) & ~broken(more))
        return per_user(number, better, len(users))

    failing, all_ = per_user(number, defects(without), len(users)), per_user(number, np.ones(len(number), dtype=bool), len(users))
    found = net_share(gain(with_, without), failing, gain(without, with_), all_)
    return {"value": found.value, "low": found.low, "high": found.high}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, setting="normal", seeds=[0, 1, 2], days=20, users=200, requests=3000, out=None)
    parser.add_argument("--world", choices=["home", "media"], default="home")
    return parser.parse_args()


if __name__ == "__main__":
    main()
