"""What does `learn` make of requests that failed although they were understood? Nothing of them should become a rewrite.

    python benchmarks/diagnosis_mining.py [--seeds 1 2 3] [--users 60] [--days 10] [--worlds phrases closed]

In each world many actions fail, many things are not supported and the assistant often wakes for nothing
(`rewriter.simulation.fault_injection`). A log is learned twice: *before*, every restatement teaches; *after*, only those of
failures that other words could have helped (`rewriter.detect.teaching_share`). Then days that the log does not hold are asked,
before the NLU. A rewrite that changes what is understood is *right* if the request fails as spoken and is understood as it was
meant when it is rewritten, else *wrong*; requests that were understood as they were said (it failed later, or cannot be done) and
false wakes are counted apart. Rules for everybody are judged by the later requests with their source.
"""

import argparse
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from diagnosis_cells import START, worlds
from script import RESULTS, made_with, options, write_result

from rewriter.codes import FailurePoint
from rewriter.config import Config
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.fault_injection import Faults, Injected, inject, manners, write_injected
from rewriter.simulation.world import World

FAULTS = Faults(false_wake=0.1, entity=0.12, result=0.12, outage=0.15, unsupported=0.15)
ASSISTANTS = ("plain", "chatty", "silent")


def main() -> None:
    """Learn, ask, count and write the result."""
    parser = options(__doc__, seeds=[1, 2, 3], users=60, days=10, out=RESULTS / "diagnosis_mining.json")
    parser.add_argument("--worlds", nargs="+", default=["phrases", "closed"])
    args = parser.parse_args()
    runs: dict[str, Any] = {}
    for seed in args.seeds:
        for number, name in enumerate(args.worlds):
            assistant = ASSISTANTS[(seed + number) % len(ASSISTANTS)]
            key = f"{name}, {assistant}, seed {seed}"
            runs[key] = one(worlds(seed, args.users)[name](), assistant, seed, args)
            print(key, runs[key], flush=True)
    total = {by: dict(sum((Counter(run[by]) for run in runs.values()), Counter())) for by in ("before", "after")}
    print(total)
    write_result(made_with(("rewriter", "lightgbm", "numpy")) | {"runs": runs, "total": total}, args.out)


def one(world: World, assistant: str, seed: int, args: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Learn a log in both ways, and ask later days."""
    later = START + timedelta(days=args.days)
    given = (world, FAULTS, manners()[assistant])
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        write_injected(inject(*given, days=args.days, start=START, seed=seed), log)
        asked = list(inject(*given, days=args.days, start=later, seed=seed + 1000))
        found = {}
        for by in ("before", "after"):
            config = Config.from_dict({"rephrases": {"min_helped": 0.0}} if by == "before" else {})
            learn([log], out=Path(folder) / by, config=config)
            found[by] = judged(world, Rewriter.open(Path(folder) / by), asked)
    return found


def judged(world: World, rewriter: Rewriter, asked: list[Injected]) -> dict[str, int]:
    """Count what the rewrites of the later days do."""
    understand, found = world.assistant.understand, Counter[str]()
    rules: dict[tuple[str, str], list[bool]] = {}
    for turn in asked:
        said = turn.row["utterance"]
        answer = rewriter.rewrite(said, user_id=turn.row["user_id"])
        if not answer.applied or (after := understand(answer.text)) == understand(said):
            continue
        right = bool(turn.goal) and after == turn.goal
        found["right" if right else f"wrong: {kind(turn, understand(said))}"] += 1
        if answer.scope == "global" and answer.layer == "precomputed":
            rules.setdefault((said, answer.text), []).append(right)
    found["rules, mostly right"] = sum(sum(of) * 2 > len(of) for of in rules.values())
    found["rules, mostly wrong"] = sum(sum(of) * 2 <= len(of) for of in rules.values())
    return dict(found)


def kind(turn: Injected, understood: str | None) -> str:
    """Return what was wrong with a turn as it was said."""
    if FailurePoint.FALSE_WAKE in turn.failing:
        return "false wake"
    return "understood as it was said" if understood == turn.goal else "misunderstood"


if __name__ == "__main__":
    main()
