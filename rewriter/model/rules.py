"""The precomputed rules: what `learn` hands to the look-up that serves them, in two memory-mapped LMDB files."""

import json
import os
import struct
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import lmdb

from rewriter.errors import ArtefactError
from rewriter.result import Scope


class Rule(NamedTuple):
    """One launched rewrite.

    Attributes:
        rule: its id.
        user: keyed hash of the only user it serves; empty for everybody.
        locale: BCP 47 locale of the log it was learned from.
        source: normalised utterance that is rewritten.
        target: normalised utterance that is sent instead.
        score: probability that the rewritten request succeeds, 0..1.
        share: probability with which it is applied, 0..1; the other requests are left alone, for comparison.
    """

    rule: str
    user: str
    locale: str
    source: str
    target: str
    score: float
    share: float = 1.0


def write_rules(folder: Path, rules: Iterable[Rule]) -> int:
    """Write a book of rules: ``global.mdb``, ``personal.mdb`` and ``counts.json``.

    A key is the BLAKE2b-128 of locale and source, in the personal file after the user's hash, so that the rules of one user
    lie side by side. The rows are sorted in memory and appended, which fills every page.

    Args:
        folder: where the files go; made if it is missing.
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
    rows: dict[Scope, list[tuple[bytes, bytes]]] = {"global": [], "personal": []}
    counts: dict[Scope, Counter[str]] = {"global": Counter(), "personal": Counter()}
    for rule in rules:
        scope = _scope(rule.user)
        rows[scope].append((rule.user.encode() + _digest(rule.source, rule.locale), _packed(rule)))
        counts[scope][rule.locale] += 1
    folder.mkdir(parents=True, exist_ok=True)
    for scope, pairs in rows.items():
        pairs.sort()
        _append(folder / f"{scope}.mdb", pairs)
    (folder / "counts.json").write_text(json.dumps(counts, sort_keys=True), encoding="utf-8")
    return sum(map(len, rows.values()))


class RuleBook:
    """The rules of one artefact version, read from memory maps that all processes share.

    Safe to use from many threads and across `fork`. A file whose pages are damaged can give wrong answers or crash the
    process, so `rewriter.artefact.versions` compares sizes before a book is opened and sums on request.

    Attributes:
        counts: rules by scope and locale.
    """

    __slots__ = ("_maps", "counts")

    def __init__(self, maps: Mapping[Scope, lmdb.Environment], counts: Mapping[Scope, Mapping[str, int]]) -> None:
        self._maps = maps
        self.counts = counts

    @classmethod
    def open(cls, folder: Path) -> "RuleBook":
        """Map the files that `write_rules` wrote.

        Raises:
            ArtefactError: a file is missing or is none of ours.
        """
        path = folder / "counts.json"
        try:
            counts = json.loads(path.read_text(encoding="utf-8"))
            counts = {scope: dict(counts[scope]) for scope in ("global", "personal")}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {path}: {error}; copy the artefact again or go back a version") from error
        return cls({"global": _map(folder / "global.mdb"), "personal": _map(folder / "personal.mdb")}, counts)

    def get(self, text: str, locale: str, user: str = "") -> Rule | None:
        """Return the rule of exactly this normalised text, locale and user.

        Args:
            text: normalised utterance.
            locale: spelled as in the log.
            user: keyed hash; empty for the global rules.
        """
        return self._read(text, locale, user, _digest(text, locale))

    def find(self, text: str, locales: Sequence[str], user: str = "") -> Rule | None:
        """Return the first rule for a normalised text: the user's own before everybody's, in each the locales in order.

        Args:
            text: normalised utterance.
            locales: spelled as in the log, best first.
            user: keyed hash; empty for nobody.
        """
        places = [(locale, _digest(text, locale)) for locale in locales]
        for owner in (user, "") if user else ("",):
            for locale, digest in places:
                if found := self._read(text, locale, owner, digest):
                    return found
        return None

    def _read(self, text: str, locale: str, user: str, digest: bytes) -> Rule | None:
        scope = _scope(user)
        if locale not in self.counts[scope]:
            return None
        view = self._maps[scope].begin()  # a view for each call: LMDB lets no two threads share one
        value = view.get(user.encode() + digest)
        return None if value is None else _unpacked(value, text, locale, user)


_HEADER = struct.Struct("<ddII")  # score, share, bytes of the source, bytes of the target; then source, target and id
_ADDRESS_SPACE = 1 << 36  # bound of a file while it is written; costs nothing on disk


def _scope(user: str) -> Scope:
    return "personal" if user else "global"


def _digest(text: str, locale: str) -> bytes:
    # A locale holds no NUL, so no two pairs of locale and text are joined to the same bytes.
    return blake2b(f"{locale}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


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
_mapping = threading.Lock()


def _map(path: Path) -> lmdb.Environment:
    """Map a file, once a process: LMDB refuses a second time, and one process may hold several books of one folder."""
    try:
        with _mapping:
            status = path.stat()
            file = (status.st_dev, status.st_ino)
            env = _mapped.get(file)
            if env is None:
                env = lmdb.open(str(path), subdir=False, lock=False, readonly=True, create=False)
                _mapped[file] = env
            return env
    except (OSError, lmdb.Error) as error:
        raise ArtefactError(f"cannot open {path}: {error}; copy the artefact again or go back a version") from error


def _unlock_after_fork() -> None:
    """Give the child a free lock: a thread of the parent may have held it."""
    global _mapping  # noqa: PLW0603
    _mapping = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)
