"""The precomputed rules: `RuleBook`, looked up by text in memory-mapped LMDB files.

`write_rules`     writes what `RuleBook` maps
`save_suggested`  writes the rules that are only suggested, `open_suggested` reads them
"""

import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import lmdb

from rewriter.artefact.disk import in_memory
from rewriter.codes import Scope
from rewriter.errors import ArtefactError, reading_artefact
from rewriter.locks import Lock
from rewriter.text import text_hash


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
    """Write rules as ``global.mdb``, ``personal.mdb`` and ``counts.json``, which counts those for everybody by locale.

    The locales of single users' rules are in ``personal.mdb`` beside these rules, because a rare locale can identify its user.

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
    n_rules = sum(map(len, rows.values()))
    rows[Scope.PERSONAL].append((_LOCALES, json.dumps(counts[Scope.PERSONAL], sort_keys=True).encode()))
    folder.mkdir(parents=True, exist_ok=True)
    for scope, pairs in rows.items():
        pairs.sort()
        _append(folder / f"{scope}.mdb", pairs)
    everybodys = {Scope.GLOBAL: counts[Scope.GLOBAL]}
    (folder / "counts.json").write_text(json.dumps(everybodys, sort_keys=True), encoding="utf-8")
    return n_rules


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
            counts = {Scope.GLOBAL: dict(json.loads(path.read_text(encoding="utf-8"))[Scope.GLOBAL])}
        rows = {scope: _rows(folder / f"{scope}.mdb") for scope in _SCOPES}
        with reading_artefact(folder / f"{Scope.PERSONAL}.mdb"):
            counts[Scope.PERSONAL] = dict(json.loads(rows[Scope.PERSONAL](_LOCALES) or b"{}"))
        return cls(rows, counts)

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


_MOMENTS = "moments.mdb"


def save_moments(folder: Path, moments: Iterable[Rule]) -> None:
    """Write what single users restate again and again, as ``moments.mdb``: what they may be asked to teach.

    Args:
        folder: of the rules.
        moments: each of one user. Its `rule` holds the evidence, and its `score` is P(the user means it), 0 for a complaint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _append(folder / _MOMENTS, sorted((one.user.encode() + _key(one.source, one.locale), _packed(one)) for one in moments))


def save_moments_without(old: Path, new: Path, user: str) -> int:
    """Write the moments of one folder into another without those of a user; return how many these are.

    Args:
        old: folder of the rules.
        new: folder to write to.
        user: keyed hash.
    """
    if not (old / _MOMENTS).exists():
        return 0
    path = old / _MOMENTS
    with reading_artefact(path), _mapping, _environment(path) as env, env.begin() as view, view.cursor() as cursor:
        rows = [(bytes(key), bytes(row)) for key, row in cursor]
    kept = [row for row in rows if not row[0].startswith(user.encode())]
    _append(new / _MOMENTS, kept)
    return len(rows) - len(kept)


def count_moments(folder: Path) -> int:
    """Return how many moments a folder of rules holds, of all users together.

    Raises:
        ArtefactError: the file is damaged.
    """
    path = folder / _MOMENTS
    if not path.exists():
        return 0
    with reading_artefact(path), _mapping, _environment(path) as env:
        return int(env.stat()["entries"])


def open_moments(folder: Path) -> Callable[[str, str, str], Rule | None]:
    """Return what finds the moment of a user: (normalised text, locale, keyed hash) -> it, or None.

    Raises:
        ArtefactError: the file is damaged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_moments(folder, [Rule("restated:3:2", "5f", "en", "movie time", "turn on the tv", 0.9)])
        >>> find = open_moments(folder)
        >>> find("movie time", "en", "5f").target, find("movie time", "en", "60")
        ('turn on the tv', None)
    """
    if not (folder / _MOMENTS).exists():
        return lambda text, locale, user: None  # noqa: ARG005
    rows = _rows(folder / _MOMENTS)

    def find(text: str, locale: str, user: str) -> Rule | None:
        value = rows(user.encode() + _key(text, locale)) if user else None
        return None if value is None else _unpacked(value, text, locale, user)

    return find


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


_HEADER = struct.Struct("<ddII")  # score, share, length of source and of target in bytes; then source, target and id
_LOCALES = b"\0"  # key of the row that counts the rules of single users by locale; no user's hash begins in this way
_KEY_BYTES = 16  # bytes of the hash of locale and source; the source itself is compared too
_ADDRESS_SPACE = 1 << 36  # largest size of a file while it is written, in bytes; it takes no space on the disk


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
