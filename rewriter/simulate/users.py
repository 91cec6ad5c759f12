"""`Behaviour`: every number about how people act, in one place; and `User`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How people act; the defaults are those of all worlds."""

    requests_per_day: float = 6.0
    """Mean number of wishes of one user on one day (Poisson)."""


@dataclass(frozen=True, slots=True)
class User:
    """One person.

    Attributes:
        user_id: pseudonym.
        speaker: whose voice the channel hears.
        goals: what this person ever wants.
        weights: how often, (len(goals),), adding up to 1.
        phrases: how this person asks for each goal, the favourite first.
        room: where the device of this person stands.
        device_id: the device.
    """

    user_id: str
    speaker: str
    goals: tuple[str, ...]
    weights: npt.NDArray[np.float64]
    phrases: Mapping[str, tuple[str, ...]]
    room: str
    device_id: str
