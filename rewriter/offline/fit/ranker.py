"""Fitting the online layer: wording, ranker, risk, and the thresholds that held-out evidence can promise.

`defect_counts`: what a log knows of how the turns of each text went: by the teacher, or else by the books of mining.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.codes import RuleVerdict
from rewriter.config import Config, Trigger
from rewriter.detect.rephrase import PairDetector
from rewriter.detect.word_risk import WordRisk
from rewriter.engines.duckdb import connect
from rewriter.model.decider import Decider, Threshold
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.model.retrieve import Retriever
from rewriter.offline.fit import thresholds
from rewriter.offline.fit.cross_validation import FOLDS, CrossValidation, Outcome
from rewriter.offline.fit.examples import UserVotes, Wordings, labelled_texts
from rewriter.offline.fit.query_index import QueryIndex
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules.launch import GlobalRules
from rewriter.offline.rules.votes import Votes

_LIKELY = 0.65  # P(win) below which nothing is applied to a request that may be fine as it is
_EXCUSED = 0.1  # of the budget: what the surest rewrites are taken to lose in truth; the rest of their losses is label noise
_MIDDLE, _LOWER = 0.5, 0.25  # quantiles of the noise: before the NLU `_LIKELY` holds too; after a refusal few texts excuse little
_WORTH_ASKING = 0.3  # P(win) below which nothing is suggested
_HEARD = 0.05  # share of examples with other hearings from which on their worth is known


def fit(
    mined: Mined,
    global_rules: GlobalRules,
    votes: Votes,
    query_index: QueryIndex,
    known: WordRisk,
    turns: Path,
    config: Config,
    folder: Path,
    doubted: Mapping[str, int],
) -> dict[str, Promise]:
    """Fit the online layer and write it.

    Whatever is shared rests on texts of at least `config.launch.min_users` users: names and counts are such texts, and the ranker
    and the risk are fitted on such texts and on averages over as many users. The thresholds are two numbers for each mode; they
    are counted on all texts, those of few users above all, because those are what the layer will meet.

    Args:
        mined: the mined tables.
        global_rules: what all users together say; its launched rules answer before the online layer does.
        votes: what each user's turns say was meant.
        query_index: what `rewriter.offline.fit.query_index.stock` wrote into the folder.
        known: how the turns of all texts went.
        turns: Parquet of `tables.TURNS`.
        config: its sections launch and trigger are used.
        folder: where the files go.
        doubted: withdrawn slice of the layer (`rewriter.model.layer_slices`) -> the day since when it was in doubt.

    Returns:
        What the held-out evidence promises of each slice that the ranker fills, by name.
    """
    k = config.launch.min_users
    wordings = Wordings(query_index.good[query_index.spoken])
    rules = global_rules.rules[global_rules.rules["verdict"] == RuleVerdict.LAUNCHED]
    served = set(zip(rules["locale"], rules["source"], strict=True))
    user_votes = UserVotes(mined, votes, query_index.good, query_index.own)
    found = labelled_texts(query_index.texts, user_votes, served, turns, config.seed)
    cross_validation = CrossValidation(found, Retriever.open(folder), wordings, k, user_votes.p_unseen_goal, known)
    promises = _promises(cross_validation, config.trigger, doubted)
    before, after = (Threshold(of[0].threshold, of[1].threshold) for of in (promises["before"], promises["after"]))
    fitted = cross_validation.fit()
    hears = bool(found) and float(np.mean([len(e.hearings) > 1 for e in found])) >= _HEARD
    Decider(fitted.ranker, fitted.risk, before, after, hears).save(folder)
    for locale, of in wordings.all.items():
        of.save(folder / "wording" / locale)
    applied = {mode: of[0] for mode, of in promises.items()}
    return {
        name: replace(applied[of.mode], threshold_since=applied[name].threshold if name in applied else None)
        for name, of in SLICES.items()
        if of.method == "online"
    }


def _promises(cross_validation: CrossValidation, budget: Trigger, doubted: Mapping[str, int]) -> dict[str, list[Promise]]:
    """Hold out one fold after the other, and find the thresholds for what is applied and for what is suggested in each mode.

    For a withdrawn part they are found once more, on the texts that were first heard since it was in doubt.
    """
    before: list[tuple[int, Outcome]] = []
    after: list[tuple[int, Outcome]] = []
    for fold in range(FOLDS):
        fitted = cross_validation.fit(without=fold)
        for case in (c for c in cross_validation.cases if c.fold == fold and c.text.goals and not c.text.served):
            for outcomes, outcome in (
                (before, cross_validation.before(case, fitted)),
                (after, cross_validation.after(case, fitted)),
            ):
                if outcome is not None:
                    outcomes.append((case.text.first_day, outcome))
    modes = {
        "before": partial(_thresholds, before, budget, _LIKELY, _MIDDLE),
        "after": partial(_thresholds, after, budget, 0.0, _LOWER),
    }
    since = {part: modes[SLICES[part].mode](since=day) for part, day in doubted.items() if SLICES[part].method == "online"}
    return {mode: found(since=0) for mode, found in modes.items()} | since


def _thresholds(
    outcomes: Iterable[tuple[int, Outcome]], budget: Trigger, least: float, quantile: float, *, since: int
) -> list[Promise]:
    rows = [outcome for day, outcome in outcomes if day >= since]
    evidence = thresholds.Evidence(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)
    noise = thresholds.label_noise(evidence, less=_EXCUSED * budget.max_loss_share, quantile=quantile)
    return [
        thresholds.lowest(evidence, loss_share=budget.max_loss_share, noise=noise, least=least),
        thresholds.lowest(evidence, loss_share=budget.suggest_loss_share, noise=noise, least=_WORTH_ASKING),
    ]


_MILLION = 1_000_000  # whole numbers add up to the same in every order

_TAUGHT = "SELECT said, user_no, 1 AS turns, bad FROM taught WHERE rewritten = 0"
_BOOKS = "SELECT said, user_no, turns, 1000 * (1000 * turns - success) AS bad FROM counts WHERE rewritten = 0"
_SUMMED = """
SELECT t.text, s.user_no, CAST(SUM(s.turns) AS DOUBLE) AS turns, CAST(SUM(s.bad) AS DOUBLE) AS bad
FROM ({}) AS s JOIN texts AS t ON t.id = s.said
GROUP BY t.text, s.user_no
ORDER BY t.text, s.user_no
"""


def defect_counts(mined: Mined, pair: PairDetector | None, min_users: int) -> WordRisk:
    """Count turns and defects by text and user, as far as the words were sent as they were spoken.

    The teacher says how likely each recent turn went wrong. Where there is none, the books of mining say of all turns how much
    of them was success; the rest is friction or was restated.

    Args:
        mined: its tables counts and texts are read.
        pair: holds recent turns and what the teacher says of them; None where there is no teacher.
        min_users: k, users of any text or word that is told of.
    """
    with connect(**mined.named("counts", "texts")) as con:
        if pair is not None:
            columns = {name: pair.turns[name] for name in ("said", "user_no", "rewritten")}
            con.register("taught", pd.DataFrame(columns | {"bad": np.rint(pair.defect * _MILLION).astype(np.int64)}))
        found = con.execute(_SUMMED.format(_BOOKS if pair is None else _TAUGHT)).fetchnumpy()
    return WordRisk(found["text"], found["user_no"], found["bad"] / _MILLION, found["turns"], min_users)
