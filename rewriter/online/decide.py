"""What one request is answered with: the rules, drawn or not, then the online layer, and the reason.

What the online layer answers: found, not blocked or undone, and drawn or left alone like a rule.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rewriter.model.layer_slices import part_of
from rewriter.model.rules import Rule
from rewriter.online.assignment import decision_id, drawn
from rewriter.online.options import Asking
from rewriter.online.overlay import mark_of
from rewriter.online.request import Request, Verdict
from rewriter.online.review import Decided
from rewriter.online.serving import Serving

if TYPE_CHECKING:
    from rewriter.online.layer import OnlineLayer

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rewriter.online.assignment import Arm, happens
from rewriter.online.options import SURE, p_asked
from rewriter.online.review import EDITED
from rewriter.result import Rewrite
from rewriter.text import hash_user, normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk


def disambiguated(serving: Serving, asking: Asking, request: Request, rule: Rule | None, decided: Decided) -> Verdict | None:
    """Ask the user's habits; None where they have nothing to say, or what people blocked."""
    online_layer = serving.online_layer
    verdict = (
        online_layer.ambiguity(request, None if rule is None else rule.target)
        if online_layer is not None and request.locale
        else None
    )
    if verdict is None or verdict.text is None:
        return verdict
    query = request.hearings[0]
    return None if decided.blocks(request.locale, query, verdict.text) else _found(serving, asking, request, verdict)


def retrieved(
    serving: Serving, online_layer: "OnlineLayer", asking: Asking, request: Request, late: Callable[[], bool]
) -> Verdict:
    """Ask the online layer; it may send nothing that people blocked or that this user has undone."""
    query, locale, decided = request.hearings[0], request.locale, asking.review.decided()
    if decided.blocks(locale, query):
        return Verdict(None, "blocked_by_review")

    def sendable(candidate: str) -> bool:
        return not decided.blocks(locale, query, candidate) and (asking.understands is None or asking.understands(candidate))

    verdict = online_layer.decide(request, late=late, understands=sendable if decided.blocks_any else asking.understands)
    return verdict if verdict.text is None else _found(serving, asking, request, verdict)


def _found(serving: Serving, asking: Asking, request: Request, verdict: Verdict) -> Verdict:
    """Say what becomes of a rewrite that the online layer found; as with rules, after a refusal nothing is drawn."""
    query, scope = request.hearings[0], verdict.scope
    if verdict.text is None or scope is None:
        return verdict
    mark = mark_of(query, verdict.text)
    if asking.overlay.refuses(request.user, mark):
        return Verdict(None, "undone_by_user")
    part = part_of(verdict.reason, scope, after_failure=request.after_failure)
    share = serving.shares.get(part, 1.0)
    if share <= 0.0:
        return Verdict(None, "withdrawn", candidates=verdict.candidates)
    if share >= 1.0:
        return verdict._replace(mark=mark, part=part)
    arm = drawn(share, request.user or decision_id(), query, asking.today(), serving.user_key)
    if arm == "rewrite":
        return verdict._replace(mark=mark, part=part, arm=arm, propensity=share)
    return Verdict(None, "held_out", scope=scope, candidates=verdict.candidates, part=part, arm=arm, propensity=1.0 - share)


_log = logging.getLogger(__name__)
_TEXT_OR_NONE = (str, type(None))
_HEARINGS = 5  # that are looked at, the utterance itself among them


def answer(
    serving: Serving,
    asking: Asking,
    utterance: str,
    user_id: str | None,
    locale: str | None,
    nbest: Sequence[str],
    context: object,
    after_failure: bool,
) -> Rewrite:
    """Return what `Rewriter.rewrite` returns. Never raises."""
    decision: Ruled | Verdict
    ask = False
    try:
        decision = _decide(serving, asking, utterance, user_id, locale, nbest, context, after_failure)
        if serving.risk is not None and not after_failure and isinstance(decision, Verdict) and decision.reason not in SURE:
            ask = decision.text is None and _asks(serving, serving.risk, asking, utterance, user_id, nbest, context)
    except Exception:  # noqa: BLE001 - no request may fail because of us
        with suppress(Exception):
            _log.warning("a request was left alone", exc_info=True)
        decision = Verdict(None, "error")
    if isinstance(decision, Ruled):
        return _by_rule(serving, utterance, decision)
    return _by_verdict(serving, utterance, decision, ask)


def _asks(
    serving: Serving, risk: "Risk", asking: Asking, utterance: str, user_id: str | None, nbest: object, context: object
) -> bool:
    """Draw whether a request that is sent as spoken is followed by a question, and book it on its user's day."""
    heard = _hearings(normalise(str.__str__(utterance)), nbest, serving.max_chars)
    user, day = _hashed(serving, asking, user_id), asking.today()
    share = p_asked(risk, heard, context, serving.max_chars)
    drawn_so = happens(share, user or decision_id(), heard[0], day, serving.user_key, what=b"ask")
    return drawn_so and asking.prompts.spend(user, day, risk.a_day)


def _hashed(serving: Serving, asking: Asking, user_id: str | None) -> str:
    """Return the user as the artefact stores users; empty for nobody."""
    user = "" if user_id is None else str.__str__(user_id)
    return user if asking.hashed or not user else hash_user(user, serving.user_key)


class Ruled(NamedTuple):
    """What a rule does with a request.

    Attributes:
        id: of the decision.
        rule: the rule.
        arm: what was drawn; None where nothing was.
    """

    id: str
    rule: Rule
    arm: Arm | None


def _decide(  # noqa: PLR0911 - each way out has its reason
    serving: Serving,
    asking: Asking,
    utterance: object,
    user_id: object,
    locale: object,
    nbest: object,
    context: object,
    after_failure: bool,
) -> Ruled | Verdict:
    """Return what a rule does, or what the online layer says, or the reason for leaving the utterance alone."""
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
    hashed = _hashed(serving, asking, user_id)
    known = _known(serving, asking, query, hashed, place, context, after_failure)
    if known is not None:
        return known
    answered = serving.place(place)
    if serving.online_layer is None or answered is None or "online" not in asking.layers:
        return Verdict(None, "no_rule")
    if not after_failure and asking.understands is not None and asking.understands(text):
        return Verdict(None, "understood")
    request = Request(_hearings(query, nbest, serving.max_chars), answered, hashed, bool(after_failure))
    return retrieved(serving, serving.online_layer, asking, request, late)


def _known(
    serving: Serving, asking: Asking, query: str, user: str, place: str | None, context: object, after_failure: bool
) -> Ruled | Verdict | None:
    """Return what is done with a text that a rule knows, or that means different things to different users; None with others."""
    decided = asking.review.decided()
    rule, special = serving.rule(query, place, user, context) if "precomputed" in asking.layers else (None, False)
    if "lesson" in asking.layers and (rule is None or not rule.user) and (edit := decided.edit(query, serving.order(place))):
        rule, special = edit, True
    if user and not special and "online" in asking.layers:
        asked = Request([query], serving.place(place) or "", user, bool(after_failure))
        if (verdict := disambiguated(serving, asking, asked, rule, decided)) is not None:
            return verdict
    if rule is None:
        return None
    if decided.blocks(rule.locale, query, rule.target):
        return Verdict(None, "blocked_by_review")
    return _ruled(serving, asking, rule, user, after_failure)


def _ruled(serving: Serving, asking: Asking, rule: Rule, user: str, after_failure: bool) -> Ruled | Verdict:
    """Say what becomes of a request that a rule knows. After a refusal nothing is drawn: how it fails as spoken is known."""
    if rule.target == rule.source:
        return Verdict(None, "keep_source")
    mark = mark_of(rule.source, rule.target)
    if asking.overlay.refuses(user, mark):
        return Verdict(None, "undone_by_user")
    name = f"{decision_id()}-{mark}"
    if rule.share >= 1.0 or after_failure:
        return Ruled(name, rule, None)
    return Ruled(name, rule, drawn(rule.share, user or name, rule.source, asking.today(), serving.user_key))


def _hearings(query: str, nbest: object, max_chars: int) -> list[str]:
    """Return the utterance and what else was heard, normalised, none twice; what is no text is passed over."""
    if isinstance(nbest, tuple) and not nbest:
        return [query]
    others = [str.__str__(o) for o in list(nbest)[: 2 * _HEARINGS] if isinstance(o, str)] if isinstance(nbest, Sequence) else []
    heard = dict.fromkeys([query, *(normalise(other) for other in others if len(other) <= max_chars)])
    return [hearing for hearing in heard if hearing][:_HEARINGS]


def _by_rule(serving: Serving, utterance: str, ruled: Ruled) -> Rewrite:
    name, rule, arm = ruled
    applied = arm != "leave"
    return Rewrite(
        id=name if applied else name.rpartition("-")[0],  # an undo says nothing of what was not sent
        source=utterance,
        text=rule.target if applied else utterance,
        applied=applied,
        layer=None if not applied else "lesson" if rule.rule == EDITED else "precomputed",
        scope="personal" if rule.user else "global",
        reason="rule" if applied else "held_out",
        score=rule.score if applied else None,
        suggestion=None,
        candidates=(),
        rule=rule.rule,
        arm=arm,
        propensity=None if arm is None else rule.share if applied else 1.0 - rule.share,
        artefact=serving.id,
    )


def _by_verdict(serving: Serving, utterance: str, verdict: Verdict, ask: bool) -> Rewrite:
    applied = verdict.text is not None
    return Rewrite(
        id=f"{decision_id()}-{verdict.mark}" if applied else decision_id(),
        source=utterance,
        text=utterance if verdict.text is None else verdict.text,
        applied=applied,
        layer="online" if applied else None,
        scope=verdict.scope,
        reason=verdict.reason,
        score=verdict.score,
        suggestion=verdict.suggestion,
        candidates=verdict.candidates,
        rule=verdict.part,
        arm=verdict.arm,
        propensity=verdict.propensity,
        artefact=serving.id,
        ask=ask,
    )
