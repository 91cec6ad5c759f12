"""`requests`: wishes to be judged."""

from datetime import date

import numpy as np

from rewriter.simulate.world import HOUR_MS, TRIES, Request, World, midnight_ms


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
    hours = np.asarray(world.behaviour.hours) / sum(world.behaviour.hours)
    found: list[Request] = []
    for _ in range(n * TRIES):
        if len(found) == n:
            break
        user = world.users[int(rng.random() * len(world.users))]
        goal = user.pick(rng)
        said = user.phrase(goal, world.behaviour.habit, rng)
        heard = world.judging.hear(said, user.speaker, rng)
        if heard is None:
            continue
        hour = int(rng.choice(24, p=hours))
        ts_ms = midnight_ms(start) + int((rng.integers(days) * 24 + hour + rng.random()) * HOUR_MS)
        found.append(
            Request(
                user_id=user.user_id,
                ts_ms=ts_ms,
                locale=world.locale,
                goal=goal,
                said=said,
                heard=heard.text,
                nbest=heard.nbest,
                confidence=heard.confidence,
                context={"hour": hour, "room": user.room},
                known_user=user.user_id not in world.split.users,
                known_phrase=said not in world.split.phrases,
                known_goal=goal not in world.split.goals,
            )
        )
    return sorted(found, key=lambda r: (r.ts_ms, r.user_id))
