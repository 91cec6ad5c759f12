"""`Bench`: examples with their candidates, what is fitted on some of them, and what would become of the others."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.detect.hindsight import Hindsight
from rewriter.guardrail import Guardrail
from rewriter.model.decider import choose, may
from rewriter.model.features import RANK, RISK, Look, look, risk
from rewriter.model.logistic import Logistic
from rewriter.model.pool import MEASURED, Finder, Pool
from rewriter.model.risk import Risk
from rewriter.model.wording import Wording
from rewriter.offline import logistic_fit
from rewriter.offline.crowds import averaged
from rewriter.offline.examples import Example
from rewriter.offline.stray import p_real
from rewriter.offline.wordings import Wordings

Floats = npt.NDArray[np.float64]

FOLDS = 3
_UNHEARD = 5, 20  # of so many texts that are new so many ask for what is new, before the log has its say
_DEAF = 0.25  # share of the examples that lose their other hearings, so that nothing hangs on them
_NOBODY = 0.25  # share of the examples whose user is taken for a stranger, so that nothing hangs on habits
_ASKED = 40  # candidates of an example, so that enough are left when its goals are taken away
_TAUGHT = 0.25  # what hindsight of its turns says in the label of a text, beside the verdict of the log
_CAP = 5  # users of one text that count
_RISK_SIGNS = [0] * len(RISK)


@dataclass(frozen=True, slots=True)
class Case:
    """An example with its candidates, as if its text had never been heard.

    Every example is a case twice: with its goal asked for by other texts, and as if nobody had ever asked for its goal.

    Attributes:
        example: the text.
        seen: its candidates; its own text and, where its goal is new, the texts of its goal are none.
        win: (m,) P(each candidate is meant | the text fails), as the votes of the log have it.
        loss: (m,) P(it is not); what is missing to one are votes that may be no votes at all.
        wording: of the locale; without the goal where that is new.
        student: how the words of the text fared in other texts, of other goals where its own is new.
        own: 1 where the wording has counted the text.
        fold: which part it is held out with; texts of one goal share it, and all who say a text.
        weight: of the example, times how likely it is that the goal is as new as that, if the text is new.
    """

    example: Example
    seen: Look
    win: Floats
    loss: Floats
    wording: Wording
    student: Risk
    own: int
    fold: int
    weight: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is fitted on some of the cases."""

    ranker: Logistic
    risk: Logistic


class Outcome(NamedTuple):
    """What would become of a held-out case: the score of its rewrite, and what is expected of it, times its weight."""

    score: float
    win: float
    loss: float


class Bench:
    """The cases of one log.

    Args:
        found: the examples.
        finder: finds what they may be rewritten to.
        wordings: of all locales.
        min_users: k, users behind whatever anything is fitted on.
        strange: P(nobody has asked for the goal | the text fails), see `Told`.
        hindsight: how the turns of all texts went.
    """

    def __init__(
        self,
        found: Sequence[Example],
        finder: Finder,
        wordings: Wordings,
        min_users: int,
        strange: float,
        hindsight: Hindsight,
    ) -> None:
        self._wordings = wordings
        self._hindsight = hindsight
        self._without = cache(hindsight.without)
        self._min_users = min_users
        self._allowed: dict[tuple[int, int, bool], bool] = {}
        numbers = {user: number for number, user in enumerate(dict.fromkeys(example.user for example in found))}
        self._number = numbers.__getitem__
        self._asking = _asking(found, wordings)
        drafts = [_draft(example, finder) for example in found if example.locale in wordings.all]
        self._new = {False: strange, True: _unheard(found, wordings, min_users)}
        cases = (self._case(*pair, new) for pair in zip(drafts, _real(drafts), strict=True) for new in (False, True))
        self.cases = [case for case in cases if case is not None]

    def fit(self, without: int = -1) -> Fitted:
        """Fit on all folds but one; texts of fewer than k users are averaged over k users (`crowds.averaged`)."""
        kept = [case for case in self.cases if case.fold != without]
        ranker = self._ranker([case for case in kept if case.example.goals and not case.example.healthy])
        kept = [case for case in kept if not case.example.served]
        columns = np.array([self._risk(case, ranker)[0] for case in kept]).reshape(-1, len(RISK))
        fails = np.array([self._fails(case.example) for case in kept], dtype=np.float64)
        weight, users = np.array([case.weight for case in kept]), np.array([self._user(case) for case in kept], dtype=np.int64)
        rows = averaged(columns, fails, weight, users, self._min_users)
        return Fitted(ranker, logistic_fit.fit(*rows, _RISK_SIGNS) if len(rows[0]) else _never(len(RISK)))

    def _fails(self, example: Example) -> float:
        """Return P(a text fails) that the risk learns: the verdict of the log, with some of what hindsight says of each turn."""
        verdict = float(not example.healthy)
        p = self._hindsight.p(example.hearings[0])
        return verdict if p is None else (1 - _TAUGHT) * verdict + _TAUGHT * p

    def before(self, case: Case, fitted: Fitted) -> Outcome | None:
        """Return what would become of a case before the NLU; None where nothing would be sent."""
        columns, best, p_goal = self._risk(case, fitted.ranker)
        if best is None:
            return None
        score = p_goal * float(fitted.risk.p(columns[None])[0])
        win, loss = case.weight * float(case.win[best]), case.weight * float(case.loss[best])
        return Outcome(score, 0.0, loss) if case.example.healthy else Outcome(score, win, case.example.honest * loss)

    def after(self, case: Case, fitted: Fitted) -> Outcome | None:
        """Return what would become of a case after a refusal; None where nothing would be sent."""
        p = fitted.ranker.p(case.seen.features)
        best = choose(p.tolist(), lambda i: self._may(case, i, after_failure=True))
        if best is None or case.example.healthy:
            return None
        honest = case.weight * case.example.honest
        return Outcome(float(p[best]), honest * float(case.win[best]), honest * float(case.loss[best]))

    def _case(self, draft: "_Draft", real: Sequence[float], new: bool) -> Case | None:
        example, pool, hearings = draft
        text, wording = example.hearings[0], self._wordings.all[example.locale]
        other = np.array([candidate != text for candidate in pool.texts], dtype=bool)
        own = int(not other.all())
        main = max(example.goals, key=lambda goal: example.goals[goal], default=-1)
        unheard = frozenset({text})
        if new:
            if not example.goals:
                return None
            other &= ~np.isin(pool.interpretations, list(example.goals))
            wording, own = self._wordings.without(example.locale, main), 0
            unheard |= self._asking[example.locale, main]
        seen = look(hearings, pool.keep(other, MEASURED), wording, example.locale)
        if not len(seen.pool):
            return None
        votes = {goal: (share, p) for (goal, share), p in zip(example.goals.items(), real, strict=True)}
        of_pool = np.array([votes.get(goal, (0.0, 0.0)) for goal in seen.pool.interpretations.tolist()])
        win = of_pool[:, 0] * of_pool[:, 1]
        loss = sum(share * p for share, p in votes.values()) - win + of_pool[:, 0] - win
        fold = int(_draw("fold", str(example.main) if example.main >= 0 else text) * FOLDS)
        share = self._new[example.healthy] if example.goals else 0.0
        weight = example.weight * (share if new else 1.0 - share)
        return Case(example, seen, win, loss, wording, self._without(unheard), own, fold, weight)

    def _ranker(self, cases: Sequence[Case]) -> Logistic:
        allowed = [~c.seen.pool.private & [self._may(c, i, after_failure=True) for i in range(len(c.seen.pool))] for c in cases]
        pairs = list(zip(cases, allowed, strict=True))
        if not any(of.any() for of in allowed):
            return _never(len(RANK))
        columns = np.concatenate([c.seen.features[of] for c, of in pairs])
        win, loss = (np.concatenate([getattr(c, name)[of] for c, of in pairs]) for name in ("win", "loss"))
        weight = np.concatenate([np.full(of.sum(), c.weight * min(c.example.users, _CAP)) for c, of in pairs])
        users = np.concatenate([np.full(of.sum(), self._user(c)) for c, of in pairs])
        told = win + loss
        rows = averaged(columns, win / np.maximum(told, 1e-9), weight * told, users, self._min_users)
        return logistic_fit.fit(*rows, list(RANK.values())) if len(rows[0]) else _never(len(RANK))

    def _user(self, case: Case) -> int:
        """Return whose text it is; -1 where enough users say it."""
        return -1 if case.example.users >= self._min_users else self._number(case.example.user)

    def _risk(self, case: Case, ranker: Logistic) -> tuple[Floats, int | None, float]:
        """Return the columns of `RISK`, what would be sent before the NLU, and P(it is meant)."""
        p = ranker.p(case.seen.features)
        best = choose(p.tolist(), lambda i: self._may(case, i, after_failure=False))
        told = int(p.argmax()) if best is None else best
        return risk(case.seen, told, float(p[told]), case.wording, case.student, own=case.own), best, float(p[told])

    def _may(self, case: Case, i: int, *, after_failure: bool) -> bool:
        """Ask the guardrail, once."""
        key = (id(case), i, after_failure)
        if key not in self._allowed:
            guardrail, text = Guardrail.open(case.example.locale), case.seen.pool.texts[i]
            self._allowed[key] = may(case.seen.hearings, text, guardrail, case.wording, after_failure=after_failure)
        return self._allowed[key]


class _Draft(NamedTuple):
    """An example, the many texts that are like it, and the hearings by which they were found."""

    example: Example
    pool: Pool
    hearings: Sequence[str]


def _draft(example: Example, finder: Finder) -> _Draft:
    text = example.hearings[0]
    hearings = example.hearings[:1] if _draw("deaf", text) < _DEAF else example.hearings
    user = "" if _draw("nobody", text) < _NOBODY else example.user
    pool = finder.find(hearings, example.locale, user, _ASKED)
    return _Draft(example, pool if example.healthy else _unled(pool, example), hearings)


def _unheard(found: Sequence[Example], wordings: Wordings, min_users: int) -> float:
    """Return P(nobody has asked for the goal | nobody has said the text), of healthy requests.

    Texts of few users are what new texts are like: the share of them whose goal enough users reach by no text at all.
    """
    rare = [example for example in found if example.healthy and example.users < min_users]
    new = sum(not wordings.heard(example.locale, next(iter(example.goals))) for example in rare)
    return (new + _UNHEARD[0]) / (len(rare) + _UNHEARD[1])


def _asking(found: Sequence[Example], wordings: Wordings) -> dict[tuple[str, int], set[str]]:
    """Return the texts by which each goal is asked for, healthy and failing ones."""
    texts: dict[tuple[str, int], set[str]] = defaultdict(set, {key: set(of) for key, of in wordings.texts.items()})
    for example in found:
        if example.main >= 0:
            texts[example.locale, example.main].add(example.hearings[0])
    return texts


def _unled(pool: Pool, example: Example) -> Pool:
    """Leave out of a user's habits what this very text led to: each turn of it may have led to one turn of a goal."""
    led = np.isin(pool.interpretations, list(example.goals))
    own = np.maximum(pool.own_turns - np.where(led, example.turns, 0.0), 0.0)
    all_ = np.maximum(pool.own_all - example.turns, own)
    less = Pool(*pool[:6], own, np.where(own > 0, pool.own_age, 0.0), all_, pool.private)
    return less.keep(~pool.private | (own > 0), len(pool))


def _real(drafts: Sequence[_Draft]) -> list[list[float]]:
    """Return P(real) of the votes for each goal of each example; the goals of healthy texts are their own.

    A vote is measured by how far its goal stands behind what is most alike in the whole book: what was meant is near the top,
    and the next wish is anywhere.
    """
    failing = [d for d in drafts if not d.example.healthy and d.example.goals]
    votes = [(d, goal, share) for d in failing for goal, share in d.example.goals.items()]
    wishes = [votes[i][1] for i in np.random.default_rng(0).permutation(len(votes)).tolist()]
    unlike = [_behind(d, wish) for (d, goal, _), wish in zip(votes, wishes, strict=True) if wish != goal]
    alike = np.array([_behind(d, goal) for d, goal, _ in votes])
    p = iter(p_real(alike, np.array([share for *_, share in votes]), np.array(unlike)).tolist())
    real = {id(d): [next(p) for _ in d.example.goals] for d in failing}
    return [real.get(id(d), [1.0] * len(d.example.goals)) for d in drafts]


def _behind(draft: _Draft, goal: int) -> float:
    """Return how much less alike the nearest phrase of a goal is than the nearest of all, <= 0."""
    other = np.array([text != draft.example.hearings[0] for text in draft.pool.texts], dtype=bool)
    alike = draft.pool.similarity[other]
    if not len(alike):
        return 0.0
    return float(alike[draft.pool.interpretations[other] == goal].max(initial=alike.min()) - alike.max())


def _never(columns: int) -> Logistic:
    return Logistic(np.zeros(columns), -30.0)


def _draw(what: str, text: str) -> float:
    """Return a number of [0, 1) that follows from a text."""
    digest = hashlib.blake2b(f"{what}\0{text}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32
