"""Which answers of an assistant refuse: told by what users do next, not by their words."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from rapidfuzz import fuzz

from rewriter.offline.logs.fields import CLOCK, Field, number_of

_AGAIN_S: Final = 60.0  # seconds within which a request is said again
_REPLIES: Final = 3  # answers that are taken for refusals at most
TURNS: Final = 5
REQUESTS: Final = 3
"""Least number of turns that got the answer, and of different requests among them: a single request is often said again."""


def turns_of(
    said: Field, answer: Field | None, talk: Field | None, clock: Field | None, has_turns: Sequence[bool]
) -> list[tuple[str, str, str]]:
    """Return (request, answer, next request of the same talk within a minute) of each turn, in the order of time.

    That is the order of the file, or the reverse in a file that lists the newest first.
    """
    open_: dict[str, list[str]] = {}
    last: dict[str, float] = {}
    turns: list[list[str]] = []
    times = [_seconds(value) for value in clock.values] if clock is not None else [0.0] * len(said.values)
    steps = [now - before for before, now in itertools.pairwise(times)]
    order = range(len(times))
    for i in order if sum(step > 0 for step in steps) >= sum(step < 0 for step in steps) else reversed(order):
        text = said.values[i]
        key = str(talk.values[i]) if talk is not None else ""
        if has_turns[i] and text is not None:
            if key in open_ and abs(times[i] - last[key]) <= _AGAIN_S:
                open_[key][2] = str(text)
            open_[key], last[key] = [str(text), str(answer.values[i] or "") if answer is not None else "", ""], times[i]
            turns.append(open_[key])
        elif turns and answer is None and text is not None:
            turn = open_.get(key, turns[-1])
            turn[1] = turn[1] or str(text)
    return [(one, two, three) for one, two, three in turns]


def _seconds(value: object) -> float:
    """Return an epoch time, or else the time of day in a text, in seconds; 0 where there is none."""
    number = number_of(value)
    if number is not None:
        return number / next((unit for most, unit in ((1e11, 1), (1e14, 1e3), (1e17, 1e6)) if number < most), 1e9)
    found = CLOCK.search(str(value))
    return (
        sum(float(part) * unit for part, unit in zip(re.findall(r"\d+", found[0])[:3], (3600, 60, 1), strict=False))
        if found
        else 0.0
    )


def refusals(turns: Iterable[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Return the answers that refuse, and those that may, the commonest first: what gets one is mostly followed by its like.

    An answer refuses if it was given to `REQUESTS` different requests or more, and if the share of them that is said again in
    other words is twice that of the other answers, with 95 % certainty (a beta posterior with the overall share as its prior).
    It may refuse if only the different requests are too few.

    Args:
        turns: (request, answer, next request of the same talk; empty if there is none).

    Example:
        >>> turns = [(f"turn on lamp {i}", "Pardon?", f"turn on the lamp {i}") for i in range(20)]
        >>> turns += [(f"play song {i}", f"Playing {i % 3}.", "what time is it") for i in range(60)]
        >>> refusals(turns)
        (['Pardon?'], [])
    """
    known = [(one, two, three) for one, two, three in turns if two]
    again = [bool(three) and one != three and fuzz.ratio(one.lower(), three.lower()) >= 60 for one, _, three in known]
    overall = sum(again) / max(1, len(again))
    by_answer: dict[str, list[int]] = {}
    for i, (_, two, _) in enumerate(known):
        by_answer.setdefault(two, []).append(i)
    found: list[str] = []
    doubted: list[str] = []
    for text, rows in sorted(by_answer.items(), key=lambda each: -len(each[1])):
        n, requests = len(rows), len({known[i][0] for i in rows})
        repeated = sum(again[i] for i in rows)
        elsewhere = (sum(again) - repeated + overall) / (len(known) - n + 1)
        mean = (repeated + 2 * overall) / (n + 2)
        least = mean - 1.64 * math.sqrt(mean * (1 - mean) / (n + 3))
        if n >= TURNS and least > 2 * elsewhere and mean > 0.2:
            (found if requests >= REQUESTS else doubted).append(text)
    return found[:_REPLIES], doubted[:_REPLIES]
