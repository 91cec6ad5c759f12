"""Measures what a full log gives, alone and with a catalog, with and without habits, and how well P is calibrated.

    python benchmarks/full_log.py 0 1 2 [--worlds home de es] [--users 120] [--days 14] [--requests 1500]
        [--out benchmarks/results/full_log.json]

Worlds are those of promise.py: a locale of Home Assistant's test sentences, typed, or ``home``, the simulated home. A tenth
of the goals and a fifth of the phrases never occur in the log. Users ask for their goals by Zipf's law, each goal about as
often in the days that are judged as in the log. The catalog holds all texts that the assistant understands; it answers
refusals for which the log's own layer sends nothing. *Without habits* no user id is given, so that nothing that is known of a
single user counts; both are judged on the requests of users whom the log knows.

`ceiling` is a model of the same form as the ranker, fitted on the truth of half of the phrases of the judged requests, and
judged on the other half, both ways round. Beside it stands the ranker of the log. Both rank the same candidates of refused
requests, less those that the guardrail forbids, and the curves show win/loss by share of defects fixed.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from promise import BANDS, START, build, decided
from script import RESULTS, made_with, options, write_result

from rewriter.arrays import Bools, Floats
from rewriter.artefact.versions import current
from rewriter.codes import Standing
from rewriter.config import Config
from rewriter.evaluation.judge import Propose, grade, healthy_texts, judge, logged, online_ceiling, proposer
from rewriter.evaluation.outcomes import FAILED_HONESTLY, OK, Outcomes, defects, only, pooled, where
from rewriter.evaluation.summary import plain, row
from rewriter.model.features import RANK
from rewriter.model.logistic import fit_logistic
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.learn import learn
from rewriter.online.request import LayerRequest
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import open_online_layer
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import Request, World
from rewriter.text import normalise

SHARES = (0.15, 0.3, 0.35, 0.45, 0.55)
RIDGE = 10.0  # penalty on the weights of the ceiling
WAYS = ("before", "after", "after, with a catalog")
HABITS = ("before, without habits", "after, without habits")


@dataclass(frozen=True, slots=True)
class Ranked:
    """The allowed candidates of one refused request: columns of the ranker, its P, and whether each is what was meant."""

    half: int
    columns: Floats
    p: Floats
    right: Bools


@dataclass(frozen=True, slots=True)
class Run:
    """One world and seed: outcomes by way, the ranked candidates, and the number of turns and defects."""

    outcomes: Mapping[str, Outcomes]
    ranked: Sequence[Ranked]
    turns: int
    defects: int
    reachable: float


def main() -> None:
    """Judge every world and write the results."""
    args = arguments()
    found: dict[str, list[Run]] = {}
    for name in args.worlds:
        found[name] = [run(name, seed, args) for seed in args.seeds]
        print(name, {way: brief(figures(found[name])[way]) for way in WAYS}, flush=True)
    result = {
        **made_with(("rewriter", "rapidfuzz", "duckdb", "numpy", "scipy", "faiss-cpu")),
        "seeds": args.seeds,
        "worlds": {name: figures(runs) for name, runs in found.items()},
        "all worlds": figures([one for runs in found.values() for one in runs]),
    }
    write_result(result, args.out)


def run(name: str, seed: int, args: argparse.Namespace) -> Run:
    """Simulate a log, learn from it once, and judge fresh requests in all ways."""
    world = build(name, seed, args.users)
    channel = "spoken" if name in ("home", "spoken") else "typed"
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    healthy = healthy_texts(logged(turns))
    with tempfile.TemporaryDirectory() as folder:
        own, both = Path(folder) / "own", Path(folder) / "both"
        write_log(turns, Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=own, channel=channel)
        shutil.copytree(own, both)
        kept = KeptCatalog.given(catalog(world), Config(), channel=channel, complete=True)
        kept.write(current(both).folder / "catalog", Config())
        alone, beside = Rewriter.open(own).rewrite, Rewriter.open(both).rewrite
        ways: dict[str, Propose] = {
            "before": proposer(alone),
            "after": proposer(alone),
            "after, with a catalog": proposer(beside),
            "before, without habits": proposer(alone, personal=False),
            "after, without habits": proposer(alone, personal=False),
        }
        outcomes = {
            way: judge(
                [r for r in asked if r.known_user] if way in HABITS else asked,
                propose, world.assistant, after_failure=way.startswith("after"), healthy_in_log=healthy,
            )
            for way, propose in ways.items()
        }  # fmt: skip
        ranked = rank(own, asked, world)
    before = outcomes["before"]
    return Run(outcomes, ranked, len(turns), int(defects(before).sum()), online_ceiling(before, logged(turns)))


def catalog(world: World) -> list[dict[str, str]]:
    """Return all texts that the assistant understands, as an operator would give them."""
    return [{"text": text, "hypothesis": goal, "locale": world.locale} for goal, texts in world.goals.items() for text in texts]


def rank(artefact: Path, asked: Sequence[Request], world: World) -> list[Ranked]:
    """Return the candidates of each refused request that the guardrail allows."""
    layer = open_online_layer(current(artefact))
    found: list[Ranked] = []
    if layer is None:
        return found
    for request in asked:
        if grade(world.assistant.understand(request.heard), request.goal) != FAILED_HONESTLY:
            continue
        at = LayerRequest([normalise(request.heard)], world.locale, "", after_failure=True)
        seen = [one for one in layer.consider(at) if one.standing is not Standing.FORBIDDEN]
        if seen:
            columns = np.array([[one.features[name] for name in RANK] for one in seen])
            right = np.array([grade(world.assistant.understand(one.text), request.goal) == OK for one in seen])
            half = crc32(normalise(request.said).encode()) % 2
            found.append(Ranked(half, columns, np.array([one.meant for one in seen]), right))
    return found


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of some runs, pooled."""
    outcomes = {way: pooled([of.outcomes[way] for of in runs]) for way in (*WAYS, *HABITS)}
    known = {way: where(outcomes[way], outcomes[way].slices["known users"]) for way in WAYS[:2]}
    whole = sum(of.defects for of in runs)
    return {
        "turns": [of.turns for of in runs],
        "requests": len(outcomes["before"]),
        "defects": whole,
        "reachable": float(np.average([of.reachable for of in runs], weights=[max(of.defects, 1) for of in runs])),
        **{way: plain(row(way, outcomes[way])) | {"bands": bands(outcomes[way])} for way in WAYS},
        "habits": {
            mode: {"with": plain(row("with", known[mode])), "without": plain(row("without", outcomes[without]))}
            for mode, without in zip(WAYS[:2], HABITS, strict=True)
        },
        "curves": {
            "ranker": curve([(one.p, one.right) for of in runs for one in of.ranked], whole),
            "ceiling": curve([pair for of in runs for pair in supervised(of.ranked)], whole),
        },
    }


def bands(outcomes: Outcomes) -> dict[str, Any]:
    """Return wins, losses and the mean score by band of the score of the online layer."""
    online = only(outcomes, outcomes.layer == "online")
    edges = pairwise(BANDS)
    return {
        f"{low}-{high}": decided(only(online, (online.score >= low) & ((online.score < high) | (high == 1.0))))
        for low, high in edges
    }


def supervised(ranked: Sequence[Ranked]) -> list[tuple[Floats, Bools]]:
    """Rank the candidates of each half of the phrases by a model that was fitted on the truth of the other half."""
    found: list[tuple[Floats, Bools]] = []
    for half in (0, 1):
        fit = [one for one in ranked if one.half != half]
        if not fit:
            continue
        columns, right = (np.concatenate([getattr(one, name) for one in fit]) for name in ("columns", "right"))
        weight = np.concatenate([np.full(len(one.p), 1 / len(one.p)) for one in fit])
        model = fit_logistic(
            columns, right.astype(np.float64), weight * len(fit) / weight.sum(), penalty=RIDGE, signs=[*RANK.values()]
        )
        found += [(model.p(one.columns), one.right) for one in ranked if one.half == half]
    return found


def curve(ranked: Sequence[tuple[Floats, Bools]], whole: int) -> dict[str, float | None]:
    """Return win/loss where each of `SHARES` of the defects is fixed; None where it is not reached."""
    best = [(float(p.max()), bool(right[int(p.argmax())])) for p, right in ranked]
    order = sorted(best, key=lambda pair: -pair[0])
    wins, losses = (np.cumsum([right == kind for _, right in order]) for kind in (True, False))
    places = {share: int(np.searchsorted(wins, share * whole)) for share in SHARES}
    return {f"{s:.0%}": float(wins[i] / max(losses[i], 0.5)) if i < len(wins) else None for s, i in places.items()}


def brief(of: Mapping[str, Any]) -> str:
    """Return wins, losses and the share fixed as one text."""
    return f"{of['wins']}:{of['losses']} {of['fixed']['value']:.1%}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, days=14, users=120, requests=1500, out=RESULTS / "full_log.json")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--worlds", nargs="+", default=["home", "de", "es"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
