"""`Channel`: what becomes of words between a mouth and the assistant."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser made of one utterance.

    Attributes:
        text: its best hearing.
        nbest: its hearings, best first; the first is `text`.
        confidence: its own belief in `text`, 0..1.
    """

    text: str
    nbest: tuple[str, ...]
    confidence: float


class Channel(Protocol):
    """Hears what speakers say."""

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard | None:
        """Return what is heard; None where the channel has nothing left to hear of this speaker saying this."""
