"""What the opener of a `Rewriter` asked for (`Options`), what is drawn for a request, and how its decision is named.

`Questions` draws which answers are followed by "did I get that right?".

`drawn` says whether a request is rewritten, or left alone to have something to compare with. `decision_id` and `named` name every
answer, so that a log can join what was decided with what became of it.
"""

import hmac
import itertools
import os
import re
import secrets
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from rewriter.artefact.taught import TaughtStore
from rewriter.codes import Arm, Layer, Reason
from rewriter.locks import Lock
from rewriter.online.overlay import Overlay
from rewriter.online.request import Call, Understands
from rewriter.online.review import Review
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk


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


UNASKED: Final = frozenset({
    Reason.EMPTY, Reason.TOO_LONG, Reason.NOT_TEXT, Reason.ERROR, Reason.KEEP_SOURCE, Reason.UNDERSTOOD, Reason.HELD_OUT,
    Reason.UNKNOWN_LOCALE,
})  # fmt: skip
"""Reasons for leaving a request alone that no question follows: the answer would teach nothing, and a held-out request is
compared with requests that are not asked about either."""


def p_asked(risk: "Risk", hearings: Sequence[str], context: Mapping[str, object]) -> float:
    """Return the probability with which a request that is sent as spoken is followed by a question.

    Args:
        risk: of the artefact.
        hearings: normalised, the utterance first.
        context: of the request; ``previous_utterance`` is looked at.
    """
    before = context.get("previous_utterance")
    return risk.p_asked(risk.p(hearings, normalise(before) if isinstance(before, str) else ""))


class Questions:
    """Draws questions, and counts how often this process has asked each user today."""

    __slots__ = ("_asked", "_day", "_lock")

    def __init__(self) -> None:
        self._day, self._asked = 0, Counter[str]()
        self._lock = Lock()

    def asks(self, risk: "Risk", call: Call, day: int, key: bytes) -> bool:
        """Draw whether a request that is sent as spoken is followed by a question, and book it on its user's day.

        Args:
            risk: of the artefact; says what an answer would teach, and how many questions a day are allowed.
            call: the request.
            day: whole days since 1970, UTC.
            key: secret of the artefact.
        """
        unit = call.user or decision_id()
        if not happens(risk.most_asked, unit, call.query, day, key, what=b"ask"):
            return False  # whatever the risk is, which takes longer to find
        share = p_asked(risk, call.hearings(), call.context)
        drawn = happens(share, unit, call.query, day, key, what=b"ask")
        return drawn and self.spend(call.user, day, risk.a_day)

    def spend(self, user: str, day: int, most: int) -> bool:
        """Book a question, and return whether it stays within the user's budget of that day.

        Args:
            user: keyed hash; empty for nobody, for whom only a budget of 0 forbids.
            day: whole days since 1970, UTC.
            most: questions to one user in a day.

        Example:
            >>> questions = Questions()
            >>> [questions.spend("ann", 1, 1), questions.spend("ann", 1, 1), questions.spend("ann", 2, 1)]
            [True, False, True]
        """
        if not user:
            return most > 0
        with self._lock:
            if day != self._day:
                self._day, self._asked = day, Counter()
            self._asked[user] += 1
            return self._asked[user] <= most


_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Options:
    """What the opener of a `Rewriter` asked for; the same for all versions that it serves.

    Attributes:
        understands: the assistant's own parser; None if it is not at hand.
        deadline_ms: how long the online layer may take, milliseconds; None for no limit.
        layers: which layers are asked.
        hashed: whether user ids are given as keyed hashes.
        overlay: what users said of rewrites.
        review: what people decided about rewrites.
        now: tells the time, seconds since 1970.
        taught: what users taught.
        questions: draws "did I get that right?".
        moments: counts how often each user was asked to teach today.
    """

    understands: Understands | None
    deadline_ms: float | None
    layers: frozenset[Layer]
    hashed: bool
    overlay: Overlay
    review: Review
    now: Callable[[], float]
    taught: TaughtStore
    questions: Questions = field(default_factory=Questions)
    moments: Questions = field(default_factory=Questions)

    def today(self) -> int:
        """Return the day, whole days since 1970, UTC."""
        return int(self.now() // _DAY_S)

    def clock(self) -> Callable[[], bool]:
        """Start the clock, and return what says whether the time is up."""
        if self.deadline_ms is None:
            return _never
        end = time.perf_counter() + self.deadline_ms / 1000
        return lambda: time.perf_counter() >= end


def _never() -> bool:
    return False
