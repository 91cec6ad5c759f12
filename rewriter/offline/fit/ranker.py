"""`fit`: fits the online layer: wording, ranker, risk, and the thresholds that keep the budget of losses on held-out texts.

`defect_counts` counts defects by text and user, by the defect model or else by the counts of mining.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.arrays import Ints
from rewriter.codes import RuleVerdict
from rewriter.config import Config, Trigger
from rewriter.detect.rephrase import PairDetector
from rewriter.detect.word_risk import WordRisk
from rewriter.engines import connect
from rewriter.guardrail import Guardrails
from rewriter.model.decider import Calibration, Decider, Threshold
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.model.retrieve import Retriever
from rewriter.offline.fit import thresholds
from rewriter.offline.fit.cross_validation import FOLDS, CrossValidation, Outcome
from rewriter.offline.fit.examples import UserVotes, Wordings, labelled_texts, new_goal_share, vote_noise
from rewriter.offline.fit.query_index import QueryIndex
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules.assess import GlobalRules
from rewriter.offline.rules.votes import Votes

_TRUE_LOSSES = 0.1  # of the budget: true losses that are assumed among the best scores; other losses there are label noise
_NOISE = {"before": 0.5, "after": 0.25}  # quantile of the label noise: lower after a refusal, where the floor is lower
_LABELS = {"before": 2, "after": 1}
"""Labels of a held-out text that may be wrong: what was meant, and before the NLU also whether the text fails as spoken."""
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
    guardrails: Guardrails,
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
        guardrails: of the deployment.

    Returns:
        What the held-out evidence promises of each slice that the ranker fills, by name.
    """
    k = config.launch.min_users
    wordings = Wordings(query_index.good[query_index.spoken])
    rules = global_rules.rules[global_rules.rules["verdict"] == RuleVerdict.LAUNCHED]
    served = set(zip(rules["locale"], rules["source"], strict=True))
    user_votes = UserVotes(mined, votes, query_index.good, query_index.own)
    found = labelled_texts(query_index.texts, user_votes, served, turns, config.seed)
    p_new_goal = new_goal_share(query_index.texts)
    cross_validation = CrossValidation(
        found, Retriever.open(folder), wordings, k, user_votes.p_unseen_goal, known, p_new_goal, guardrails
    )
    noise = {mode: 1 - (1 - vote_noise(found, quantile)) ** _LABELS[mode] for mode, quantile in _NOISE.items()}
    held_out = _held_out(cross_validation)
    modes = {mode: ModeEvidence.of(mode, outcomes, config.trigger, noise[mode]) for mode, outcomes in held_out.items()}
    promises = {mode: of.promise() for mode, of in modes.items()}
    promises |= {name: modes[SLICES[name].mode].promise(day) for name, day in doubted.items() if SLICES[name].method == "online"}
    before, after = (modes[mode].threshold() for mode in ("before", "after"))
    fitted = cross_validation.fit()
    hears = bool(found) and float(np.mean([len(e.hearings) > 1 for e in found])) >= _MIN_NBEST
    Decider(fitted.ranker, fitted.risk, before, after, hears).save(folder)
    for locale, of in wordings.all.items():
        of.save(folder / "wording" / locale)
    return {
        name: replace(promises[of.mode], threshold_since=promises[name].threshold if name in promises else None)
        for name, of in SLICES.items()
        if of.method == "online"
    }


@dataclass(frozen=True, slots=True)
class ModeEvidence:
    """The held-out evidence of one mode, ``before`` the NLU or ``after`` its refusal.

    Attributes:
        held_out: the texts, with calibrated scores.
        first_day: (n,) on which each was first said, days since 1970.
        calibration: of the scores.
        noise: share of wrong labels.
        min_p: P(success) below which nothing is sent.
        always_suggested: P(success) from which on everything is sent or suggested.
        budget: the settings.
    """

    held_out: thresholds.HeldOut
    first_day: Ints
    calibration: Calibration
    noise: float
    min_p: float
    always_suggested: float
    budget: Trigger

    @classmethod
    def of(cls, mode: str, outcomes: Sequence[tuple[int, Outcome]], budget: Trigger, most_noise: float) -> "ModeEvidence":
        """Calibrate the outcomes of one mode.

        Args:
            mode: ``before`` or ``after``.
            outcomes: (day on which the text was first said, outcome) of each held-out text.
            budget: the settings.
            most_noise: share of wrong labels that is excused at most. Without this bound, what a poor ranker loses among its
                best scores would be taken for wrong labels.
        """
        raw = thresholds.HeldOut(*np.array([outcome for _, outcome in outcomes], dtype=np.float64).reshape(-1, 4).T)
        found = thresholds.label_noise(raw, less=_TRUE_LOSSES * budget.max_loss_share, quantile=_NOISE[mode])
        noise = min(found, most_noise)
        calibration = thresholds.calibrate(raw, noise=noise)
        days = np.array([day for day, _ in outcomes], dtype=np.int64)
        min_p, always = (budget.min_p_before, math.inf) if mode == "before" else (budget.min_p_after, budget.always_suggested)
        return cls(raw.calibrated(calibration), days, calibration, noise, min_p, always, budget)

    def promise(self, since: int = 0) -> Promise:
        """Return the threshold to send a rewrite, by the texts that were first said on a day or later."""
        found = self.held_out.take(self.first_day >= since)
        share = self.budget.max_loss_share
        return thresholds.lowest(found, loss_share=share, noise=self.noise, least=self.min_p, calibrated=True)

    def threshold(self) -> Threshold:
        """Return the thresholds to send a rewrite and to suggest it."""
        share, least = self.budget.suggest_loss_share, self.budget.min_p_suggested
        suggest = thresholds.lowest(self.held_out, loss_share=share, noise=self.noise, least=least, calibrated=True).threshold
        return Threshold(self.promise().threshold, min(suggest, self.always_suggested), self.calibration)


def _held_out(cross_validation: CrossValidation) -> dict[str, list[tuple[int, Outcome]]]:
    """Hold out one fold after the other, and return by mode what would become of its texts, with their first days."""
    found: dict[str, list[tuple[int, Outcome]]] = {"before": [], "after": []}
    for fold in range(FOLDS):
        fitted = cross_validation.fit(without=fold)
        for case in (c for c in cross_validation.cases if c.fold == fold and c.text.goals and not c.text.served):
            judged = {"before": cross_validation.before(case, fitted), "after": cross_validation.after(case, fitted)}
            for mode, outcome in judged.items():
                if outcome is not None:
                    found[mode].append((case.text.first_day, outcome))
    return found


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
