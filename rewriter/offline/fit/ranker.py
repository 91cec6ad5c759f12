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
from rewriter.model.prior import PoolPrior
from rewriter.model.retrieve import Retriever
from rewriter.offline.fit import thresholds
from rewriter.offline.fit.cross_validation import FOLDS, Case, CrossValidation, Outcome
from rewriter.offline.fit.examples import UserVotes, Wordings, labelled_texts, new_goal_share, spoken_by, vote_noise
from rewriter.offline.fit.query_index import QueryIndex
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules.assess import GlobalRules
from rewriter.offline.rules.votes import Votes

_TRUE_LOSSES = 0.1  # share of the budget that counts as true losses among the best scores; other losses there are label noise
_NOISE = {"before": 0.5, "after": 0.25}
"""Quantile of the label noise that is used, by mode. It is lower after a refusal, where the least P(success) is lower."""
_LABELS = {"before": 2, "after": 1}
"""Number of labels of a held-out text that may be wrong: what was meant, and before the NLU also whether the text fails."""
_MIN_NBEST = 0.05  # least share of texts with other hearings for the models to learn from other hearings


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
    channel: str = "spoken",
) -> dict[str, Promise]:
    """Fit the online layer and write it.

    Where the held-out evidence of a mode is too small to set a threshold, the shipped prior sets it (`thresholds.by_prior`).

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
        channel: ``spoken`` or ``typed``: how requests reach the assistant.

    Returns:
        What the held-out evidence promises of each slice that the ranker fills, by name.
    """
    k = config.launch.min_users
    wordings = Wordings(query_index.good[query_index.spoken])
    rules = global_rules.rules[global_rules.rules["verdict"] == RuleVerdict.LAUNCHED]
    served = set(zip(rules["locale"], rules["source"], strict=True))
    user_votes = UserVotes(mined, votes, query_index.good, query_index.own, k)
    found = labelled_texts(query_index.texts, user_votes, served, turns, config.seed, k)
    p_new_goal = new_goal_share(query_index.texts, spoken_by(mined, query_index.texts), k)
    retriever = Retriever.open(folder)
    cross_validation = CrossValidation(found, retriever, wordings, k, user_votes.p_unseen_goal, known, p_new_goal, guardrails)
    prior = PoolPrior.load(channel, guardrails.contrasts, retriever.user_view.book.n_goals)
    wrong = {mode: vote_noise(found, quantile, all_sure=mode == "before") for mode, quantile in _NOISE.items()}
    noise = {mode: 1 - (1 - share) ** _LABELS[mode] for mode, share in wrong.items()}
    judged = held_out(cross_validation)
    modes = {
        mode: ModeEvidence.of(mode, of, config.trigger, noise[mode]).with_prior(mode, of, prior) for mode, of in judged.items()
    }
    promises = {mode: of.promise() for mode, of in modes.items()}
    promises |= {
        name: modes[SLICES[name].mode].promise_since(day) for name, day in doubted.items() if SLICES[name].method == "online"
    }
    before, after = (modes[mode].threshold() for mode in ("before", "after"))
    fitted = cross_validation.fit()
    hears = bool(found) and float(np.mean([len(e.hearings) > 1 for e in found])) >= _MIN_NBEST
    Decider(fitted.ranker, fitted.risk, before, after, hears, channel).save(folder)
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
        calibration: of the scores; where the prior stands in, of those on which it agrees.
        noise: share of wrong labels.
        min_p: least P(success) of what is sent.
        always_suggested: from this P(success) on, everything is sent or suggested.
        budget: the settings.
        most_noise: largest share of wrong labels that is assumed.
        by_prior: the promise of the shipped prior, if these texts are too few for a promise; else None.
    """

    held_out: thresholds.HeldOut
    first_day: Ints
    calibration: Calibration
    noise: float
    min_p: float
    always_suggested: float
    budget: Trigger
    most_noise: float = 0.0
    by_prior: Promise | None = None

    @classmethod
    def of(cls, mode: str, outcomes: Sequence[tuple[Case, Outcome]], budget: Trigger, most_noise: float) -> "ModeEvidence":
        """Calibrate the outcomes of one mode.

        Args:
            mode: ``before`` or ``after``.
            outcomes: of each held-out case.
            budget: the settings.
            most_noise: largest share of wrong labels that is assumed. Without this bound, the losses of a poor ranker among its
                best scores would be taken for wrong labels.
        """
        raw = _columns(outcomes)
        found = thresholds.label_noise(raw, less=_TRUE_LOSSES * budget.max_loss_share, quantile=_NOISE[mode])
        noise = min(found, most_noise)
        calibration = thresholds.calibrate(raw, noise=noise)
        days = np.array([case.text.first_day for case, _ in outcomes], dtype=np.int64)
        min_p, always = (budget.min_p_before, math.inf) if mode == "before" else (budget.min_p_after, budget.always_suggested)
        return cls(raw.calibrated(calibration), days, calibration, noise, min_p, always, budget, most_noise)

    def with_prior(self, mode: str, outcomes: Sequence[tuple[Case, Outcome]], prior: PoolPrior) -> "ModeEvidence":
        """Return this evidence with the promise of the shipped prior, if the evidence alone allows no promise.

        Args:
            mode: ``before`` or ``after``.
            outcomes: of each held-out case, as in `of`.
            prior: for this log.
        """
        if self.promise_since(0).keeps_budget():
            return self
        asked = ((case.seen, case.wording, case.text.locale, outcome.best) for case, outcome in outcomes)
        p = [prior.p(seen.hearings[0], seen.pool, wording, locale)[best] for seen, wording, locale, best in asked]
        found, calibration = thresholds.by_prior(
            _columns(outcomes),
            np.array(p, dtype=np.float64),
            loss_share=self.budget.max_loss_share,
            least=self.min_p,
            noise=self.noise if mode == "before" else self.most_noise,
            factors=_LABELS[mode],
        )
        return replace(self, by_prior=found, calibration=calibration) if found.keeps_budget() else self

    def promise(self) -> Promise:
        """Return the threshold to send a rewrite, by all these texts or else by the shipped prior."""
        return self.by_prior or self.promise_since(0)

    def promise_since(self, day: int) -> Promise:
        """Return the threshold to send a rewrite, by the texts that were first said on this day or later."""
        found = self.held_out.take(self.first_day >= day)
        share = self.budget.max_loss_share
        return thresholds.lowest(found, loss_share=share, noise=self.noise, least=self.min_p, calibrated=True)

    def threshold(self) -> Threshold:
        """Return the thresholds to send a rewrite and to suggest it."""
        share, least = self.budget.suggest_loss_share, self.budget.min_p_suggested
        suggest = thresholds.lowest(self.held_out, loss_share=share, noise=self.noise, least=least, calibrated=True).threshold
        suggest, promise = min(suggest, self.always_suggested), self.promise()
        return Threshold(promise.threshold, suggest, self.calibration, promise.least_prior)


def _columns(outcomes: Sequence[tuple[Case, Outcome]]) -> thresholds.HeldOut:
    """Return outcomes as columns, with uncalibrated scores."""
    rows = [(of.score, of.win, of.loss, of.tie) for _, of in outcomes]
    return thresholds.HeldOut(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def held_out(cross_validation: CrossValidation) -> dict[str, list[tuple[Case, Outcome]]]:
    """Hold out one fold after the other, and return by mode the held-out cases with their outcomes.

    Before the NLU failing texts together count as if it were sure what each was restated by. Else the healthy texts, which can
    only be lost, would have more weight than they have in the log.
    """
    found: dict[str, list[tuple[Case, Outcome]]] = {"before": [], "after": []}
    judged = [case for case in cross_validation.cases if case.text.goals and not case.text.served]
    failing = [case for case in judged if not case.text.healthy]
    sure = sum(case.weight * case.p_restated for case in failing)
    more = sum(case.weight for case in failing) / sure if sure > 0 else 1.0
    for fold in range(FOLDS):
        fitted = cross_validation.fit(without=fold)
        for case in (c for c in judged if c.fold == fold):
            before, after = cross_validation.before(case, fitted), cross_validation.after(case, fitted)
            if before is not None:
                found["before"].append((case, before if case.text.healthy else before.times(more)))
            if after is not None:
                found["after"].append((case, after))
    return found


_MILLION = 1_000_000  # P(defect) in whole millionths, because integers add up to the same sum in every order

_BY_MODEL = "SELECT text, user_no, 1 AS turns, bad FROM defects WHERE rewritten = 0"
_BY_MINING = """
SELECT t.text, c.user_no, c.turns, 1000 * (1000 * c.turns - c.success) AS bad
FROM counts AS c JOIN texts AS t ON t.id = c.said WHERE c.rewritten = 0
"""
_SUMMED = """
SELECT s.text, s.user_no, CAST(SUM(s.turns) AS DOUBLE) AS turns, CAST(SUM(s.bad) AS DOUBLE) AS bad
FROM ({}) AS s ANTI JOIN left_out AS o ON o.user_no = s.user_no
GROUP BY s.text, s.user_no
ORDER BY s.text, s.user_no
"""


def defect_counts(mined: Mined, pair: PairDetector | None, min_users: int) -> WordRisk:
    """Count turns and defects by text and user, less turns that were rewritten.

    The defect model gives P(defect) of each recent turn that the detector learned from. Without one, the counts of mining are
    used: whatever is not success there had friction or was restated.

    Args:
        mined: its tables counts, texts and left_out are read.
        pair: the detector, for its turns and their P(defect); None if nothing was learned.
        min_users: k, distinct users that a text or word must have to be in a `Risk`.
    """
    with connect(**mined.named("counts", "texts", "left_out")) as con:
        if pair is not None:
            columns = {name: pair.turns[name] for name in ("user_no", "rewritten")}
            found = {"text": pair.turns.text[pair.turns["said"]], "bad": np.rint(pair.defect * _MILLION).astype(np.int64)}
            con.register("defects", pd.DataFrame(columns | found))
        found = con.execute(_SUMMED.format(_BY_MINING if pair is None else _BY_MODEL)).fetchnumpy()
    return WordRisk(found["text"], found["user_no"], found["bad"] / _MILLION, found["turns"], min_users)
