"""Measures the first day: a catalog alone, with no log, after refusals, in worlds that the prior was not fitted on.

    python benchmarks/day_one.py [--seeds 0 1 2] [--requests 300] [--out benchmarks/results/day_one.json]

The catalog holds all texts that the assistant of the world understands, and is declared complete. The requests are refused
requests and the out-of-scope sentences of clinc150 (200 a seed). A win is a rewrite that means what was said, and a loss any
other rewrite. *Fixed* is wins per defect, silent misunderstandings among the defects. Figures are given by the least P(meant)
that is sent, of rewrites that the guardrail allows.

The shipped prior was fitted on ``slurp`` and ``home_spoken``. So these two are judged by a prior that was fitted on the other
one alone, by train_prior.py's own code on its first seed. Variants of the model (columns, penalty, signs) were compared on
all of these worlds, so the figures are optimistic.

`ceiling` is the same form of model, updated from the prior by the truth of half of the phrases of the judged world, and
judged on the other half, both ways round. `target` is the threshold at which win/loss is still 40, and what it fixes.
Intervals are a bootstrap by phrase that was said.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from prior_tables import draw
from prior_worlds import WORLDS, Corpus, out_of_scope
from script import RESULTS, made_with, options, write_result
from train_prior import FITTED, channel_costs, fit, measured

from rewriter.arrays import Bools, Floats
from rewriter.artefact.versions import current
from rewriter.codes import Standing
from rewriter.evaluation.intervals import odds, per_user, share
from rewriter.model.logistic import Logistic
from rewriter.model.pair_features import PAIR
from rewriter.model.prior import Prior
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.fit.prior_update import WeightBelief, update_weights
from rewriter.online.catalog_layer import CatalogLayer
from rewriter.online.request import LayerRequest

LEAST = (0.4, 0.5, 0.65, 0.8, 0.9, 0.95)
SHARES = (0.2, 0.35, 0.45, 0.55)
TARGET = 40.0  # win/loss
OUTSIDE = 200  # out-of-scope sentences a seed
PRIOR_REQUESTS = 250  # of each world and index, for a prior that leaves a world out
SMALL = 1e-9

Model = Callable[[Floats], Floats]
"""P(meant) of measured candidates."""


class Asked(NamedTuple):
    """A refused request with its candidates, likeliest first: columns of `PAIR`, which are right, which are forbidden."""

    said: str
    columns: Floats
    right: Bools
    forbidden: Bools


class WorldRun(NamedTuple):
    """One world and seed: refused requests that have candidates, P(meant) of each out-of-scope sentence, and counts."""

    asked: list[Asked]
    outside: Floats
    refused: int
    defects: int
    texts: int


class Decided(NamedTuple):
    """What would be sent for each request: its P(meant), whether it is right, whether it is forbidden, and what was said."""

    p: Floats
    right: Bools
    forbidden: Bools
    said: list[str]


def main() -> None:
    """Ask all worlds and write the figures."""
    parser = options(__doc__, seeds=[0, 1, 2], requests=300, out=RESULTS / "day_one.json")
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    args = parser.parse_args()
    result: dict[str, Any] = {
        **made_with(("rewriter", "rapidfuzz", "numpy", "faiss-cpu")),
        "seeds": args.seeds,
        "worlds": {},
    }
    priors, outside = left_out(args.seeds[0]), out_of_scope()
    for name in args.worlds:
        prior = priors.get(name, Prior.load())
        runs = [ask(WORLDS[name](s), prior, args.requests, outside[s % 3 :: 3][:OUTSIDE], s) for s in args.seeds]
        result["worlds"][name] = figures(runs, prior)
        print(name, result["worlds"][name], flush=True)
    write_result(result, args.out)


def left_out(seed: int, worlds: Sequence[str] = FITTED) -> dict[str, Prior]:
    """Fit, for worlds that the shipped prior was fitted on, a prior without each."""
    corpora = {(name, seed): WORLDS[name](seed) for name in FITTED}
    costs = channel_costs(corpora, seed)
    tables = measured(corpora, costs, argparse.Namespace(seeds=[seed], requests=PRIOR_REQUESTS))
    found: dict[str, Prior] = {}
    for world in worlds:
        weights = fit(tables, [other for other in FITTED if other != world])
        found[world] = replace(Prior.load(), mean=weights.mean, covariance=weights.covariance, costs=costs[world])
    return found


def ask(corpus: Corpus, prior: Prior, n: int, outside: Sequence[str], seed: int) -> WorldRun:
    """Make an artefact from the texts of a world, and ask it."""
    wrong = [m for m in corpus.made if corpus.understood.get(m.heard) != m.goal]
    refused = [m for m in wrong if m.heard not in corpus.understood]
    made = draw(refused, n, seed)
    rows = [{"text": text, "hypothesis": goal} for text, goal in corpus.understood.items()]
    with tempfile.TemporaryDirectory() as folder:
        learn_catalog(rows, out=folder, channel="typed" if corpus.name == "typed" else "spoken", complete=True)
        layer = CatalogLayer.open(current(Path(folder)).folder / "online", prior=prior)
        asked = [one for m in made if (one := candidates(layer, m.heard, m.said, corpus.understood, m.goal)) is not None]
        touched = [best for text in outside if (best := candidates(layer, text, "", {}, "")) is not None]
    p = Logistic(prior.mean[:-1], float(prior.mean[-1])).p
    sent = decide([(p, touched)])
    above = np.where(sent.forbidden, 0.0, sent.p)
    return WorldRun(
        asked,
        np.append(above, np.zeros(len(outside) - len(above))),
        len(made),
        round(len(wrong) * len(made) / len(refused)),
        len(rows),
    )


def candidates(layer: CatalogLayer, heard: str, said: str, understood: Mapping[str, str], goal: str) -> Asked | None:
    """Return the candidates of a request, as the layer measures them; None if it has none."""
    found = layer.consider(LayerRequest([heard], "en", "", after_failure=True))
    if not found:
        return None
    columns = np.array([[one.features[name] for name in PAIR] for one in found])
    right = np.array([understood.get(one.text) == goal for one in found])
    return Asked(said, columns, right, np.array([one.standing is Standing.FORBIDDEN for one in found]))


def decide(parts: Sequence[tuple[Model, Sequence[Asked]]]) -> Decided:
    """Take the likeliest candidate of each request, by the P of its part."""
    p, right, forbidden, said = [], [], [], []
    for model, asked in parts:
        for one in asked:
            scores = model(one.columns)
            best = int(scores.argmax())
            p.append(float(scores[best]))
            right.append(bool(one.right[best]))
            forbidden.append(bool(one.forbidden[best]))
            said.append(one.said)
    return Decided(np.array(p), np.array(right, dtype=bool), np.array(forbidden, dtype=bool), said)


def supervised(prior: Prior, asked: Sequence[Asked]) -> list[tuple[Model, Sequence[Asked]]]:
    """Return each half of the phrases with a model that was updated by the truth of the other half."""
    halves = [[one for one in asked if crc32(one.said.encode()) % 2 == half] for half in (0, 1)]
    belief = WeightBelief(prior.mean, prior.covariance + SMALL * np.eye(len(prior.mean)))
    parts: list[tuple[Model, Sequence[Asked]]] = []
    for judged, taught in (halves, halves[::-1]):
        best = [int(Logistic(prior.mean[:-1], float(prior.mean[-1])).p(one.columns).argmax()) for one in taught]
        columns = np.array([one.columns[i] for one, i in zip(taught, best, strict=True)])
        right = np.array([one.right[i] for one, i in zip(taught, best, strict=True)], dtype=np.float64)
        now = update_weights(belief, columns, right, np.ones(len(right)))
        parts.append((Logistic(now.mean[:-1], float(now.mean[-1])).p, judged))
    return parts


def figures(runs: Sequence[WorldRun], prior: Prior) -> dict[str, Any]:
    """Add up the seeds."""
    asked = [one for of in runs for one in of.asked]
    outside = np.concatenate([of.outside for of in runs])
    defects = sum(of.defects for of in runs)
    sent = decide([(Logistic(prior.mean[:-1], float(prior.mean[-1])).p, asked)])
    ceiling = decide(supervised(prior, asked))
    return {
        "texts": [of.texts for of in runs],
        "requests": sum(of.refused for of in runs),
        "defects": defects,
        "right_first": round(float(sent.right.sum()) / max(sum(of.refused for of in runs), 1), 3),
        "right_but_blocked": int((sent.right & sent.forbidden).sum()),
        "thresholds": {f"{least:g}": at(sent, least, defects, outside) for least in LEAST},
        "curve": curve(sent, defects),
        "ceiling": curve(ceiling, defects),
        "target": target(sent, defects, outside),
        "target of the ceiling": target(ceiling, defects, np.zeros(0)),
        "ece": ece(sent),
        "ece of the ceiling": ece(ceiling),
    }


def at(sent: Decided, least: float, defects: int, outside: Floats) -> dict[str, Any]:
    """Return the figures of a threshold."""
    passed = ~sent.forbidden & (sent.p >= least)
    _, phrases = np.unique(np.array(sent.said), return_inverse=True)
    n = int(phrases.max(initial=-1)) + 1
    won = per_user(phrases, passed & sent.right, n)
    decided, every = per_user(phrases, passed, n), per_user(phrases, np.ones(len(sent.p), dtype=bool), n)
    scale = len(sent.p) / defects
    reach = {name: value * scale for name, value in asdict(share(won, every)).items()}
    return {
        "wins": int(won.sum()),
        "losses": int(decided.sum() - won.sum()),
        "win_loss": finite(asdict(odds(share(won, decided)))),
        "fixed": reach,
        "touched": round(float((outside >= least).mean()), 4) if len(outside) else None,
    }


def finite(interval: dict[str, float]) -> dict[str, float | None]:
    """Return an interval for JSON, in which infinite and undefined values are None."""
    return {name: value if np.isfinite(value) else None for name, value in interval.items()}


def curve(sent: Decided, defects: int) -> dict[str, float | None]:
    """Return win/loss where each of `SHARES` of the defects is fixed; None where it is not reached."""
    order = np.argsort(-np.where(sent.forbidden, -1.0, sent.p), kind="stable")[: int((~sent.forbidden).sum())]
    wins, losses = np.cumsum(sent.right[order]), np.cumsum(~sent.right[order])
    places = {s: int(np.searchsorted(wins, s * defects)) for s in SHARES}
    return {f"{s:.0%}": round(float(wins[i] / max(losses[i], 0.5)), 1) if i < len(wins) else None for s, i in places.items()}


def target(sent: Decided, defects: int, outside: Floats) -> dict[str, Any]:
    """Return the lowest threshold at which win/loss is still `TARGET`, with its figures."""
    order = np.argsort(-np.where(sent.forbidden, -1.0, sent.p), kind="stable")[: int((~sent.forbidden).sum())]
    wins, losses = np.cumsum(sent.right[order]), np.cumsum(~sent.right[order])
    kept = np.flatnonzero(wins >= TARGET * losses)
    if not len(kept):
        return {"threshold": None, "fixed": 0.0, "touched": 0.0}
    least = float(sent.p[order][kept[-1]])
    touched = round(float((outside >= least).mean()), 4) if len(outside) else None
    return {"threshold": round(least, 3), "fixed": round(float(wins[kept[-1]] / defects), 3), "touched": touched}


def ece(sent: Decided) -> float:
    """Return the expected calibration error of P over ten bins of equal counts (Naeini et al. 2015)."""
    bins = np.array_split(np.argsort(sent.p, kind="stable"), 10)
    return round(float(sum(abs(sent.p[b].mean() - sent.right[b].mean()) * len(b) for b in bins if len(b)) / len(sent.p)), 3)


if __name__ == "__main__":
    main()
