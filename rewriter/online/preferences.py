"""Preferences: which value of a slot a user said to prefer. `by_preference` fills requests in, `read_statement` reads sentences.

Sentences are read by patterns of `rewriter.model.phrases` over the slots that the log and the catalog know.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rewriter.artefact.taught import TaughtPreference
from rewriter.codes import Layer, Reason, Scope
from rewriter.errors import RequestError
from rewriter.model.phrases import compiled, phrases
from rewriter.online.lessons import owner_of
from rewriter.online.options import Options
from rewriter.online.request import Call, LayerRequest, Verdict, shown
from rewriter.online.review import Decisions
from rewriter.online.serving import Serving
from rewriter.result import Preference, Stated
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.slots import OpenSlot, StatedPreference, Vocabulary

MAX_PREFERENCES: Final = 50
"""Preferences of one user."""
_MAX_STATEMENT = 200  # characters of a sentence that is read


class Statement(NamedTuple):
    """What a sentence says about a preference.

    Attributes:
        slot: its name.
        value: normalised.
        over: the only value that it is preferred to, normalised; empty for all others.
    """

    slot: str
    value: str
    over: str = ""


Preferred = tuple[Sequence["StatedPreference"], float]
"""What the user of a request said to prefer, and how many turns that weighs."""
NOTHING_STATED: Final[Preferred] = ((), 0.0)


def by_preference(serving: Serving, options: Options, call: Call, decided: Decisions, preferred: Preferred) -> Verdict | None:
    """Fill in what a known request leaves open as its user prefers it; None if no preference fits, or they have moved on.

    Args:
        serving: the version that answers.
        options: what the opener of the `Rewriter` asked for.
        call: the request.
        decided: the review.
        preferred: what `stated_by` returned.
    """
    locale, (stated, weight) = serving.places(call.locale).online, preferred
    if serving.online_layer is None or locale is None or not stated:
        return None
    found = serving.online_layer.refined(LayerRequest([call.query], locale, call.user, call.after_failure, stated, weight))
    if found is None or found[0] == call.query or found[1] < serving.teaching.min_p_preference:
        return None
    text, p = found
    unfit = options.understands is not None and not options.understands(text)
    if unfit or decided.blocks(serving.holds(call.locale, locale), call.query, text):
        return None
    if serving.guardrails().of(locale).destroys(call.query, text):
        return None
    return Verdict(text, Reason.PREFERENCE, Layer.LESSON, Scope.PERSONAL, p)


def stated_by(serving: Serving, options: Options, call: Call) -> Preferred:
    """Return what the user of a request said to prefer, and how many turns that weighs."""
    rows = options.taught.preferences(call.user) if call.user and Layer.LESSON in options.layers else []
    if not rows:
        return NOTHING_STATED
    from rewriter.model.slots import StatedPreference  # noqa: PLC0415 - needs numpy, which rules alone do not

    return [StatedPreference(row.slot, row.value, row.over, row.before) for row in rows], serving.teaching.preference_turns


def prefer(
    serving: Serving,
    options: Options,
    slot: str,
    value: str,
    *,
    user_id: str | int | None,
    over: str | None,
    locale: str | None,
) -> Preference:
    """Do what `Rewriter.prefer` does; the arguments are described there."""
    user = owner_of(serving, options, user_id)
    if not user:
        raise RequestError("a preference needs the user_id of the person who states it, such as user_id='ann'")
    known = vocabulary(serving, locale)
    wanted, other = (normalise(text) if isinstance(text, str) else "" for text in (value, over))
    if slot not in known:
        raise RequestError(f"no request fills a slot {shown(slot)}; slots are {', '.join(sorted(known)) or 'not known here'}")
    for said, given in ((wanted, value), (other, over)):
        if given is not None and said not in known[slot]:
            some = ", ".join(known[slot][:5])
            raise RequestError(f"no request fills the slot {slot} with {shown(given)}; values are such as {some}")
    if wanted == other:
        raise RequestError(f"{shown(value)} cannot be preferred to itself")
    row = TaughtPreference(
        user, slot, wanted, other, secrets.token_hex(8), _turns(serving, user, slot, locale), int(options.now() * 1000)
    )
    if not options.taught.prefer(row, most=MAX_PREFERENCES):
        raise RequestError(f"one user has at most {MAX_PREFERENCES} preferences, and all are taken: unteach one first")
    return shown_preference(row)


def prefer_said(serving: Serving, options: Options, text: str, *, user_id: str | int | None, locale: str | None) -> Stated:
    """Do what `Rewriter.prefer_said` does; the arguments are described there."""
    found = read_statement(text, vocabulary(serving, locale), phrases(serving.locale_of(locale)))
    if len(found) != 1:
        return Stated(None, tuple((one.slot, one.value) for one in found))
    (one,) = found
    kept = prefer(serving, options, one.slot, one.value, user_id=user_id, over=one.over or None, locale=locale)
    return Stated(kept, ((one.slot, one.value),))


def unstated(serving: Serving, options: Options, user_id: str | int, locale: str | None) -> "list[OpenSlot]":
    """Do what `Rewriter.open_slots` does; the arguments are described there."""
    user, place = owner_of(serving, options, user_id), serving.places(locale).online
    if serving.online_layer is None or place is None or not user:
        return []
    known = {row.slot for row in options.taught.preferences(user)}
    found = serving.online_layer.open_slots(user, place, serving.teaching.preference_turns)
    return [one for one in found if one.slot not in known]


def shown_preference(row: TaughtPreference) -> Preference:
    """Return a row of the file as users see it."""
    return Preference(row.id, row.slot, row.value, row.over, row.ts_ms)


def vocabulary(serving: Serving, locale: str | None) -> Mapping[str, Sequence[str]]:
    """Return the values of each slot in the locale in which the online layer answers a request."""
    place, slots = serving.places(locale).online, None if serving.online_layer is None else serving.online_layer.slots
    if slots is None or place is None:
        return {}
    known: Vocabulary = slots.vocabulary
    return known.get(place, {})


def read_statement(text: object, known: Mapping[str, Sequence[str]], words: Mapping[str, Any]) -> list[Statement]:
    """Return what a sentence says about preferences: nothing, one thing, or all things that it may mean.

    Args:
        text: the sentence.
        known: slot -> its values.
        words: patterns of the language, from `phrases`.

    Example:
        >>> known = {"team": ["warriors", "lakers"], "cuisine": ["italian"], "room": ["office"], "brand": ["italian"]}
        >>> read_statement("I'm a Warriors fan!", known, phrases("en"))
        [Statement(slot='team', value='warriors', over='')]
        >>> read_statement("I prefer the Lakers over the Warriors", known, phrases("en"))
        [Statement(slot='team', value='lakers', over='warriors')]
        >>> [one.slot for one in read_statement("I like Italian restaurants", known, phrases("en"))]
        ['brand', 'cuisine']
        >>> [read_statement(said, known, phrases("en")) for said in ("my room is the office", "turn on the tv")]
        [[Statement(slot='room', value='office', over='')], []]
    """
    said = normalise(text) if isinstance(text, str) and len(text) <= _MAX_STATEMENT else ""
    for pattern in words["prefer"]:
        if matched := compiled(pattern).fullmatch(said):
            found = sorted(set(_statements(matched.groupdict(), known, frozenset(words["articles"]))))
            if found:
                return found
    return []


def _statements(parts: Mapping[str, str], known: Mapping[str, Sequence[str]], articles: frozenset[str]) -> Iterator[Statement]:
    """Yield what the parts of a sentence can mean: the longest value that begins it, in each slot that has it."""
    slots = [slot for slot in known if "slot" not in parts or _named(slot) == parts["slot"]]
    options = {slot: found for slot in slots if (found := _value(parts["value"], known[slot], articles))}
    longest = max(map(len, options.values()), default=0)
    for slot, value in options.items():
        other = _value(parts["other"], known[slot], articles) if "other" in parts else ""
        if len(value) == longest and ("other" not in parts or other) and value != other:
            yield Statement(slot, value, other)


def _value(text: str, values: Sequence[str], articles: frozenset[str]) -> str:
    """Return the longest value with which a text begins, articles apart ("the italian restaurants": italian); empty if none."""
    words = text.split()
    while words and words[0] in articles:
        words = words[1:]
    begun = {" ".join(words[:n]) for n in range(1, len(words) + 1)}
    return max((value for value in values if value in begun), key=len, default="")


def _named(slot: str) -> str:
    return normalise(slot.replace("_", " "))


def _turns(serving: Serving, user: str, slot: str, locale: str | None) -> dict[str, float]:
    """Return how often a user's habits have each value of a slot, as a preference keeps it."""
    place = serving.places(locale).online
    if serving.online_layer is None or place is None:
        return {}
    return {str(key): turns for key, turns in serving.online_layer.turns_by_value(user, place, slot).items()}
