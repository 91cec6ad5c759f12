"""`simulate`: a simulated log as a file."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

from rewriter.errors import ConfigError
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import home_world, phrase_world

WORLDS: Final[dict[str, Callable[..., World]]] = {"home": home_world, "phrases": phrase_world}
"""The worlds that can be written as a log, by name. Add an entry to register a world of your own."""


def simulate(
    kind: str,
    out: Path,
    *,
    days: int = 10,
    users: int = 120,
    seed: int = 0,
    setting: str = "normal",
    start: date = date(2026, 1, 5),
    on_day: Callable[[date, int], None] | None = None,
) -> int:
    """Write the log of some days of a world without a rewriter.

    The same arguments give the same rows.

    Args:
        kind: name in `WORLDS`: ``home`` (Home Assistant's parser), ``phrases`` (a strict phrase table, faster), or one that
            was registered there.
        out: file to write, see `write_log`.
        days: how many days.
        users: how many people the world has; a fifth of them never enters the log.
        seed: of the world and its days.
        setting: of the speech channel: ``quiet``, ``normal`` or ``noisy``.
        start: the first day, UTC.
        on_day: called after each day with its date and the number of its turns.

    Returns:
        The number of rows.

    Raises:
        ConfigError: `kind` or `setting` is unknown.
        LogError: the file cannot be written.
    """
    if kind not in WORLDS:
        raise ConfigError(f"unknown world {kind!r}; choose one of {', '.join(WORLDS)}")
    world = WORLDS[kind](seed, setting=setting, n_users=users)

    def turns() -> Iterator[Turn]:
        for n, day in enumerate(simulate_days(world, days=days, start=start, seed=seed)):
            if on_day:
                on_day(date.fromordinal(start.toordinal() + n), len(day))
            yield from day

    return write_log(turns(), out)
