"""`ContextRules`: rules that depend on the context. `context_values`: the values of a context, as they are counted."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rewriter.config import Context
from rewriter.errors import reading_artefact
from rewriter.model.rules import Rule
from rewriter.text import normalise

_HOURS = 3
"""Hours that are counted together, so that a part of the day has enough turns."""
_MAX_DIGITS = 100
"""A number with more digits is not used as a context value, because Python refuses to write very long numbers."""


def context_values(context: object, limits: Context | None = None) -> list[str]:
    """Return ``key=value`` for each key of a context that is read, in the order of `Context.keys`, then by name.

    Hours are grouped by three, and texts are normalised. Left out are keys that are not allowed, keys beyond `Context.max_keys`,
    keys that hold an equals sign, keys and values that are too long, empty values, and values that are not text, number or
    boolean. A context that is not a mapping has no values.

    Args:
        context: as given in the log or with a request; any object.
        limits: which keys are read and how much of them; the defaults if None.

    Example:
        >>> context_values({"hour": 7, "room": "Kitchen", "state.oven": True, "battery": 80})
        ['hour=6-8', 'room=kitchen', 'state.oven=true']
    """
    if not isinstance(context, Mapping):
        return []
    limits = limits or Context()
    kept = [key for key in _allowed(context, limits.keys.split()) if _fits(key, limits)][: limits.max_keys]
    pairs = ((key, context_value(key, context[key], limits)) for key in kept)
    return [f"{key}={value}" for key, value in pairs if value]


def context_value(key: str, value: object, limits: Context) -> str:
    """Return the value of a key in the form in which it is counted and compared; an empty text if it is not read."""
    if key == "hour":
        return _hours(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        return ""
    if not isinstance(value, (str, int, float)) or (isinstance(value, str) and len(value) > limits.max_bytes):
        return ""
    text = normalise(str(value))
    return text if _fits(text, limits) else ""


def _allowed(context: Mapping[object, object], patterns: Sequence[str]) -> Iterator[str]:
    """Yield the keys of a context that a list of patterns allows, each once."""
    names = sorted(key for key in context if isinstance(key, str) and "=" not in key)
    seen: set[str] = set()
    for pattern in patterns:
        fitting = (key for key in names if key == pattern or (pattern.endswith("*") and key.startswith(pattern[:-1])))
        for key in fitting:
            if key not in seen:
                seen.add(key)
                yield key


def _fits(text: str, limits: Context) -> bool:
    return len(text.encode("utf-8", "surrogatepass")) <= limits.max_bytes


def _hours(value: object) -> str:
    """Return the part of the day of an hour 0..23, such as "6-8"; an empty text for anything else."""
    try:
        hour = int(float(value))  # type: ignore[arg-type] # whatever a log or a caller holds
    except (TypeError, ValueError, OverflowError):
        return ""
    start = hour // _HOURS * _HOURS
    return f"{start}-{start + _HOURS - 1}" if 0 <= hour < 24 else ""


_FILE = "context.json"


class ContextRule(NamedTuple):
    """A rule that holds for one context value. If its target equals its source, the text is left alone there.

    Attributes:
        context_value: ``key=value``, from `context_values`.
        rule: a rule for everybody.
    """

    context_value: str
    rule: Rule


_ANY_LENGTH = Context(max_bytes=1000)
"""Bounds at request time: how long a value may be that a rule is compared with. A learned value is never longer."""


def _holds(said: str, context: object) -> bool:
    """Return whether a context has a value. Only the key of that value is read from the context."""
    key, _, value = said.partition("=")
    return isinstance(context, Mapping) and key in context and context_value(key, context[key], _ANY_LENGTH) == value


class ContextRules:
    """The rules of one artefact version that depend on the context. They are few, so all are held in memory.

    Args:
        rules: in any order.

    Example:
        >>> rule = Rule("r", "", "en", "what is the temperature", "what is the temperature of the oven", 0.9)
        >>> book = ContextRules([ContextRule("state.oven=on", rule)])
        >>> book.find("what is the temperature", ["en"], {"hour": 18, "state.oven": "on"}).target
        'what is the temperature of the oven'
        >>> book.find("what is the temperature", ["en"], {"hour": 18, "state.oven": "off"})
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Iterable[ContextRule]) -> None:
        self._rules: dict[tuple[str, str], dict[str, Rule]] = {}
        for context_value, rule in sorted(rules, key=lambda of: (of.rule.score, of.rule.rule)):  # the highest score wins
            self._rules.setdefault((rule.locale, rule.source), {})[context_value] = rule

    def __len__(self) -> int:
        return sum(map(len, self._rules.values()))

    @property
    def locales(self) -> frozenset[str]:
        """The locales that have at least one rule."""
        return frozenset(locale for locale, _ in self._rules)

    def find(self, text: str, locales: Sequence[str], context: object) -> Rule | None:
        """Return the rule with the highest score for a normalised text that holds in a context; None if there is none.

        Args:
            text: normalised utterance.
            locales: spelled as in the log, best first.
            context: as given with the request; any object.
        """
        for locale in locales if self._rules else ():
            rules = self._rules.get((locale, text))
            if rules:
                holding = [rule for said, rule in rules.items() if _holds(said, context)]
                return max(holding, key=lambda rule: rule.score, default=None)
        return None

    def save(self, folder: Path) -> None:
        """Write ``context.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [[said, *rule] for of in self._rules.values() for said, rule in of.items()]
        (folder / _FILE).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")

    @classmethod
    def open(cls, folder: Path) -> "ContextRules":
        """Open what `save` wrote. A missing file means no rules.

        Raises:
            ArtefactError: the file is unreadable.
        """
        path = folder / _FILE
        if not path.exists():
            return cls(())
        with reading_artefact(path):
            rows: list[list[object]] = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
            return cls(ContextRule(str(said), Rule(*rule)) for said, *rule in rows)  # type: ignore[arg-type]
