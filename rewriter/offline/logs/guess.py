"""`propose`: finds out how the turns of a file lie in it, by names, types and statistics of its first records."""

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rewriter.offline.logs.contract import CONTRACT, REQUIRED
from rewriter.offline.logs.fields import CLOCK, CONTENT, NAMES, Field, is_user, roles_of, statuses_of
from rewriter.offline.logs.layout import ROLE
from rewriter.offline.logs.paths import Tree, json_in, tree_of
from rewriter.offline.logs.refusals import REQUESTS, TURNS, refusals, turns_of

_NEEDED: Final = {
    "response", "intent", "slots", "nlu_confidence", "asr_confidence", "locale", "nbest", "device_id", "device_type", "barge_in",
    "feedback", "engaged", "status",
}  # fmt: skip
"""Columns that are proposed only if their name says so: their content alone says too little."""
_WHO: Final = ("user_id", "session_id")
_ALIKE: Final = 0.6  # difference of scores up to which a session may be taken for a user
SURE: Final = 0.7
"""Confidence from which a column that need not be there is proposed. A required one below it is a weak guess."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One column as it is understood.

    Attributes:
        ours: column of the contract, or ``role``.
        theirs: its name in the log.
        confidence: from 0 to 1: the weight of this column among all that could be meant, and none.
        why: in words.
    """

    ours: str
    theirs: str
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """How a file seems to be laid out.

    Attributes:
        mapping: pairs of ``--map`` that read it; those that were given are among them.
        guesses: the columns, without those that have the name of the contract.
        columns: all columns of the file, as paths.
        lacks: required columns that were not found.
        notes: what was looked for and not found, or not for sure.
    """

    mapping: Mapping[str, str]
    guesses: tuple[Guess, ...]
    columns: tuple[str, ...]
    lacks: tuple[str, ...]
    notes: tuple[str, ...] = ()


def propose(records: Sequence[Mapping[str, Any]], given: Mapping[str, str]) -> Proposal:
    """Return how the turns of a log seem to lie in its records.

    Args:
        records: the first records of a file.
        given: pairs that are known already; they are not guessed.

    Example:
        >>> rows = [{"who": f"u{i % 3}", "at": 1767600000 + i, "q": f"turn on lamp {i % 4}"} for i in range(20)]
        >>> propose(rows, {}).mapping
        {'timestamp': 'at', 'utterance': 'q', 'user_id': 'who'}
    """
    tree = tree_of(records)
    shapes = [given["rows"]] if "rows" in given else ["", *_lists(tree)]
    return max((_of_shape(records, rows, given) for rows in shapes), key=_worth)


def _worth(proposal: Proposal) -> tuple[bool, int, float]:
    """Return how good a proposal is. Rows are elements of a list only if the requests stand in it, and who speaks or when."""
    rows, mapping = proposal.mapping.get("rows", ""), proposal.mapping
    inside = [mapping.get(ours, "").startswith(f"{rows}.") for ours in ("utterance", ROLE, "timestamp")]
    fits = not rows or (inside[0] and any(inside[1:]))
    sure = {guess.ours: guess.confidence for guess in proposal.guesses}
    return fits, -len(proposal.lacks), sum(sure.get(ours, 1.0) for ours in REQUIRED) + sure.get(ROLE, 0.0)


def _lists(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yield the paths of lists of objects."""
    for key, inner in tree.keys.items():
        path = f"{prefix}.{key}" if prefix else key
        held = inner.parsed or inner
        if held.element is not None and held.element.keys:
            yield path
            yield from _lists(held.element, path)
        elif held.keys:
            yield from _lists(held, path)


def _of_shape(records: Sequence[Mapping[str, Any]], rows: str, given: Mapping[str, str]) -> Proposal:
    """Return the proposal under the assumption that the rows are the elements of a list."""
    flat = [row for record in records for row in _rows(record, rows.split(".") if rows else [], "")]
    paths = list(dict.fromkeys(path for row in flat for path in row))
    fields = {path: Field(path, [row.get(path) for row in flat]) for path in paths}
    mapping = {**({"rows": rows} if rows else {}), **given}
    guesses: list[Guess] = []
    free = dict(fields)
    for ours in given.keys() & NAMES.keys():
        free.pop(given[ours], None)
    for path in set(fields) & CONTRACT.keys() - given.keys():  # a column of the contract is what its name says
        free.pop(path)
    has_turns = [True] * len(flat)
    for ours in NAMES:
        if ours in given or (ours in fields and ours in CONTRACT):
            found = given.get(ours, ours)
        else:
            guess = _best(ours, free, has_turns, "role" in mapping or ours == ROLE)
            if guess is None:
                continue
            free.pop(guess.theirs, None)
            guesses.append(guess)
            mapping[ours] = found = guess.theirs
        if ours == ROLE and found in fields:
            mapping |= {key: value for key, value in roles_of(fields[found]).items() if key not in mapping}
            has_turns = is_user(fields[found], mapping)
            free |= {found: fields[found]} if f"{ROLE}.*" in mapping else {}
    notes = _finish(mapping, guesses, fields, has_turns, given)
    lacks = tuple(ours for ours in REQUIRED if ours not in mapping and ours not in fields)
    return Proposal(mapping, tuple(guesses), tuple(paths), lacks, notes)


def _rows(record: Mapping[str, Any], way: list[str], prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a record as path -> value; a value is scalar, a list of scalars, or an object of scalars."""
    own = dict(_values(record, prefix, skip=way[0] if way else None))
    if not way:
        yield own
        return
    inner: Any = record
    for n, key in enumerate(way):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
        inner = json_in(inner) or inner
        if isinstance(inner, list):
            path = ".".join(filter(None, [prefix, *way[: n + 1]]))
            for element in inner:
                if isinstance(element, Mapping):
                    yield from (own | row for row in _rows(element, way[n + 1 :], path))
            return


def _values(value: Any, path: str, skip: str | None = None) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    inside = json_in(value)
    value = value if inside is None else inside
    if isinstance(value, Mapping):
        if path and value and not any(isinstance(each, (list, dict)) for each in value.values()):
            yield path, value
        for key, inner in value.items():
            if key != skip:
                yield from _values(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        if path and all(isinstance(each, str) for each in value):
            yield path, value if len(value) != 1 else value[0]
        elif value:
            yield from _values(value[0], path)
    else:
        yield path, value


def _best(ours: str, fields: Mapping[str, Field], has_turns: Sequence[bool], has_role: bool) -> Guess | None:
    """Return the column that is most likely meant; None if none is likely enough."""
    scored = []
    for path, field in fields.items():
        if ours in _WHO and _is_other(field):
            continue
        of_turns = field if ours == ROLE else Field(path, [v for v, turn in zip(field.values, has_turns, strict=True) if turn])
        name, content = field.named(ours), CONTENT[ours](of_turns)
        if content is not None and (ours not in _NEEDED or name > 0) and of_turns.given:
            scored.append((name + content, path, name, of_turns))
    if not scored or (ours == "response" and has_role):
        return None
    scored.sort(key=lambda each: -each[0])
    if ours == "user_id":
        _coarser_first(scored)
    score, path, name, field = scored[0]
    none = 1.0 if ours in REQUIRED else 2.0
    rivals = scored if ours in (*REQUIRED, ROLE) else scored[:1]  # of what need not be there, any column will do
    weight = sum(math.exp(2 * each[0]) for each in rivals) + math.exp(2 * none)
    confidence = math.exp(2 * score) / weight
    if confidence < (0.2 if ours in REQUIRED else SURE):
        return None
    named = "named like it" if name > 0.5 else "not by its name"
    return Guess(ours, path, confidence, f"{named}; {_seen(ours, field)}")


def _is_other(field: Field) -> bool:
    """Return whether a column cannot be the user or the session, because its name or its values say what else it is.

    A status comes back in many rows, as a user does, and so do intents, locales and kinds of devices.
    """
    if any(field.named(who) > 0 for who in _WHO):
        return _is_status(field)
    return (
        field.named("status") > 0
        or _is_status(field)
        or any(field.named(ours) > 0 and CONTENT[ours](field) is not None for ours in _NEEDED - {"device_id", "response"})
    )


def _is_status(field: Field) -> bool:
    """Return whether all values of a column say that something went well, or that it failed."""
    return CONTENT["status"](field) is not None and len(statuses_of(field)) == len({text.strip() for text in field.texts})


def _coarser_first(scored: list[tuple[float, str, float, Field]]) -> None:
    """Put the user before the session, where both look alike: each session is of one user, and a user has several."""
    score, _, _, session = scored[0]
    for i, (other, _, _, user) in enumerate(scored[1:], start=1):
        pairs = {(str(one), str(two)) for one, two in zip(session.values, user.values, strict=True) if one is not None}
        nested = len(pairs) == session.distinct and 0.2 * session.distinct <= user.distinct < session.distinct
        if nested and other >= score - _ALIKE:
            scored.insert(0, (score, *scored.pop(i)[1:]))
            return


def _seen(ours: str, field: Field) -> str:
    rows = len(field.values)
    if ours == "timestamp":
        return f"times in {field.present:.0%} of {rows:,} rows, such as {field.texts[0]}"
    if ours in ("utterance", "response"):
        return f"{field.distinct:,} texts of {field.words:.1f} words in {rows:,} rows"
    shown = ", ".join(text[:20] for text, _ in Counter(field.texts).most_common(2))
    return f"{field.distinct:,} values in {rows:,} rows, such as {shown}"


def _finish(
    mapping: dict[str, str],
    guesses: list[Guess],
    fields: Mapping[str, Field],
    has_turns: Sequence[bool],
    given: Mapping[str, str],
) -> tuple[str, ...]:
    """Add what follows from the columns that were found: a time in two columns, users, and what values mean; return notes."""
    if "timestamp" not in given and (clock := _clock_beside(fields, mapping.get("timestamp", ""))):
        at = next(i for i, guess in enumerate(guesses) if guess.ours == "timestamp")
        mapping["timestamp"], why = f"{mapping['timestamp']}+{clock}", f"{guesses[at].why}; the time of day is in {clock}"
        guesses[at] = replace(guesses[at], theirs=mapping["timestamp"], why=why)
    talk = mapping.get("session_id", "session_id" if "session_id" in fields else "")
    if talk and "user_id" not in mapping and "user_id" not in fields:
        mapping["user_id"] = talk
        guesses.append(Guess("user_id", talk, 0.5, "no column names the user, so that each conversation counts as a user"))
    status = fields.get(mapping.get("status", ""))
    if "status" in given or any(key.startswith("status.") for key in given):
        return ()
    if status is not None:
        means = statuses_of(status).items()
        mapping |= {f"status.{value}": meaning for value, meaning in means if value.lower() not in ("ok", "failed")}
    elif "status" not in fields:
        return _add_refusals(mapping, guesses, fields, has_turns)
    return ()


def _clock_beside(fields: Mapping[str, Field], date: str) -> str:
    """Return the column with the time of day where another has only the date; empty where there is none."""
    if date not in fields or fields[date].share(lambda text: CLOCK.search(text) or text.isdigit()) >= 0.1:
        return ""
    clocks = (
        path for path, of in fields.items() if path != date and of.given and of.share(lambda t: CLOCK.fullmatch(t.strip())) > 0.9
    )
    return next(clocks, "")


def _add_refusals(
    mapping: dict[str, str], guesses: list[Guess], fields: Mapping[str, Field], has_turns: Sequence[bool]
) -> tuple[str, ...]:
    """Propose the answers after which users say nearly the same again, whatever they had said, as refusals; return notes."""
    said, answer = fields.get(mapping.get("utterance", "utterance")), fields.get(mapping.get("response", "response"))
    if said is None or (answer is None and ROLE not in mapping):
        return ()
    talk = fields.get(mapping.get("session_id", "session_id")) or fields.get(mapping.get("user_id", "user_id"))
    clock = next((fields[name] for name in reversed(mapping.get("timestamp", "timestamp").split("+")) if name in fields), None)
    turns = turns_of(said, answer, talk, clock, has_turns)
    found, doubted = refusals(turns)
    column = mapping.get("utterance", "utterance") if answer is None else answer.path
    if found:
        mapping["status"] = column
        mapping |= {f"status.{text}": "failed" for text in found}
        again = sum(text in found for _, text, _ in turns)
        guesses.append(
            Guess(
                "status",
                column,
                0.95,
                f"the answer {found[0]!r} is given after {again:,} requests, and users then mostly say it again",
            )
        )
    told = [
        f"the answer {text!r} may refuse, but fewer than {REQUESTS} different requests got it; if it does:"
        f" {'' if found else f'--map status={column} '}--map {shlex.quote(f'status.{text}=failed')}"
        for text in doubted
    ]
    none = (
        f"no answer was taken for a refusal: one that refuses is given {TURNS} times or more, to {REQUESTS} different requests or"
        " more, and these are then said again in other words"
    )
    return tuple(told if told or found else [none])
