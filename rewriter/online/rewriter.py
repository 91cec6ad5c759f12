"""`Rewriter`: opens an artefact and answers requests."""

import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewriter.artefact.versions import Version, current_id, load_current
from rewriter.model.rules import Rule, RuleBook
from rewriter.model.users import hash_user
from rewriter.online.ids import decision_id
from rewriter.online.locales import lookup_order
from rewriter.result import Reason, Rewrite
from rewriter.text import normalise

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between two looks at CURRENT
_TEXT_OR_NONE = (str, type(None))


@dataclass(frozen=True, slots=True)
class _Serving:
    """One version, opened; a call works on one of these from beginning to end."""

    id: str
    rules: RuleBook
    user_key: bytes
    max_chars: int
    order: Callable[[str | None], tuple[str, ...]]
    """Locale of a request -> the locales in which there are rules for it, best first."""

    @classmethod
    def load(cls, version: Version) -> "_Serving":
        manifest, rules = version.manifest, RuleBook.open(version.folder / "rules")
        ruled = {locale: 0 for counts in rules.counts.values() for locale in counts}
        turns = ruled | dict(manifest.locales)

        @functools.lru_cache(maxsize=256)
        def order(locale: str | None) -> tuple[str, ...]:
            return tuple(known for known in lookup_order(locale, turns) if known in ruled)

        return cls(version.id, rules, bytes.fromhex(manifest.user_key), manifest.max_chars, order)


class Rewriter:
    """Answers requests from an artefact folder, and moves on to a new version within about a second of its publication.

    Safe to use from many threads and across `fork`; all processes share one copy of the files in memory.

    Example:
        >>> rewriter = Rewriter.open("artefact")  # doctest: +SKIP
        >>> rewriter.rewrite("turn of the lamp", user_id="ann").text  # doctest: +SKIP
        'turn off the lamp'
    """

    __slots__ = ("_complaint", "_next_look", "_root", "_serving")

    def __init__(self, root: Path, serving: _Serving) -> None:
        self._root = root
        self._serving = serving
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._complaint = ""

    @classmethod
    def open(cls, path: str | Path) -> "Rewriter":
        """Open the current version of an artefact.

        Raises:
            ArtefactError: it is missing, damaged or from a newer release; names the file.
        """
        return cls(Path(path), load_current(path, _Serving.load))

    def rewrite(
        self,
        utterance: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        nbest: Sequence[str] = (),  # noqa: ARG002 - the contract of the call; precomputed rules look at the text alone
        context: Mapping[str, Any] | None = None,  # noqa: ARG002
        after_failure: bool = False,  # noqa: ARG002
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
        return _answer(self._serving, utterance, user_id, locale)

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
        return [_answer(serving, *request) for request in zip(texts, users, places, strict=True)]

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


def _answer(serving: _Serving, utterance: str, user_id: str | None, locale: str | None) -> Rewrite:
    try:
        decision = _decide(serving, utterance, user_id, locale)
    except Exception:  # noqa: BLE001 - no request may fail because of us
        with suppress(Exception):
            _log.warning("a request was left alone", exc_info=True)
        decision = "error"
    if isinstance(decision, Rule):
        return _applied(serving, utterance, decision)
    return _unchanged(serving, utterance, decision)


def _decide(serving: _Serving, utterance: object, user_id: object, locale: object) -> Rule | Reason:
    """Return the rule to apply, or the reason for leaving the utterance alone."""
    if not (isinstance(utterance, str) and isinstance(user_id, _TEXT_OR_NONE) and isinstance(locale, _TEXT_OR_NONE)):
        return "not_text"
    text = str.__str__(utterance)  # exactly a str: a subclass may do as it likes
    if len(text) > serving.max_chars:
        return "too_long"
    query = normalise(text)
    if not query:
        return "empty"
    order = serving.order(None if locale is None else str.__str__(locale))
    user = "" if user_id is None else str.__str__(user_id)
    rule = serving.rules.find(query, order, hash_user(user, serving.user_key) if user else "")
    if rule is None:
        return "no_rule"
    return "stay" if rule.target == query else rule


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


def _unchanged(serving: _Serving, utterance: str, reason: Reason) -> Rewrite:
    return Rewrite(
        id=decision_id(),
        source=utterance,
        text=utterance,
        applied=False,
        layer=None,
        scope=None,
        reason=reason,
        score=None,
        suggestion=None,
        candidates=(),
        rule=None,
        arm=None,
        propensity=None,
        artefact=serving.id,
    )
