"""What is drawn for a request, and how its decision is named.

`drawn` says whether a request is rewritten, or left alone to have something to compare with. `decision_id` and `named` name every
answer, so that a log can join what was decided with what became of it.
"""

import hmac
import itertools
import os
import re
import secrets
import struct
from hashlib import blake2b

from rewriter.codes import Arm

_U64 = struct.Struct("<Q")


def drawn(share: float, unit: str, source: str, day: int, key: bytes) -> Arm:
    """Draw the arm of a request; ``rewrite`` with probability `share`.

    The draw is a keyed hash of the user, the source and the day (UTC). So one user sees one behaviour a day, in every process,
    and nobody who lacks the key can tell which.

    Args:
        share: 0..1.
        unit: keyed hash of the user; without a user the id of the decision, so that such requests are drawn one by one.
        source: normalised utterance.
        day: whole days since 1970, UTC.
        key: secret of the artefact.

    Example:
        >>> drawn(1.0, "ann", "lamp of", 20_000, bytes(16)), drawn(0.0, "ann", "lamp of", 20_000, bytes(16))
        (<Arm.REWRITE: 'rewrite'>, <Arm.LEAVE: 'leave'>)
    """
    return Arm.REWRITE if happens(share, unit, source, day, key, what=b"arm") else Arm.LEAVE


def happens(share: float, unit: str, source: str, day: int, key: bytes, *, what: bytes) -> bool:
    """Return whether something happens whose probability is `share`, by the keyed hash that `drawn` describes.

    Args:
        share: 0..1.
        unit: keyed hash of the user, or the id of the decision.
        source: normalised utterance.
        day: whole days since 1970, UTC.
        key: secret of the artefact.
        what: names the draw; draws of different names are independent.
    """
    digest = blake2b(f"{unit}\0{day}\0{source}".encode("utf-8", "surrogatepass"), digest_size=8, key=key, person=what).digest()
    return bool(_U64.unpack(digest)[0] < share * 2**64)


class _Ids:
    """A random prefix for the process and a running number: unique without asking the system at every call."""

    __slots__ = ("_numbers", "_prefix")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count()

    def __call__(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


decision_id = _Ids()
"""Return a new id; different in every thread, and in every process, forked ones included."""

_CHECK = re.compile(r"([0-9a-f]{1,32}-[0-9a-f]{1,16})-([0-9a-f]{8})(?:-([0-9a-f]{12}))?")


def named(decision: str, mark: str, key: bytes) -> str:
    """Return the `Rewrite.id` of a decision: its own id, a check of 32 bits that needs the key, and the mark of what was sent.

    Args:
        decision: what `decision_id` returned.
        mark: names the rewrite that was sent (`rewriter.online.overlay.mark_of`); empty if nothing was sent, so that an undo says
            nothing of it.
        key: secret of the artefact.
    """
    check = blake2b(f"{decision}-{mark}".encode(), digest_size=4, key=key, person=b"id").hexdigest()
    return f"{decision}-{check}-{mark}" if mark else f"{decision}-{check}"


def is_ours(rewrite_id: str, key: bytes) -> bool:
    """Return whether `named` made an id with this key, so that nobody can give feedback on made-up decisions.

    Example:
        >>> is_ours(named("5f-1", "", bytes(16)), bytes(16)), is_ours("5f-1", bytes(16))
        (True, False)
    """
    found = _CHECK.fullmatch(rewrite_id)
    return found is not None and hmac.compare_digest(named(found[1], found[3] or "", key), rewrite_id)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=decision_id.restart)
