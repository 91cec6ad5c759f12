"""Measures whether a log's own evidence improves the shipped prior: its weights, its costs of the channel, or both.

    python benchmarks/prior_map.py 21 22 23 [--worlds de es home spoken] [--users 40] [--days 8] [--requests 800]
        [--out benchmarks/results/prior_map.json]

For each world and seed: simulate a log, learn from it, and update the prior by the restatements that `learn` labels: *weights*
by `update_weights` (the mode of the posterior, with the shipped mean and covariance), where an example counts for 0, 3, 10, 30
or 100 %, whichever predicts held-out goals of the log best; *costs* by `learn_costs`, the shipped ones counting as 1,000
operations. Rows of fewer than k users are averaged, as in `learn`. Then refused requests of the days after the log are ranked,
among the texts of the log and among all texts that the assistant understands (a complete catalog). A rewrite wins if the
assistant then understands what was meant. Requests are left out that it would not understand as they were said.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from full_log import catalog
from promise import START, build
from script import RESULTS, made_with, options, write_result

from rewriter.arrays import Floats, Ints
from rewriter.artefact.versions import current
from rewriter.codes import Reason
from rewriter.config import Config
from rewriter.evaluation.judge import grade
from rewriter.evaluation.outcomes import FAILED_HONESTLY, OK
from rewriter.model.prior import PoolPrior, Prior
from rewriter.offline.catalog_layer import KeptCatalog
from rewriter.offline.fit import ranker
from rewriter.offline.fit.cross_validation import _MAX_USERS, FOLDS, Case, CrossValidation
from rewriter.offline.fit.drafts import averaged
from rewriter.offline.fit.prior_update import WeightBelief, learn_costs, update_weights
from rewriter.offline.learn import learn
from rewriter.online.catalog_layer import CatalogLayer
from rewriter.online.layer import OnlineLayer
from rewriter.online.request import LayerRequest
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import Request, World
from rewriter.text import normalise

COUNTED = (0.0, 0.03, 0.1, 0.3, 1.0)
"""How much an example of the log may count: restatements of few goals are worth less than independent examples."""
OPERATIONS = 1000.0  # that the shipped costs count for
LEAST = 0.9  # P(meant) that is sent by default
TARGET = 20.0
MEANT = 0.5  # share of the votes on a text from which on a candidate counts as what was said

Rows = tuple[Floats, Floats, Floats, Ints]


class Best(NamedTuple):
    """The likeliest allowed candidate of each request: P(meant), and whether it is right."""

    p: list[float]
    right: list[bool]


class Kept(CrossValidation):
    """Keeps the last cross-validation of `learn`."""

    last: "Kept"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Kept.last = self


def main() -> None:
    """Judge all worlds and write the figures."""
    parser = options(__doc__, days=8, users=40, requests=800, out=RESULTS / "prior_map.json")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--worlds", nargs="+", default=["de", "es", "home", "spoken"])
    args = parser.parse_args()
    ranker.CrossValidation = Kept  # type: ignore[attr-defined]
    result: dict[str, Any] = {**made_with(("rewriter", "numpy")), "seeds": args.seeds, "worlds": {}}
    for name in args.worlds:
        found: dict[str, dict[str, Best]] = {}
        counted = [run(build(name, seed, args.users), name, seed, args.days, args.requests, found) for seed in args.seeds]
        result["worlds"][name] = {"counted": counted} | {
            index: {way: figures(best) for way, best in ways.items()} for index, ways in found.items()
        }
        print(name, result["worlds"][name], flush=True)
    write_result(result, args.out)


def run(world: World, name: str, seed: int, days: int, n: int, found: dict[str, dict[str, Best]]) -> float:
    """Learn from one log, rank later requests by all priors, and return how much an example of the log counted."""
    channel = "spoken" if name in ("home", "spoken") else "typed"
    turns = [turn for day in simulate_days(world, days=days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=n, seed=seed, start=START + timedelta(days=days))
    with tempfile.TemporaryDirectory() as folder:
        write_log(turns, Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=Path(folder) / "own", channel=channel)
        layer = OnlineLayer.open(current(Path(folder) / "own").folder / "online")
        beside = Path(folder) / "catalog"
        KeptCatalog.given(catalog(world), Config(), channel=channel, complete=True).write(beside, Config())
        priors, counted = updated(Kept.last, layer, channel)
        judges = {
            way: (PoolPrior(prior, channel, layer.guardrails.contrasts, goals(layer)), CatalogLayer.open(beside, prior=prior))
            for way, prior in priors.items()
        }
        for request in (r for r in asked if is_judged(r, world)):
            at = LayerRequest([normalise(request.heard, world.locale)], world.locale, "", after_failure=True)
            for way, (by_log, by_catalog) in judges.items():
                for index, best in (("log", best_of_log(layer, by_log, at)), ("catalog", best_of_catalog(by_catalog, at))):
                    kept = found.setdefault(index, {}).setdefault(way, Best([], []))
                    if best is not None:
                        kept.p.append(best[1])
                        kept.right.append(grade(world.assistant.understand(best[0]), request.goal) == OK)
    return counted


def is_judged(request: Request, world: World) -> bool:
    """Return whether a request was refused, and would be understood if it had been heard as it was said."""
    heard, said = (grade(world.assistant.understand(text), request.goal) for text in (request.heard, request.said))
    return heard == FAILED_HONESTLY and said == OK


def best_of_log(layer: OnlineLayer, prior: PoolPrior, at: LayerRequest) -> tuple[str, float] | None:
    """Return the likeliest text of the log that the guardrail allows, and P(meant)."""
    (scored,) = layer._score([at], lambda: False)
    if isinstance(scored, Reason):
        return None
    pool = scored.seen.pool
    p = prior.p(at.hearings[0], pool, layer._wording[at.locale], at.locale)
    allowed = [i for i, text in enumerate(pool.texts) if layer._allows(scored, text)]
    best = max(allowed, key=lambda i: p[i], default=None)
    return None if best is None else (pool.texts[best], float(p[best]))


def best_of_catalog(layer: CatalogLayer, at: LayerRequest) -> tuple[str, float] | None:
    """Return the likeliest text of the catalog that the guardrail allows, and P(meant)."""
    scored = layer._score(at)
    found = zip(scored.texts, scored.meant.tolist(), strict=True)
    return next(((text, p) for text, p in found if layer._finding(at, text) is None), None)


def goals(layer: OnlineLayer) -> int:
    """Return how many interpretations the log has."""
    view = layer.user_view
    return 1 if view is None else view.book.n_goals


def updated(cases: Kept, layer: OnlineLayer, channel: str) -> tuple[dict[str, Prior], float]:
    """Return the shipped prior and its updates by a log, and how much an example counted for the weights alone."""
    shipped = Prior.load()
    operations = shipped.channel(channel, next(iter(layer.locales))).operations
    costs = learn_costs(said_and_heard(cases), operations, prior=shipped.costs[channel], weight=OPERATIONS)
    tuned = replace(shipped, costs={**shipped.costs, channel: costs})
    weights, counted = with_weights(shipped, cases, layer, channel)
    return {
        "shipped": shipped,
        "weights": weights,
        "costs": tuned,
        "both": with_weights(tuned, cases, layer, channel)[0],
    }, counted


def said_and_heard(cases: Kept) -> list[tuple[str, str]]:
    """Return pairs of what was probably said and what was heard: restated texts, and healthy texts as they are."""
    found: dict[str, str] = {}
    for case in cases.cases:
        heard, best = case.text.hearings[0], int(case.win.argmax())
        if case.text.healthy:
            found[heard] = heard
        elif case.win[best] > MEANT:
            found[heard] = case.seen.pool.texts[best]
    return [(said, heard) for heard, said in found.items()]


def with_weights(prior: Prior, cases: Kept, layer: OnlineLayer, channel: str) -> tuple[Prior, float]:
    """Update the weights of a prior; the share that an example counts for predicts held-out goals best."""
    measure = PoolPrior(prior, channel, layer.guardrails.contrasts, goals(layer))
    believed = WeightBelief(prior.mean, prior.covariance)
    failing = [case for case in cases.cases if case.text.goals and not case.text.healthy]
    folds = [rows_of([case for case in failing if case.fold == fold], cases, measure) for fold in range(FOLDS)]

    def fitted(some: Sequence[Rows], share: float) -> WeightBelief:
        columns, target, weight, users = (np.concatenate(parts) for parts in zip(*some, strict=True))
        rows = averaged(columns, target, weight, users, cases._min_users)
        return update_weights(believed, rows[0], rows[1], share * rows[2])

    def held_out(share: float) -> float:
        others = ([of for j, of in enumerate(folds) if j != i] for i in range(FOLDS))
        return sum(likelihood(fitted(kept, share), of) for kept, of in zip(others, folds, strict=True))

    best = max(COUNTED, key=held_out)
    found = fitted(folds, best)
    return replace(prior, mean=found.mean, covariance=found.covariance), best


def rows_of(some: Sequence[Case], cases: Kept, measure: PoolPrior) -> Rows:
    """Return the candidates of some cases as `CrossValidation` weighs them: columns, P(meant), weights, users."""
    found: list[Rows] = [(np.zeros((0, len(Prior.load().mean) - 1)), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))]
    for case in some:
        may = [cases._may(case, i, after_failure=True) for i in range(len(case.seen.pool))]
        kept = ~case.seen.pool.private & np.array(may, dtype=bool)
        columns = measure._measures(case.text.locale).measure(case.seen.hearings[0], case.seen.pool, case.wording)[kept]
        decided = (case.win + case.loss)[kept]
        weight = case.weight * min(case.text.users, _MAX_USERS) * decided
        users = np.full(int(kept.sum()), cases._user(case), dtype=np.int64)
        found.append((columns, case.win[kept] / np.maximum(decided, 1e-9), weight, users))
    columns, target, weight, users = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return columns, target, weight, users


def likelihood(belief: WeightBelief, rows: Rows) -> float:
    """Return the log-likelihood of held-out rows."""
    columns, target, weight, _ = rows
    odds = np.column_stack([columns, np.ones(len(target))]) @ belief.mean
    return float(weight @ (target * odds - np.logaddexp(0, odds)))


def figures(best: Best) -> dict[str, Any]:
    """Return what is sent from `LEAST` on, the most wins at 20:1 by any threshold, and the log loss of P(meant)."""
    p, right = np.clip(np.array(best.p), 1e-6, 1 - 1e-6), np.array(best.right, dtype=bool)
    order = np.argsort(-p, kind="stable")
    wins, losses = np.cumsum(right[order]), np.cumsum(~right[order])
    loss = -np.where(right, np.log(p), np.log(1 - p))
    return {
        "requests": len(p),
        "wins": int((right & (p >= LEAST)).sum()),
        "losses": int((~right & (p >= LEAST)).sum()),
        "wins at 20:1": int(max(wins[wins >= TARGET * losses], default=0)),
        "log loss": float(loss.mean()),
    }


if __name__ == "__main__":
    main()
