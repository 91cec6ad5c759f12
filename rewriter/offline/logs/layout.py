"""`Layout`: how the turns of a log lie in its files. Every shape of a log is this description; one reader reads them all."""

import difflib
import json
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rewriter.codes import DateOrder, Speaker
from rewriter.errors import LogError
from rewriter.offline.logs.contract import CONTRACT

ROLE: Final = "role"
"""The column that says whether a row is what a user said, what the assistant answered, or what a user did."""
_SETTINGS: Final = ("rows", ROLE, "dates")
_WORDED: Final = (ROLE, "status", "engaged", "barge_in", "feedback")
"""Columns whose values may be given a meaning, as in ``status.NO_MATCH=failed``."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("user", "human", "customer", "client", "visitor", "guest", "caller"), Speaker.USER)
    | dict.fromkeys(("incoming", "inbound", "in", "query", "search", "request"), Speaker.USER)
    | dict.fromkeys(("bot", "assistant", "agent", "chatbot", "ai", "model", "operator"), Speaker.BOT)
    | dict.fromkeys(("outgoing", "outbound", "out", "response", "reply", "answer"), Speaker.BOT)
    | {"click": "0.5", "add_to_cart": "1", "purchase": "1"}
)
"""Value of the column `role`, in lower case -> who speaks, or the share by which the turn before succeeded. They are the words of
common formats; ``role.VALUE=user`` adds one. The shares are those of `rewriter.connect.ubi.ACTIONS`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the turns of a log lie in its files.

    A name is that of a column, or a path through objects such as ``message.text``. A path goes through a list to its first
    element, and through a text that is JSON into that JSON. A column of that very name goes before a path.

    Attributes:
        names: column of the contract -> the name to look for in the files.
        mapped: columns for which a name was given.
        words: column -> (value in lower case, or ``*`` for every other value -> what it means).
        rows: path of the list, inside a record, whose elements are the rows; empty where a record is a row.
        role: name of the column that says who speaks; empty where every row is a turn.
        dates: order of day and month in dates such as 05/01/2026; None to find it out.
    """

    names: Mapping[str, str]
    mapped: frozenset[str] = frozenset()
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rows: str = ""
    role: str = ""
    dates: DateOrder | None = None

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> "Layout":
        """Read the pairs of ``--map``: ours -> theirs.

        Besides columns of the contract, `mapping` may hold ``rows``, ``role``, ``dates``, and ``COLUMN.VALUE`` -> meaning.

        Raises:
            LogError: a name on our side is unknown, or a meaning is none.

        Example:
            >>> layout = Layout.of({"utterance": "text", "role": "from", "role.Lumi": "bot", "dates": "day-first"})
            >>> layout.names["utterance"], layout.names["user_id"], layout.role, layout.words["role"]["lumi"], layout.dates.value
            ('text', 'user_id', 'from', 'bot', 'day-first')
        """
        words: dict[str, dict[str, str]] = {ROLE: dict(ROLES)} if ROLE in mapping else {}
        for ours, theirs in mapping.items():
            column, dot, value = ours.partition(".")
            if dot and column in _WORDED:
                words.setdefault(column, {})[value.strip().lower()] = _meaning(column, value, theirs)
            elif ours not in CONTRACT and ours not in _SETTINGS:
                near = difflib.get_close_matches(ours, [*CONTRACT, *_SETTINGS], n=1) or sorted(CONTRACT)
                raise LogError(f"the log has no column {ours} to map to; did you mean {near[0]}?")
        return cls(
            names={name: mapping.get(name, name) for name in CONTRACT},
            mapped=frozenset(name for name in CONTRACT if name in mapping),
            words=words,
            rows=mapping.get("rows", ""),
            role=mapping.get(ROLE, ""),
            dates=_dates(mapping["dates"]) if "dates" in mapping else None,
        )

    @property
    def is_folded(self) -> bool:
        """Whether a turn may lie in several rows, or several rows in a record."""
        return bool(self.rows or self.role)

    def wanted(self) -> dict[str, str]:
        """Return ours -> theirs of every column to look for, `role` too."""
        return {**self.names, ROLE: self.role} if self.role else dict(self.names)


def _meaning(column: str, value: str, meaning: str) -> str:
    if column == ROLE and meaning not in {*Speaker} and not _is_share(meaning):
        raise LogError(f"{column}.{value} means user, bot, none, or a share from 0 to 1 such as 0.5, not {meaning!r}")
    return str(meaning)


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _dates(text: str) -> DateOrder:
    if text not in {*DateOrder}:
        raise LogError(f"dates are {' or '.join(DateOrder)}, not {text!r}: 05/01/2026 is 5 January if the day comes first")
    return DateOrder(text)


def as_options(mapping: Mapping[str, str]) -> str:
    """Return the pairs as options of a command line.

    Example:
        >>> as_options({"utterance": "text", "status.No match!": "failed", "dates": "day-first"})
        "--map utterance=text --map 'status.No match!=failed' --dates day-first"
    """
    pairs = [f"--map {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in mapping.items() if ours != "dates"]
    return " ".join([*pairs, *([f"--dates {mapping['dates']}"] if "dates" in mapping else [])])


def save_mapping(mapping: Mapping[str, str], path: Path) -> None:
    """Write the pairs of ``--map`` as a TOML file for `read_mapping`.

    Raises:
        LogError: the file cannot be written.
    """
    lines = [
        f"{json.dumps(ours, ensure_ascii=False)} = {json.dumps(theirs, ensure_ascii=False)}" for ours, theirs in mapping.items()
    ]
    try:
        path.write_text("\n".join(["# How a log is read: rewriter learn LOG --mapping FILE", *lines, ""]), encoding="utf-8")
    except OSError as error:
        raise LogError(f"cannot write the mapping {path}: {error}") from error


def read_mapping(path: Path) -> dict[str, str]:
    """Read the pairs of ``--map`` from a TOML file, as `save_mapping` writes it.

    Raises:
        LogError: the file cannot be read, or holds more than pairs of texts.
    """
    try:
        pairs = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LogError(f"cannot read the mapping {path}: {error}") from error
    if wrong := [key for key, value in pairs.items() if not isinstance(value, str)]:
        raise LogError(f'{path}: {wrong[0]} must be a text in quotes, such as "user_id" = "user.id"')
    return pairs
