"""Fitting the online layer: wording, ranker, risk, and the bars that held-out evidence can promise."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewriter.config import Config, Trigger
from rewriter.model.decider import Bar, Decider
from rewriter.model.retrieve import Retriever
from rewriter.offline import bars
from rewriter.offline.bench import FOLDS, Bench, Outcome
from rewriter.offline.decide import LAUNCHED, Crowd
from rewriter.offline.examples import examples, wordings
from rewriter.offline.mine import Mined
from rewriter.offline.stock import Stock
from rewriter.offline.told import Told
from rewriter.offline.votes import Votes

_WORTH_ASKING = 0.3  # P(win) below which nothing is suggested
_HEARD = 0.05  # share of examples with other hearings from which on their worth is known


def fit(mined: Mined, crowd: Crowd, votes: Votes, stocked: Stock, turns: Path, config: Config, folder: Path) -> dict[str, float]:
    """Fit the online layer and write it.

    Whatever is shared rests on texts of at least `config.launch.min_users` users: names and counts are such texts, and the ranker
    and the risk are fitted on such texts. The bars are two numbers for each mode; they are counted on all texts, those of few
    users above all, because those are what the layer will meet.

    Args:
        mined: the mined tables.
        crowd: what all users together say; its launched rules answer before the online layer does.
        votes: what each user's turns say was meant.
        stocked: what `rewriter.offline.stock.stock` wrote into the folder.
        turns: Parquet of `tables.TURNS`.
        config: its sections launch and trigger are used.
        folder: where the files go.

    Returns:
        What the held-out evidence promises, by name.
    """
    k = config.launch.min_users
    wording = wordings(stocked.good)
    rules = crowd.rules[crowd.rules["verdict"] == LAUNCHED]
    served = set(zip(rules["locale"], rules["source"], strict=True))
    told = Told(mined, votes, stocked.good, stocked.own)
    found = examples(stocked.texts, told, served, turns, config.seed)
    bench = Bench(found, Retriever.open(folder), wording, k)
    promises = _promises(bench, k, config.trigger)
    before, after = (Bar(of[0].bar, max(of[1].bar, _WORTH_ASKING)) for of in (promises["before"], promises["after"]))
    fitted = bench.fit()
    hears = bool(found) and float(np.mean([len(e.hearings) > 1 for e in found])) >= _HEARD
    Decider(fitted.ranker, fitted.risk, before, after, hears).save(folder)
    for locale, of in wording.items():
        of.save(folder / "wording" / locale)
    return {f"online {mode}: {name}": value for mode, of in promises.items() for name, value in _told(of[0]).items()}


def _promises(bench: Bench, min_users: int, budget: Trigger) -> dict[str, list[bars.Promise]]:
    """Hold out one fold after the other, and find the bars for what is applied and for what is suggested in each mode.

    Of the healthy texts only those of enough users are looked at: many a text that one user said once, and that seemed to work,
    was misunderstood. They stand for the others.
    """
    before: list[Outcome | None] = []
    after: list[Outcome | None] = []
    clean = healthy = 0
    for fold in range(FOLDS):
        fitted = bench.fit(without=fold)
        for case in (c for c in bench.cases if c.fold == fold and c.example.goals and not c.example.served):
            healthy += case.example.healthy
            if not case.example.healthy or case.example.users >= min_users:
                clean += case.example.healthy
                before.append(bench.before(case, fitted))
                after.append(bench.after(case, fitted))
    refused = _evidence(after)
    noise = bars.label_noise(refused, budget.max_loss_share)
    spoken = replace(_evidence(before), healthy=clean, unheard=healthy / max(clean, 1))
    shares = (budget.max_loss_share, budget.max_broken), (budget.suggest_loss_share, 1.0)
    return {
        mode: [bars.lowest(of, loss_share=loss, broken_share=broken, noise=noise) for loss, broken in shares]
        for mode, of in (("before", spoken), ("after", refused))
    }


def _evidence(outcomes: Iterable[Outcome | None]) -> bars.Evidence:
    rows = [outcome for outcome in outcomes if outcome is not None]
    score, win, loss, broken = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return bars.Evidence(score, win, loss, broken)


def _told(promise: bars.Promise) -> dict[str, float]:
    return {
        "held-out wins": promise.win,
        "held-out losses": promise.loss,
        "win/loss": promise.ratio,
        "win/loss, low": promise.low,
    }
