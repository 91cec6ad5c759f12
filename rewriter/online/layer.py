"""`OnlineLayer`: finds candidates, measures and ranks them, asks the guardrail, and compares the best with the threshold."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rewriter.arrays import Floats
from rewriter.codes import Layer, Reason, Scope, Standing
from rewriter.config import GuardrailSettings as Settings
from rewriter.guardrail import DEFAULT, HOME, Guardrails
from rewriter.guardrail.contrasts import open_contrasts
from rewriter.model.alignment import Aligner
from rewriter.model.ambiguity import Ambiguity
from rewriter.model.decider import Decider, Threshold, choose, may
from rewriter.model.features import RANK, Look, look_all, risk
from rewriter.model.fluency import Wording
from rewriter.model.habits import UserView
from rewriter.model.prior import PoolPrior
from rewriter.model.retrieve import MEASURED, Asked, Finder, Pool, Retriever
from rewriter.model.risk import Risk
from rewriter.model.slots import OpenSlot, Slots, UserPreferences, open_slots, turns_by_value
from rewriter.online.request import Considered, LayerRequest, Understands, Verdict
from rewriter.recent import Recent
from rewriter.result import Candidate
from rewriter.similarity import text_similarity

_NAMED = 5  # candidates that an answer names
_RECENT = 2048  # half the number of decisions that are kept; about 2 KB each
_ASKED = 4096  # pairs of texts for which the guardrail's answer is kept
_LIKELY = 0.5  # P(meant) from which on it is the text's fluency, and not the candidates, that speaks against a rewrite


class Scored(NamedTuple):
    """The candidates of a request, measured and ranked.

    Attributes:
        request: what was asked.
        seen: the hearings that are looked at, the candidates and their features.
        meant: P(it is meant | the request fails) of each candidate.
    """

    request: LayerRequest
    seen: Look
    meant: Sequence[float]

    @property
    def order(self) -> list[int]:
        """The candidates, the likeliest first."""
        return sorted(range(len(self.meant)), key=lambda i: -self.meant[i])

    def named(self) -> tuple[Candidate, ...]:
        """Return the likeliest candidates as an answer names them."""
        texts, similarity, own = self.seen.pool.texts, self.seen.features[:, 0].tolist(), self.seen.pool.own_turns.tolist()
        return tuple(
            Candidate(texts[i], Layer.ONLINE, Scope.PERSONAL if own[i] > 0 else Scope.GLOBAL, similarity[i], self.meant[i])
            for i in self.order[:_NAMED]
        )


class _Decided(NamedTuple):
    """A decision, the candidate that it is about, if any may be sent, and whether the same request is decided so again."""

    verdict: Verdict
    best: str | None
    lasts: bool


class OnlineLayer:
    """The online layer of one artefact version.

    Args:
        finder: finds candidates.
        wording: how healthy texts are made, by locale.
        decider: what `learn` fitted.
        student: the risk of texts and words, of which the decider reads columns.
        ambiguity: texts that mean different things to different users; None where `learn` found none worth serving.
        guardrails: of the deployment.
        slots: of the shared queries, for stated preferences; None where none is known.
        prior: the shipped prior for this log; None if the log sets all thresholds by itself.
    """

    __slots__ = (
        "_aligners",
        "_allowed",
        "_ambiguity",
        "_decider",
        "_finder",
        "_prior",
        "_recent",
        "_with_habits",
        "_wording",
        "guardrails",
        "slots",
        "student",
    )  # fmt: skip

    def __init__(
        self,
        finder: Finder,
        wording: Mapping[str, Wording],
        decider: Decider,
        student: Risk,
        ambiguity: Ambiguity | None = None,
        guardrails: Guardrails = DEFAULT,
        slots: Slots | None = None,
        prior: PoolPrior | None = None,
    ) -> None:
        self._finder = finder
        self.guardrails = guardrails
        self._prior = prior
        self._wording = wording
        self._decider = decider
        self.student = student
        self._ambiguity = ambiguity
        self.slots = slots
        self._aligners = {locale: Aligner(of.weight, of.knows, locale) for locale, of in wording.items()}
        self._with_habits: Recent[tuple[str, str], bool] = Recent(_RECENT)
        self._recent: Recent[tuple[object, ...], _Decided] = Recent(_RECENT)
        self._allowed = lru_cache(maxsize=_ASKED)(partial(_may, guardrails, wording))

    @classmethod
    def open(cls, folder: Path, guardrail: Settings = HOME) -> "OnlineLayer":
        """Open what `learn` wrote.

        Args:
            folder: of the online layer.
            guardrail: settings of the guardrail, from the manifest.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        wording = {path.name: Wording.open(path) for path in sorted((folder / "wording").glob("*"))}
        retriever = Retriever.open(folder)
        ambiguity = Ambiguity.open(folder / "ambiguity", retriever.user_view)
        decider, contrasts, slots = Decider.open(folder), open_contrasts(folder), Slots.open(folder / "slots")
        goals = retriever.user_view.book.n_goals
        prior = PoolPrior.load(decider.channel, contrasts, goals) if decider.asks_prior else None
        guardrails = Guardrails(guardrail, contrasts)
        return cls(retriever, wording, decider, Risk.open(folder), ambiguity, guardrails, slots, prior)

    @property
    def locales(self) -> frozenset[str]:
        """The locales in which there is anything to rewrite to."""
        return frozenset(self._wording)

    def knows(self, text: str, locale: str, user: str) -> bool:
        """Return whether a normalised text is known to work, for everybody or for this user."""
        return self._finder.knows(text, locale, user)

    def surface(self, text: str, locale: str, user: str) -> str | None:  # noqa: ARG002 - the method of CatalogLayer
        """Return None: how a text of a single user is spelled, only a catalog tells."""
        return None

    def nearest_locale(self, text: str, locales: Sequence[str], user: str = "") -> tuple[float, str]:
        """Return in which of some locales a text probably is (`rewriter.model.retrieve.Retriever.nearest_locale`)."""
        return self._finder.nearest_locale(text, locales, user) if isinstance(self._finder, Retriever) else (0.0, locales[0])

    def ambiguity(self, request: LayerRequest, rule: str | None) -> Verdict | None:
        """Decide a text that means different things to different users by this user's habits; None if they do not tell.

        Args:
            request: what is asked.
            rule: what the rule for everybody would send; None if there is none.
        """
        if self._ambiguity is None:
            return None
        text = request.hearings[0]
        posterior = self._ambiguity.of(text, request.locale, request.user, self._preferences(request))
        if posterior is None or (not request.after_failure and self._finder.knows(text, request.locale, request.user)):
            return None
        texts, p, fails = posterior
        if fails * p[0] < self._ambiguity.threshold:
            return None if rule in (None, texts[0]) else Verdict(None, Reason.KEEP_SOURCE)
        near = text_similarity([text] * len(texts), texts).tolist()
        candidates = tuple(
            Candidate(of, Layer.ONLINE, Scope.PERSONAL, *measured) for of, *measured in zip(texts, near, p, strict=True)
        )
        return Verdict(texts[0], Reason.AMBIGUITY, Layer.ONLINE, Scope.PERSONAL, score=fails * p[0], candidates=candidates)

    @property
    def user_view(self) -> UserView | None:
        """The query book and the habits; None where the finder has none."""
        return self._finder.user_view if isinstance(self._finder, Retriever) else None

    def refined(self, request: LayerRequest) -> tuple[str, float] | None:
        """Return the text that says a known request as its user prefers it, and P(the user wants that); None if none fits."""
        return refined_by(self._preferences(request), self.user_view, request)

    def turns_by_value(self, user: str, locale: str, slot: str) -> dict[int, float]:
        """Return how often a user's habits have each value of a slot, by `rewriter.model.slots.value_key`."""
        if self.slots is None or self.user_view is None:
            return {}
        return turns_by_value(self.slots, self.user_view, self.user_view.own(user, locale), slot)

    def open_slots(self, user: str, locale: str, weight: float) -> list[OpenSlot]:
        """Return the slots that a user's requests leave open (`rewriter.model.slots.open_slots`)."""
        view = self.user_view
        return [] if self.slots is None or view is None else open_slots(self.slots, view, user, locale, weight)

    def _preferences(self, request: LayerRequest) -> UserPreferences | None:
        return preferences_of(self.slots, self.user_view, request)

    def decide(
        self,
        request: LayerRequest,
        *,
        late: Callable[[], bool],
        sendable: Understands | None,
        scored: Scored | Reason | None = None,
    ) -> Verdict:
        """Decide a request that no rule knows. Recent decisions that rest on nothing of the user are kept.

        Args:
            request: what is asked.
            late: whether the time is up; asked between stages.
            sendable: whether a text may be sent at all, by review and by the assistant's own parser; None if all may.
            scored: what `score_all` returned for this request; None to find and measure its candidates now.
        """
        key = self._key(request)
        kept = None if key is None else self._recent.get(key)
        if kept is not None and (kept.best is None or sendable is None or sendable(kept.best)):
            return kept.verdict
        decided = self._decide(request, late, sendable, scored)
        if key is not None and decided.lasts:
            self._recent.put(key, decided)
        return decided.verdict

    def score_all(self, requests: Sequence[LayerRequest]) -> list[Scored | Reason | None]:
        """Find, measure and rank the candidates of many requests at once, for `decide`.

        Returns:
            For each request its candidates, or the reason why it has none; None where `decide` looks at none, or where it decides
            the same request before.
        """
        keys, found = list(map(self._key, requests)), [None] * len(requests)
        seen: set[object] = set()
        asked = []
        for i, (key, request) in enumerate(zip(keys, requests, strict=True)):
            again = key is not None and (key in seen or self._recent.get(key) is not None)
            seen.add(key)
            if not again and not self._is_healthy(request):
                asked.append(i)
        scored: list[Scored | Reason | None] = list(found)
        for i, of in zip(asked, self._score([requests[i] for i in asked], lambda: False) if asked else (), strict=True):
            scored[i] = of
        return scored

    def _key(self, request: LayerRequest) -> tuple[object, ...] | None:
        """Return under what a decision is kept; None where it rests on something of the user."""
        return None if self._is_personal(request) else (*request.hearings, request.locale, request.after_failure)

    def _is_healthy(self, request: LayerRequest) -> bool:
        """Return whether a request is left alone because its text works."""
        return not request.after_failure and self._finder.knows(request.hearings[0], request.locale, request.user)

    def _is_personal(self, request: LayerRequest) -> bool:
        """Return whether habits or preferences of the user may decide a request."""
        if request.stated or not request.user:
            return bool(request.stated)
        key, view = (request.user, request.locale), self.user_view
        personal = self._with_habits.get(key)
        if personal is None:
            personal = view is None or len(view.own(*key).rows) > 0
            self._with_habits.put(key, personal)
        return personal

    def _decide(
        self,
        request: LayerRequest,
        late: Callable[[], bool],
        sendable: Understands | None,
        scored: Scored | Reason | None,
    ) -> _Decided:
        if scored is None:
            if self._is_healthy(request):
                return _Decided(Verdict(None, Reason.HEALTHY), None, lasts=True)
            scored = self._score([request], late)[0]
        if isinstance(scored, Reason):
            return _Decided(Verdict(None, scored), None, lasts=scored is not Reason.DEADLINE)
        candidates = scored.named()
        if late():
            return _Decided(Verdict(None, Reason.DEADLINE, candidates=candidates), None, lasts=False)
        if self._is_hopeless(scored):
            reason = Reason.OFF if self.is_off(request) else Reason.UNSURE
            return _Decided(Verdict(None, reason, candidates=candidates), None, lasts=True)
        return self._guarded(scored, candidates, late, sendable)

    def _guarded(
        self, scored: Scored, candidates: tuple[Candidate, ...], late: Callable[[], bool], sendable: Understands | None
    ) -> _Decided:
        """Decide about the likeliest candidate that the guardrail allows and that may be sent."""
        request, texts, lasts = scored.request, scored.seen.pool.texts, True
        best = choose(scored.meant, lambda i: self._allows(scored, texts[i]))
        if best is not None and sendable is not None and not sendable(texts[best]):
            first, lasts = best, False
            best = choose(scored.meant, lambda i: i != first and self._allows(scored, texts[i]) and sendable(texts[i]))
        if best is None:
            reason = Reason.OFF if self.is_off(request) else Reason.BLOCKED
            return _Decided(Verdict(None, reason, candidates=candidates), None, lasts)
        below = self._stays_below(request, scored.meant[best])
        standing = Standing.BELOW if below else self._standing(scored, best, self._p_win(scored, best))
        if late():
            return _Decided(Verdict(None, Reason.DEADLINE, candidates=candidates), None, lasts=False)
        return _Decided(self._verdict(scored, best, standing, candidates), texts[best], lasts)

    def _is_hopeless(self, scored: Scored) -> bool:
        """Return whether even the likeliest candidate is too unlikely, so that the guardrail need not be asked about any."""
        request, most = scored.request, max(scored.meant)
        return (request.after_failure or most < _LIKELY) and self._stays_below(request, most)

    def _stays_below(self, request: LayerRequest, meant: float) -> bool:
        """Return whether a candidate stays below all thresholds even if the request surely fails, which is quickly told.

        Args:
            request: what is asked.
            meant: P(the candidate is meant | the request fails). No candidate of a lower one passes where this one does not.
        """
        threshold, before = self._threshold(request), self._decider.before
        if threshold.calibration.p_of(meant) >= min(threshold.apply, threshold.suggest):
            return False
        return not request.after_failure or before.calibration.p_of(meant) < before.apply

    def _verdict(self, scored: Scored, best: int, standing: Standing, candidates: tuple[Candidate, ...]) -> Verdict:
        """Say what becomes of the best candidate that may be sent."""
        request, text = scored.request, scored.seen.pool.texts[best]
        if standing is Standing.SENT:
            scope = _scope(scored.seen.pool, best)
            return Verdict(text, Reason.ONLINE, Layer.ONLINE, scope, self._expected(scored, best), candidates=candidates)
        unlikely = request.after_failure or scored.meant[best] < _LIKELY
        suggestion = text if standing is Standing.SUGGESTED else None
        reason = Reason.OFF if self.is_off(request) else Reason.UNSURE if unlikely else Reason.FLUENT
        return Verdict(None, reason, suggestion=suggestion, candidates=candidates)

    def consider(self, request: LayerRequest) -> tuple[Considered, ...]:
        """Return each candidate with what was measured and what becomes of it in `decide`, the likeliest first.

        Args:
            request: what is asked. Whether the text is healthy, and what people blocked, is not looked at.
        """
        scored = self._score([request], lambda: False)[0]
        if isinstance(scored, Reason):
            return ()
        texts = scored.seen.pool.texts
        allowed = [self._allows(scored, text) for text in texts]
        best = choose(scored.meant, lambda i: allowed[i])
        return tuple(self._considered(scored, i, allowed=allowed[i], best=best) for i in scored.order)

    def _score(self, requests: Sequence[LayerRequest], late: Callable[[], bool]) -> list[Scored | Reason]:
        """Find candidates, measure and rank them; or return the reason why there are none."""
        hears = self._decider.hears
        requests = requests if hears else [request._replace(hearings=request.hearings[:1]) for request in requests]
        pool, sizes = self._finder.find_all([Asked(each.hearings, each.locale, each.user) for each in requests], MEASURED + 1)
        if any(request.stated for request in requests):
            pool = _joined([
                with_preferences(of, self._preferences(request))
                for request, of in zip(requests, pool.parts(sizes), strict=True)
            ])  # fmt: skip
        pool, sizes = pool.without([request.hearings[0] for request in requests], sizes, MEASURED)
        found: list[Scored | Reason] = [Reason.DEADLINE if size else Reason.NO_CANDIDATE for size in sizes]
        if not len(pool) or late():
            return found
        features, pools = self._measure(requests, pool, sizes), pool.parts(sizes)
        meant, start = self._decider.ranker.p(features).tolist(), 0
        for i, (request, of, size) in enumerate(zip(requests, pools, sizes, strict=True)):
            end = start + size
            if size:
                found[i] = Scored(request, Look(request.hearings, of, features[start:end]), meant[start:end])
            start = end
        return found

    def _measure(self, requests: Sequence[LayerRequest], pool: Pool, sizes: Sequence[int]) -> Floats:
        """Measure all candidates, those of each locale at once."""
        locales = {request.locale for request in requests}
        if len(locales) == 1:
            (locale,) = locales
            hearings = [request.hearings for request in requests]
            return look_all(hearings, pool, sizes, self._wording[locale], locale, self._aligners[locale])
        features, of = np.empty((len(pool), len(RANK))), np.repeat(np.arange(len(requests)), sizes)
        for locale in locales:
            chosen = [i for i, request in enumerate(requests) if request.locale == locale]
            rows = np.flatnonzero(np.isin(of, chosen))
            of_locale = [requests[i] for i in chosen]
            features[rows] = self._measure(of_locale, pool.keep(rows), [sizes[i] for i in chosen])
        return features

    def _allows(self, scored: Scored, text: str) -> bool:
        """Ask the guardrail whether a candidate may be sent."""
        request = scored.request
        return self._allowed(tuple(request.hearings), text, request.locale, request.after_failure)

    def _p_win(self, scored: Scored, i: int) -> float:
        """Return the lower bound of P(the rewrite wins), on which it is decided."""
        return self._threshold(scored.request).calibration.p_of(self._raw(scored, i))

    def _expected(self, scored: Scored, i: int) -> float:
        """Return the expected P(the rewrite wins), which is told."""
        return self._threshold(scored.request).calibration.expected_of(self._raw(scored, i))

    def _raw(self, scored: Scored, i: int) -> float:
        """Return P(meant), before the NLU times P(fails as spoken), as the models give it."""
        meant, request = scored.meant[i], scored.request
        if request.after_failure:
            return meant
        measured = risk(scored.seen, i, meant, self._wording[request.locale], self.student)
        return meant * self._decider.risk.p_of(measured.tolist())

    def _standing(self, scored: Scored, i: int, score: float) -> Standing:
        """Compare the score of the best candidate with the thresholds."""
        threshold = self._threshold(scored.request)
        agreed = score >= min(threshold.apply, threshold.suggest) and self._p_by_prior(scored, i) >= threshold.least_prior
        if (agreed and score >= threshold.apply) or self._sent_before(scored, i):
            return Standing.SENT
        if agreed and score >= threshold.suggest:
            return Standing.SUGGESTED
        if self.is_off(scored.request):
            return Standing.NO_THRESHOLD
        return Standing.DOUBTED if score >= threshold.apply else Standing.BELOW

    def _sent_before(self, scored: Scored, i: int) -> bool:
        """Return whether a candidate for a refused request would have been sent before the NLU; the refusal speaks for it."""
        request, before = scored.request, self._decider.before
        if not request.after_failure or before.calibration.p_of(scored.meant[i]) < before.apply:
            return False  # a text that may be fine as it is, is at best as likely to win as one that surely fails
        asked = scored._replace(request=request._replace(after_failure=False))
        if self._finder.knows(request.hearings[0], request.locale, request.user) or not self._allows(
            asked, scored.seen.pool.texts[i]
        ):
            return False
        return self._standing(asked, i, self._p_win(asked, i)) is Standing.SENT

    def _p_by_prior(self, scored: Scored, i: int) -> float:
        """Return P(a candidate is meant | the request fails) by the shipped prior; 1 where it is not asked."""
        seen, locale = scored.seen, scored.request.locale
        if self._prior is None:
            return 1.0
        return float(self._prior.p(seen.hearings[0], seen.pool, self._wording[locale], locale)[i])

    def _threshold(self, request: LayerRequest) -> Threshold:
        return self._decider.after if request.after_failure else self._decider.before

    def is_off(self, request: LayerRequest) -> bool:
        """Return whether nothing may be sent in the mode of a request."""
        return math.isinf(self._threshold(request).apply)

    def _considered(self, scored: Scored, i: int, *, allowed: bool, best: int | None) -> Considered:
        request, pool = scored.request, scored.seen.pool
        text, score, detail = pool.texts[i], self._p_win(scored, i), ""
        if not allowed:
            standing, wording = Standing.FORBIDDEN, self._wording[request.locale]
            names, knows = wording.names.keys(), wording.knows
            guardrail, heard = self.guardrails.of(request.locale), request.hearings[0]
            finding = guardrail.verdict(heard, text, names=names, knows=knows, online=True)
            finding = finding or self.guardrails.foreign(heard, text, request.locale, self._wording, knows)
            detail = finding.packed() if finding else ""
        else:
            standing = Standing.LESS_LIKELY if i != best else self._standing(scored, i, score)
        return Considered(
            text,
            _scope(pool, i),
            scored.meant[i],
            score,
            standing,
            self._threshold(request).apply,
            detail,
            dict(zip(RANK, scored.seen.features[i].tolist(), strict=True)),
            dict(zip(RANK, self._decider.ranker.weights.tolist(), strict=True)),
        )


def _may(
    guardrails: Guardrails,
    wording: Mapping[str, Wording],
    hearings: Sequence[str],
    text: str,
    locale: str,
    after_failure: bool,
) -> bool:
    known = wording[locale].knows
    if not may(hearings, text, guardrails.of(locale), wording[locale], after_failure=after_failure):
        return False
    return guardrails.foreign(hearings[0], text, locale, wording, known) is None


def preferences_of(slots: Slots | None, user_view: UserView | None, request: LayerRequest) -> UserPreferences | None:
    """Return the stated preferences of the user of a request; None where there are none, or no slots are known."""
    if slots is None or user_view is None or not request.stated:
        return None
    return UserPreferences(slots, user_view, user_view.own(request.user, request.locale), request.stated, request.weight)


def refined_by(
    preferences: UserPreferences | None, user_view: UserView | None, request: LayerRequest
) -> tuple[str, float] | None:
    """Return the text that says a known request as preferences have it, and P(the user wants that); None if none fits."""
    if preferences is None or user_view is None:
        return None
    rows = user_view.book.rows_of(request.hearings[0], request.locale)[:1]
    if not len(rows):
        return None
    found = preferences.refined(int(user_view.book.interpretations[rows][0]))
    return None if found is None else (user_view.book.texts(np.array([found[0]]))[0], found[1])


def with_preferences(pool: Pool, preferences: UserPreferences | None) -> Pool:
    """Return candidates with the user's turns as the stated preferences make them."""
    if preferences is None or not len(pool):
        return pool
    own = preferences.own(pool.interpretations, pool.own_turns)
    own_all = np.maximum(pool.own_all + (own - pool.own_turns).sum(), own)
    columns = dict(zip(Pool._fields, tuple(pool), strict=True)) | {"own_turns": own, "own_all": own_all}
    return Pool(**columns)  # not `_replace`, which counts fields by `len`


def _joined(pools: Sequence[Pool]) -> Pool:
    """Return the rows of all pools in one."""
    columns: tuple[Any, ...] = tuple(map(np.concatenate, zip(*(pool[1:] for pool in pools), strict=True)))
    return Pool([text for pool in pools for text in pool.texts], *columns)


def _scope(pool: Pool, i: int) -> Scope:
    return Scope.PERSONAL if pool.own_turns[i] > 0 else Scope.GLOBAL
