"""`LoggedTurn`: a turn of the log of a closed world, with the truth about it."""

from collections.abc import Iterable
from dataclasses import dataclass

from rewriter.simulate.turn import Turn
from rewriter.text import normalise


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One turn of the log from which a rewriter learned.

    Attributes:
        user: who spoke, named as in the judged turns.
        text: what was heard.
        goal: the interpretation that the user wanted; empty where it is unknown.
        failed: whether the turn failed as spoken, noticed or not.
    """

    user: str
    text: str
    goal: str
    failed: bool


def logged(turns: Iterable[Turn]) -> list[LoggedTurn]:
    """Return simulated turns as they are needed here; rewritten ones are left out, for they do not tell how the text ends."""
    return [LoggedTurn(t.user_id, t.utterance, t.goal, t.hypothesis != t.goal) for t in turns if t.sent is None and t.goal]


def healthy_texts(log: Iterable[LoggedTurn]) -> frozenset[str]:
    """Return the normalised texts that were healthy at least once."""
    return frozenset(normalise(turn.text) for turn in log if not turn.failed)
