"""`CrossValidation`: examples with their candidates, what is fitted on some of them, and what would become of the others.

`micro_groups`: groups of rows that are alike and stem from enough users, for what a shared model may learn from.

`p_real`: which restatements restate, and which are the next wish of someone who has given up.

`Wordings`: how the healthy texts of a log are made, and how they would be had nobody asked for one of the goals.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from rewriter.arrays import Floats, Ints
from rewriter.detect.logistic import fit_logistic
from rewriter.detect.word_risk import WordRisk
from rewriter.guardrail import Guardrail
from rewriter.model.candidates import MEASURED, Finder, Pool
from rewriter.model.decider import choose, may
from rewriter.model.features import RANK, RISK, Look, look, risk
from rewriter.model.fluency import Wording
from rewriter.model.hypothesis import slots_of
from rewriter.model.logistic import Logistic
from rewriter.model.risk import Risk
from rewriter.offline.fit.examples import Example
from rewriter.text import normalise

_TRIED = 3  # columns, the widest first, along which a group is tried to be halved


def micro_groups(columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Part rows into groups, each of at least k users, that are as alike as that allows.

    A group is halved at the median of its widest column for as long as both halves have k users (multidimensional
    k-anonymity: LeFevre, DeWitt and Ramakrishnan 2006, "Mondrian", ICDE). Where all rows together have fewer than k users
    there is no group.

    Args:
        columns: (n, f), of comparable width.
        users: (n,) whose each row is.
        k: distinct users of each group.

    Returns:
        Places of the rows of each group; together all rows, each once.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
        >>> [group.tolist() for group in micro_groups(rows, np.array([1, 2, 1, 2, 2]), 2)]
        [[2, 3, 4], [0, 1]]
    """
    found: list[Ints] = []
    waiting = [np.arange(len(columns))]
    while waiting:
        group = waiting.pop()
        halves = _halves(group, columns, users, k)
        if halves:
            waiting += halves
        elif len(np.unique(users[group])) >= k:
            found.append(group)
    return found


def averaged(columns: Floats, target: Floats, weight: Floats, users: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Average rows over micro groups, so that nothing that fewer than k users said is learned from by itself.

    Rows are grouped apart by whether their target is above 1/2, each column scaled to unit variance for that. In a group every
    user has one user weight: the average of her rows.

    Args:
        columns: (n, f).
        target: (n,) 0..1.
        weight: (n,) >= 0.
        users: (n,) whose each row is; -1 for rows that enough users stand behind, which stay as they are.
        k: distinct users behind each average.

    Returns:
        Columns and targets, averaged by weight, and the weight of each average: the sum over its users.
    """
    alone = users < 0
    scale = columns.std(axis=0) if len(columns) else np.ones(columns.shape[1])
    scaled = columns / np.where(scale > 0, scale, 1.0)
    groups = [np.array([row]) for row in np.flatnonzero(alone)]
    for side in (target > 0.5, target <= 0.5):
        rows = np.flatnonzero(side & ~alone & (weight > 0))
        groups += [rows[group] for group in micro_groups(scaled[rows], users[rows], k)]
    if not groups:
        return columns[:0], target[:0], weight[:0]
    order, starts = np.concatenate(groups), np.cumsum([0, *(len(group) for group in groups[:-1])])
    group = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    user_weight = weight[order] / _rows_of_user(group, users[order])
    total = np.add.reduceat(user_weight, starts)
    share = user_weight / np.maximum(total, 1e-12)[group]
    return (
        np.add.reduceat(columns[order] * share[:, None], starts, axis=0),
        np.add.reduceat(target[order] * share, starts),
        total,
    )


def _rows_of_user(group: Ints, users: Ints) -> Ints:
    """Return, for each row, how many rows of its group are of its user."""
    _, inverse, counts = np.unique(np.stack([group, users]), axis=1, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse.reshape(-1)], dtype=np.int64)


def _halves(group: Ints, columns: Floats, users: Ints, k: int) -> list[Ints]:
    if len(group) < 2 * k:
        return []
    values = columns[group]
    for column in np.argsort(values.min(axis=0) - values.max(axis=0), kind="stable")[:_TRIED].tolist():
        ordered = group[np.argsort(values[:, column], kind="stable")]
        halves = [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
        if all(len(np.unique(users[half])) >= k for half in halves):
            return halves
    return []


_BINS = 20
_TOLD = 0.3  # share of the random pairs that a threshold must let through, so that no handful decides


def p_real(likeness: Floats, weight: Floats, unlike: Floats) -> Floats:
    """Return P(a restatement means what its source meant) from how alike the two texts are, (n,).

    Restatements are a mixture: a share s is stray, and a stray one is as alike to its source as any wish is to any text. Where
    real ones are rare, nearly all are stray, which bounds s (mixture proportion estimation: Blanchard, Lee and Scott 2010,
    JMLR 11): with the shares F of all restatements and G of random pairs that are no more alike than t, and the shares f and g
    in a bin::

        s = min over t of F(t) / G(t),    P(real | bin) = 1 - s g / f, made to rise with likeness (isotonic regression)

    Args:
        likeness: (n,) of each restatement, in any unit that rises.
        weight: (n,) > 0, how often each happened.
        unlike: (m,) the same measure of random pairs of sources and wishes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, stray = rng.normal(5, 1, 900), rng.normal(0, 1, 100)
        >>> p = p_real(np.append(real, stray), np.ones(1000), rng.normal(0, 1, 5000))
        >>> bool(p[:900].mean() > 0.97), bool(p[900:].mean() < 0.2)
        (True, True)
    """
    if not len(likeness) or not len(unlike):
        return np.ones(len(likeness))
    edges = np.unique(np.quantile(np.concatenate([likeness, unlike]), np.linspace(0, 1, _BINS + 1)[1:-1]))
    n = len(edges) + 1
    place = np.searchsorted(edges, likeness)
    of_all = np.bincount(place, weight, n) / weight.sum()
    of_stray = np.bincount(np.searchsorted(edges, unlike), minlength=n) / len(unlike)
    below = np.cumsum(of_stray)
    told = below >= _TOLD
    share = float(np.min(np.cumsum(of_all)[told] / below[told], initial=1.0))
    real = np.clip(1 - share * of_stray / np.maximum(of_all, 1e-9), 0.0, 1.0)
    return np.asarray(isotonic_regression(real, weights=np.maximum(of_all, 1e-9)).x[place], dtype=np.float64)


class Wordings:
    """The wording of each locale.

    Args:
        good: healthy texts of enough users, from `rewriter.offline.fit.query_index.worthy`.

    Attributes:
        all: locale -> wording.
        texts: (locale, goal) -> the texts that ask for it.
    """

    def __init__(self, good: pd.DataFrame) -> None:
        self.texts: dict[tuple[str, int], list[str]] = defaultdict(list)
        named: dict[tuple[str, str], set[int]] = defaultdict(set)
        said: dict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
        for locale, text, goal, kind, state in zip(*(good[c] for c in ("locale", "query", "node", "kind", "state")), strict=True):
            names = _names(kind, state)
            said[locale].append((text, names))
            self.texts[locale, goal].append(text)
            for name in names:
                named[locale, name].add(goal)
        self._names: dict[tuple[str, int], set[str]] = defaultdict(set)
        for (locale, name), goals in named.items():
            if len(goals) == 1:
                self._names[locale, min(goals)].add(name)
        self.all = {locale: Wording.of(texts) for locale, texts in sorted(said.items())}
        self._without: dict[tuple[str, int], Wording] = {}

    def heard(self, locale: str, goal: int) -> bool:
        """Whether any text asks for a goal."""
        return (locale, goal) in self.texts

    def without(self, locale: str, goal: int) -> Wording:
        """Return the wording as it would be had nobody asked for a goal: without its texts, and the names in no other goal.

        Args:
            locale: one of `all`.
            goal: an interpretation.
        """
        key = (locale, goal)
        if key not in self._without:
            self._without[key] = self.all[locale].without(self.texts.get(key, []), self._names.get(key, set()))
        return self._without[key]


def _names(kind: str, state: str) -> dict[str, str]:
    return {normalise(value): slot for slot, value in slots_of(state).items() if value} if kind == "h" else {}


FOLDS = 3
_UNHEARD = 5, 20  # of so many texts that are new so many ask for what is new, before the log has its say
_IGNORE_NBEST = 0.25  # share of the examples that lose their other hearings, so that nothing hangs on them
_NOBODY = 0.25  # share of the examples whose user is taken for a stranger, so that nothing hangs on habits
_ASKED = 40  # candidates of an example, so that enough are left when its goals are taken away
_TAUGHT = 0.25  # what word risk of its turns says in the label of a text, beside the verdict of the log
_CAP = 5  # users of one text that count
_PENALTY = 100.0  # of the ridge: many rows of a log are restatements of few goals, and weigh less than independent rows would
_PULL = 0.1  # weight of a column of the ranker whose direction is known, before any row speaks


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


class CrossValidation:
    """The cases of one log.

    Args:
        found: the examples.
        finder: finds what they may be rewritten to.
        wordings: of all locales.
        min_users: k, users behind whatever anything is fitted on.
        p_unseen_goal: P(nobody has asked for the goal | the text fails), see `Told`.
        word_risk: how the turns of all texts went.
    """

    def __init__(
        self,
        found: Sequence[Example],
        finder: Finder,
        wordings: Wordings,
        min_users: int,
        p_unseen_goal: float,
        word_risk: WordRisk,
    ) -> None:
        self._wordings = wordings
        self._word_risk = word_risk
        self._without = cache(word_risk.without)
        self._min_users = min_users
        self._allowed: dict[tuple[int, int, bool], bool] = {}
        numbers = {user: number for number, user in enumerate(dict.fromkeys(example.user for example in found))}
        self._number = numbers.__getitem__
        self._asking = _asking(found, wordings)
        drafts = [_draft(example, finder) for example in found if example.locale in wordings.all]
        self._new = {False: p_unseen_goal, True: _unheard(found, wordings, min_users)}
        cases = (self._case(*pair, new) for pair in zip(drafts, _real(drafts), strict=True) for new in (False, True))
        self.cases = [case for case in cases if case is not None]

    def fit(self, without: int = -1) -> Fitted:
        """Fit on all folds but one; texts of fewer than k users are averaged over k users (`micro_groups.averaged`)."""
        kept = [case for case in self.cases if case.fold != without]
        ranker = self._ranker([case for case in kept if case.example.goals and not case.example.healthy])
        kept = [case for case in kept if not case.example.served]
        columns = np.array([self._risk(case, ranker)[0] for case in kept]).reshape(-1, len(RISK))
        fails = np.array([self._fails(case.example) for case in kept], dtype=np.float64)
        weight, users = np.array([case.weight for case in kept]), np.array([self._user(case) for case in kept], dtype=np.int64)
        rows = averaged(columns, fails, weight, users, self._min_users)
        return Fitted(ranker, fit_logistic(*rows, penalty=_PENALTY) if len(rows[0]) else _never(len(RISK)))

    def _fails(self, example: Example) -> float:
        """Return P(a text fails) that the risk learns: the verdict of the log, with some of what word risk says of each turn."""
        verdict = float(not example.healthy)
        p = self._word_risk.p(example.hearings[0])
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
        return fit_logistic(*rows, penalty=_PENALTY, signs=list(RANK.values()), pull=_PULL) if len(rows[0]) else _never(len(RANK))

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
    hearings = example.hearings[:1] if _draw("ignore_nbest", text) < _IGNORE_NBEST else example.hearings
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
