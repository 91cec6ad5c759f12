"""`Rewriter`: opens an artefact and answers requests."""

import functools
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewriter.artefact.versions import Version, current_id, load_current, open_version
from rewriter.model.rules import Rule, RuleBook
from rewriter.model.users import hash_user
from rewriter.online.ids import decision_id
from rewriter.online.locales import lookup_order
from rewriter.online.verdict import Request, Understands, Verdict
from rewriter.result import LAYERS, Layer, Rewrite
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.online.star import Star

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between two looks at CURRENT
_TEXT_OR_NONE = (str, type(None))
_HEARINGS = 5  # that are looked at, the utterance itself among them


@dataclass(frozen=True, slots=True)
class _Serving:
    """One version, opened; a call works on one of these from beginning to end."""

    id: str
    rules: RuleBook
    user_key: bytes
    max_chars: int
    order: Callable[[str | None], tuple[str, ...]]
    """Locale of a request -> the locales in which there are rules for it, best first."""
    star: "Star | None"
    """The online layer, where `learn` made one."""
    place: Callable[[str | None], str | None]
    """Locale of a request -> the locale in which the online layer answers it."""

    @classmethod
    def load(cls, version: Version) -> "_Serving":
        manifest, rules = version.manifest, RuleBook.open(version.folder / "rules")
        ruled = {locale: 0 for counts in rules.counts.values() for locale in counts}
        turns = ruled | dict(manifest.locales)

        @functools.lru_cache(maxsize=256)
        def order(locale: str | None) -> tuple[str, ...]:
            return tuple(known for known in lookup_order(locale, turns) if known in ruled)

        star = _open_star(version.folder / "online")
        answered = frozenset() if star is None else star.locales

        @functools.lru_cache(maxsize=256)
        def place(locale: str | None) -> str | None:
            return next((known for known in lookup_order(locale, turns) if known in answered), None)

        return cls(version.id, rules, bytes.fromhex(manifest.user_key), manifest.max_chars, order, star, place)


def _open_star(folder: Path) -> "Star | None":
    """Open the online layer; only who has one pays for its libraries."""
    if not folder.is_dir():
        return None
    from rewriter.online.star import Star  # noqa: PLC0415

    return Star.open(folder)


class Rewriter:
    """Answers requests from an artefact folder, and moves on to a new version within about a second of its publication.

    Safe to use from many threads and across `fork`; all processes share one copy of the files in memory.

    Example:
        >>> rewriter = Rewriter.open("artefact")  # doctest: +SKIP
        >>> rewriter.rewrite("turn of the lamp", user_id="ann").text  # doctest: +SKIP
        'turn off the lamp'
    """

    __slots__ = ("_asking", "_complaint", "_next_look", "_root", "_serving")

    def __init__(self, root: Path, serving: _Serving, asking: "_Asking", *, stays: bool = False) -> None:
        self._root = root
        self._serving = serving
        self._asking = asking
        self._next_look = math.inf if stays else time.monotonic() + _LOOK_EVERY
        self._complaint = ""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        understands: Understands | None = None,
        deadline_ms: float | None = None,
        layers: Iterable[Layer] = LAYERS,
        version: str | None = None,
        hashed: bool = False,
    ) -> "Rewriter":
        """Open the current version of an artefact, or a certain one.

        Args:
            path: the artefact folder.
            understands: the assistant's own parser, where it is at hand: what it understands is left alone before the NLU
                unless a rule says otherwise, and what it does not understand is not sent by the online layer.
            deadline_ms: how long the online layer may take, milliseconds; looked at between its stages. None for no limit.
            layers: which of them are asked.
            version: id of a version to stay with; None for the current one, whichever that is at each time.
            hashed: whether user ids are given as the artefact stores them, as in what `learn` has read, and not as in the log.

        Raises:
            ArtefactError: it is missing, damaged or from a newer release; names the file.
        """
        root, asking = Path(path), _Asking(understands, deadline_ms, frozenset(layers), hashed)
        if version is not None:
            return cls(root, _Serving.load(open_version(root, version)), asking, stays=True)
        return cls(root, load_current(root, _Serving.load), asking)

    def rewrite(
        self,
        utterance: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        nbest: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,  # noqa: ARG002 - the contract of the call
        after_failure: bool = False,
    ) -> Rewrite:
        """Return what to send to the NLU in place of an utterance. Never raises.

        Args:
            utterance: what the assistant heard.
            user_id: pseudonym of the person or household, as in the log; None serves what holds for everybody.
            locale: BCP 47; None for the commonest locale of the log. Falls back from en-US to en to any en-*.
            nbest: other hearings, best first.
            context: scalars such as ``hour``, ``room``, ``previous_utterance``.
            after_failure: whether the NLU has already refused this utterance.

        Returns:
            The rewritten text, or the utterance unchanged, whatever was given, and the reason why.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        return _answer(self._serving, self._asking, utterance, user_id, locale, nbest, after_failure)

    def rewrite_batch(
        self,
        utterances: Iterable[str],
        *,
        user_ids: Iterable[str | None] | None = None,
        locales: Iterable[str | None] | None = None,
    ) -> list[Rewrite]:
        """Rewrite many utterances, all by the same version.

        Args:
            utterances: what the assistant heard.
            user_ids: one for each utterance; None for nobody's.
            locales: one for each utterance; None for the commonest.

        Raises:
            ValueError: there are more or fewer users or locales than utterances.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        texts, serving = list(utterances), self._serving
        users = [None] * len(texts) if user_ids is None else user_ids
        places = [None] * len(texts) if locales is None else locales
        return [_answer(serving, self._asking, *request, (), False) for request in zip(texts, users, places, strict=True)]

    def _look(self) -> None:
        """Move on to the version that `CURRENT` names, if it is another and whole."""
        self._next_look = time.monotonic() + _LOOK_EVERY
        try:
            if current_id(self._root) != self._serving.id:
                self._serving = load_current(self._root, _Serving.load)
            self._complaint = ""
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new version, the old one serves
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.warning("version %s goes on serving: %s", self._serving.id, error)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What the opener of a `Rewriter` asked for."""

    understands: Understands | None
    deadline_ms: float | None
    layers: frozenset[Layer]
    hashed: bool

    def clock(self) -> Callable[[], bool]:
        """Start the clock, and return what says whether the time is up."""
        if self.deadline_ms is None:
            return _never
        end = time.perf_counter() + self.deadline_ms / 1000
        return lambda: time.perf_counter() >= end


def _never() -> bool:
    return False


def _answer(
    serving: _Serving,
    asking: _Asking,
    utterance: str,
    user_id: str | None,
    locale: str | None,
    nbest: Sequence[str],
    after_failure: bool,
) -> Rewrite:
    decision: Rule | Verdict
    try:
        decision = _decide(serving, asking, utterance, user_id, locale, nbest, after_failure)
    except Exception:  # noqa: BLE001 - no request may fail because of us
        with suppress(Exception):
            _log.warning("a request was left alone", exc_info=True)
        decision = Verdict(None, "error")
    if isinstance(decision, Rule):
        return _applied(serving, utterance, decision)
    return _said(serving, utterance, decision)


def _decide(  # noqa: PLR0911 - each way out has its reason
    serving: _Serving, asking: _Asking, utterance: object, user_id: object, locale: object, nbest: object, after_failure: bool
) -> Rule | Verdict:
    """Return the rule to apply, or what the online layer says, or the reason for leaving the utterance alone."""
    if not (isinstance(utterance, str) and isinstance(user_id, _TEXT_OR_NONE) and isinstance(locale, _TEXT_OR_NONE)):
        return Verdict(None, "not_text")
    late = asking.clock()
    text = str.__str__(utterance)  # exactly a str: a subclass may do as it likes
    if len(text) > serving.max_chars:
        return Verdict(None, "too_long")
    query = normalise(text)
    if not query:
        return Verdict(None, "empty")
    place = None if locale is None else str.__str__(locale)
    user = "" if user_id is None else str.__str__(user_id)
    hashed = user if asking.hashed or not user else hash_user(user, serving.user_key)
    rule = serving.rules.find(query, serving.order(place), hashed) if "precomputed" in asking.layers else None
    if rule is not None:
        return Verdict(None, "stay") if rule.target == query else rule
    answered = serving.place(place)
    if serving.star is None or answered is None or "online" not in asking.layers:
        return Verdict(None, "no_rule")
    if not after_failure and asking.understands is not None and asking.understands(text):
        return Verdict(None, "understood")
    request = Request(_hearings(query, nbest, serving.max_chars), answered, hashed, bool(after_failure))
    return serving.star.decide(request, late=late, understands=asking.understands)


def _hearings(query: str, nbest: object, max_chars: int) -> list[str]:
    """Return the utterance and what else was heard, normalised, none twice; what is no text is passed over."""
    others = [str.__str__(o) for o in list(nbest)[: 2 * _HEARINGS] if isinstance(o, str)] if isinstance(nbest, Sequence) else []
    heard = dict.fromkeys([query, *(normalise(other) for other in others if len(other) <= max_chars)])
    return [hearing for hearing in heard if hearing][:_HEARINGS]


def _applied(serving: _Serving, utterance: str, rule: Rule) -> Rewrite:
    return Rewrite(
        id=decision_id(),
        source=utterance,
        text=rule.target,
        applied=True,
        layer="precomputed",
        scope="personal" if rule.user else "global",
        reason="rule",
        score=rule.score,
        suggestion=None,
        candidates=(),
        rule=rule.rule,
        arm=None,
        propensity=None,
        artefact=serving.id,
    )


def _said(serving: _Serving, utterance: str, verdict: Verdict) -> Rewrite:
    applied = verdict.text is not None
    return Rewrite(
        id=decision_id(),
        source=utterance,
        text=utterance if verdict.text is None else verdict.text,
        applied=applied,
        layer="online" if applied else None,
        scope=verdict.scope,
        reason=verdict.reason,
        score=verdict.score,
        suggestion=verdict.suggestion,
        candidates=verdict.candidates,
        rule=None,
        arm=None,
        propensity=None,
        artefact=serving.id,
    )
