"""Lessons: what users taught a text to mean. `by_lesson` answers a request by one, `teach` checks a new one and keeps it."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rewriter.artefact.taught import TaughtLesson
from rewriter.codes import Caution, Layer, Reason, Scope
from rewriter.errors import RequestError
from rewriter.online.options import Options, decision_id, named
from rewriter.online.overlay import mark_of
from rewriter.online.request import MAX_LOCALE, Call, Verdict, read_user, shown
from rewriter.online.review import Decisions
from rewriter.online.serving import Serving, lookup_order
from rewriter.result import Lesson, LessonCaution, Taught
from rewriter.text import hash_household, hash_user, normalise

MAX_LESSONS: Final = 200
"""Lessons of one user or household. A person teaches some dozens; the bound keeps a script from filling the disk."""
MAX_STEPS: Final = 10
"""Steps of a lesson."""
MAX_JOIN: Final = 20
"""Characters between two steps."""
_MAX_FOLLOWED = 8  # lessons that one request follows: a lesson may name others

Find = Callable[[str], TaughtLesson | None]
"""The lesson of a user or the household on a normalised text; None if there is none."""


def by_lesson(serving: Serving, options: Options, call: Call, decided: Decisions) -> Verdict | None:
    """Answer a request by what its user, or somebody of the household, taught; None if nobody taught this text.

    Steps that other lessons of theirs explain are replaced by what these say, unless that leads round in a circle. What people
    blocked in review is not sent.

    Args:
        serving: the version that answers.
        options: what the opener of the `Rewriter` asked for.
        call: the request.
        decided: the review.
    """
    find = finder(serving, options, call.locale, (call.user, call.household))
    lesson = find(call.query)
    if lesson is None:
        return None
    steps, joined_by, _ = follow(lesson, find)
    texts = [joined_by.join(steps), *steps]
    holds = serving.holds(call.locale, lesson.locale)
    if any(decided.blocks(holds, call.query, normalise(text, call.language)) for text in texts):
        return Verdict(None, Reason.BLOCKED_BY_REVIEW)
    if normalise(texts[0], call.language) == call.query:
        return Verdict(None, Reason.KEEP_SOURCE)
    scope = Scope.PERSONAL if lesson.owner == call.user else Scope.HOUSEHOLD
    return Verdict(texts[0], Reason.LESSON, Layer.LESSON, scope, 1.0, rule=lesson.id, steps=steps)


def taught_in(options: Options, call: Call, detected: str) -> str:
    """Return the locale of a request that names none: the detected one, unless its text was taught in other languages only.

    Args:
        options: what the opener of the `Rewriter` asked for.
        call: the request.
        detected: its likely locale (`Serving.detect`).
    """
    known = [lesson for owner in (call.user, call.household) if owner for lesson in options.taught.lessons_on(owner, call.query)]
    return known[0].locale if known and _nearest(known, detected) is None else detected


def finder(
    serving: Serving, options: Options, locale: str | None, owners: Sequence[str], new: TaughtLesson | None = None
) -> Find:
    """Return what finds the lesson of a text for a request.

    Args:
        serving: the version that answers.
        options: what the opener of the `Rewriter` asked for.
        locale: of the request.
        owners: keyed hashes; those of the first go before those of the next. Empty ones are passed over.
        new: a lesson that is looked up as if it were stored.
    """

    def find(said: str) -> TaughtLesson | None:
        for owner in filter(None, owners):
            known = options.taught.lessons_on(owner, said)
            if new is not None and (owner, said) == new[:2]:
                known = [new, *(lesson for lesson in known if lesson.locale != new.locale)]
            if known and (found := _nearest(known, serving.locale_of(locale))) is not None:
                return found
        return None

    return find


def follow(lesson: TaughtLesson, find: Find) -> tuple[tuple[str, ...], str, str]:
    """Return the steps of a lesson, what joins them, and the step that leads back to it in a circle; empty if none does.

    A step that another lesson explains is replaced by its steps. A lesson that leads back to itself through others is taken as it
    stands. A step that is the very text of its own lesson is sent as it is: "good night" may mean "good night" and one thing
    more.

    Example:
        >>> def row(said, *steps):
        ...     return TaughtLesson("5f", said, "en", said, "5f", steps, " and ", 0)
        >>> known = {"movie time": row("movie time", "cinema", "lock up"), "cinema": row("cinema", "dim the lights")}
        >>> follow(known["movie time"], known.get)
        (('dim the lights', 'lock up'), ' and ', '')
        >>> known["cinema"] = row("cinema", "movie time")
        >>> follow(known["movie time"], known.get)
        (('cinema', 'lock up'), ' and ', 'movie time')
    """
    followed = 0
    joined_by = lesson.joined_by
    circle = ""

    def expand(of: TaughtLesson, path: frozenset[str]) -> Iterator[str]:
        nonlocal followed, joined_by, circle
        for step in of.steps:
            text = normalise(step, of.locale)
            circle = step if text in path - {of.said} else circle
            inner = find(text) if text not in path and followed < _MAX_FOLLOWED else None
            if inner is None:
                yield step
                continue
            followed += 1
            joined_by = joined_by or inner.joined_by
            yield from expand(inner, path | {inner.said})

    steps = tuple(expand(lesson, frozenset({lesson.said})))
    return (lesson.steps, lesson.joined_by, circle) if circle else (steps, joined_by, "")


def teach(
    serving: Serving,
    options: Options,
    said: str,
    meant: str | Sequence[str],
    *,
    user_id: str | int | None,
    household_id: str | int | None,
    scope: Scope | str,
    locale: str | None,
    joined_by: str | None,
    confirm: bool,
    preview: bool,
) -> Taught:
    """Do what `Rewriter.teach` does; the arguments are described there."""
    user, household = owner_of(serving, options, user_id), owner_of(serving, options, household_id, household=True)
    owner = _owner(_scope(scope), user, household)
    lesson = TaughtLesson(
        owner=owner,
        said=_said(said, serving.max_chars, serving.locale_of(locale)),
        locale=_locale(locale, serving),
        id=secrets.token_hex(8),
        author=user,
        steps=_steps(meant, serving.max_chars),
        joined_by="",
        ts_ms=int(options.now() * 1000),
    )
    lesson = lesson._replace(joined_by=_joined(lesson.steps, joined_by, serving.max_chars))
    find = finder(serving, options, lesson.locale, (owner, household), lesson)
    older = next((one for one in options.taught.lessons_on(owner, lesson.said) if one.locale == lesson.locale), None)
    cautions = tuple(_cautions(serving, options, lesson, older, find))
    stored = not preview and (confirm or all(caution.code is not Caution.DESTRUCTIVE for caution in cautions))
    if stored:
        if not options.taught.teach(lesson, most=MAX_LESSONS):
            raise RequestError(f"one user or household has at most {MAX_LESSONS} lessons, and all are taken: unteach one first")
        _take_back_undo(serving, options, lesson, find)
    return Taught(shown_lesson(lesson, user), stored, cautions, None if older is None else shown_lesson(older, user))


def shown_lesson(row: TaughtLesson, user: str) -> Lesson:
    """Return a row of the file as users see it.

    Args:
        row: the lesson.
        user: keyed hash of the user who asks; empty for nobody.
    """
    scope = Scope.PERSONAL if row.owner == user else Scope.HOUSEHOLD
    return Lesson(row.id, row.said, row.steps, row.joined_by, row.locale, scope, row.ts_ms)


def owner_of(serving: Serving, options: Options, given: str | int | None, *, household: bool = False) -> str:
    """Return the keyed hash of a user or household; empty for nobody.

    Raises:
        RequestError: it is no id.
    """
    read = read_user(given)
    if isinstance(read, Reason):
        raise RequestError(f"an id is a text or an integer, such as 'ann', not {shown(given)}")
    if not read or options.hashed:
        return read
    return hash_household(read, serving.user_key) if household else hash_user(read, serving.user_key)


def _cautions(
    serving: Serving, options: Options, lesson: TaughtLesson, older: TaughtLesson | None, find: Find
) -> Iterator[LessonCaution]:
    """Yield what a user should know about a lesson, the gravest first."""
    steps, joined_by, circle = follow(lesson, find)
    guardrail = serving.guardrails().of(lesson.locale)
    texts = [normalise(step, lesson.locale) for step in steps]
    if destroys := next(filter(None, (guardrail.destroys(lesson.said, text) for text in texts)), None):
        yield LessonCaution(Caution.DESTRUCTIVE, destroys.packed())
    else:
        whole = normalise(joined_by.join(steps), lesson.locale)
        if crosses := guardrail.verdict(lesson.said, whole) or guardrail.crosses(lesson.said, whole):
            yield LessonCaution(Caution.CONTRAST, crosses.packed())
    if older is not None and (older.steps, older.joined_by) != (lesson.steps, lesson.joined_by):
        yield LessonCaution(Caution.CONFLICT, older.joined_by.join(older.steps))
    if circle:
        yield LessonCaution(Caution.LOOP, circle)
    if texts != [lesson.said]:
        yield from _shadowed(serving, options, lesson)
    for step in steps:
        if options.understands is not None and not options.understands(step):
            yield LessonCaution(Caution.NOT_UNDERSTOOD, step)


def _shadowed(serving: Serving, options: Options, lesson: TaughtLesson) -> Iterator[LessonCaution]:
    """Yield what the words of a lesson did until now: they worked as they are, or a rule rewrote them."""
    online, rule = serving.places(lesson.locale).online, serving.rule(lesson.said, lesson.locale, lesson.owner, {})[0]
    if rule is not None and rule.target != rule.source:
        yield LessonCaution(Caution.RULE, rule.target)
    elif (
        rule is not None
        or (options.understands is not None and options.understands(lesson.said))
        or (serving.online_layer is not None and online and serving.online_layer.knows(lesson.said, online, lesson.owner))
    ):
        yield LessonCaution(Caution.HEALTHY)


def _take_back_undo(serving: Serving, options: Options, lesson: TaughtLesson, find: Find) -> None:
    """Let a lesson hold although its user has undone the same rewrite before: who teaches it now means it."""
    steps, joined_by, _ = follow(lesson, find)
    mark = mark_of(lesson.said, joined_by.join(steps))
    if options.overlay.refuses(lesson.author, mark):
        options.overlay.add(lesson.author, named(decision_id(), mark, serving.user_key), 0, lesson.ts_ms)


def _nearest(known: Sequence[TaughtLesson], locale: str) -> TaughtLesson | None:
    """Return the lesson in the locale that is nearest to that of a request; None if all are of other languages."""
    by_locale = {lesson.locale: lesson for lesson in known}
    if locale in by_locale:
        return by_locale[locale]
    order = lookup_order(locale, dict.fromkeys(filter(None, by_locale), 0)) if locale else tuple(by_locale)
    return next((by_locale[name] for name in (*order, "") if name in by_locale), None)


def _scope(scope: Scope | str) -> Scope:
    try:
        if (read := Scope(scope)) is not Scope.GLOBAL:
            return read
    except ValueError:
        pass
    raise RequestError(f"the scope of a lesson is personal or household, not {shown(scope)}")


def _owner(scope: Scope, user: str, household: str) -> str:
    """Return for whom a lesson holds.

    Raises:
        RequestError: its id is missing.
    """
    if scope is Scope.HOUSEHOLD and not household:
        raise RequestError("a lesson for a household needs household_id, such as household_id='home-7'")
    if scope is Scope.PERSONAL and not user:
        raise RequestError("a lesson needs the user_id of the person who teaches it, such as user_id='ann'")
    return household if scope is Scope.HOUSEHOLD else user


def _said(said: object, max_chars: int, locale: str) -> str:
    """Return what is said, normalised.

    Raises:
        RequestError: it is no text, says nothing, or is longer than a request may be.
    """
    text = normalise(said, locale) if isinstance(said, str) and len(said) <= max_chars else ""
    if not text:
        raise RequestError(f"`said` is a text of at most {max_chars} characters, such as 'movie time', not {shown(said)}")
    return text


def _steps(meant: object, max_chars: int) -> tuple[str, ...]:
    """Return the steps of what is meant, white space tidied.

    Raises:
        RequestError: they are no texts, say nothing, are too long, or too many.
    """
    given = [meant] if isinstance(meant, str) else list(meant) if isinstance(meant, Sequence) else []
    steps = tuple(" ".join(step.split()) for step in given if isinstance(step, str) and len(step) <= max_chars)
    if not given or len(steps) < len(given) or not all(map(normalise, steps)):
        raise RequestError(f"`meant` is a text of at most {max_chars} characters, or a list of such texts, not {shown(meant)}")
    if len(steps) > MAX_STEPS:
        raise RequestError(f"a lesson has at most {MAX_STEPS} steps, not {len(steps)}")
    return steps


def _joined(steps: Sequence[str], joined_by: str | None, max_chars: int) -> str:
    """Return what stands between the steps.

    Raises:
        RequestError: there are several steps and it is missing, or the whole is too long.
    """
    if len(steps) == 1:
        return ""
    if not isinstance(joined_by, str) or not joined_by or len(joined_by) > MAX_JOIN:
        raise RequestError(
            f"a lesson of {len(steps)} steps needs joined_by, what your assistant understands between two requests, such as "
            f"' and ' (at most {MAX_JOIN} characters), not {shown(joined_by)}; `Rewrite.steps` has them one by one, too"
        )
    if len(joined_by.join(steps)) > max_chars:
        raise RequestError(f"the steps of a lesson have at most {max_chars} characters together")
    return joined_by


def _locale(locale: object, serving: Serving) -> str:
    if locale is not None and not (isinstance(locale, str) and len(locale) <= MAX_LOCALE):
        raise RequestError(f"a locale is BCP 47, such as 'en' or 'de-DE', not {shown(locale)}")
    return serving.locale_of(locale or None)
