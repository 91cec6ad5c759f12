"""Teachable moments: when it is worth asking a user to teach what a request means, and what becomes of the answer."""

from typing import Final

from rewriter.codes import Layer, Moment, Reason
from rewriter.errors import RequestError
from rewriter.model.phrases import phrases
from rewriter.online.lessons import owner_of, teach
from rewriter.online.options import Options
from rewriter.online.request import Call, Verdict, shown
from rewriter.online.serving import Serving
from rewriter.result import Taught, Teachable
from rewriter.text import normalise, unspaced

MAX_REFUSALS: Final = 500
"""Refusals of one user that are remembered; beyond them the oldest go."""
_GOOD: Final = 0.5
"""P(it is meant) from which on a suggestion is worth a question that asks for a lesson."""
_RIVAL: Final = 0.5
"""Largest share of that P that another candidate may have: else there is not one good candidate, but several."""
_ASKED_AT: Final = (Reason.NO_RULE, Reason.NO_CANDIDATE, Reason.BLOCKED, Reason.FLUENT, Reason.UNSURE, Reason.OFF, Reason.HEALTHY)
"""Reasons for leaving a request alone that do not speak against asking."""


def teachable(serving: Serving, options: Options, call: Call, verdict: Verdict) -> Teachable | None:
    """Return what to ask the user of a request that is left alone; None for most requests.

    The user's own restatements go before what the engine suggests. Nothing destructive is asked for, nothing that they refused,
    and not more than `Config.teaching.max_asked_a_day` times a day in this process.

    Args:
        serving: the version that answers.
        options: what the opener of the `Rewriter` asked for.
        call: the request.
        verdict: what was decided on it.
    """
    if not call.user or verdict.text is not None or verdict.reason not in _ASKED_AT or Layer.LESSON not in options.layers:
        return None
    locales = serving.places(call.locale).all
    own = next(filter(None, (serving.moments(call.query, locale, call.user) for locale in locales)), None)
    meant, p = _suggested(serving, call, verdict) if own is None else (own.target, own.score)
    target = "" if meant is None else normalise(meant, call.language)
    if meant is None or target == call.query or options.taught.refused(call.user, call.query, target):
        return None
    locale = serving.locale_of(call.locale)
    if serving.guardrails().of(locale).destroys(call.query, target):
        return None
    if not options.moments.spend(call.user, options.today(), serving.teaching.max_asked_a_day):
        return None
    question = phrases(locale)["ask_lesson"].format(said=unspaced(call.query), meant=meant)
    if own is None:
        return Teachable(Moment.UNSURE, call.query, meant, question, 0, 0, p, locale)
    kind, turns, days = own.rule.split(":")
    return Teachable(Moment(kind), call.query, meant, question, int(turns), int(days), p, locale)


def _suggested(serving: Serving, call: Call, verdict: Verdict) -> tuple[str | None, float]:
    """Return the suggestion if it is the one good candidate for a request that is known to fail, and P(it is meant)."""
    meant = verdict.suggestion if call.after_failure else None
    if meant is None:
        return None, 0.0
    p = {candidate.text: candidate.p_success for candidate in verdict.candidates}
    normal = normalise(meant, call.language)  # `meant` is spelled as it works, candidates are not
    rule = serving.suggestion(call.query, call.locale)
    if rule is not None and normalise(rule.target, call.language) == normal:
        p.setdefault(normal, rule.score)
    best = p.pop(normal, 0.0)
    return (meant, best) if best >= _GOOD and max(p.values(), default=0.0) <= _RIVAL * best else (None, 0.0)


def answer_moment(
    serving: Serving, options: Options, asked: Teachable, answer: bool | str, *, user_id: str | int
) -> Taught | None:
    """Do what `Rewriter.answer` does; the arguments are described there."""
    user = owner_of(serving, options, user_id)
    if not user:
        raise RequestError("an answer needs the user_id of the person who gives it, such as user_id='ann'")
    yes = read_yes(answer, asked.locale)
    if yes is None:
        raise RequestError(f"an answer is True, False, or words for yes or no, not {shown(answer)}")
    if not yes:
        options.taught.refuse(
            user, asked.said, normalise(asked.meant, asked.locale), int(options.now() * 1000), most=MAX_REFUSALS
        )
        return None
    return teach(
        serving, options, asked.said, asked.meant, user_id=user_id, household_id=None, scope="personal", locale=asked.locale,
        joined_by=None, confirm=False, preview=False,
    )  # fmt: skip


def read_yes(answer: object, locale: str) -> bool | None:
    """Return whether an answer says yes; None if it says neither yes nor no.

    Args:
        answer: True, False, or words.
        locale: BCP 47.

    Example:
        >>> read_yes("Yes, please!", "en"), read_yes("nein danke", "de"), read_yes("blue", "en"), read_yes(True, "en")
        (True, False, None, True)
    """
    if isinstance(answer, bool):
        return answer
    said, words = normalise(answer, locale) if isinstance(answer, str) else "", phrases(locale)
    return True if said in words["yes"] else False if said in words["no"] else None
