"""Measures what the online layer adds to exact rules in a simulated home, in both modes, with and without other hearings.

    python benchmarks/online.py [--seeds 0 1 2] [--days 20] [--users 200] [--requests 4000] [--setting normal]
        [--out benchmarks/results/online]

For each seed: simulate the log of some days, learn from it, draw fresh requests of the week after it from everybody, known to the
log or not, and judge them before the NLU and after a refusal. Writes OUT.json: figures by seed and pooled over the seeds
(bootstrap by user), by layer and slice, the curve over thresholds of the applied rewrites, the promise that `learn` made from
held-out evidence, and the latency of the calls. Nothing was tuned on these seeds.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from script import made_with, options, write_result

from rewriter.artefact.versions import current
from rewriter.evaluation.judge import exact_ceiling, healthy_texts, judge, logged, online_ceiling, proposer
from rewriter.evaluation.outcomes import Outcomes, only, pooled
from rewriter.evaluation.summary import curve, plain, summary, table
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import home_world

START = date(2026, 1, 5)
MODES = {"before": False, "after": True}
HEARINGS = ("with other hearings", "without")
PACKAGES = ("rewriter", "rapidfuzz", "jellyfish", "numpy", "scipy", "duckdb")


def main() -> None:
    """Run all seeds and write the results."""
    args = arguments()
    judged: dict[str, list[Outcomes]] = {f"{mode}, {heard}": [] for mode in MODES for heard in HEARINGS}
    seeds = []
    for seed in args.seeds:
        about, parts = run(args, seed)
        seeds.append(about)
        for name, outcomes in parts:
            judged[name].append(outcomes)
        print(json.dumps(about), flush=True)
    result = {
        **made_with(PACKAGES),
        "seeds": seeds,
        "modes": {name: figures(name, parts, args.seeds) for name, parts in judged.items()},
    }
    write_result(result, args.out.with_suffix(".json"))


def run(args: argparse.Namespace, seed: int) -> tuple[dict[str, Any], list[tuple[str, Outcomes]]]:
    """Simulate, learn and judge one seed."""
    world = home_world(seed, setting=args.setting, n_users=args.users)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    log = logged(turns)
    healthy = healthy_texts(log)
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        learned = learn([Path(folder) / "log.parquet"], out=Path(folder) / "artefact")
        rewriter = Rewriter.open(Path(folder) / "artefact")
        metrics = current(Path(folder) / "artefact").manifest.metrics

        def ignore_nbest(utterance: str, **rest: Any) -> Rewrite:
            return rewriter.rewrite(utterance, **(rest | {"nbest": ()}))

        def parts() -> Iterator[tuple[str, Outcomes]]:
            for mode, late in MODES.items():
                for heard, call in zip(HEARINGS, (rewriter.rewrite, ignore_nbest), strict=True):
                    of = judge(asked, proposer(call), world.assistant, after_failure=late, healthy_in_log=healthy)
                    yield f"{mode}, {heard}", of

        found = list(parts())
    reference = found[0][1]
    about = {
        "seed": seed,
        "turns": len(turns),
        "promised": {name: value for name, value in metrics.items() if name.startswith("online")},
        "ceilings": {"exact": exact_ceiling(reference, log, min_users=3), "online": online_ceiling(reference, log)},
        "seconds to learn": {step: round(seconds, 1) for step, seconds in learned.seconds.items()},
    }
    return about, found


def figures(name: str, parts: list[Outcomes], seeds: list[int]) -> dict[str, Any]:
    """Return the figures of all layers and of exact rules alone, by seed and pooled, the curve, and the latency."""
    together = pooled(parts)
    rows, rules = summary(together), summary(only(together, together.layer != "online"))[0]
    print(name, table(rows), sep="\n", flush=True)
    latency = np.nanpercentile(together.latency_us, [50, 99]).tolist()
    return {
        "pooled": [plain(row) for row in rows],
        "exact rules alone": plain(rules),
        "seeds": {seed: plain(summary(part)[0]) for seed, part in zip(seeds, parts, strict=True)},
        "curve": [plain(point) for point in curve(together)],
        "latency, microseconds": {"p50": latency[0], "p99": latency[1]},
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(
        __doc__,
        setting="normal",
        seeds=[0, 1, 2],
        days=20,
        users=200,
        requests=4000,
        out=Path(__file__).parent / "results" / "online",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
