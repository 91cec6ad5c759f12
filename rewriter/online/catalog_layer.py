"""`CatalogLayer`: answers after a refusal from a catalog and the shipped prior, where no log has been learned from."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.codes import Layer, Reason, Scope, Standing
from rewriter.config import GuardrailSettings as Settings
from rewriter.errors import ArtefactError
from rewriter.guardrail import DEFAULT, HOME, Finding, Guardrail, Guardrails
from rewriter.guardrail.contrasts import open_contrasts
from rewriter.model.columns import mapped
from rewriter.model.decider import Threshold
from rewriter.model.habits import SHOWS
from rewriter.model.own_texts import OwnTexts, SharedTexts
from rewriter.model.pair_features import PAIR, PairIndex
from rewriter.model.prior import Prior
from rewriter.model.retrieve import Retriever
from rewriter.model.risk import Risk
from rewriter.model.slots import OpenSlot, Slots, UserPreferences, open_slots
from rewriter.model.translations import open_translations
from rewriter.online.layer import Scored, preferences_of, refined_by
from rewriter.online.request import Considered, LayerRequest, Understands, Verdict
from rewriter.recent import Recent
from rewriter.result import Candidate

if TYPE_CHECKING:
    from rewriter.online.layer import OnlineLayer

HEADER: Final = "catalog.json"
"""The file that tells a folder of this layer from one that a log was fitted for."""
CATALOG_RULES: Final = {scope: f"catalog-after-{scope}" for scope in (Scope.GLOBAL, Scope.PERSONAL)}
"""What answers and logs name as the rule where the catalog answers beside a log. No slice of the log's layer is judged by it."""
Order = Callable[[str | None, Mapping[str, int]], Sequence[str]]
_FOUND = 12  # candidates that are measured
_NAMED = 5  # candidates that an answer names
_LETTERS = PAIR.index("letters")
_OWNERS = 32  # half the number of users whose own texts are kept ready; at most about a megabyte each


class _ScoredText(NamedTuple):
    """The candidates of a request, the likeliest first; `scopes` tells whose texts they are."""

    texts: list[str]
    scopes: list[Scope]
    meant: Floats
    columns: Floats

    def named(self) -> tuple[Candidate, ...]:
        """Return the candidates as an answer names them."""
        measured = zip(self.texts, self.scopes, self.columns[:, _LETTERS].tolist(), self.meant.tolist(), strict=True)
        return tuple(Candidate(text, Layer.ONLINE, scope, alike, p) for text, scope, alike, p in measured)[:_NAMED]


class _Own(NamedTuple):
    """The texts of one user in one locale, and their rows as `UserView` numbers them, ascending."""

    texts: OwnTexts
    rows: Ints


class CatalogLayer:
    """Finds texts of the catalog for a refused request, and sends the likeliest if it is likely enough by itself.

    It has the methods of `rewriter.online.layer.OnlineLayer`. Before the NLU it sends nothing: how often texts outside the
    catalog fail, only a log can tell.

    Args:
        retriever: over the catalog.
        prior: the shipped weights.
        kind: of the channel, ``spoken`` or ``typed``.
        complete: whether the assistant understands nothing else.
        threshold: P(meant) from which on a candidate is sent, and from which on it is suggested.
        guardrails: of the deployment.
        slots: of the catalog, for stated preferences; None where none is known.
        shows: (n,) bool, of which texts for everybody the interpretation is known; None for all.
        translations: locale -> a word of another language -> the word that stands for it (`rewriter.model.translations`).
    """

    __slots__ = (
        "_indexes", "_owners", "_prior", "_retriever", "_shared", "_starts", "_threshold", "_translations", "guardrails", "slots",
        "student",
    )  # fmt: skip

    student: None

    def __init__(
        self,
        retriever: Retriever,
        prior: Prior,
        *,
        kind: str,
        complete: bool,
        threshold: Threshold,
        guardrails: Guardrails = DEFAULT,
        slots: Slots | None = None,
        shows: Bools | None = None,
        translations: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        self._translations = translations
        self._retriever, self._prior, self._threshold = retriever, prior, threshold
        self.guardrails, self.slots = guardrails, slots
        self.student = None
        self._owners: Recent[tuple[str, str], _Own] = Recent(_OWNERS)
        book, private = retriever.user_view.book, retriever.user_view.habits.private
        locales = dict.fromkeys([*book.locales, *private.locales])
        rows = {locale: np.flatnonzero(book.speaks(np.arange(len(book)), locale)) for locale in locales}
        self._starts = {locale: int(of[0]) if len(of) else 0 for locale, of in rows.items()}
        self._indexes = {
            locale: PairIndex(
                book.texts(of),
                book.interpretations[of],
                prior.channel(kind, locale),
                share=book.goal_prior(book.interpretations[of]),
                complete=complete,
            )
            for locale, of in rows.items()
        }
        known = np.ones(len(book), dtype=bool) if shows is None else shows
        self._shared = {
            locale: SharedTexts.of(self._indexes[locale], known[of], float(book.success[of].sum()))
            for locale, of in rows.items()
            if locale in private.locales
        }

    @classmethod
    def open(cls, folder: Path, guardrail: Settings = HOME, prior: Prior | None = None) -> "CatalogLayer":
        """Open what `rewriter.offline.catalog_layer.write_catalog_layer` wrote.

        Args:
            folder: of the online layer.
            guardrail: settings of the guardrail, from the manifest.
            prior: other weights than the shipped ones; None for these.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        try:
            header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
            kind, complete = str(header["channel"]), bool(header["complete"])
            threshold = Threshold(apply=float(header["apply"]), suggest=float(header["suggest"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {folder / HEADER}: {error}; ship the version again") from error
        guardrails, shows = Guardrails(guardrail, open_contrasts(folder)), folder / f"{SHOWS}.npy"
        return cls(
            Retriever.open(folder), prior or Prior.load(), kind=kind, complete=complete, threshold=threshold,
            guardrails=guardrails, slots=Slots.open(folder / "slots"), shows=mapped(shows) if shows.exists() else None,
            translations=open_translations(folder),
        )  # fmt: skip

    @property
    def locales(self) -> frozenset[str]:
        """The locales in which there is anything to rewrite to."""
        return frozenset(self._indexes)

    def knows(self, text: str, locale: str, user: str) -> bool:
        """Return whether a normalised text is one of the catalog, for everybody or for this user."""
        return self._retriever.knows(text, locale, user)

    def surface(self, text: str, locale: str, user: str) -> str | None:
        """Return how a text of this user is spelled when it is sent; None if it is none of the user's own."""
        return self._retriever.user_view.surface(text, locale, user)

    def nearest_locale(self, text: str, locales: Sequence[str], user: str = "") -> tuple[float, str]:
        """Return in which of some locales a text probably is (`rewriter.model.retrieve.Retriever.nearest_locale`)."""
        return self._retriever.nearest_locale(text, locales, user)

    def ambiguity(self, request: LayerRequest, rule: str | None) -> Verdict | None:  # noqa: ARG002 - the method of OnlineLayer
        """Return None: without a log nobody knows texts that mean different things to different users."""
        return None

    def refined(self, request: LayerRequest) -> tuple[str, float] | None:
        """Return the text that says a known request as its user prefers it, and P(the user wants that); None if none fits."""
        return refined_by(self._preferences(request), self._retriever.user_view, request)

    def turns_by_value(self, user: str, locale: str, slot: str) -> dict[int, float]:  # noqa: ARG002 - the method of OnlineLayer
        """Return nothing: without a log there are no habits."""
        return {}

    def open_slots(self, user: str, locale: str, weight: float) -> list[OpenSlot]:
        """Return the slots that requests of the catalog leave open (`rewriter.model.slots.open_slots`)."""
        view = self._retriever.user_view
        return [] if self.slots is None else open_slots(self.slots, view, user, locale, weight)

    def _preferences(self, request: LayerRequest) -> UserPreferences | None:
        return preferences_of(self.slots, self._retriever.user_view, request)

    def score_all(self, requests: Sequence[LayerRequest]) -> list[Scored | Reason | None]:
        """Return None for each request: candidates of a catalog are measured in `decide`, one request after the other."""
        return [None] * len(requests)

    def decide(
        self,
        request: LayerRequest,
        *,
        late: Callable[[], bool],
        sendable: Understands | None,
        scored: Scored | Reason | None = None,  # noqa: ARG002 - the method of OnlineLayer
    ) -> Verdict:
        """Decide a request that no rule knows.

        Args:
            request: what is asked.
            late: whether the time is up; asked between stages.
            sendable: whether a text may be sent at all, by review and by the assistant's own parser; None if all may.
            scored: is not looked at.
        """
        if not request.after_failure:
            known = self._retriever.knows(request.hearings[0], request.locale, request.user)
            return Verdict(None, Reason.HEALTHY if known else Reason.UNSURE)
        verdict = self._decide(request, self._score(request), late, sendable)
        translated = self._translated(request) if verdict.text is None and not late() else None
        if translated is None:
            return verdict
        other = self._decide(translated, self._score(translated, other_than=request.hearings[0]), late, sendable)
        named = other.text or other.suggestion
        asked_for = named is not None and not self._guardrail(request).destroys(request.hearings[0], named)
        return other if asked_for else verdict

    def _decide(
        self, request: LayerRequest, scored: _ScoredText, late: Callable[[], bool], sendable: Understands | None
    ) -> Verdict:
        """Decide a refused request whose candidates are measured."""
        if not scored.texts or late():
            return Verdict(None, Reason.DEADLINE if scored.texts else Reason.NO_CANDIDATE, candidates=scored.named())
        best, p = scored.texts[0], float(scored.meant[0])
        if p >= self._threshold.suggest and (self._finding(request, best) or not (sendable is None or sendable(best))):
            return Verdict(None, Reason.BLOCKED, candidates=scored.named())
        if p < self._threshold.apply:
            suggestion = best if p >= self._threshold.suggest else None
            return Verdict(None, Reason.UNSURE, suggestion=suggestion, candidates=scored.named())
        return Verdict(best, Reason.ONLINE, Layer.ONLINE, scored.scopes[0], p, candidates=scored.named())

    def _translated(self, request: LayerRequest) -> LayerRequest | None:
        """Return a request with words of other languages, which no text of this one has, translated; None if there are none."""
        known = self._translations.get(request.locale)
        if known is None:
            return None
        knows, words = self._knows(request), request.hearings[0].split()
        text = " ".join(word if knows(word) else known.get(word, word) for word in words)
        return None if text == request.hearings[0] else request._replace(hearings=[text])

    def consider(self, request: LayerRequest) -> tuple[Considered, ...]:
        """Return each candidate with what was measured and what becomes of it in `decide`, the likeliest first."""
        scored = self._score(request)
        if request.after_failure and self._decide(request, scored, lambda: False, None).text is None:
            translated = self._translated(request)
            if translated is not None and self.decide(request, late=lambda: False, sendable=None).text is not None:
                request, scored = translated, self._score(translated, other_than=request.hearings[0])
        weights = dict(zip(PAIR, self._prior.mean[:-1].tolist(), strict=True))
        measured = [dict(zip(PAIR, row, strict=True)) for row in scored.columns.tolist()]
        found = zip(scored.texts, scored.scopes, scored.meant.tolist(), measured, strict=True)
        return tuple(
            Considered(
                text, scope, p, p, self._standing(request, text, p, first=not i), self._threshold.apply,
                finding.packed() if (finding := self._finding(request, text)) else "", columns, weights,
            )
            for i, (text, scope, p, columns) in enumerate(found)
        )  # fmt: skip

    def _standing(self, request: LayerRequest, text: str, p: float, *, first: bool) -> Standing:
        if self._finding(request, text):
            return Standing.FORBIDDEN
        if not first:
            return Standing.LESS_LIKELY
        if not request.after_failure:
            return Standing.NO_THRESHOLD
        if p >= self._threshold.apply:
            return Standing.SENT
        return Standing.SUGGESTED if p >= self._threshold.suggest else Standing.BELOW

    def _score(self, request: LayerRequest, other_than: str | None = None) -> _ScoredText:
        """Find and measure candidates for what was heard first, other than this very text, or than another one."""
        heard, locale = request.hearings[0], request.locale
        said = heard if other_than is None else other_than
        found = self._retriever.retrieve([heard], locale, request.user, k=_FOUND + 1)
        places = [i for i, text in enumerate(found.texts) if text != said][:_FOUND]
        if not places:
            return _ScoredText([], [], np.zeros(0), np.zeros((0, len(PAIR))))
        rows, texts = found.rows[places], [found.texts[i] for i in places]
        columns = self._measure(request, rows)
        meant = self._prior.p(columns)
        order = np.argsort(-meant, kind="stable")
        private = self._retriever.user_view.private(rows)[order].tolist()
        scopes = [Scope.PERSONAL if is_own else Scope.GLOBAL for is_own in private]
        return _ScoredText([texts[i] for i in order.tolist()], scopes, meant[order], columns[order])

    def _measure(self, request: LayerRequest, rows: Ints) -> Floats:
        """Measure candidates, given by their rows in the books, (m, len(PAIR))."""
        index, start, preferences = self._indexes[request.locale], self._starts[request.locale], self._preferences(request)
        asked, mine = index.asked(request.hearings[0]), self._own(request)
        if mine is None:
            rows = rows - start
            own = None if preferences is None else preferences.own(index.interpretations[rows], np.zeros(len(rows)))
            return index.measure(asked, rows, own)
        is_own, order = self._retriever.user_view.private(rows), np.argsort(rows)
        ordered = np.where(is_own, len(index) + mine.rows.searchsorted(rows), rows - start)[order]
        goals = mine.texts.interpretations(ordered)
        own = None if preferences is None else preferences.own(goals, np.zeros(len(rows)))
        return mine.texts.measure(asked, ordered, own)[np.argsort(order)]

    def _own(self, request: LayerRequest) -> _Own | None:
        """Return the user's own texts in the locale of a request; None if there are none."""
        shared = self._shared.get(request.locale) if request.user else None
        if shared is None:
            return None
        key, view = (request.user, request.locale), self._retriever.user_view
        found = self._owners.get(key)
        if found is None:
            rows = view.own(*key).rows
            if not len(rows):
                return None
            known, places = view.known(rows), rows - len(view.book)
            shows = np.ones(len(rows), dtype=bool) if view.habits.shows is None else view.habits.shows[places]
            texts = OwnTexts(shared, view.texts(rows), known.interpretations, shows, known.success.astype(np.float64))
            found = _Own(texts, rows)
            self._owners.put(key, found)
        return found

    def _knows(self, request: LayerRequest) -> Callable[[str], bool]:
        """Return what tells whether a text in the locale of a request, for everybody or of its user, has a word."""
        mine = self._own(request)
        return self._indexes[request.locale].knows if mine is None else mine.texts.knows

    def _guardrail(self, request: LayerRequest) -> Guardrail:
        """Return the guardrail of a request, which knows what the user's own texts show about words."""
        guardrail, mine = self.guardrails.of(request.locale), self._own(request)
        return guardrail if mine is None else replace(guardrail, contrasts=mine.texts.contrasts(guardrail.contrasts))

    def _finding(self, request: LayerRequest, text: str) -> Finding | None:
        """Return how a candidate contradicts what was heard, or destroys what was not asked for; None if it does neither."""
        guardrail, heard = self._guardrail(request), request.hearings[0]
        finding = guardrail.destroys(heard, text) or guardrail.verdict(heard, text) or guardrail.crosses(heard, text)
        return finding or self.guardrails.foreign(heard, text, request.locale, self._indexes, self._knows(request))


class LogThenCatalog:
    """The online layer of a log, and a catalog layer that answers the refusals for which the log's layer sends nothing.

    Before the NLU only the log's layer is asked.

    Args:
        own: the layer that a log was fitted for; None if the log was too small.
        catalog: the layer beside it.
        order: `rewriter.online.serving.lookup_order`.
    """

    __slots__ = ("_catalog", "_order", "_own")

    def __init__(self, own: "OnlineLayer | None", catalog: CatalogLayer, order: Order) -> None:
        self._own, self._catalog, self._order = own, catalog, order

    @property
    def student(self) -> Risk | None:
        """The risk of texts and words; None without a layer of the log."""
        return None if self._own is None else self._own.student

    @property
    def locales(self) -> frozenset[str]:
        """The locales in which there is anything to rewrite to."""
        return self._catalog.locales | (frozenset() if self._own is None else self._own.locales)

    @property
    def guardrails(self) -> Guardrails:
        """Those of the layer of the log, which has seen more; of the catalog without one."""
        return self._catalog.guardrails if self._own is None else self._own.guardrails

    def knows(self, text: str, locale: str, user: str) -> bool:
        """Return whether a normalised text is known to work, by the log or by the catalog."""
        request = LayerRequest([text], locale, user, after_failure=False)
        placed = ((layer, self._placed(request, layer)) for layer in (self._own, self._catalog))
        return any(layer.knows(text, at.locale, user) for layer, at in placed if layer is not None and at is not None)

    def surface(self, text: str, locale: str, user: str) -> str | None:
        """Return how a text of this user is spelled when it is sent; None if the catalog lists it for everybody or not at all."""
        return self._catalog.surface(text, locale, user)

    def nearest_locale(self, text: str, locales: Sequence[str], user: str = "") -> tuple[float, str]:
        """Return in which of some locales a text probably is, by the texts of the log and of the catalog."""
        asked = ((layer, [at for at in locales if at in layer.locales]) for layer in (self._own, self._catalog) if layer)
        return max((layer.nearest_locale(text, known, user) for layer, known in asked if known), key=lambda each: each[0])

    @property
    def slots(self) -> Slots | None:
        """Those of the log; of the catalog where the log shows none."""
        return self._catalog.slots if self._own is None or self._own.slots is None else self._own.slots

    def refined(self, request: LayerRequest) -> tuple[str, float] | None:
        """Return how the user of a known request prefers it, by the log or else by the catalog."""
        placed = ((layer, self._placed(request, layer)) for layer in (self._own, self._catalog))
        found = (layer.refined(at) for layer, at in placed if layer is not None and at is not None)
        return next((one for one in found if one is not None), None)

    def open_slots(self, user: str, locale: str, weight: float) -> list[OpenSlot]:
        """Return the slots that a user's requests leave open, by the log or else by the catalog."""
        layer = self._catalog if self._own is None or self._own.slots is None else self._own
        return layer.open_slots(user, locale, weight)

    def turns_by_value(self, user: str, locale: str, slot: str) -> dict[int, float]:
        """Return how often a user's habits have each value of a slot, by the log."""
        return {} if self._own is None else self._own.turns_by_value(user, locale, slot)

    def ambiguity(self, request: LayerRequest, rule: str | None) -> Verdict | None:
        """Decide a text that means different things to different users, as the layer of the log does."""
        placed = self._placed(request, self._own)
        return None if self._own is None or placed is None else self._own.ambiguity(placed, rule)

    def score_all(self, requests: Sequence[LayerRequest]) -> list[Scored | Reason | None]:
        """Return what the log's layer returns for many requests; None where that layer has nothing in their language."""
        found: list[Scored | Reason | None] = [None] * len(requests)
        placed = [(i, own) for i, request in enumerate(requests) if (own := self._placed(request, self._own)) is not None]
        if self._own is not None:
            for (i, _), scored in zip(placed, self._own.score_all([own for _, own in placed]), strict=True):
                found[i] = scored
        return found

    def decide(
        self,
        request: LayerRequest,
        *,
        late: Callable[[], bool],
        sendable: Understands | None,
        scored: Scored | Reason | None = None,
    ) -> Verdict:
        """Decide a request that no rule knows: by the log's layer, and after a refusal by the catalog if that sends nothing."""
        own, beside = self._placed(request, self._own), self._placed(request, self._catalog)
        by_log = Verdict(None, Reason.NO_RULE)
        if beside is not None and not request.after_failure and self.surface(request.hearings[0], beside.locale, request.user):
            return Verdict(
                None, Reason.HEALTHY
            )  # of this text the log knows nothing, and the operator says that it is understood
        if self._own is not None and own is not None:
            by_log = self._own.decide(own, late=late, sendable=sendable, scored=scored)
        if by_log.text is not None or beside is None or not request.after_failure or late():
            return by_log
        by_catalog = self._catalog.decide(beside, late=late, sendable=sendable)
        if by_catalog.text is not None:
            return by_catalog._replace(rule=CATALOG_RULES[by_catalog.scope or Scope.GLOBAL])
        return by_log if by_log.suggestion is not None or by_catalog.reason is Reason.NO_CANDIDATE else by_catalog

    def consider(self, request: LayerRequest) -> tuple[Considered, ...]:
        """Return the candidates of the layer that decides."""
        own, beside = self._placed(request, self._own), self._placed(request, self._catalog)
        by_log = () if self._own is None or own is None else self._own.consider(own)
        sent = any(candidate.standing is Standing.SENT for candidate in by_log)
        return by_log if sent or beside is None or not request.after_failure else self._catalog.consider(beside)

    def _placed(self, request: LayerRequest, layer: "OnlineLayer | CatalogLayer | None") -> LayerRequest | None:
        """Return the request in the nearest locale that a layer has; None if it has none of that language."""
        if layer is None or request.locale in layer.locales:
            return None if layer is None else request
        place = next(iter(self._order(request.locale, dict.fromkeys(layer.locales, 0))), None)
        return None if place is None else request._replace(locale=place)
