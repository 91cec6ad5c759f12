"""Measures what context adds in the media world, where the meaning of brief requests depends on the situation.

    python benchmarks/context.py [--seeds 0 1 2] [--days 20] [--users 200] [--requests 3000] [--out benchmarks/results/context]

For each seed: simulate the log of some days. Learn from it twice: as it is, and without its columns `context` and `device_type`.
Draw new requests of the following week from all users, and judge both artefacts in both modes, the second one without the context
of the requests. Writes OUT.json: figures by seed and pooled over the seeds (bootstrap by user), and the same for each kind of
brief phrase, by the context key that decides its meaning.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from script import made_with, options, write_result
from worlds.goals import MediaGoal, read_goals
from worlds.media import GOALS, media_world

from rewriter.evaluation.judge import exact_ceiling, healthy_texts, judge, logged, online_ceiling, proposer
from rewriter.evaluation.outcomes import Outcomes, pooled, where
from rewriter.evaluation.summary import plain, row, summary, table
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import Request

START = date(2026, 1, 5)
MODES = {"before": False, "after": True}
PACKAGES = ("rewriter", "numpy", "scipy", "duckdb", "rapidfuzz")


def main() -> None:
    """Run all seeds and write the results."""
    args = arguments()
    kinds = decided_by(read_goals(GOALS).goals)
    parts: dict[str, dict[str, list[Outcomes]]] = {mode: {} for mode in MODES}
    ceilings, rules = [], []
    for seed in args.seeds:
        found, ceiling, launched = run(args, seed, kinds)
        ceilings.append(ceiling)
        rules.append(launched)
        for mode, systems in found.items():
            for name, outcomes in systems.items():
                parts[mode].setdefault(name, []).append(outcomes)
                print(seed, mode, name, table(summary(outcomes)[:3]), sep="\n", flush=True)
    result = {
        **made_with(PACKAGES),
        "seeds": args.seeds,
        "ceilings": ceilings,
        "rules": rules,
        "modes": {mode: {name: figures(of, sorted(set(kinds.values()))) for name, of in s.items()} for mode, s in parts.items()},
    }
    write_result(result, args.out.with_suffix(".json"))


def run(
    args: argparse.Namespace, seed: int, kinds: Mapping[str, str]
) -> tuple[dict[str, dict[str, Outcomes]], dict[str, float], dict[str, Any]]:
    """Simulate, learn twice and judge one seed."""
    world = media_world(seed, n_users=args.users)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    log = logged(turns)
    healthy = healthy_texts(log)
    found: dict[str, dict[str, Outcomes]] = {mode: {} for mode in MODES}
    launched: dict[str, Any] = {"seed": seed, "turns": len(turns)}
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("with context", turns), ("without context", [blinded(turn) for turn in turns])):
            write_log(rows, Path(folder) / f"{name}.parquet")
            report = learn([Path(folder) / f"{name}.parquet"], out=Path(folder) / name)
            launched[name] = dict(report.rules)
            rewrite = Rewriter.open(Path(folder) / name).rewrite

            def asking(utterance: str, *, blind: bool = name != "with context", **rest: Any) -> Rewrite:
                return rewrite(utterance, **(rest | {"context": None} if blind else rest))  # noqa: B023 - called at once

            for mode, late in MODES.items():
                outcomes = judge(asked, proposer(asking), world.assistant, after_failure=late, healthy_in_log=healthy)
                found[mode][name] = replace(outcomes, slices=slices(asked, kinds))
    reference = found["before"]["with context"]
    ceiling = {"exact": exact_ceiling(reference, log, min_users=3), "online": online_ceiling(reference, log)}
    return found, ceiling, launched


def blinded(turn: Turn) -> Turn:
    """Return a turn without its context and device type."""
    return replace(turn, context="{}", device_type="")


def decided_by(wanted: tuple[MediaGoal, ...]) -> dict[str, str]:
    """Return brief phrase -> what decides its meaning: a key of the context, the turn before, or the person's preference."""
    kinds: dict[str, str] = {}
    for one in wanted:
        for text in one.brief:
            keys = sorted(one.when.keys() | one.unless.keys())
            kinds[text] = "previous turn" if "after" in keys else keys[0] if keys else kinds.get(text, "taste")
    return kinds


def slices(asked: list[Request], kinds: Mapping[str, str]) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Return the requests by what the meaning of their phrase depends on; the meaning of a full phrase depends on nothing."""
    said = np.array([kinds.get(r.said, "full phrase") for r in asked], dtype=object)
    return {name: said == name for name in ("full phrase", *sorted(set(kinds.values())))}


def figures(parts: list[Outcomes], kinds: list[str]) -> dict[str, Any]:
    """Return the figures of all requests and of each kind of phrase, pooled, and those of each seed."""
    together = pooled(parts)
    return {
        "pooled": [plain(r) for r in summary(together)],
        "seeds": [plain(summary(part)[0]) for part in parts],
        "kinds": {name: plain(row(name, where(together, together.slices[name]))) for name in ("full phrase", *kinds)},
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(
        __doc__, seeds=[0, 1, 2], days=20, users=200, requests=3000, out=Path(__file__).parent / "results" / "context"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
