"""`drawn`: whether a request is rewritten, or left alone so that there is something to compare with.

`decision_id`: names every answer, so that a log can join what was decided with what became of it.
"""

import itertools
import os
import secrets
import struct
from hashlib import blake2b
from typing import Literal

Arm = Literal["rewrite", "leave"]

_U64 = struct.Struct("<Q")


def drawn(share: float, unit: str, source: str, day: int, key: bytes) -> Arm:
    """Draw the arm of a request; ``rewrite`` with probability `share`.

    The draw is a keyed hash of who asks, of the source and of the day (UTC): one user sees one behaviour a day, in every process,
    and nobody who lacks the key can tell beforehand which.

    Args:
        share: 0..1.
        unit: keyed hash of the user; for nobody, the id of the decision, so that such requests are drawn one by one.
        source: normalised utterance.
        day: whole days since 1970, UTC.
        key: secret of the artefact.

    Example:
        >>> drawn(1.0, "ann", "lamp of", 20_000, bytes(16)), drawn(0.0, "ann", "lamp of", 20_000, bytes(16))
        ('rewrite', 'leave')
    """
    return "rewrite" if happens(share, unit, source, day, key, what=b"arm") else "leave"


def happens(share: float, unit: str, source: str, day: int, key: bytes, *, what: bytes) -> bool:
    """Return whether something happens whose probability is `share`, by the keyed hash that `drawn` describes.

    Args:
        share: 0..1.
        unit: keyed hash of the user, or the id of the decision.
        source: normalised utterance.
        day: whole days since 1970, UTC.
        key: secret of the artefact.
        what: is drawn; one thing says nothing of another.
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

if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=decision_id.restart)
