"""`Routine`: where somebody is at which hour, and with which devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from rewriter.simulation.world import HOUR_MS

ROOMS = ("kitchen", "living room", "bedroom", "office")
_ELSEWHERE = 0.15  # share of the hours spent in another room than usual
_COOKS = 0.7  # share of the days on which a person cooks
_SCREENS = {"kitchen": ("display", 0.4), "living room": ("tv", 0.7), "bedroom": ("display", 0.2), "office": ("display", 0.2)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person is in one hour.

    Attributes:
        place: ``home`` or ``car``.
        room: of the home; ``car`` outside it.
        device_type: of the device there: ``speaker``, ``display``, ``tv`` or ``car``.
        oven: whether the oven is on, ``on`` or ``off``.
    """

    place: str
    room: str
    device_type: str
    oven: str


@dataclass(frozen=True, slots=True)
class Routine:
    """A person's days.

    Attributes:
        rooms: where the person usually is, by hour.
        devices: room -> type of the device in it.
        cooking: the hours in which the oven is on, on days with cooking.
        salt: makes a person's exceptions another's rule.
    """

    rooms: tuple[str, ...]
    devices: Mapping[str, str]
    cooking: tuple[int, ...]
    salt: str

    def at(self, ts_ms: int) -> Place:
        """Return where the person is at a time, epoch milliseconds; the same whenever it is asked."""
        hours = ts_ms // HOUR_MS
        day, hour = divmod(hours, 24)
        room = self.rooms[hour]
        if room != "car" and self._chance("room", hours) < _ELSEWHERE:
            room = ROOMS[int(self._chance("which", hours) * len(ROOMS))]
        cooks = hour in self.cooking and self._chance("oven", day) < _COOKS
        return Place("car" if room == "car" else "home", room, self.devices[room], "on" if cooks else "off")

    def _chance(self, what: str, when: int) -> float:
        return crc32(f"{self.salt}/{what}/{when}".encode()) / 2**32


def routines(names: Iterable[str], *, seed: int) -> dict[str, Routine]:
    """Invent the days of people.

    Args:
        names: who.
        seed: of all draws.
    """
    rng = np.random.default_rng([seed, 6])
    return {name: _routine(f"{seed}/{name}", rng) for name in names}


def _routine(salt: str, rng: np.random.Generator) -> Routine:
    up, away, dinner, bed = (int(rng.integers(low, high)) for low, high in ((6, 8), (8, 10), (17, 20), (21, 24)))
    home = away + 8
    rooms = ["bedroom"] * up + ["kitchen"] * (away - up) + ["office"] * (home - away) + ["living room"] * (24 - home)
    if rng.random() < 0.7:
        rooms[away] = rooms[home] = "car"
    cooking = (dinner, dinner + 1)
    for hour in cooking:
        rooms[hour] = "kitchen"
    for hour in range(bed, 24):
        rooms[hour] = "bedroom"
    devices = {room: screen if rng.random() < share else "speaker" for room, (screen, share) in _SCREENS.items()}
    return Routine(tuple(rooms), devices | {"car": "car"}, cooking, salt)
