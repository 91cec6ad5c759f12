"""The columns of a log that is not known: what their names and their values speak for."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from rewriter.codes import Speaker
from rewriter.offline.logs.layout import ROLE, ROLES

NAMES: Final[Mapping[str, str]] = {
    ROLE: "role sender from author direction speaker type source event action side actor bot who",
    "timestamp": "timestamp time ts date datetime created createdat at when sent occurred",
    "utterance": "utterance text query transcript message content said heard asr body phrase request question input q search",
    "user_id": "user uid userid customer caller client member visitor sender speaker person household account anon who author",
    "session_id": "session conversation conv convo dialog dialogue thread chat call talk",
    "turn_id": "turn message event request response id uuid",
    "response": "response answer reply fulfillment bot output assistant speech messages",
    "status": "status state outcome result success match matched understood failed failure error fallback nomatch",
    "intent": "intent display name action",
    "slots": "slots entities parameters",
    "nlu_confidence": "confidence score nlu intent detection",
    "asr_confidence": "asr speech recognition confidence",
    "locale": "locale language lang code",
    "nbest": "nbest alternatives hypotheses hearings",
    "device_id": "device id",
    "device_type": "device type kind",
    "barge_in": "barge interrupted",
    "feedback": "feedback thumbs",
    "engaged": "engaged clicked click played completed",
}
"""Column -> words in the names of such columns in logs of other programs. A word counts, and content decides."""
_BAD: Final = frozenset(
    [
        "no",
        "not",
        "non",
        "fail",
        "failed",
        "failure",
        "error",
        "fallback",
        "unknown",
        "none",
        "unrecognized",
        "miss",
        "missed",
        "rejected",
    ]
)
_GOOD: Final = frozenset(
    [
        "ok",
        "okay",
        "success",
        "succeeded",
        "successful",
        "match",
        "matched",
        "intent",
        "direct",
        "completed",
        "understood",
        "resolved",
    ]
)
_DATE: Final = re.compile(
    r"\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](\d{4}|\d\d)|\d\d?[ /-][A-Za-z]{3,9}[ /-]\d{4}|[A-Za-z]{3,9} \d\d?,? \d{4}"
)
CLOCK: Final = re.compile(r"\d\d?:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?")
_OFTEN: Final = 1.5  # times chance from which a value comes again at once
_LOCALE: Final = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")


class Field:
    """The values of one column in the rows that are looked at; None where a row has none."""

    def __init__(self, path: str, values: Sequence[Any]) -> None:
        self.path, self.values = path, values

    @cached_property
    def given(self) -> list[Any]:
        """The values without the gaps."""
        return [value for value in self.values if value is not None and str(value).strip()]

    @cached_property
    def texts(self) -> list[str]:
        """The values as text."""
        return [str(value).lower() if isinstance(value, bool) else str(value) for value in self.given]

    @cached_property
    def distinct(self) -> int:
        """How many values differ."""
        return len(set(self.texts))

    @property
    def present(self) -> float:
        """Share of the rows that have a value."""
        return len(self.given) / max(1, len(self.values))

    def share(self, test: Callable[[str], object]) -> float:
        """Return the share of the values for which something holds."""
        return sum(map(bool, map(test, self.texts))) / max(1, len(self.texts))

    @cached_property
    def numbers(self) -> list[float]:
        """The values as numbers, those that are one."""
        return [number for number in map(number_of, self.given) if number is not None]

    @cached_property
    def words(self) -> float:
        """Mean number of words; letters of a script without blanks count half."""
        return sum(len(text.split()) + len(re.findall(r"[\u3040-\u9fff]", text)) / 2 for text in self.texts) / max(
            1, len(self.texts)
        )

    def named(self, ours: str) -> float:
        """Return how much the name speaks for a column: words of its last part count whole, those before it less.

        The first word of a flag, as in ``isFallback``, says nothing.
        """
        *before, last = self.path.split(".")
        known = set(NAMES[ours].split())
        parts = [*tokens(last)]
        parts = parts[parts[:1] == ["is"] :]
        hits = sum(part in known for part in parts) + ("".join(parts) in known and len(parts) > 1)
        above = len({token for part in before[-2:] for token in tokens(part)} & known)
        return 1.5 * min(hits, 2) + 0.7 * min(above, 2) - 0.3 * max(0, len(parts) - hits)


def tokens(name: str) -> list[str]:
    """Return the words of a name, in lower case.

    Example:
        >>> tokens("userId"), tokens("created_at"), tokens("isNLUFallback")
        (['user', 'id'], ['created', 'at'], ['is', 'nlu', 'fallback'])
    """
    return [token.lower() for token in _WORD.findall(name)]


def number_of(value: object) -> float | None:
    """Return a value as a number; None if it is none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# --- What the content says: a score to add to that of the name, or None where it cannot be


def _as_time(field: Field) -> float | None:
    """Return how much the values look like times; None if they do not."""
    numbers = field.numbers
    epoch = sum(1e9 <= n < 2e9 or 1e12 <= n < 2e12 or 1e15 <= n < 2e15 or 1e18 <= n < 2e18 for n in numbers)
    share = max(epoch / max(1, len(field.given)), field.share(lambda text: _DATE.match(text.strip())))
    if share < 0.9:
        return None
    return 2.0 + (field.distinct / max(1, len(field.given)) > 0.2) - 2.0 * (1 - field.present)


def _as_utterance(field: Field) -> float | None:
    letters = field.share(lambda text: sum(map(str.isalpha, text)) >= 0.5 * len(text))
    if letters < 0.7 or _is_structured(field) or field.distinct < 2:
        return None
    spoken = 1.5 if 1.3 <= field.words <= 30 else 0.0
    return (
        spoken
        + min(1.0, 4 * field.distinct / max(1, len(field.given)))
        - 1.5 * (field.share(lambda t: "://" in t) > 0.2)
        - (1 - field.present)
    )


def _is_structured(field: Field) -> bool:
    return any(isinstance(value, (dict, list, bool)) for value in field.given[:20])


def _is_id(field: Field) -> bool:
    return (
        not _is_structured(field)
        and field.share(lambda text: not re.search(r"\s", text.strip())) > 0.95
        and _as_time(field) is None
    )


def _as_user(field: Field) -> float | None:
    if not _is_id(field) or field.distinct < 2 or any(n % 1 for n in field.numbers):
        return None
    repeats = field.distinct <= 0.7 * len(field.given)
    few = field.distinct <= 3 and len(field.given) > 20
    ending = any(token in ("id", "uid", "uuid") for token in tokens(field.path.split(".")[-1]))
    return 1.0 * repeats + 1.0 * (repeats and _lift(field) > _OFTEN) - 0.5 * few + 0.5 * ending - (1 - field.present)


def _lift(field: Field) -> float:
    """Return how much more often a row has the value of the row before than by chance: whoever speaks often speaks again."""
    n = len(field.texts)
    chance = sum(count * (count - 1) for count in Counter(field.texts).values()) / max(1, n * (n - 1))
    again = sum(one == two for one, two in itertools.pairwise(field.texts)) / max(1, n - 1)
    return again / chance if chance else 0.0


def _as_session(field: Field) -> float | None:
    found = _as_user(field)
    return None if found is None or field.named("session_id") < 0.5 else found + 1.0


def _as_turn(field: Field) -> float | None:
    unique = _is_id(field) and field.present > 0.99 and field.distinct == len(field.given)
    return 2.0 if unique and tokens(field.path.split(".")[-1])[-1:] in (["id"], ["uuid"]) else None


def _as_role(field: Field) -> float | None:
    if field.present < 0.9 or not 2 <= field.distinct <= max(6, 0.2 * len(field.given)):
        return None
    known = {ROLES.get(text.strip().lower()) for text in field.texts}
    share = field.share(lambda text: text.strip().lower() in ROLES)
    if Speaker.USER in known and len(known - {None}) > 1 and share > 0.6:
        return 4.0
    if _is_flag(field) and "bot" in tokens(field.path) and field.named(ROLE) > 0:
        return 3.0
    return 1.5 if _assistant(field) and field.named(ROLE) > 0 else None


def _is_flag(field: Field) -> bool:
    return {text.strip().lower() for text in field.texts} in ({"true", "false"}, {"0", "1"})


def _assistant(field: Field) -> str:
    """Return the speaker who answers nearly every other one, and hardly ever itself; empty if there is none."""
    value, n = Counter(field.texts).most_common(1)[0]
    pairs = list(itertools.pairwise(field.texts))
    asked = sum(before != value for before, _ in pairs)
    answered = sum(one == value and before != value for before, one in pairs)
    return value if answered >= 0.7 * max(asked, n, 1) and field.words < 4 else ""


def _as_share(field: Field) -> float | None:
    return 1.5 if len(field.numbers) >= 0.95 * len(field.given) and all(0 <= n <= 1 for n in field.numbers) else None


def _as_status(field: Field) -> float | None:
    if field.distinct > 8 or field.distinct < 2 or field.words > 3:
        return None
    meanings = set(statuses_of(field).values())
    return 1.5 if "failed" in meanings else None


def _short(field: Field) -> float | None:
    return 1.0 if not _is_structured(field) and not field.numbers and field.words < 4 and _as_time(field) is None else None


def _as_intent(field: Field) -> float | None:
    if (
        field.distinct > 0.5 * len(field.given)
        or field.share(lambda text: "/" in text) > 0.5
        or "intent" not in tokens(field.path)
    ):
        return None
    return _short(field)


def _as_response(field: Field) -> float | None:
    return None if _is_structured(field) or field.words < 1.3 else 1.5


def _of_kind(kind: type) -> Callable[[Field], float | None]:
    return lambda field: 1.5 if field.given and all(isinstance(value, kind) for value in field.given[:50]) else None


CONTENT: Final[Mapping[str, Callable[[Field], float | None]]] = {
    ROLE: _as_role,
    "timestamp": _as_time,
    "utterance": _as_utterance,
    "user_id": _as_user,
    "session_id": _as_session,
    "turn_id": _as_turn,
    "response": _as_response,
    "status": _as_status,
    "intent": _as_intent,
    "slots": _of_kind(dict),
    "nlu_confidence": _as_share,
    "asr_confidence": lambda field: _as_share(field) if {"asr", "speech"} & {*tokens(field.path)} else None,
    "locale": lambda field: 1.5 if field.share(_LOCALE.fullmatch) > 0.95 else None,
    "nbest": _of_kind(list),
    "device_id": lambda field: _as_user(field) if "device" in tokens(field.path) and tokens(field.path)[-1] == "id" else None,
    "device_type": lambda field: _short(field) if "device" in tokens(field.path) else None,
    "barge_in": lambda field: 1.0 if _is_flag(field) else None,
    "feedback": lambda field: 1.0 if {*field.numbers} <= {-1.0, 0.0, 1.0} and field.numbers else None,
    "engaged": lambda field: 1.0 if _is_flag(field) or _as_share(field) else None,
}


# --- What values mean


def roles_of(field: Field) -> dict[str, str]:
    """Return the pairs that say who speaks, for values that are not known by themselves."""
    values = {text.strip().lower() for text in field.texts}
    if _is_flag(field):
        true, false = ("true", "false") if "true" in values else ("1", "0")
        return {f"{ROLE}.{true}": str(Speaker.BOT), f"{ROLE}.{false}": str(Speaker.USER)}
    if {ROLES.get(value) for value in values} & {Speaker.USER}:
        return {}
    bot = _assistant(field)
    return {f"{ROLE}.{bot}": str(Speaker.BOT), f"{ROLE}.*": str(Speaker.USER)} if bot else {}


def is_user(field: Field, mapping: Mapping[str, str]) -> list[bool]:
    """Return whether each row is from a user, by the column that says who speaks."""
    words = {**ROLES, **{key.partition(".")[2].lower(): v for key, v in mapping.items() if key.startswith(f"{ROLE}.")}}
    return [words.get(str(value).strip().lower(), words.get("*")) == Speaker.USER for value in field.values]


def statuses_of(field: Field) -> dict[str, str]:
    """Return the value -> ok or failed, where words of the value, or of the name of a yes-no column, say so."""
    values = dict.fromkeys(text.strip() for text in field.texts)
    if _is_flag(field):
        bad = bool(_BAD & {*tokens(field.path)}) or "nomatch" in "".join(tokens(field.path))
        said = bad or bool(_GOOD & {*tokens(field.path)})
        meaning = {True: "failed", False: "ok"} if bad else {True: "ok", False: "failed"}
        return {value: meaning[value.lower() in ("true", "1")] for value in values} if said else {}
    found = {}
    for value in values:
        parts = {*tokens(value)}
        if parts & (_BAD | _GOOD):
            found[value] = "failed" if parts & _BAD else "ok"
    return found
