"""Judged turns by rewrite: which pairs of source and sent text won or lost, with the users behind them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rewriter.evaluation.outcomes import OK, Outcomes, losses, ties, unknowns, wins
from rewriter.text import normalise


@dataclass(frozen=True, slots=True)
class Pair:
    """What became of one rewrite.

    Attributes:
        source: the text that was heard, normalised.
        sent: the text that was sent in its place.
        modes: in which modes it was judged, in their order.
        users: users with a win or a loss by it.
        wins: turns that fail as spoken and work rewritten.
        losses: turns that are worse rewritten.
        broken: the losses that worked as spoken; in the others a refusal became a wrong action.
        undecided: turns whose outcome is a tie or unknown.
    """

    source: str
    sent: str
    modes: tuple[str, ...]
    users: int
    wins: int
    losses: int
    broken: int
    undecided: int


def pairs(judged: Mapping[str, Outcomes]) -> list[Pair]:
    """Return the rewrites of judged turns, in alphabetical order.

    A turn that is judged in several modes counts once: in the first mode that rewrites it.

    Args:
        judged: mode -> outcomes of the same turns, in the same order.

    Example:
        >>> pairs({})
        []
    """
    found: dict[tuple[str, str], _Counts] = defaultdict(_Counts)
    counted: set[int] = set()
    for mode, outcomes in judged.items():
        won, lost, even = wins(outcomes), losses(outcomes), ties(outcomes) | unknowns(outcomes)
        for i in map(int, np.flatnonzero(outcomes.applied)):
            counts = found[normalise(outcomes.source[i]), outcomes.sent[i]]
            counts.modes[mode] = None
            if i in counted:
                continue
            counted.add(i)
            counts.wins += bool(won[i])
            counts.losses += bool(lost[i])
            counts.broken += bool(lost[i] and outcomes.as_spoken[i] == OK)
            counts.undecided += bool(even[i])
            if won[i] or lost[i]:
                counts.users.add(outcomes.user[i])
    return [
        Pair(*pair, tuple(c.modes), len(c.users), c.wins, c.losses, c.broken, c.undecided) for pair, c in sorted(found.items())
    ]


class _Counts:
    def __init__(self) -> None:
        self.modes: dict[str, None] = {}
        self.users: set[str] = set()
        self.wins = self.losses = self.broken = self.undecided = 0


def worst(found: list[Pair]) -> list[Pair]:
    """Return the pairs with a loss, most losses first."""
    return sorted((pair for pair in found if pair.losses), key=lambda p: (-p.losses, p.wins, p.source))


def best(found: list[Pair], most: int = 10) -> list[Pair]:
    """Return the pairs that win more than they lose: most users first, then most wins less losses."""
    good = (pair for pair in found if pair.wins > pair.losses)
    return sorted(good, key=lambda p: (-p.users, p.losses - p.wins, p.source))[:most]
