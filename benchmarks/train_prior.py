"""Fits the prior that ships, and judges it by leaving one world out at a time.

    python benchmarks/train_prior.py [--seeds 0 1 2] [--requests 250] [--out benchmarks/results/prior.json]
        [--prior rewriter/model/prior/prior.json]

Positives are misheard recordings of `slurp` and `home_spoken`; negatives beside them are requests of other domains (`banking77`,
`clinc150`, `snips_nlu`). Each world comes with three indexes: a complete catalog, what a log would hold, and 150 texts of
that. No world is judged by a prior that was fitted on it: `slurp` is judged by one fitted on `home_spoken` and the reverse, and
all others by one fitted on both. No prior is fitted on `dstc2`, the simulated worlds or the mistyped requests. The costs of
typing are learned from mistyped sentences of `hwu64`.

All requests were refused. A *win* is a refused request whose best candidate means what was said, and a *loss* one whose best
candidate does not. *Fixed* is wins per defect; misunderstood requests are defects too. `calibrated` is the prior after an update
by
a log: half of the phrases update it (`rewriter.offline.fit.prior_update`), and the other half is judged before and after.
`ceiling` is the same form of model, fitted on the truth of half of the phrases of the judged world, and judged on the other half.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
from prior_tables import CandidateRows, Desk, draw
from prior_worlds import INDEXES, TYPING_RATE, WORLDS, Corpus, Made, lines, other_domains, out_of_scope, scene
from script import made_with, options, write_result
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from worlds.typing_errors import mistype

from rewriter.arrays import Bools, Floats
from rewriter.locales import pack_of
from rewriter.model.channel import SPOKEN, TYPED, Spoken, Typed, channel_of
from rewriter.model.logistic import Logistic, fit_logistic
from rewriter.model.pair_features import PAIR, SIGNS
from rewriter.model.prior import LEAST_AFTER, Prior, ShareBelief
from rewriter.model.pronouncer import pronouncer_of
from rewriter.offline.fit.prior_update import WeightBelief, learn_costs, update_weights
from rewriter.text import normalise

ROOT = Path(__file__).parents[1]
FITTED = ("slurp", "home_spoken")
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
BANDS = (0.5, 0.65, 0.8, 0.9, 1.0001)
STRANGERS = 0.3  # requests of other domains for each refused request of the world
SMALL = 1e-9
RIDGE = 10.0  # penalty on the weights of standardised columns
RUNNERS_UP = 0.5  # weight of the second-best candidate of a request in the second fit
HABIT = 0.5, 0.2  # weight of the log prior odds and its standard deviation: half a logarithm (docs/prior.md)
NONE_STRENGTH = 20.0  # the shipped P(none) counts as so many refused requests
TREES = {"max_iter": 150, "learning_rate": 0.06, "max_leaf_nodes": 12, "min_samples_leaf": 60, "l2_regularization": 5.0}
FAILS_SIGNS = (1, 1, 1, 0)  # which way the columns of REQUEST may push
SOURCES = {
    "slurp": "CC BY 4.0", "home_spoken": "our own", "hwu64": "CC BY 4.0", "clinc150": "CC BY 3.0", "banking77": "CC BY 4.0",
    "snips_nlu": "CC0 1.0",
}  # fmt: skip

Key = tuple[str, str, int]
"""World, kind of index, seed."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything measured, by world, index and seed; `defects` are those that go with the refused requests."""

    refused: dict[Key, CandidateRows]
    foreign: dict[Key, CandidateRows]
    outside: dict[Key, CandidateRows]
    unseen: dict[Key, CandidateRows]
    defects: dict[Key, int]


def main() -> None:
    """Measure, judge, fit and write."""
    parser = options(__doc__, seeds=[0, 1, 2], out=ROOT / "benchmarks" / "results" / "prior.json")
    parser.add_argument("--requests", type=int, default=250, help="refused requests of each world, index and seed")
    parser.add_argument("--prior", type=Path, default=ROOT / "rewriter" / "model" / "prior" / "prior.json")
    args = parser.parse_args()
    corpora = {(name, seed): make(seed) for seed in args.seeds for name, make in WORLDS.items()}
    costs = channel_costs(corpora, args.seeds[0])
    tables = measured(corpora, costs, args)
    made = {
        **made_with(("rewriter", "rapidfuzz", "numpy", "scipy", "scikit-learn")),
        "seeds": args.seeds,
        "sources": SOURCES,
    }
    judged = {world: judge(world, tables, args.seeds) for world in WORLDS}
    prior = assembled(tables, costs)
    prior.save(args.prior, made)
    names = {"spoken": SPOKEN, "typed": TYPED}
    shown = {kind: dict(zip(names[kind], np.round(prior.costs[kind], 2).tolist(), strict=True)) for kind in names}
    weights = dict(zip([*PAIR, "bias"], np.round(prior.mean, 3).tolist(), strict=True))
    result = made | {"channel_costs": shown, "weights": weights, "worlds": judged}
    write_result(result, args.out)


def channel_costs(corpora: dict[tuple[str, int], Corpus], seed: int) -> dict[str, dict[str, Floats]]:
    """Return, for each world that may be judged, the costs of its channels, none learned on that world."""
    spoken = Spoken(pronouncer_of("en"))
    pairs = {name: [(m.said, m.heard) for m in draw(corpora[name, seed].made, 2000, seed)] for name in FITTED}
    own = {name: learn_costs(pairs[name], spoken) for name in FITTED}
    both = learn_costs([pair for of in pairs.values() for pair in of], spoken)
    rng = np.random.default_rng([seed, 13])
    texts = [normalise(row["text"]) for row in lines("hwu64")][:2000]
    typed = learn_costs([(text, mistype(text, TYPING_RATE, rng)) for text in texts], Typed(pack_of("en")))
    return {world: {"spoken": own[FITTED[world == FITTED[0]]] if world in FITTED else both, "typed": typed} for world in WORLDS}


def measured(corpora: dict[tuple[str, int], Corpus], costs: dict[str, dict[str, Floats]], args: argparse.Namespace) -> Tables:
    """Measure all requests against all indexes."""
    found = Tables({}, {}, {}, {}, {})
    others, outside = other_domains(), out_of_scope()
    for (world, seed), corpus in corpora.items():
        kind = "typed" if world == "typed" else "spoken"
        channel = channel_of(kind, "en", costs[world][kind].tolist())
        for index in INDEXES:
            key = world, index, seed
            desk = Desk(scene(corpus, index, seed), channel)
            wrong = [m for m in corpus.made if corpus.understood.get(m.heard) != m.goal]
            refused = [m for m in wrong if m.heard not in corpus.understood]
            chosen = draw(refused, args.requests, seed)
            found.refused[key] = desk.measure(chosen)
            found.defects[key] = round(len(wrong) * len(chosen) / len(refused))
            away = {name: texts for name, texts in others.items() if world != "typed" or name == "snips_nlu"}
            foreign = [Made(text, text, "") for texts in away.values() for text in texts]
            found.foreign[key] = desk.measure(draw(foreign, round(STRANGERS * len(chosen)), seed))
            found.outside[key] = desk.measure([Made(t, t, "") for t in outside[seed :: 3 * len(args.seeds)]])
            if index == "log":
                known = set(desk.scene.texts)
                found.unseen[key] = desk.measure(draw([m for m in corpus.made if m.heard not in known], args.requests, seed))
        print(f"measured {world}, seed {seed}", flush=True)
    return found


def fit(tables: Tables, worlds: Sequence[str]) -> WeightBelief:
    """Fit the ranker on some worlds; the covariance holds how much the weights differ from world to world."""
    pooled, rows = fit_ranker(tables, worlds)
    scale = np.append(np.maximum(rows.columns.std(axis=0), SMALL), 1.0)
    parts = worlds if len(worlds) > 1 else [f"{worlds[0]}: {index}" for index in INDEXES]
    own = [fit_ranker(tables, [part])[0] for part in parts]
    apart = np.array([np.append(one.weights, one.bias) for one in own]) * scale
    spread = float(np.mean(apart.var(axis=0, ddof=1)))  # of weights of standardised columns, from world to world
    p = pooled.p(rows.columns)
    x = np.column_stack([rows.columns, np.ones(len(p))]) / scale
    curve = (x.T * (rows.weight * p * (1 - p))) @ x + np.diag(np.append(np.full(len(PAIR), RIDGE), SMALL))
    covariance = (np.linalg.inv(curve) + spread * np.eye(len(scale))) / np.outer(scale, scale)
    mean, habit = np.append(pooled.weights, pooled.bias), PAIR.index("habit")
    covariance[habit], covariance[:, habit] = 0.0, 0.0
    mean[habit], covariance[habit, habit] = HABIT[0], HABIT[1] ** 2
    return WeightBelief(mean, covariance)


class Labelled(NamedTuple):
    """Candidates with their labels, 0 or 1, and weights."""

    columns: Floats
    right: npt.NDArray[Any]
    weight: Floats


def fit_ranker(tables: Tables, worlds: Sequence[str]) -> tuple[Logistic, Labelled]:
    """Fit on all candidates, then on the two best of each request by that fit, which are what is decided on.

    Args:
        tables: what was measured.
        worlds: names of worlds, or ``world: index`` for one of its indexes.
    """
    wanted, every = set(worlds), [*tables.refused.items(), *tables.foreign.items()]
    parts = [rows for key, rows in every if {key[0], f"{key[0]}: {key[1]}"} & wanted]
    first = joined([Labelled(r.columns, r.right, np.full(len(r.right), len(r.fails) / len(r.right))) for r in parts])
    rough = fit_logistic(first.columns, first.right, first.weight, penalty=RIDGE, signs=SIGNS)
    second = joined([decisive(rows, rough.p(rows.columns)) for rows in parts])
    return fit_logistic(second.columns, second.right, second.weight, penalty=RIDGE, signs=SIGNS), second


def joined(parts: Sequence[Labelled]) -> Labelled:
    """Put labelled candidates together."""
    columns, right, weight = (np.concatenate(of) for of in zip(*parts, strict=True))
    return Labelled(columns, right.astype(np.float64), weight)


def decisive(rows: CandidateRows, score: Floats) -> Labelled:
    """Return the best candidate of each request, and the second at less weight."""
    order = np.lexsort((-score, rows.request))
    place = np.arange(len(order)) - np.searchsorted(rows.request[order], rows.request[order])
    kept = order[place < 2]
    return Labelled(rows.columns[kept], rows.right[kept], np.where(place[place < 2] == 0, 1.0, RUNNERS_UP))


def trees(tables: Tables, worlds: Sequence[str]) -> Callable[[Floats], Floats]:
    """Fit monotone boosted trees on the same candidates, all of each request."""
    parts = [rows for of in (tables.refused, tables.foreign) for key, rows in of.items() if key[0] in worlds]
    rows = joined([Labelled(r.columns, r.right, np.full(len(r.right), len(r.fails) / len(r.right))) for r in parts])
    model = HistGradientBoostingClassifier(**TREES, monotonic_cst=list(SIGNS), random_state=0)
    model.fit(rows.columns, rows.right, sample_weight=rows.weight)
    return lambda columns: np.asarray(model.predict_proba(columns)[:, 1])


def judge(world: str, tables: Tables, seeds: Sequence[int]) -> dict[str, Any]:
    """Judge a world by what was fitted on the others."""
    worlds = [name for name in FITTED if name != world]
    prior = fit(tables, worlds)
    linear, boosted = ranked(prior), trees(tables, worlds)
    fit_rows, judged_rows = by_phrases(tables, world)
    own = fit_ranker(fit_rows, [world])[0]
    found: dict[str, Any] = {"fitted on": worlds}
    for index in INDEXES:
        keys = [(world, index, seed) for seed in seeds]
        found[index] = {
            "logistic": figures(linear, tables, keys),
            "boosted": figures(boosted, tables, keys),
            "calibrated": halves(prior, tables, keys),
            "ceiling": figures(own.p, judged_rows, keys),
        }
        for name in ("logistic", "boosted"):
            print(world, index, name, found[index][name]["win_loss"], found[index][name]["sent"], flush=True)
        print(world, index, "ece", found[index]["logistic"]["ece"], found[index]["calibrated"], flush=True)
    found["fails_as_spoken"] = judged_fails(world, worlds, tables, seeds)
    print(world, found["fails_as_spoken"], flush=True)
    return found


def figures(p: Callable[[Floats], Floats], tables: Tables, keys: Sequence[Key]) -> dict[str, Any]:
    """Return the curve, the bands, the calibration error, and the share of out-of-scope requests that are rewritten."""
    score, right = (np.concatenate(part) for part in zip(*(top(p, tables.refused[key]) for key in keys), strict=True))
    defects = sum(tables.defects[key] for key in keys)
    outside = np.concatenate([top(p, tables.outside[key])[0] for key in keys])
    order = np.argsort(-score, kind="stable")
    wins, losses = np.cumsum(right[order]), np.cumsum(~right[order])
    reached = {f"{share:.0%}": int(np.searchsorted(wins, share * defects)) for share in SHARES}
    ratio = {name: round(float(wins[i] / max(losses[i], 0.5)), 1) if i < len(wins) else None for name, i in reached.items()}
    sent = score >= LEAST_AFTER
    won, lost = int(right[sent].sum()), int((~right[sent]).sum())
    return {
        "requests": len(score),
        "defects": defects,
        "right_first": round(float(right.mean()), 3),
        "win_loss": ratio,
        "sent": {"wins": won, "losses": lost, "fixed": round(won / defects, 3)},
        "bands": {f"{low:g}-{min(high, 1):g}": band(score, right, low, high) for low, high in pairwise(BANDS)},
        "ece": ece(score, right),
        "out_of_scope": {f">= {least}": round(float((outside >= least).mean()), 4) for least in (LEAST_AFTER, 0.9)},
    }


def band(score: Floats, right: Bools, low: float, high: float) -> dict[str, float | None]:
    """Return how many scores lie in a band, what they promise in the mean, and what share was right."""
    at = (score >= low) & (score < high)
    promised, kept = (round(float(of[at].mean()), 3) if at.any() else None for of in (score, right))
    return {"n": int(at.sum()), "promised": promised, "right": kept}


def by_phrases(tables: Tables, world: str) -> tuple[Tables, Tables]:
    """Part a world by what was said, into a half to fit a ceiling on and a half to judge it on."""
    parts = []
    for part in (0, 1):
        refused, defects = {}, {}
        for key, rows in tables.refused.items():
            if key[0] == world:
                half = np.array([crc32(said.encode()) % 2 == part for said in rows.said])
                refused[key], defects[key] = rows.of(half), round(tables.defects[key] * float(half.mean()))
        parts.append(Tables(refused, tables.foreign, tables.outside, tables.unseen, defects))
    return parts[0], parts[1]


def halves(prior: WeightBelief, tables: Tables, keys: Sequence[Key]) -> dict[str, float]:
    """Update the prior by half of the phrases, and return the calibration error on the other half before and after."""
    before, after = [], []
    for key in keys:
        rows = tables.refused[key]
        half = np.array([crc32(said.encode()) % 2 == 0 for said in rows.said])
        fit_rows, judged = rows.of(half), rows.of(~half)
        best = fit_rows.best(ranked(prior)(fit_rows.columns))
        now = update_weights(prior, fit_rows.columns[best], fit_rows.right[best].astype(np.float64), np.ones(len(best)))
        before.append(top(ranked(prior), judged))
        after.append(top(ranked(now), judged))
    return {name: ece(*map(np.concatenate, zip(*of, strict=True))) for name, of in (("before", before), ("after", after))}


def ranked(weights: WeightBelief) -> Callable[[Floats], Floats]:
    """Return P(meant) as a function of measured candidates."""
    return Logistic(weights.mean[:-1], float(weights.mean[-1])).p


def top(p: Callable[[Floats], Floats], rows: CandidateRows) -> tuple[Floats, Bools]:
    """Return the score of the best candidate of each request, and whether it is right."""
    scores = p(rows.columns)
    best = rows.best(scores)
    return scores[best], rows.right[best]


def ece(score: Floats, right: Bools) -> float:
    """Return the expected calibration error over ten bins of equal counts (Naeini et al. 2015)."""
    bins = np.array_split(np.argsort(score, kind="stable"), 10)
    return round(float(sum(abs(score[b].mean() - right[b].mean()) * len(b) for b in bins if len(b)) / len(score)), 3)


def fit_fails(tables: Tables, worlds: Sequence[str]) -> Logistic:
    """Fit P(fails as spoken) of requests that the index of a log does not hold."""
    parts = [rows for key, rows in tables.unseen.items() if key[0] in worlds]
    columns, fails = (np.concatenate(of) for of in zip(*((rows.wording, rows.fails) for rows in parts), strict=True))
    return fit_logistic(columns, fails.astype(np.float64), penalty=RIDGE, signs=FAILS_SIGNS)


def judged_fails(world: str, worlds: Sequence[str], tables: Tables, seeds: Sequence[int]) -> dict[str, float]:
    """Return how well failures among unseen texts are told from healthy ones: the area under the ROC curve, and calibration."""
    rows = [tables.unseen[world, "log", seed] for seed in seeds]
    columns, fails = (np.concatenate(of) for of in zip(*((one.wording, one.fails) for one in rows), strict=True))
    p = fit_fails(tables, worlds).p(columns)
    return {"share": round(float(fails.mean()), 3), "auc": round(float(roc_auc_score(fails, p)), 3), "ece": ece(p, fails)}


def assembled(tables: Tables, costs: dict[str, dict[str, Floats]]) -> Prior:
    """Fit what ships, on all worlds that may be fitted on."""
    weights = fit(tables, FITTED)
    missing: dict[str, list[float]] = defaultdict(list)
    for (world, index, _), rows in tables.refused.items():
        if world in FITTED:
            found = np.maximum.reduceat(rows.right, np.unique(rows.request, return_index=True)[1])
            missing["complete" if index == "catalog" else "incomplete"].append(1 - float(found.mean()))
    share = {kind: float(np.mean(shares)) for kind, shares in missing.items()}
    none = {kind: ShareBelief(NONE_STRENGTH * of, NONE_STRENGTH * (1 - of)) for kind, of in share.items()}
    return Prior(weights.mean, weights.covariance, costs["dstc2"], none, fit_fails(tables, FITTED))


if __name__ == "__main__":
    main()
