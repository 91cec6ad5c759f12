"""Speech channels: what the assistant hears of what a user says.

`Channel` is the interface of a speech recogniser. `RecordingChannel` plays back what a real recogniser heard. `Rates` are the
error rates of `TextChannel`. They are in `channel.json`, which `benchmarks/fit_channel.py` fitted once.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rewriter.errors import LogError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of a recogniser for one utterance.

    Attributes:
        text: its best hearing.
        nbest: its hearings, best first; the first is `text`.
        confidence: its confidence in `text`, 0..1.
    """

    text: str
    nbest: tuple[str, ...]
    confidence: float


class Channel(Protocol):
    """A speech recogniser."""

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard | None:
        """Return what is heard; None if the channel has no recording left of this speaker saying this."""


class Recording(NamedTuple):
    """One recording and the result of a recogniser."""

    speaker: str
    said: str
    heard: Heard


class RecordingChannel:
    """Plays back recordings, each at most once unless `again`.

    Args:
        recordings: the recordings.
        again: whether a recording may be played any number of times.
    """

    def __init__(self, recordings: Iterable[Recording], *, again: bool = False) -> None:
        self._again = again
        self._left: dict[tuple[str, str], list[Heard]] = {}
        for recording in recordings:
            self._left.setdefault((recording.speaker, recording.said), []).append(recording.heard)

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard | None:
        """Return a recording of `speaker` saying `said`, drawn from those left; None if none is left."""
        left = self._left.get((speaker, said))
        if not left:
            return None
        place = int(rng.random() * len(left))
        return left[place] if self._again else left.pop(place)


def read_recordings(path: Path) -> list[Recording]:
    """Read a table of recordings.

    Args:
        path: Parquet file with the columns speaker, said, heard (text), nbest (JSON list of text or a list) and confidence
            (0..1). Recordings without text are left out, because no request reaches the assistant.

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


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a word of one class goes wrong, each a share of the words spoken.

    Attributes:
        substituted: another word is heard.
        deleted: nothing is heard.
        split: two words are heard.
        hazard: the rate that gives the three shares on average over takes, words and speakers: the probability of an error is
            1 - exp(-hazard * severity of the take * weakness of the word * weakness of the word for this speaker).
    """

    substituted: float
    deleted: float
    split: float
    hazard: float

    @property
    def total(self) -> float:
        """Share of the words that are not heard as they were said."""
        return self.substituted + self.deleted + self.split


@dataclass(frozen=True, slots=True)
class Rates:
    """The error profile of a recogniser.

    Attributes:
        classes: class of a word (`word_class`) -> how often it goes wrong.
        inserted: inserted words per word spoken.
        inserted_function: share of the inserted words that are function words.
        filler: share of utterances in which a filler is heard.
        fluent: share of the substitutes that are chosen because they fit between the words beside them.
        close: share of the other substitutes that are close in spelling or sound.
        known: share of the other substitutes that belong to the domain, for close and for far ones.
        sharpness: a close candidate is chosen with weight similarity ** sharpness.
        take_shape: gamma shape of the severity of one take. A small value means that errors gather in few utterances.
        word_shape: gamma shape of the weakness of a word, the same for all speakers.
        pair_shape: gamma shape of the weakness of a word for one speaker.
        speaker_habit: probability that an error takes the most frequent form of this speaker for the word.
        shared_habit: probability that the most frequent form of a speaker is that of all speakers.
        nbest_truth: among utterances whose best hearing is wrong, the share of n-best lists that hold the truth further down.
        confidence_right: mean and standard deviation of the confidence in a right hearing.
        confidence_wrong: the same for a wrong one.
    """

    classes: Mapping[str, ErrorRates]
    inserted: float
    inserted_function: float
    filler: float
    fluent: float
    close: float
    known: tuple[float, float]
    sharpness: float
    take_shape: float
    word_shape: float
    pair_shape: float
    speaker_habit: float
    shared_habit: float
    nbest_truth: float
    confidence_right: tuple[float, float]
    confidence_wrong: tuple[float, float]

    @classmethod
    def from_json(cls, path: Path = _HERE / "channel.json") -> "Rates":
        """Read the figures; without a path those of the package."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["rates"]
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        values["classes"] = {name: ErrorRates(**rates) for name, rates in data["classes"].items()}
        return cls(**values)


@cache
def common_words() -> Mapping[str, frozenset[str]]:
    """Return the English words of `words.json`: ``function`` and ``common``."""
    data = json.loads((_HERE / "words.json").read_text(encoding="utf-8"))
    return {kind: frozenset(" ".join(data[kind]).split()) for kind in ("function", "common")}


@cache
def word_class(word: str) -> str:
    """Return the class of a word by frequency and length, the key of `Rates.classes`.

    Example:
        >>> word_class("the"), word_class("thermostat")
        ('function/short', 'common/long')
    """
    words = common_words()
    kind = "function" if word in words["function"] else "common" if word in words["common"] else "rare"
    return f"{kind}/{'short' if len(word) <= 3 else 'medium' if len(word) <= 6 else 'long'}"
