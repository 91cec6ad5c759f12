"""`CrossValidation`: fits the ranker and the risk on some labelled texts, and computes the outcomes of the others.

A case treats a labelled text as if it had never been heard. Folds are by goal, so that no model is judged on a goal that it
learned.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from rewriter.arrays import Bools, Floats
from rewriter.detect.word_risk import WordRisk
from rewriter.guardrail import DEFAULT, Guardrails
from rewriter.model.decider import choose, may
from rewriter.model.features import RANK, RISK, Look, look, risk
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic, fit_logistic
from rewriter.model.retrieve import MEASURED, Finder, Pool
from rewriter.model.risk import Risk
from rewriter.offline.fit.drafts import Draft, averaged, draft_all
from rewriter.offline.fit.examples import LabelledText, Wordings
from rewriter.text import text_draw

FOLDS: Final = 3
"""Number of folds of the goals. Each fold is judged by models that were fitted on the other folds."""
_PRIOR_NEW_GOALS = 5, 20
"""Prior counts: of 20 new healthy texts, 5 ask for a new goal. They are added to the counts of the log."""
_WORD_RISK_SHARE = 0.25  # share of word risk in the label of a text; the rest is the verdict of the log
_MAX_USERS = 5  # at most so many users of one text count in its weight
_PENALTY = 100.0
"""Ridge penalty. It is large because many rows are restatements of few goals, and count for less than independent rows."""
_PULL = 0.1  # prior weight of a ranker column whose direction is known
_NEVER = -30.0  # log-odds of a model that was fitted on nothing


@dataclass(frozen=True, slots=True)
class Case:
    """A labelled text with its candidates, as if the text had never been heard.

    Each text gives two cases. In one, other texts ask for its goal; in the other, nobody has ever asked for its goal.

    Attributes:
        text: the labelled text.
        seen: its m candidates. Its own text is not among them. If its goal is new, no text of its goals is among them either.
        win: (m,) P(the candidate is meant | the text fails), by the votes of the log.
        loss: (m,) P(it is not meant | the text fails). Win and loss add up to less than 1 if votes may be stray.
        wording: of the locale; without the goal if the goal is new.
        risk: of the words of the text, by other texts; by other goals if its own is new.
        own: 1 if the wording has counted the text, else 0.
        fold: the fold in which the case is held out; all texts of one goal share it.
        weight: of the text, times P(the goal of a new text is known, or new).
    """

    text: LabelledText
    seen: Look
    win: Floats
    loss: Floats
    wording: Wording
    risk: Risk
    own: int
    fold: int
    weight: float

    @property
    def p_restated(self) -> float:
        """P(what the text was restated by is what was meant), by the votes of the log."""
        return float(self.win[0] + self.loss[0])


@dataclass(frozen=True, slots=True)
class Fitted:
    """The ranker, of the columns `RANK`, and the risk of a request as spoken, of the columns `RISK`."""

    ranker: Logistic
    risk: Logistic


class Outcome(NamedTuple):
    """The outcome of a held-out case: the score of its rewrite, and its expected wins, losses and ties times its weight.

    `best` is the position of the rewrite among the candidates of the case.
    """

    score: float
    win: float
    loss: float
    tie: float = 0.0
    best: int = 0

    def times(self, factor: float) -> "Outcome":
        """Return the same outcome with another weight."""
        return self._replace(win=factor * self.win, loss=factor * self.loss, tie=factor * self.tie)


class _Decision(NamedTuple):
    """The decision on a case before the NLU: the columns `RISK`, the candidate or None, and P(it is meant)."""

    columns: Floats
    best: int | None
    p_meant: float


class CrossValidation:
    """The cases of one log.

    Args:
        texts: the labelled texts.
        finder: finds their candidates.
        wordings: of all locales.
        min_users: k, the number of users that every row of a fit rests on.
        p_unseen_goal: P(nobody has asked for the goal | the text fails), see `UserVotes`.
        p_new_goal: share of the log's newest texts that ask for a new goal, see `new_goal_share`. No text gets a smaller P.
        word_risk: counts of turns and defects of all texts.
        guardrails: of the deployment.
    """

    def __init__(
        self,
        texts: Sequence[LabelledText],
        finder: Finder,
        wordings: Wordings,
        min_users: int,
        p_unseen_goal: float,
        word_risk: WordRisk,
        p_new_goal: float = 0.0,
        guardrails: Guardrails = DEFAULT,
    ) -> None:
        self._guardrails = guardrails, guardrails.held_out()
        self._wordings = wordings
        self._word_risk = word_risk
        self._risk_without = cache(word_risk.without)
        self._min_users = min_users
        self._allowed: dict[tuple[int, int, bool], bool] = {}
        self._user_no = {user: number for number, user in enumerate(dict.fromkeys(text.user for text in texts))}
        self._texts_of_goal = _texts_of_goal(texts, wordings)
        by_health = {False: p_unseen_goal, True: _p_new_goal(texts, wordings, min_users)}
        self._p_new_goal = {healthy: max(p, p_new_goal) for healthy, p in by_health.items()}
        drafts = draft_all([text for text in texts if text.locale in wordings.all], finder)
        cases = (self._new_goal(draft) if new else self._known_goal(draft) for draft in drafts for new in (False, True))
        self.cases = [case for case in cases if case is not None]

    def fit(self, without: int = -1) -> Fitted:
        """Fit on all folds but one. Rows of fewer than k users are averaged over k users (`averaged`)."""
        kept = [case for case in self.cases if case.fold != without]
        ranker = self._fit_ranker([case for case in kept if case.text.goals and not case.text.healthy])
        kept = [case for case in kept if not case.text.served]
        columns = np.array([self._decide(case, ranker).columns for case in kept]).reshape(-1, len(RISK))
        fails = np.array([self._p_fails(case.text) for case in kept], dtype=np.float64)
        weight, users = np.array([case.weight for case in kept]), np.array([self._user(case) for case in kept], dtype=np.int64)
        rows = averaged(columns, fails, weight, users, self._min_users)
        return Fitted(ranker, fit_logistic(*rows, penalty=_PENALTY) if len(rows[0]) else _never(len(RISK)))

    def before(self, case: Case, fitted: Fitted) -> Outcome | None:
        """Return the outcome of a case before the NLU; None if nothing would be sent."""
        columns, best, p_meant = self._decide(case, fitted.ranker)
        if best is None:
            return None
        score = p_meant * float(fitted.risk.p(columns[None])[0])
        win, loss = case.weight * float(case.win[best]), case.weight * float(case.loss[best])
        if case.text.healthy:
            return Outcome(score, 0.0, loss, best=best)
        honest = case.text.honest
        return Outcome(score, win, honest * loss, (1 - honest) * loss, best)

    def after(self, case: Case, fitted: Fitted) -> Outcome | None:
        """Return the outcome of a case after a refusal; None if nothing would be sent."""
        p = fitted.ranker.p(case.seen.features)
        best = choose(p.tolist(), lambda i: self._may(case, i, after_failure=True))
        if best is None or case.text.healthy:
            return None
        honest = case.weight * case.text.honest
        return Outcome(float(p[best]), honest * float(case.win[best]), honest * float(case.loss[best]), best=best)

    def _known_goal(self, draft: Draft) -> Case | None:
        """Return the case in which other texts ask for the goal; None if nothing is found."""
        text, wording = draft.text, self._wordings.all[draft.text.locale]
        other = _other_texts(draft)
        risk_of_words = self._risk_without(frozenset({text.hearings[0]}))
        share = 1.0 - self._p_new_goal[text.healthy] if text.goals else 1.0
        return _case(draft, other, wording, risk_of_words, own=int(not other.all()), share=share)

    def _new_goal(self, draft: Draft) -> Case | None:
        """Return the case in which nobody has ever asked for the goal; None if there is no goal, or nothing is found."""
        text = draft.text
        if not text.goals:
            return None
        other = _other_texts(draft) & ~np.isin(draft.pool.interpretations, list(text.goals))
        main = max(text.goals, key=lambda goal: text.goals[goal])
        risk_of_words = self._risk_without(frozenset({text.hearings[0]}) | self._texts_of_goal[text.locale, main])
        wording = self._wordings.without(text.locale, main)
        return _case(draft, other, wording, risk_of_words, own=0, share=self._p_new_goal[text.healthy])

    def _fit_ranker(self, cases: Sequence[Case]) -> Logistic:
        allowed = [~c.seen.pool.private & [self._may(c, i, after_failure=True) for i in range(len(c.seen.pool))] for c in cases]
        pairs = list(zip(cases, allowed, strict=True))
        if not any(of.any() for of in allowed):
            return _never(len(RANK))
        columns = np.concatenate([c.seen.features[of] for c, of in pairs])
        win, loss = (np.concatenate([getattr(c, name)[of] for c, of in pairs]) for name in ("win", "loss"))
        weight = np.concatenate([np.full(of.sum(), c.weight * min(c.text.users, _MAX_USERS)) for c, of in pairs])
        users = np.concatenate([np.full(of.sum(), self._user(c)) for c, of in pairs])
        decided = win + loss
        rows = averaged(columns, win / np.maximum(decided, 1e-9), weight * decided, users, self._min_users)
        if not len(rows[0]):
            return _never(len(RANK))
        return fit_logistic(*rows, penalty=_PENALTY, signs=list(RANK.values()), pull=_PULL)

    def _p_fails(self, text: LabelledText) -> float:
        """Return the label P(a text fails) of the risk: the verdict of the log, mixed with the share of defects of its turns."""
        verdict = float(not text.healthy)
        p = self._word_risk.p(text.hearings[0])
        return verdict if p is None else (1 - _WORD_RISK_SHARE) * verdict + _WORD_RISK_SHARE * p

    def _user(self, case: Case) -> int:
        """Return the number of the user of a case; -1 if k users say its text."""
        return -1 if case.text.users >= self._min_users else self._user_no[case.text.user]

    def _decide(self, case: Case, ranker: Logistic) -> _Decision:
        p = ranker.p(case.seen.features)
        best = choose(p.tolist(), lambda i: self._may(case, i, after_failure=False))
        looked_at = int(p.argmax()) if best is None else best
        p_meant = float(p[looked_at])
        return _Decision(risk(case.seen, looked_at, p_meant, case.wording, case.risk, own=case.own), best, p_meant)

    def _may(self, case: Case, i: int, *, after_failure: bool) -> bool:
        """Ask the guardrail, once for each candidate and mode."""
        key = (id(case), i, after_failure)
        if key not in self._allowed:
            guardrail, text = self._guardrails[case.own].of(case.text.locale), case.seen.pool.texts[i]
            self._allowed[key] = may(case.seen.hearings, text, guardrail, case.wording, after_failure=after_failure)
        return self._allowed[key]


def _case(draft: Draft, kept: Bools, wording: Wording, risk_of_words: Risk, *, own: int, share: float) -> Case | None:
    """Return a case with some of the candidates of a draft; None if none is left."""
    text = draft.text
    seen = look(draft.hearings, draft.pool.keep(np.flatnonzero(kept)[:MEASURED]), wording, text.locale)
    if not len(seen.pool):
        return None
    win, loss = _wins_and_losses(draft, seen.pool)
    fold = int(text_draw("fold", (text.named or str(text.main)) if text.main >= 0 else text.hearings[0]) * FOLDS)
    return Case(text, seen, win, loss, wording, risk_of_words, own, fold, text.weight * share)


def _wins_and_losses(draft: Draft, pool: Pool) -> tuple[Floats, Floats]:
    """Return P(meant) and P(something else is meant) of each candidate, by the votes that are real, (m,) each."""
    real = dict(zip(draft.text.goals, draft.p_real, strict=True))
    win = np.array([real.get(goal, 0.0) for goal in pool.interpretations.tolist()], dtype=np.float64)
    return win, np.maximum(sum(real.values()) - win, 0.0)


def _other_texts(draft: Draft) -> Bools:
    """Return which candidates are not the text itself, (m,)."""
    return np.array([candidate != draft.text.hearings[0] for candidate in draft.pool.texts], dtype=bool)


def _p_new_goal(texts: Sequence[LabelledText], wordings: Wordings, min_users: int) -> float:
    """Return P(nobody has asked for the goal | nobody has said the text), of healthy requests.

    New texts resemble the texts of few users. So P is estimated by the share of those whose goal no text of k users asks for.
    """
    rare = [text for text in texts if text.healthy and text.users < min_users]
    new = sum(not wordings.heard(text.locale, next(iter(text.goals))) for text in rare)
    return (new + _PRIOR_NEW_GOALS[0]) / (len(rare) + _PRIOR_NEW_GOALS[1])


def _texts_of_goal(texts: Sequence[LabelledText], wordings: Wordings) -> dict[tuple[str, int], set[str]]:
    """Return the texts that ask for each goal, by locale and goal, healthy and failing ones."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set, {key: set(of) for key, of in wordings.texts.items()})
    for text in texts:
        if text.main >= 0:
            found[text.locale, text.main].add(text.hearings[0])
    return found


def _never(columns: int) -> Logistic:
    """Return a model whose P is 0."""
    return Logistic(np.zeros(columns), _NEVER)
