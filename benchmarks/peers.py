"""Compares rewriter with other methods of repairing requests, in the same worlds, with the same logs, in both modes.

    python benchmarks/peers.py [--world home] [--setting normal] [--seeds 0 1 2]
        [--days 14] [--users 120] [--requests 4000] [--hassil build/hassil-3.8.1] [--out benchmarks/results/peers_home_normal]

For each seed: simulate the log of some days, learn from it, draw new requests of the following week from all users, in the log or
not, and judge every system on them, before the NLU and after a refusal. Writes OUT.json with figures by seed and pooled over the
seeds (bootstrap by user), and OUT_before.svg and OUT_after.svg with the curves over thresholds. The peers are in peer_rules.py
and peer_hassil.py; hassil 3.8.1 is installed into a separate folder at the first run.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from peer_hassil import Acting, RemovedMatcher, environment
from peer_rules import Peer, peers
from script import made_with, options, write_result
from worlds.recorded import recorded_world

from rewriter.config import Logs
from rewriter.evaluation.charts import draw, save
from rewriter.evaluation.judge import LoggedTurn, Propose, exact_ceiling, healthy_texts, judge, logged, online_ceiling, proposer
from rewriter.evaluation.outcomes import Outcomes, at, pooled
from rewriter.evaluation.replay import load
from rewriter.evaluation.summary import curve, plain, summary, table
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.assistants import Household
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import Request, World
from rewriter.simulation.worlds import home_world, phrase_world

START = date(2026, 1, 5)
SPOKEN = Path(__file__).parents[2] / "shared" / "data" / "home_spoken"
MODES = {"before": False, "after": True}
OURS = "rewriter"
PACKAGES = ("rewriter", "rapidfuzz", "symspellpy", "hassil", "home-assistant-intents", "duckdb", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class PeerCase:
    """One seed: a world, the log that was learned from, and the requests to be judged."""

    world: World
    artefact: Path
    turns: Path
    log: list[LoggedTurn]
    requests: list[Request]


def main() -> None:
    """Run all seeds and write the results."""
    args = arguments()
    out = args.out or Path(__file__).parent / "results" / f"peers_{args.world}_{args.setting}"
    judged: dict[str, dict[str, list[Outcomes]]] = {mode: {} for mode in MODES}
    thresholds: dict[str, float] = {}
    ceilings = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            case = prepare(args, seed, Path(folder))
            for name, threshold, mode, outcomes in judge_all(case, args.hassil):
                thresholds[name] = threshold
                judged[mode].setdefault(name, []).append(outcomes)
            reference = judged["before"][OURS][-1]
            exact = exact_ceiling(reference, case.log, min_users=3)
            ceilings.append({"seed": seed, "exact": exact, "online": online_ceiling(reference, case.log)})
            print(f"seed {seed}: {len(case.log):,} turns of log, {len(case.requests):,} requests, {ceilings[-1]}", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        **made_with(PACKAGES),
        "seeds": args.seeds,
        "ceilings": ceilings,
        "modes": {mode: figures(systems, thresholds, args.seeds) for mode, systems in judged.items()},
    }
    write_result(result, out.with_suffix(".json"))
    for mode, systems in judged.items():
        curves = {name: curve(pooled(parts)) for name, parts in systems.items()}
        title = f"{args.world}, {args.setting}: {mode} {'the NLU' if mode == 'before' else 'a refusal'}"
        save(draw(curves, operating=thresholds, title=title), out.with_name(f"{out.name}_{mode}.svg"))


def prepare(args: argparse.Namespace, seed: int, folder: Path) -> PeerCase:
    """Simulate a log, learn from it and draw the requests."""
    world = build(args, seed)
    days = list(simulate_days(world, days=args.days, start=START, seed=seed))
    turns = [turn for day in days for turn in day]
    path = folder / "log.parquet"
    write_log(turns, path)
    learn([path], out=folder / "artefact")
    reader.read([path], out=folder / "read", key=bytes(32), config=Logs())
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    return PeerCase(world, folder / "artefact", folder / "read" / "turns.parquet", logged(turns), asked)


def build(args: argparse.Namespace, seed: int) -> World:
    """Make the world that the command line names."""
    match args.world:
        case "home":
            return home_world(seed, setting=args.setting, n_users=args.users)
        case "phrases":
            return phrase_world(seed, setting=args.setting, n_users=args.users)
        case _:
            return recorded_world(SPOKEN / "recordings.parquet", SPOKEN / "phrases.csv", seed=seed, n_users=args.users)


def judge_all(case: PeerCase, hassil: Path) -> Iterator[tuple[str, float, str, Outcomes]]:
    """Yield (system, its threshold, mode, outcomes) for every system in both modes."""
    assistant = Acting(case.world.assistant)
    healthy = healthy_texts(case.log)
    log = load(case.turns)
    with systems(case, hassil) as all_of_them:
        for peer in all_of_them:
            peer.fit(log)
        candidates: list[tuple[str, float, Propose]] = [(OURS, 0.0, proposer(Rewriter.open(case.artefact).rewrite))]
        candidates += [(p.name, p.threshold, p.propose) for p in all_of_them]
        for mode, after_failure in MODES.items():
            for name, threshold, propose in candidates:
                outcomes = judge(case.requests, propose, assistant, after_failure=after_failure, healthy_in_log=healthy)
                yield name, threshold, mode, outcomes


@contextmanager
def systems(case: PeerCase, hassil: Path) -> Iterator[list[Peer]]:
    """Give all peers; the fuzzy matcher only in the home that Home Assistant's parser understands."""
    if not case.world.name.startswith("home"):
        yield peers()
        return
    with RemovedMatcher(environment(hassil), Household.of(case.world.locale), case.world.goals) as matcher:
        yield [*peers(), matcher]


def figures(systems: dict[str, list[Outcomes]], thresholds: dict[str, float], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the figures of every system at its own threshold, by seed and pooled, and its curve over thresholds."""
    result, lines = {}, []
    for name, parts in systems.items():
        run = [at(part, thresholds[name]) for part in parts]
        rows = summary(pooled(run))
        lines.append(replace(rows[0], name=name))
        result[name] = {
            "threshold": thresholds[name],
            "pooled": [plain(row) for row in rows],
            "seeds": {seed: plain(summary(part)[0]) for seed, part in zip(seeds, run, strict=True)},
            "curve": [plain(point) for point in curve(pooled(parts))],
        }
    print(table(lines), flush=True)
    return result


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, setting="normal", seeds=[0, 1, 2], days=14, users=120, requests=4000, out=None)
    parser.add_argument("--world", choices=["home", "phrases", "recordings"], default="home")
    parser.add_argument("--hassil", type=Path, default=Path("build/hassil-3.8.1"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
