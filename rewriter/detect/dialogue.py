"""A turn and what came after it, written down for a transformer: utterances, responses, time gaps, and how each turn ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewriter.detect.listed import Ints, Turns

_GAPS_S = (3, 6, 12, 25, 60)  # a gap is written as the first of these that it does not exceed
_WORDS = 24  # of an utterance or a response, at most
_RARE = "[UNK]"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a text stands in a dialogue: its first and last character."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What is read.

    Attributes:
        text: the turn, its answer, and each candidate with the time before it, its end and its answer.
        spans: of the utterances of the candidates.
    """

    text: str
    spans: tuple[Span, ...]


class Scribe:
    """Writes down dialogues of one log.

    Words of fewer than `min_users` users are written as unknown: a model that is trained on what it writes learns no secrets.

    Args:
        turns: of the log.
        min_users: distinct users that a word of an utterance must come from, and users to whom a word of a response was said.
    """

    def __init__(self, turns: Turns, min_users: int) -> None:
        self._turns = turns
        self._plain = {kind: _public(turns, turns[kind], min_users) for kind in ("said", "reply")}

    def write(self, source: int, candidates: Sequence[int]) -> Dialogue:
        """Write down a turn and its candidates, both as rows, nearest first."""
        text, spans, before = self._told(source), [], source
        for row in candidates:
            text += f" [SEP] {self._gap(before, row)} {self._barge_in(row)}: "
            said = self._utterance(row)
            spans.append(Span(len(text), len(text) + len(said) - 1))
            text += said + self._ending(row)
            before = row
        return Dialogue(text, tuple(spans))

    def _told(self, row: int) -> str:
        return self._utterance(row) + self._ending(row)

    def _utterance(self, row: int) -> str:
        return self._plain["said"][self._turns["said"][row]] or _RARE

    def _ending(self, row: int) -> str:
        """Write how the turn ended: refused, friction or fine, and what was answered."""
        reply, failed = self._turns["reply"][row], self._turns["failed"][row] == 1
        mark = "refused" if failed else "trouble" if self._turns["cued"][row] >= 500 else "fine"
        return f" ; {mark} : {self._plain['reply'][reply] if reply >= 0 else ''}"

    def _gap(self, one: int, other: int) -> str:
        seconds = (self._turns["ts_ms"][other] - self._turns["ts_ms"][one]) / 1000
        return f"{next((gap for gap in _GAPS_S if seconds <= gap), 'many')} seconds"

    def _barge_in(self, row: int) -> str:
        return "interrupting " if self._turns["barge_in"][row] == 1 else ""


def _public(turns: Turns, ids: Ints, min_users: int) -> dict[int, str]:
    """Return id -> text for the texts that occur, cut, its rare words unknown."""
    occurring = np.unique(ids[ids >= 0])
    users: dict[str, set[int]] = {}
    for text, user in {(int(i), int(u)) for i, u in zip(ids, turns["user_no"], strict=True) if i >= 0}:
        for word in turns.text[text].split():
            users.setdefault(word, set()).add(user)
    return {
        int(i): " ".join(w if len(users[w]) >= min_users else _RARE for w in turns.text[i].split()[:_WORDS]) for i in occurring
    }
