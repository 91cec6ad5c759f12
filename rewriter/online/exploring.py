"""Whether to ask "did I get that right?": of the requests that are sent as spoken, mostly those whose answer would teach most."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rewriter.result import Reason
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk

SURE: frozenset[Reason] = frozenset({"empty", "too_long", "not_text", "error", "stay", "understood", "held_out"})
"""Reasons for leaving a request alone of which nobody need be asked; what was held out is to be compared with what nobody is
asked about."""


def p_asked(risk: "Risk", hearings: Sequence[str], context: object, max_chars: int) -> float:
    """Return the probability with which a request that is sent as spoken is followed by a question.

    Args:
        risk: of the artefact.
        hearings: normalised, the utterance first.
        context: of the request; ``previous_utterance`` is looked at.
        max_chars: what is longer is cut.
    """
    before = context.get("previous_utterance") if isinstance(context, Mapping) else None
    previous = normalise(str.__str__(before)[:max_chars]) if isinstance(before, str) else ""
    return risk.p_asked(risk.p(hearings, previous))


class Prompts:
    """How often each user was asked today by this process; forgotten at the end of the day, and of the process."""

    __slots__ = ("_asked", "_day", "_lock")

    def __init__(self) -> None:
        self._day, self._asked = 0, Counter[str]()
        self._lock = threading.Lock()

    def spend(self, user: str, day: int, most: int) -> bool:
        """Book a question, and return whether it stays within the user's budget of that day.

        Args:
            user: keyed hash; nobody has no budget of her own.
            day: whole days since 1970, UTC.
            most: questions to one user in a day.

        Example:
            >>> prompts = Prompts()
            >>> [prompts.spend("ann", 1, 1), prompts.spend("ann", 1, 1), prompts.spend("ann", 2, 1)]
            [True, False, True]
        """
        if not user:
            return most > 0
        with self._lock:
            if day != self._day:
                self._day, self._asked = day, Counter()
            self._asked[user] += 1
            return self._asked[user] <= most
