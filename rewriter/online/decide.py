"""`answer` decides one request, and `answer_all` many: by lessons, spellings, rules and the online layer.

What none of them knows is left alone.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from rewriter.codes import Arm, Layer, Reason, Scope
from rewriter.model.layer_slices import Slice
from rewriter.model.rules import Rule
from rewriter.online.lessons import by_lesson, taught_in
from rewriter.online.moments import teachable
from rewriter.online.options import UNASKED, Options, decision_id, drawn, named
from rewriter.online.overlay import mark_of
from rewriter.online.preferences import NOTHING_STATED, Preferred, by_preference, stated_by
from rewriter.online.request import Call, LayerRequest, Understands, Verdict, read_call
from rewriter.online.review import EDITED, Decisions
from rewriter.online.serving import Serving
from rewriter.result import Candidate, Rewrite, Teachable
from rewriter.text import normalise, unspaced

if TYPE_CHECKING:
    from rewriter.model.spellings import Mend
    from rewriter.online.layer import Scored

_log = logging.getLogger(__name__)

_OPEN = (Reason.NO_RULE, Reason.NO_CANDIDATE, Reason.BLOCKED, Reason.FLUENT, Reason.UNSURE, Reason.OFF)
"""Reasons for leaving a request alone that do not speak against asking the user about a rewrite."""
_AT_ONCE: Final = 256
"""Requests of a batch that are measured at once. It bounds the memory, about 50 KB a request."""
Arguments = tuple[str, object, object, object, object, object, object]
"""The utterance and the six arguments that follow it in `answer`."""


def answer(
    serving: Serving,
    options: Options,
    utterance: str,
    user_id: object,
    locale: object,
    nbest: object,
    context: object,
    after_failure: object,
    household_id: object = None,
) -> Rewrite:
    """Return what `Rewriter.rewrite` returns. Never raises.

    Args:
        serving: the artefact version that answers.
        options: what the opener of the `Rewriter` asked for.
        utterance: as given to `Rewriter.rewrite`, like the six that follow.
        user_id: who asks.
        locale: BCP 47.
        nbest: other hearings.
        context: scalars by name.
        after_failure: whether the NLU has already refused the utterance.
        household_id: of which household the user is.
    """
    asked = (utterance, user_id, locale, nbest, context, after_failure, household_id)
    return _finished(serving, options, _begun(serving, options, asked))


def answer_all(serving: Serving, options: Options, asked: Sequence[Arguments]) -> list[Rewrite]:
    """Return what `answer` returns for each of many requests. What the online layer is asked is measured at once.

    Where there is a deadline, each request has its own time, so they are measured one by one.

    Args:
        serving: the artefact version that answers.
        options: what the opener of the `Rewriter` asked for.
        asked: for each request the arguments of `answer`.
    """
    if options.deadline_ms is not None or serving.online_layer is None:
        return [answer(serving, options, *each) for each in asked]
    found: list[Rewrite] = []
    for start in range(0, len(asked), _AT_ONCE):
        begun = [_begun(serving, options, each) for each in asked[start : start + _AT_ONCE]]
        found += [_finished(serving, options, each) for each in _scored(serving, begun)]
    return found


def _scored(serving: Serving, begun: "list[_Begun]") -> "list[_Begun]":
    """Return requests with their candidates. If that fails, each is asked by itself, so that none suffers from another."""
    opened = [each.opened for each in begun if each.opened is not None]
    if serving.online_layer is None or len(opened) <= 1:
        return begun
    try:
        scored = iter(serving.online_layer.score_all([each.request for each in opened]))
    except Exception:  # noqa: BLE001 - no request may fail because of another
        _log.warning("requests are answered one by one", exc_info=True)
        return begun
    return [
        each if each.opened is None else each._replace(opened=each.opened._replace(scored=next(scored))) for each in begun
    ]  # fmt: skip


class _Opened(NamedTuple):
    """What is left to the online layer.

    Attributes:
        request: what it is asked.
        decided: what people decided.
        late: whether the time is up.
        sendable: whether a text may be sent; None if all may.
        scored: the candidates, if they are measured; else None.
    """

    request: LayerRequest
    decided: Decisions
    late: Callable[[], bool]
    sendable: Understands | None
    scored: "Scored | Reason | None" = None


class _Begun(NamedTuple):
    """A request as far as it is decided without the online layer.

    Attributes:
        utterance: as it was given.
        call: its arguments, if they could be read.
        verdict: what is decided; where it is left to the online layer, what is decided if that fails.
        opened: what is left to the online layer; None if nothing is.
    """

    utterance: str
    call: Call | None
    verdict: Verdict
    opened: _Opened | None = None


_FAILED = Verdict(None, Reason.ERROR)


def _begun(serving: Serving, options: Options, asked: Arguments) -> _Begun:
    """Read the arguments of a request, and decide it as far as it needs no online layer."""
    utterance = asked[0]
    try:
        call = read_call(
            *asked, max_chars=serving.max_chars, key=serving.user_key, hashed=options.hashed, commonest=serving.commonest
        )
        if isinstance(call, Reason):
            return _Begun(utterance, None, Verdict(None, call))
        if not call.locale and (detected := serving.detect(call.query, call.user)) is not None:
            call = call.placed(taught_in(options, call, detected) if Layer.LESSON in options.layers else detected)
        decided = _decide(serving, options, call)
        return _Begun(utterance, call, _FAILED, decided) if isinstance(decided, _Opened) else _Begun(utterance, call, decided)
    except Exception:  # noqa: BLE001 - no request may fail because of us
        return _Begun(utterance, None, _complained())


def _finished(serving: Serving, options: Options, begun: _Begun) -> Rewrite:
    """Ask the online layer where that is left, and say what becomes of the request."""
    ask, moment = False, None
    utterance, call, verdict, opened = begun
    if call is not None:
        try:
            if opened is not None:
                verdict = _by_online_layer(serving, options, call, opened)
            verdict = _spelled(serving, options, call, verdict)
            moment = teachable(serving, options, call, verdict)
            ask = moment is None and _asks(serving, options, call, verdict)
        except Exception:  # noqa: BLE001 - no request may fail because of us
            ask, moment, verdict = False, None, _complained()
    return _rewrite(serving, utterance, verdict, ask, moment)


def _complained() -> Verdict:
    """Log the exception that is handled, and leave the request alone."""
    with suppress(Exception):
        _log.warning("a request was left alone", exc_info=True)
    return _FAILED


def _decide(serving: Serving, options: Options, call: Call) -> Verdict | _Opened:
    """Ask the lessons, the rules and this user's habits where the text is ambiguous; the online layer is left for later."""
    late = options.clock()
    decided = options.review.decided()
    may_be_taught = Layer.LESSON in options.layers and bool(call.user or call.household) and options.taught.is_there()
    if may_be_taught:
        taught = by_lesson(serving, options, call, decided)
        if taught is not None:
            return taught if taught.text is None else _drawn(serving, options, call, taught, 1.0)
    rule, special = _find_rule(serving, options, call, decided)
    stated = stated_by(serving, options, call) if may_be_taught and not special else NOTHING_STATED
    if call.user and not special and Layer.ONLINE in options.layers:
        by_habits = _by_habits(serving, options, call, rule, decided, stated)
        if by_habits is not None:
            return by_habits
    mend = None if special else _find_mend(serving, options, call, decided)
    if rule is not None and (mend is None or rule.score > mend.p):
        return _by_rule(serving, options, call, rule, decided)
    if mend is not None:
        return _by_mend(serving, options, call, mend)
    if stated is not NOTHING_STATED and (preferred := by_preference(serving, options, call, decided, stated)):
        return _drawn(serving, options, call, preferred, 1.0)
    opened = _for_online_layer(serving, options, call, decided, late, stated)
    return opened if isinstance(opened, _Opened) else _or_suggested(serving, options, call, decided, opened)


def _find_rule(serving: Serving, options: Options, call: Call, decided: Decisions) -> tuple[Rule | None, bool]:
    """Return the rule that knows the text, and whether it goes before this user's habits.

    The user's own rule and a rule for the context do, and so does what a person wrote, which overrides rules for everybody.
    """
    rule, special = None, False
    if Layer.PRECOMPUTED in options.layers:
        rule, special = serving.rule(call.query, call.locale, call.user, call.context)
    if Layer.LESSON in options.layers and (rule is None or not rule.user):
        edit = decided.edit(call.query, serving.locale_of(call.locale))
        if edit is not None:
            return edit, True
    return rule, special


def _by_rule(serving: Serving, options: Options, call: Call, rule: Rule, decided: Decisions) -> Verdict:
    """Say what becomes of a request that a rule knows. After a refusal nothing is drawn: the request is known to fail."""
    if decided.blocks(serving.holds(call.locale, rule.locale), call.query, rule.target):
        return Verdict(None, Reason.BLOCKED_BY_REVIEW)
    if rule.target == rule.source:
        return Verdict(None, Reason.KEEP_SOURCE)
    if rule.rule != EDITED and not _understood(serving, options, call, rule.target):
        return Verdict(None, Reason.BLOCKED)
    layer = Layer.LESSON if rule.rule == EDITED else Layer.PRECOMPUTED
    scope = Scope.PERSONAL if rule.user else Scope.GLOBAL
    ready = Verdict(rule.target, Reason.RULE, layer, scope, rule.score, rule=rule.rule)
    return _drawn(serving, options, call, ready, 1.0 if call.after_failure else rule.share)


def _find_mend(serving: Serving, options: Options, call: Call, decided: Decisions) -> "Mend | None":
    """Return the spelling in which the utterance works, if it fails as it is spelled; None if nothing speaks for one.

    The assistant's own parser has the last word: what it understands is left alone, and what it does not is not sent.
    """
    if Layer.SPELLING not in options.layers:
        return None
    mend, understands = serving.mend(call.text, call.query, call.locale, call.user), options.understands
    if mend is None or not (mend.after if call.after_failure else mend.before):
        return None
    if decided.blocks(serving.holds(call.locale, mend.locale), call.query, call.query):
        return None
    target = normalise(mend.sent, mend.locale)
    if target != call.query and serving.guardrails().of(mend.locale).verdict(call.query, target) is not None:
        return None  # a mark may change what is meant
    if understands is not None and ((not call.after_failure and understands(call.text)) or not understands(mend.sent)):
        return None
    return mend


def _by_mend(serving: Serving, options: Options, call: Call, mend: "Mend") -> Verdict:
    """Say what becomes of a request that is only spelled wrongly. After a refusal nothing is drawn: it is known to fail."""
    p, share = (mend.after, 1.0) if call.after_failure else (mend.p, mend.share)
    return _drawn(
        serving, options, call, Verdict(mend.sent, Reason.SPELLING, Layer.SPELLING, Scope.GLOBAL, p, rule=mend.rule), share
    )


def _spelled(serving: Serving, options: Options, call: Call, verdict: Verdict) -> Verdict:
    """Return a verdict with its texts as they are spelled when they are sent. What a user taught is sent as it was written."""
    if verdict.reason in (Reason.LESSON, Reason.SPELLING) or verdict.text is verdict.suggestion is None:
        return verdict
    texts = (verdict.text, verdict.suggestion)
    text, suggestion = (None if each is None else _surface(serving, options, call, each) for each in texts)
    return verdict if (text, suggestion) == texts else verdict._replace(text=text, suggestion=suggestion)


def _understood(serving: Serving, options: Options, call: Call, text: str) -> bool:
    """Ask the assistant's own parser about a normalised text, as it would be sent."""
    return options.understands is None or options.understands(_surface(serving, options, call, text))


def _surface(serving: Serving, options: Options, call: Call, text: str) -> str:
    return serving.surface(text, call.locale, call.user) if Layer.SPELLING in options.layers else unspaced(text)


def _by_habits(
    serving: Serving, options: Options, call: Call, rule: Rule | None, decided: Decisions, stated: Preferred
) -> Verdict | None:
    """Ask the user's habits what an ambiguous text means; None if they do not tell, or if people blocked what they tell."""
    locale = serving.places(call.locale).online
    if serving.online_layer is None or locale is None:
        return None
    request = LayerRequest([call.query], locale, call.user, call.after_failure, *stated)
    found = serving.online_layer.ambiguity(request, None if rule is None else rule.target)
    if found is None or found.text is None:
        return found
    return (
        None
        if decided.blocks(serving.holds(call.locale, locale), call.query, found.text)
        else _by_slice(serving, options, call, found)
    )


def _for_online_layer(
    serving: Serving, options: Options, call: Call, decided: Decisions, late: Callable[[], bool], stated: Preferred
) -> Verdict | _Opened:
    """Return what the online layer is asked, or the verdict where there is nothing to ask. What people blocked is not sent."""
    places, understands = serving.places(call.locale), options.understands
    if not places.known:
        return Verdict(None, Reason.UNKNOWN_LOCALE)
    if serving.online_layer is None or places.online is None or Layer.ONLINE not in options.layers:
        return Verdict(None, Reason.NO_RULE)
    if not call.after_failure and understands is not None and understands(call.text):
        return Verdict(None, Reason.UNDERSTOOD)
    query, locale = call.query, places.online
    if decided.blocks_any and decided.blocks(serving.holds(call.locale, locale), query):
        return Verdict(None, Reason.BLOCKED_BY_REVIEW)

    def sendable(candidate: str) -> bool:
        blocked = decided.blocks(serving.holds(call.locale, locale), query, candidate)
        return not blocked and _understood(serving, options, call, candidate)

    request = LayerRequest(call.hearings(), locale, call.user, call.after_failure, *stated)
    return _Opened(request, decided, late, sendable if decided.blocks_any or understands is not None else None)


def _by_online_layer(serving: Serving, options: Options, call: Call, opened: _Opened) -> Verdict:
    """Ask the online layer."""
    if serving.online_layer is None:
        return _FAILED
    request, decided, late, sendable, scored = opened
    found = serving.online_layer.decide(request, late=late, sendable=sendable, scored=scored)
    ready = found if found.text is None else _by_slice(serving, options, call, found)
    return _or_suggested(serving, options, call, decided, ready)


def _or_suggested(serving: Serving, options: Options, call: Call, decided: Decisions, found: Verdict) -> Verdict:
    """Add the suggestion of a rule that is over the loss budget where nothing is sent and nothing else is suggested."""
    if found.suggestion is not None or found.reason not in _OPEN or Layer.PRECOMPUTED not in options.layers:
        return found
    rule = serving.suggestion(call.query, call.locale)
    if rule is None or decided.blocks(serving.holds(call.locale, rule.locale), call.query, rule.target):
        return found
    refused = options.overlay.refuses(call.user, mark_of(call.query, rule.target))
    unfit = not _understood(serving, options, call, rule.target)
    return found if refused or unfit else found._replace(suggestion=rule.target)


def _by_slice(serving: Serving, options: Options, call: Call, found: Verdict) -> Verdict:
    """Say what becomes of a rewrite that the online layer found: each slice of the layer is drawn and withdrawn like a rule."""
    scope = Scope.PERSONAL if found.scope is Scope.PERSONAL else Scope.GLOBAL
    name = found.rule or Slice(found.reason, scope, after_failure=call.after_failure).name
    return _drawn(serving, options, call, found._replace(rule=name), serving.shares.get(name, 1.0))


def _drawn(serving: Serving, options: Options, call: Call, ready: Verdict, share: float) -> Verdict:
    """Say what becomes of a rewrite that is ready: stopped by this user's undo, left alone by a draw, or sent."""
    mark = mark_of(call.query, ready.text or "")
    if options.overlay.refuses(call.user, mark):
        return Verdict(None, Reason.UNDONE_BY_USER)
    if share <= 0.0 and ready.layer is Layer.ONLINE:
        return Verdict(None, Reason.WITHDRAWN, candidates=ready.candidates)
    if share >= 1.0:
        return ready._replace(mark=mark)
    arm = drawn(share, call.user or decision_id(), call.query, options.today(), serving.user_key)
    if arm is Arm.REWRITE:
        return ready._replace(mark=mark, arm=arm, propensity=share)
    held_out = Verdict(None, Reason.HELD_OUT, None, ready.scope, candidates=ready.candidates, rule=ready.rule)
    return held_out._replace(arm=arm, propensity=1.0 - share)


def _asks(serving: Serving, options: Options, call: Call, verdict: Verdict) -> bool:
    """Draw whether a request that is sent as spoken is followed by a question to the user."""
    risk = serving.risk
    if risk is None or call.after_failure or verdict.text is not None or verdict.reason in UNASKED:
        return False
    return options.questions.asks(risk, call, options.today(), serving.user_key)


def _rewrite(serving: Serving, utterance: str, verdict: Verdict, ask: bool, moment: Teachable | None) -> Rewrite:
    applied = verdict.text is not None
    return Rewrite(
        id=named(decision_id(), verdict.mark, serving.user_key),
        source=utterance,
        text=utterance if verdict.text is None else verdict.text,
        applied=applied,
        layer=verdict.layer,
        scope=verdict.scope,
        reason=verdict.reason,
        score=verdict.score,
        suggestion=verdict.suggestion,
        candidates=tuple(map(_unspaced, verdict.candidates)),
        rule=verdict.rule,
        arm=verdict.arm,
        propensity=verdict.propensity,
        artefact=serving.id,
        ask=ask,
        teachable=moment,
        steps=verdict.steps or (utterance if verdict.text is None else verdict.text,),
    )


def _unspaced(candidate: Candidate) -> Candidate:
    text = unspaced(candidate.text)
    return candidate if text == candidate.text else replace(candidate, text=text)
