"""Compares a replay with the truth: the same turns are judged by the log alone and by a closed world.

    python benchmarks/replay_check.py [--world phrases] [--seeds 0 1 2] [--days 14] [--users 120]
        [--out benchmarks/results/replay_check.json]

For each seed a world is simulated for some days, from which an artefact is learned, and for seven more, which are judged in three
ways: in the closed world (the goal is known, the assistant is asked again), by a replay with the goal marked in the log, and by a
replay with the goal inferred by the strict rule. Also counted: for how many failed turns the strict rule infers a goal, and how
many of these are right.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from script import made_with, options, write_result

from rewriter.config import Logs
from rewriter.evaluation.intervals import Counts, per_user, share
from rewriter.evaluation.judge import grade
from rewriter.evaluation.outcomes import FAILED_HONESTLY, Judged, Outcomes, ask, gather, pooled, proposal_of
from rewriter.evaluation.replay import RecordedTurn, goals, load, replay
from rewriter.evaluation.summary import plain, row, table
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import Rewriting, World
from rewriter.simulation.worlds import home_world, phrase_world

START = date(2026, 1, 5)
WAYS = ("closed world", "replay, wish marked", "replay, strict rule")


def main() -> None:
    """Run all seeds and write the results."""
    parser = options(__doc__, seeds=[0, 1, 2], days=14, users=120, out=Path(__file__).parent / "results" / "replay_check.json")
    parser.add_argument("--world", choices=["home", "phrases"], default="phrases")
    args = parser.parse_args()
    judged: dict[str, list[Outcomes]] = {way: [] for way in WAYS}
    named = []
    for seed in args.seeds:
        world = (home_world if args.world == "home" else phrase_world)(seed, n_users=args.users)
        turns, rewrite = prepare(world, seed, args.days)
        judged[WAYS[0]].append(closed(turns, rewrite, world))
        judged[WAYS[1]].append(replay(turns, rewrite, after_failure=False, marked=True))
        judged[WAYS[2]].append(replay(turns, rewrite, after_failure=False))
        named.append(strict(turns, judged[WAYS[0]][-1]))
    rows = [row(way, pooled(parts)) for way, parts in judged.items()]
    print(table(rows))
    result = {
        **made_with(("rewriter", "duckdb", "numpy", "scipy")),
        "seeds": args.seeds,
        "pooled": [plain(r) for r in rows],
        "seeds_apart": {seed: [plain(row(way, judged[way][i])) for way in WAYS] for i, seed in enumerate(args.seeds)},
        "strict_rule": summed(named),
    }
    print(json.dumps(result["strict_rule"], indent=1))
    write_result(result, args.out)


def prepare(world: World, seed: int, days: int) -> tuple[list[RecordedTurn], Rewriting]:
    """Learn from the first days of a world; return the turns of the seven after them, marked with the goal."""
    talk = list(simulate_days(world, days=days + 7, start=START, seed=seed))
    folder = Path(tempfile.mkdtemp())
    write_log(chain.from_iterable(talk[:days]), folder / "before.parquet")
    write_log(chain.from_iterable(talk[days:]), folder / "after.parquet")
    learn([folder / "before.parquet"], out=folder / "artefact")
    mapping = {"device_id": "user_id", "response": "goal"}
    reader.read([folder / "after.parquet"], out=folder / "read", key=bytes(32), config=Logs(), mapping=mapping)
    turns = load(folder / "read" / "turns.parquet", speaker="device_id", truth="response")
    return turns, Rewriter.open(folder / "artefact").rewrite


def closed(turns: Sequence[RecordedTurn], rewrite: Rewriting, world: World) -> Outcomes:
    """Judge turns as a world does that knows the goal behind each."""

    def one(turn: RecordedTurn) -> Judged:
        goal = turn.truth or ""
        spoken = grade(world.assistant.understand(turn.utterance), goal)
        known: dict[str, Any] = {"user_id": turn.speaker, "locale": turn.locale, "nbest": turn.nbest, "context": turn.context}
        proposal, latency = ask(turn.utterance, lambda: proposal_of(rewrite(turn.utterance, **known)))
        rewritten = spoken if proposal.text is None else grade(world.assistant.understand(proposal.text), goal)
        return Judged(turn.user, turn.utterance, goal, spoken, rewritten, proposal, False, latency)

    return gather([one(turn) for turn in turns], {})


def strict(turns: Sequence[RecordedTurn], truth: Outcomes) -> dict[str, Counts]:
    """Return turns with a known goal, those whose goal the strict rule names, and those it names rightly, (users, 3)."""
    names, users = np.unique(truth.user.astype(str), return_inverse=True)
    wished = truth.goal != ""
    named_goals = goals(turns)
    named = np.array([goal is not None for goal in named_goals]) & wished
    right = np.array([goal == turn.truth for goal, turn in zip(named_goals, turns, strict=True)]) & wished
    kinds = {"failed honestly": truth.as_spoken == FAILED_HONESTLY, "all": np.ones(len(turns), dtype=bool)}
    return {
        kind: np.stack([per_user(users, mask & flags, len(names)) for flags in (wished, named, right)], axis=1)
        for kind, mask in kinds.items()
    }


def summed(counts: Sequence[dict[str, Counts]]) -> dict[str, Any]:
    """Return the share of turns named, and of those the share named rightly, over all seeds, with intervals by user."""
    result = {}
    for kind in counts[0]:
        n = np.concatenate([part[kind] for part in counts])
        named, right = asdict(share(n[:, 1], n[:, 0])), asdict(share(n[:, 2], n[:, 1]))
        result[kind] = {"turns": int(n[:, 0].sum()), "named": named, "right": right}
    return result


if __name__ == "__main__":
    main()
