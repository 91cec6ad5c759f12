"""Measures how often the truth is inside the off-policy interval, for releases with other rules, thresholds or shares.

    python benchmarks/off_policy.py [--seeds 0 1 ... 9] [--releases 20] [--users 120] [--days 10]

For each seed: simulate a log and learn from it. For as many days again, every rule that was considered, good or bad, is drawn
with a share of its own. From that second log alone the share of requests that end well is estimated for random releases of these
rules (`rewriter.evaluation.compare`): half of the rules (drop), those above a random threshold, the best half and some others
(add), and all of them with other shares (draw). The truth of a release is computed from a third, long log without rewriting, in
which every goal is known. A request is the first turn of a goal and ends well if the goal is met. So the estimates are judged,
not the labels. Writes results/off_policy.json: how often the truth is inside the 95 % interval, by method and kind of release,
the error, the width, and the same for the difference to the release that leaves all requests alone.
"""

import argparse
import shlex
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from script import RESULTS, options, write_result

from rewriter.artefact.versions import current
from rewriter.artefact.writer import Writer
from rewriter.config import Config, Logs
from rewriter.evaluation.compare import METHODS, Logged, Release, differences, estimates, logged_of, read_decisions, release_of
from rewriter.evaluation.intervals import Interval, share
from rewriter.evaluation.replay import load
from rewriter.model.detector import RuleDetector
from rewriter.model.rules import Rule, write_rules
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

START = date(2026, 1, 5)
SHARES = (0.3, 0.5, 0.7, 0.9)
KINDS = ("drop", "threshold", "add", "draw")
LONG = 5  # times as many days as the second log
SOON_MS = 120_000
_DAY_S = 86_400


def main() -> None:
    """Run all seeds."""
    parser = options(__doc__, seeds=list(range(10)), users=120, days=10)
    parser.add_argument("--releases", type=int, default=20, help="of each seed")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        rows += list(one(seed, args))
        inside = np.mean([row["inside"]["DR"] for row in rows])
        print(f"seed {seed}: {len(rows)} releases, DR inside {inside:.3f}", flush=True)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "seeds": args.seeds,
        "releases": len(rows),
        "requests": int(np.mean([row["requests"] for row in rows])),
        "spread of the truth": float(np.std([row["truth"] for row in rows])),
        "all": figures(rows),
        "kinds": {kind: figures([row for row in rows if row["kind"] == kind]) for kind in KINDS},
    }
    write_result(result, RESULTS / "off_policy.json")


def one(seed: int, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row for each release of a seed."""
    world, rng = phrase_world(seed, n_users=args.users), np.random.default_rng([seed, 9])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        days = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
        rules = considered(days, folder)
        drawn = {rule.source: rule._replace(share=float(rng.choice(SHARES))) for rule in rules}
        second = START + timedelta(days=args.days)
        turns = served(world, publish(folder / "canary", list(drawn.values())), second, args.days, seed)
        logged, asked = read_back(turns, folder)
        third = second + timedelta(days=args.days)
        first = [t for day in simulate_days(world, days=LONG * args.days, start=third, seed=seed) for t in firsts(day)]
        nothing = Release(np.zeros(len(asked)), np.ones(len(asked), dtype=bool))
        for n in range(args.releases):
            kind = KINDS[n % len(KINDS)]
            chosen = made(kind, rules, rng)
            release = release_of(asked, Rewriter.open(publish(folder / f"r{n}", chosen)).rewrite)
            assert release.supported.all()
            truth, spoken = value_of(world, first, {rule.source: rule for rule in chosen}), value_of(world, first, {})
            found = estimates(logged, release, seed=n)
            more = differences(logged, nothing, release, seed=n)
            yield {
                "kind": kind,
                "truth": truth,
                "requests": len(asked),
                "inside": {m: inside(found[m], truth) for m in METHODS},
                "error": {m: found[m].value - truth for m in METHODS},
                "width": {m: found[m].high - found[m].low for m in METHODS},
                "difference inside": {m: inside(more[m], truth - spoken) for m in METHODS},
            }


def considered(days: Sequence[Turn], folder: Path) -> list[Rule]:
    """Learn from a log, and return the best rule that was considered for each source, launched or not."""
    write_log(days, folder / "first.parquet")
    learn([folder / "first.parquet"], out=folder / "learned", detector=RuleDetector())
    with duckdb.connect() as con:
        rows = con.execute(
            """SELECT rule, locale, source, target, p_goal FROM read_parquet(?)
               WHERE scope = 'global' AND target <> '' AND target <> source AND users >= 2
               QUALIFY ROW_NUMBER() OVER (PARTITION BY locale, source ORDER BY score DESC, target) = 1 ORDER BY source""",
            [str(current(folder / "learned").state / "rules.parquet")],
        ).fetchall()
    return [Rule(rule, "", locale, source, target, p) for rule, locale, source, target, p in rows]


def publish(root: Path, rules: Sequence[Rule]) -> Path:
    """Write rules as an artefact."""
    with Writer(root) as writer:
        write_rules(writer.folder / "rules", rules)
        (writer.folder / "rules" / "context.json").write_text("[]", encoding="utf-8")
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})
    return root


def served(world: World, root: Path, start: date, days: int, seed: int) -> list[Turn]:
    """Return the log of some days on which an artefact answered."""
    found: list[Turn] = []
    for n in range(days):
        day = start + timedelta(days=n)
        noon = ((day - date(1970, 1, 1)).days + 0.5) * _DAY_S
        rewrite = Rewriter.open(root, now=at(noon)).rewrite
        found += [turn for turns in simulate_days(world, days=1, start=day, seed=seed, rewrite=rewrite) for turn in turns]
    return found


def at(seconds: float) -> Callable[[], float]:
    """Return a clock that stands still."""
    return lambda: seconds


def firsts(turns: Sequence[Turn]) -> list[Turn]:
    """Return the first turn of each goal: not the same goal again, soon after it was not met."""
    last: dict[str, Turn] = {}
    found = []
    for turn in turns:
        before = last.get(turn.user_id)
        again = before and before.goal == turn.goal != before.hypothesis and turn.ts_ms - before.ts_ms < SOON_MS
        if turn.goal and not again:
            found.append(turn)
        last[turn.user_id] = turn
    return found


def read_back(turns: Sequence[Turn], folder: Path) -> tuple[Logged, list[Any]]:
    """Read the second log as `compare` does, and keep the first turns of goals, with the truth for an outcome."""
    write_log(turns, folder / "second.parquet")
    names = {"device_id": "user_id"}
    reader.read([folder / "second.parquet"], out=folder / "read", key=bytes(32), config=Logs(), mapping=names)
    path = folder / "read" / "turns.parquet"
    read, decided = load(path, speaker="device_id"), read_decisions(path)
    good = {turn.turn_id: float(turn.hypothesis == turn.goal) for turn in firsts(turns)}
    kept = [i for i, turn in enumerate(read) if turn.turn_id in good]
    every = logged_of(read, decided)
    logged = Logged(*(getattr(every, name)[kept] for name in Logged.__slots__))
    y = np.array([good[read[i].turn_id] for i in kept])
    return replace(logged, y=y), [(read[i], decided[i]) for i in kept]


def made(kind: str, rules: Sequence[Rule], rng: np.random.Generator) -> list[Rule]:
    """Return the rules of a random release."""
    if kind == "draw":
        return [rule._replace(share=float(rng.uniform())) for rule in rules]
    if kind == "threshold":
        least = float(np.quantile([rule.score for rule in rules], rng.uniform(0.1, 0.9)))
        return [rule for rule in rules if rule.score >= least]
    kept = [bool(rng.random() < 0.5) for _ in rules]
    if kind == "add":
        middle = float(np.median([rule.score for rule in rules]))
        return [rule for rule, other in zip(rules, kept, strict=True) if other or rule.score >= middle]
    return [rule for rule, other in zip(rules, kept, strict=True) if other]


def value_of(world: World, first: Sequence[Turn], rules: dict[str, Rule]) -> float:
    """Return the share of goals that a release meets at once."""
    understand = world.assistant.understand
    total = 0.0
    for turn in first:
        spoken, rule = float(understand(turn.utterance) == turn.goal), rules.get(normalise(turn.utterance))
        part = 0.0 if rule is None else rule.share
        total += (1 - part) * spoken + (part * float(understand(rule.target) == turn.goal) if rule else 0.0)
    return total / len(first)


def inside(found: Interval, truth: float) -> bool:
    """Whether an interval holds the truth."""
    return bool(found.low <= truth <= found.high)


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how the estimates did, by method."""
    summary: dict[str, Any] = defaultdict(dict)
    for method in METHODS:
        for name in ("inside", "difference inside"):
            hits = np.array([row[name][method] for row in rows], dtype=np.int64)
            found = share(np.array([hits.sum()]), np.array([len(hits)]))
            summary[method][name] = {"value": found.value, "low": found.low, "high": found.high}
        summary[method]["mean absolute error"] = float(np.mean([abs(row["error"][method]) for row in rows]))
        summary[method]["mean error"] = float(np.mean([row["error"][method] for row in rows]))
        summary[method]["mean width"] = float(np.mean([row["width"][method] for row in rows]))
    return dict(summary)


if __name__ == "__main__":
    main()
