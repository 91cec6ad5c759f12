"""`Channel`: what becomes of words between a mouth and the assistant; `RecordingChannel` plays back real recognition."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rewriter.errors import LogError


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


class Recording(NamedTuple):
    """One recording and what a recogniser heard in it."""

    speaker: str
    said: str
    heard: Heard


class RecordingChannel:
    """Plays back recordings, each at most once unless `again`.

    Args:
        recordings: what there is to play.
        again: whether a recording may be played any number of times.
    """

    def __init__(self, recordings: Iterable[Recording], *, again: bool = False) -> None:
        self._again = again
        self._left: dict[tuple[str, str], list[Heard]] = {}
        for recording in recordings:
            self._left.setdefault((recording.speaker, recording.said), []).append(recording.heard)

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard | None:
        """Return a recording of `speaker` saying `said`, drawn from what may still be played; None where there is none."""
        left = self._left.get((speaker, said))
        if not left:
            return None
        place = int(rng.random() * len(left))
        return left[place] if self._again else left.pop(place)


def read_recordings(path: Path) -> list[Recording]:
    """Read a table of recordings.

    Args:
        path: Parquet file with the columns speaker, said, heard (text), nbest (JSON list of text or a list) and confidence
            (0..1). A recording of which nothing was heard is left out: no request reaches the assistant.

    Raises:
        LogError: the file cannot be read, or lacks a column.
    """
    import duckdb  # noqa: PLC0415 - only worlds made of tables need it

    try:
        with duckdb.connect() as con:
            sql = "SELECT speaker, said, heard, nbest, confidence FROM read_parquet(?) WHERE heard <> ''"
            rows = con.execute(sql, [str(path)]).fetchall()
    except duckdb.Error as error:
        raise LogError(f"cannot read recordings {path}: {str(error).splitlines()[0]}") from error
    return [Recording(speaker, said, Heard(heard, _nbest(heard, nbest), c)) for speaker, said, heard, nbest, c in rows]


def _nbest(heard: str, nbest: str | list[str] | None) -> tuple[str, ...]:
    hearings = json.loads(nbest) if isinstance(nbest, str) else nbest or []
    return tuple(dict.fromkeys((heard, *hearings)))
