"""`fit`: fits the online layer: wording, ranker, risk, and the thresholds that keep the budget of losses on held-out texts.

`defect_counts` counts defects by text and user, by the defect model or else by the counts of mining.
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
from rewriter.offline.rules.assess import GlobalRules
from rewriter.offline.rules.votes import Votes

_MIN_SCORE_BEFORE = 0.65  # P(win) below which nothing is applied before the NLU, where the request may be fine as it is
_TRUE_LOSSES = 0.1  # of the budget: true losses that are assumed among the best scores; other losses there are label noise
_NOISE_BEFORE, _NOISE_AFTER = 0.5, 0.25  # quantile of the label noise: lower after a refusal, where no least score protects
_MIN_SCORE_SUGGESTED = 0.3  # P(win) below which nothing is suggested
_MIN_NBEST = 0.05  # share of texts with other hearings from which on the worth of other hearings is known


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

    Everything in the files rests on k users or more, k = `config.launch.min_users`: names and counts come from texts of k users,
    and the ranker and the risk are fitted on such texts and on averages over k users. The thresholds, two numbers for each mode,
    are found on all texts. Texts of few users matter most there, because the layer will mostly meet such texts.

    Args:
        mined: the mined tables.
        global_rules: its launched rules answer before the online layer does.
        votes: of each user's turns on what was meant.
        query_index: what `rewriter.offline.fit.query_index.build_query_index` wrote into the folder.
        known: counts of turns and defects of all texts.
        turns: Parquet of `tables.TURNS`.
        config: uses its sections launch and trigger.
        folder: where the files go.
        doubted: withdrawn slice of the layer (`rewriter.model.layer_slices`) -> the day since which it is in doubt.

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
    hears = bool(found) and float(np.mean([len(e.hearings) > 1 for e in found])) >= _MIN_NBEST
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
    """Hold out one fold after the other, and find two thresholds for each mode: to apply a rewrite, and to suggest it.

    For a withdrawn slice they are found again on the texts that were first said since it came into doubt.
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
        "before": partial(_thresholds, before, budget, _MIN_SCORE_BEFORE, _NOISE_BEFORE),
        "after": partial(_thresholds, after, budget, 0.0, _NOISE_AFTER),
    }
    since = {part: modes[SLICES[part].mode](since=day) for part, day in doubted.items() if SLICES[part].method == "online"}
    return {mode: found(since=0) for mode, found in modes.items()} | since


def _thresholds(
    outcomes: Iterable[tuple[int, Outcome]], budget: Trigger, least: float, quantile: float, *, since: int
) -> list[Promise]:
    rows = [outcome for day, outcome in outcomes if day >= since]
    held_out = thresholds.HeldOut(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)
    noise = thresholds.label_noise(held_out, less=_TRUE_LOSSES * budget.max_loss_share, quantile=quantile)
    return [
        thresholds.lowest(held_out, loss_share=budget.max_loss_share, noise=noise, least=least),
        thresholds.lowest(held_out, loss_share=budget.suggest_loss_share, noise=noise, least=_MIN_SCORE_SUGGESTED),
    ]


_MILLION = 1_000_000  # P(defect) in whole millionths, because integers add up to the same sum in every order

_BY_MODEL = "SELECT said, user_no, 1 AS turns, bad FROM defects WHERE rewritten = 0"
_BY_MINING = "SELECT said, user_no, turns, 1000 * (1000 * turns - success) AS bad FROM counts WHERE rewritten = 0"
_SUMMED = """
SELECT t.text, s.user_no, CAST(SUM(s.turns) AS DOUBLE) AS turns, CAST(SUM(s.bad) AS DOUBLE) AS bad
FROM ({}) AS s JOIN texts AS t ON t.id = s.said
GROUP BY t.text, s.user_no
ORDER BY t.text, s.user_no
"""


def defect_counts(mined: Mined, pair: PairDetector | None, min_users: int) -> WordRisk:
    """Count turns and defects by text and user, less turns that were rewritten.

    The defect model gives P(defect) of each recent turn. Without one, the counts of mining are used: what is not success there is
    friction or was restated.

    Args:
        mined: its tables counts and texts are read.
        pair: the detector, for its turns and their P(defect); None if nothing was learned.
        min_users: k, distinct users that a text or word must have to be in a `Risk`.
    """
    with connect(**mined.named("counts", "texts")) as con:
        if pair is not None:
            columns = {name: pair.turns[name] for name in ("said", "user_no", "rewritten")}
            con.register("defects", pd.DataFrame(columns | {"bad": np.rint(pair.defect * _MILLION).astype(np.int64)}))
        found = con.execute(_SUMMED.format(_BY_MINING if pair is None else _BY_MODEL)).fetchnumpy()
    return WordRisk(found["text"], found["user_no"], found["bad"] / _MILLION, found["turns"], min_users)
