"""`requests`: wishes to be judged."""

from datetime import date

import numpy as np

from rewriter.simulation.channels import Heard
from rewriter.simulation.situations import HOUR_MS, Around, Before
from rewriter.simulation.users import User
from rewriter.simulation.world import TRIES, Request, World, midnight_ms


def requests(world: World, *, n: int, seed: int, start: date, days: int = 7) -> list[Request]:
    """Draw fresh first requests, of everybody in a world, in the proportions in which they are made.

    Args:
        world: where; people, phrases and goals that the log withholds are drawn like all others.
        n: how many; fewer where recordings run out.
        seed: of all draws.
        start: the first day, UTC; later than the log.
        days: over how many days they spread.

    Returns:
        Requests ordered by time.
    """
    rng = np.random.default_rng([seed, 2])
    found: list[Request] = []
    for _ in range(n * TRIES):
        if len(found) == n:
            break
        user = world.users[int(rng.random() * len(world.users))]
        asked = (_in_time if world.situations.matter else _at_any_time)(world, user, start, days, rng)
        if asked is not None:
            found.append(_request(world, user, *asked))
    return sorted(found, key=lambda r: (r.ts_ms, r.user_id))


_Asked = tuple[int, Around, str, str, Heard]  # when and where, goal, what was said and heard


def _at_any_time(world: World, user: User, start: date, days: int, rng: np.random.Generator) -> _Asked | None:
    """Draw a wish, then when it is made."""
    goal = user.pick(rng)
    said = user.phrase(goal, world.behaviour.habit, rng)
    heard = world.judging.hear(said, user.speaker, rng)
    if heard is None:
        return None
    ts_ms = _moment(world, start, days, rng)
    return ts_ms, world.situations.around(user, ts_ms, None), goal, said, heard


def _in_time(world: World, user: User, start: date, days: int, rng: np.random.Generator) -> _Asked | None:
    """Draw a moment, whether something else was wanted just before, and what is wanted then."""
    ts_ms, before = _moment(world, start, days, rng), None
    if rng.random() < world.behaviour.follow_up / (1 + world.behaviour.follow_up):
        _, goal, _, heard = _wanted(world, user, ts_ms, None, rng)
        before = Before(goal, heard.text) if heard else None
    around, goal, said, heard = _wanted(world, user, ts_ms, before, rng)
    return None if heard is None else (ts_ms, around, goal, said, heard)


def _wanted(
    world: World, user: User, ts_ms: int, before: Before | None, rng: np.random.Generator
) -> tuple[Around, str, str, Heard | None]:
    around = world.situations.around(user, ts_ms, before)
    goal = world.situations.pick(user, around, rng)
    said = world.situations.phrase(user, goal, around, world.behaviour.habit, rng)
    return around, goal, said, world.judging.hear(said, user.speaker, rng)


def _moment(world: World, start: date, days: int, rng: np.random.Generator) -> int:
    hours = np.asarray(world.behaviour.hours) / sum(world.behaviour.hours)
    hour = int(rng.choice(24, p=hours))
    return midnight_ms(start) + int((rng.integers(days) * 24 + hour + rng.random()) * HOUR_MS)


def _request(world: World, user: User, ts_ms: int, around: Around, goal: str, said: str, heard: Heard) -> Request:
    return Request(
        user_id=user.user_id,
        ts_ms=ts_ms,
        locale=world.locale,
        goal=goal,
        said=said,
        heard=heard.text,
        nbest=heard.nbest,
        confidence=heard.confidence,
        context=around.asked,
        known_user=user.user_id not in world.split.users,
        known_phrase=said not in world.split.phrases,
        known_goal=goal not in world.split.goals,
    )
