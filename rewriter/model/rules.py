"""The precomputed rules: `RuleBook`, looked up by text in memory-mapped LMDB files, and `ContextRules`, which depend on context.

`write_rules`     writes what `RuleBook` maps
`save_suggested`  writes the rules that are only suggested, `open_suggested` reads them
`context_values`  turns the context of a request into values that can be counted and compared
"""

import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import lmdb

from rewriter.artefact.disk import in_memory
from rewriter.codes import Scope
from rewriter.config import Context
from rewriter.errors import ArtefactError, reading_artefact
from rewriter.locks import Lock
from rewriter.text import normalise, text_hash


class Rule(NamedTuple):
    """One launched rewrite.

    Attributes:
        rule: id.
        user: keyed hash of the only user it serves; empty for a rule for everybody.
        locale: BCP 47 locale of the log it was learned from.
        source: normalised utterance that is rewritten.
        target: normalised utterance that is sent instead.
        score: P(the rewritten request succeeds), 0..1.
        share: P(it is applied to a request), 0..1; the other requests are left alone for comparison.
    """

    rule: str
    user: str
    locale: str
    source: str
    target: str
    score: float
    share: float = 1.0


_SCOPES = (Scope.PERSONAL, Scope.GLOBAL)
"""Whom a rule can serve."""


def write_rules(folder: Path, rules: Iterable[Rule]) -> int:
    """Write rules as ``global.mdb``, ``personal.mdb`` and ``counts.json``.

    The key of a rule is the BLAKE2b-128 of locale and source. In the personal file the user's hash stands before it, so that the
    rules of one user are neighbours. The rows are sorted in memory and appended, which fills every page.

    Args:
        folder: where the files go; created if it is missing.
        rules: in any order.

    Returns:
        How many rules were written.

    Raises:
        ArtefactError: two rules of one user, or two global ones, share locale and source; or LMDB cannot write.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_rules(folder, [Rule("r1", "", "en", "turn of the lamp", "turn off the lamp", 0.9)])
        1
        >>> RuleBook.open(folder).get("turn of the lamp", "en").target
        'turn off the lamp'
    """
    rows: dict[Scope, list[tuple[bytes, bytes]]] = {scope: [] for scope in _SCOPES}
    counts: dict[Scope, Counter[str]] = {scope: Counter() for scope in _SCOPES}
    for rule in rules:
        scope = _scope(rule.user)
        rows[scope].append((rule.user.encode() + _key(rule.source, rule.locale), _packed(rule)))
        counts[scope][rule.locale] += 1
    folder.mkdir(parents=True, exist_ok=True)
    for scope, pairs in rows.items():
        pairs.sort()
        _append(folder / f"{scope}.mdb", pairs)
    (folder / "counts.json").write_text(json.dumps(counts, sort_keys=True), encoding="utf-8")
    return sum(map(len, rows.values()))


class RuleBook:
    """The rules of one artefact version, in memory maps that all processes share.

    Safe to use from many threads and across `fork`. A damaged page can give wrong answers or crash the process. Therefore
    `rewriter.artefact.versions` compares sizes before a book is opened, and checksums on request.

    Attributes:
        counts: scope -> locale -> number of rules.
    """

    __slots__ = ("_rows", "counts")

    def __init__(self, rows: Mapping[Scope, Callable[[bytes], bytes | None]], counts: Mapping[Scope, Mapping[str, int]]) -> None:
        self._rows = rows
        self.counts = counts

    @classmethod
    def open(cls, folder: Path) -> "RuleBook":
        """Map the files that `write_rules` wrote.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        path = folder / "counts.json"
        with reading_artefact(path):
            counts = json.loads(path.read_text(encoding="utf-8"))
            counts = {scope: dict(counts[scope]) for scope in _SCOPES}
        return cls({scope: _rows(folder / f"{scope}.mdb") for scope in _SCOPES}, counts)

    def get(self, text: str, locale: str, user: str = "") -> Rule | None:
        """Return the rule of exactly this normalised text, locale and user.

        Args:
            text: normalised utterance.
            locale: spelled as in the log.
            user: keyed hash; empty for the global rules.
        """
        return self._read(text, locale, user, _key(text, locale))

    def find(self, text: str, locales: Sequence[str], user: str = "") -> Rule | None:
        """Return the first rule for a normalised text: the user's own before everybody's, each in the order of the locales.

        Args:
            text: normalised utterance.
            locales: spelled as in the log, best first.
            user: keyed hash; empty for nobody.
        """
        places = [(locale, _key(text, locale)) for locale in locales]
        for owner in (user, "") if user else ("",):
            for locale, digest in places:
                if found := self._read(text, locale, owner, digest):
                    return found
        return None

    def _read(self, text: str, locale: str, user: str, digest: bytes) -> Rule | None:
        scope = _scope(user)
        if locale not in self.counts[scope]:
            return None
        value = self._rows[scope](user.encode() + digest)
        return None if value is None else _unpacked(value, text, locale, user)


_SUGGESTED = "suggested.json"


def save_suggested(folder: Path, rules: Iterable[Rule]) -> None:
    """Write the rules for everybody that are suggested and never sent, as ``suggested.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SUGGESTED).write_text(json.dumps([list(rule) for rule in rules]), encoding="utf-8")


def open_suggested(folder: Path) -> dict[tuple[str, str], Rule]:
    """Read what `save_suggested` wrote: (locale, source) -> rule; empty if the file is missing.

    Raises:
        ArtefactError: the file is damaged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_suggested(folder, [Rule("r1", "", "en", "turn of the lamp", "turn off the lamp", 0.8)])
        >>> open_suggested(folder)["en", "turn of the lamp"].target
        'turn off the lamp'
    """
    path = folder / _SUGGESTED
    if not path.exists():
        return {}
    with reading_artefact(path):
        rules = (Rule(*row) for row in json.loads(path.read_text(encoding="utf-8")))
        return {(rule.locale, rule.source): rule for rule in rules}


_HEADER = struct.Struct("<ddII")  # score, share, bytes of the source, bytes of the target; then source, target and id
_KEY_BYTES = 16  # of the hash of locale and source; the source itself is compared as well
_ADDRESS_SPACE = 1 << 36  # bytes; bound of a file while it is written, costs nothing on disk


def _scope(user: str) -> Scope:
    return Scope.PERSONAL if user else Scope.GLOBAL


def _key(text: str, locale: str) -> bytes:
    return text_hash(locale, text, size=_KEY_BYTES)


def _packed(rule: Rule) -> bytes:
    source, target = (text.encode("utf-8", "surrogatepass") for text in (rule.source, rule.target))
    return _HEADER.pack(rule.score, rule.share, len(source), len(target)) + source + target + rule.rule.encode()


def _unpacked(value: bytes, text: str, locale: str, user: str) -> Rule | None:
    """Read a row; None where another text has the same hash."""
    score, share, n_source, n_target = _HEADER.unpack_from(value)
    target = _HEADER.size + n_source
    if value[_HEADER.size : target] != text.encode("utf-8", "surrogatepass"):
        return None
    end = target + n_target
    return Rule(value[end:].decode(), user, locale, text, value[target:end].decode("utf-8", "surrogatepass"), score, share)


def _append(path: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    """Write sorted rows into a new file; the artefact's writer syncs it to the disk."""
    path.unlink(missing_ok=True)
    try:
        with (
            lmdb.open(str(path), subdir=False, lock=False, sync=False, map_size=_ADDRESS_SPACE) as env,
            env.begin(write=True) as transaction,
            transaction.cursor() as cursor,
        ):
            _, added = cursor.putmulti(pairs, append=True)
    except lmdb.Error as error:
        raise ArtefactError(f"cannot write {path}: {error}") from error
    if added != len(pairs):
        raise ArtefactError(f"cannot write {path}: {len(pairs) - added} rules repeat the user, locale and source of another")


_mapped: WeakValueDictionary[tuple[int, int], lmdb.Environment] = WeakValueDictionary()
_mapping = Lock()

if hasattr(os, "register_at_fork"):  # a file that is open at a fork counts as open in the child for ever
    os.register_at_fork(before=_mapping.acquire, after_in_parent=_mapping.release)  # in the child every `Lock` is free


def _rows(path: Path) -> Callable[[bytes], bytes | None]:
    """Return what finds the row of a key in a file: a dictionary if the file is small, else a map.

    A file is open once per process: LMDB refuses to open it twice, and a process may open several books of one folder. A small
    file is closed again before the lock is released.
    """
    with reading_artefact(path), _mapping:
        if in_memory(path):
            with _environment(path) as env, env.begin() as view, view.cursor() as cursor:
                return dict(cursor).get
        status = path.stat()
        file = (status.st_dev, status.st_ino)
        shared = _mapped.get(file) or _environment(path)
        _mapped[file] = shared
        return lambda key: shared.begin().get(key)  # a view for each call: LMDB lets no two threads share one


def _environment(path: Path) -> lmdb.Environment:
    env = lmdb.open(str(path), subdir=False, lock=False, readonly=True, create=False)
    pages = env.info()["last_pgno"] + 1
    if pages * env.stat()["psize"] > path.stat().st_size:  # reading beyond the end would kill the process by SIGBUS
        env.close()
        raise ValueError(f"the file ends before its last page, {pages}")
    return env


_HOURS = 3
"""Hours that are counted together, so that a part of the day has enough turns."""
_MAX_DIGITS = 100
"""A number that is written with more digits is no value of a context; Python refuses to write very long ones."""


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
    """Return the value of a key as it is counted and compared; an empty text if it is not read."""
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
    """Return whether a context has a value. Only the key of the value is read, however many keys the context has."""
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
        for locale in locales:
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
