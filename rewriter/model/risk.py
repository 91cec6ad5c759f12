"""`Risk`: P(a request goes wrong as spoken), of what is known when it is heard: its words, its hearings, what was said before.

`TextNumbers`: a number for each of many texts, in memory-mapped arrays.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel

from rewriter.errors import reading_artefact
from rewriter.model.logistic import Logistic
from rewriter.model.query_store import mapped


class TextNumbers:
    """Numbers by text, of which only the hashes are kept: 16 bytes each, and nothing to read when a process starts.

    Two texts of one hash would share a number; among a million it happens once in forty million artefacts.

    Args:
        keys: (n,) uint64, ascending, hashes of the texts.
        numbers: (n,) float64.

    Example:
        >>> odds = TextNumbers.of({"lamp of": 2.0, "lamp off": -3.0})
        >>> odds.get("lamp off", 0.0), odds.get("lamp", 0.0), len(odds)
        (-3.0, 0.0, 2)
    """

    __slots__ = ("_keys", "_numbers")

    def __init__(self, keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.float64]) -> None:
        self._keys = keys
        self._numbers = numbers

    @classmethod
    def of(cls, numbers: "Mapping[str, float] | TextNumbers") -> "TextNumbers":
        """Return the numbers of texts, with the texts left out."""
        if isinstance(numbers, TextNumbers):
            return numbers
        keys = np.array([_key(text) for text in numbers], dtype=np.uint64)
        order = np.argsort(keys)
        return cls(keys[order], np.array([*numbers.values()], dtype=np.float64)[order])

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, text: str, default: float, /) -> float:
        """Return the number of a text, or the default."""
        key = np.uint64(_key(text))
        place = int(self._keys.searchsorted(key))
        return float(self._numbers[place]) if place < len(self._keys) and self._keys[place] == key else default

    def save(self, folder: Path, name: str) -> None:
        """Write ``<name>_keys.npy`` and ``<name>.npy``."""
        np.save(folder / f"{name}_keys.npy", self._keys)
        np.save(folder / f"{name}.npy", self._numbers)

    @classmethod
    def open(cls, folder: Path, name: str) -> "TextNumbers":
        """Map what `save` wrote.

        Raises:
            OSError: a file is missing.
            ValueError: a file is none of ours.
        """
        return cls(mapped(folder / f"{name}_keys.npy"), mapped(folder / f"{name}.npy"))


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


COLUMNS: Final = (
    "text",  # log-odds of a defect among the turns of the text, drawn towards the mean
    "worst_word",  # the same of its words: the highest, and the mean
    "mean_word",
    "unknown_words",  # share of words that the log hardly knows
    "words",  # log of how many there are
    "other_hearing",  # how much lower the log-odds of the best other hearing are
    "agreement",  # how alike the two best hearings are; 1 where there is one
    "repeats",  # how alike the text is to what was said just before; 0 where nothing was
)
"""What the risk is made of."""

WORDED: Final = ("worst_word", "mean_word", "unknown_words", "agreement")
"""Those of them that tell of a text that was never heard: the trigger reads them, too (`model.features.RISK`)."""

_FILE = "risk.json"
_TEXTS = "risk_texts"
_EVEN = 0.05  # what even a request that seems sure is asked about: a misunderstanding that all users share seems sure, too


@dataclass(frozen=True, slots=True)
class Risk:
    """What a log taught of requests that go wrong. It holds no text and no word of fewer than the log's `min_users` users.

    Attributes:
        texts: text -> log-odds of a defect.
        words: word -> the same of the turns that hold it.
        mean: the log-odds of any turn, which stand in for what is not known.
        weigh: P of the columns `COLUMNS`.
        rate: P(asked "did I get that right?") by what the answer would teach (`worth`), within the budget of prompts.
        a_day: prompts to one user in a day, at most.
    """

    texts: Mapping[str, float] | TextNumbers
    words: Mapping[str, float]
    mean: float
    weigh: Logistic
    rate: float = 0.0
    a_day: int = 1

    def p(self, hearings: Sequence[str], previous: str = "") -> float:
        """Return P(defect as spoken), 0..1.

        Args:
            hearings: normalised, the utterance first; at least one.
            previous: what the user said just before, normalised; empty for nothing.

        Example:
            >>> import numpy as np
            >>> plain = Logistic(np.array([1.0, *[0.0] * 7]), 0.0)
            >>> round(Risk({"lamp of": 2.0}, {}, -1.0, plain).p(["lamp of"]), 2)
            0.88
        """
        return self.weigh.p_of(self.columns(hearings, previous))

    def p_asked(self, p: float) -> float:
        """Return the probability with which a turn of this risk is followed by "did I get that right?"."""
        return min(1.0, self.rate * worth(p))

    def columns(self, hearings: Sequence[str], previous: str) -> list[float]:
        """Return the columns `COLUMNS` of a request."""
        text = hearings[0]
        worst, mean, unknown, agreement = self.worded(hearings)
        own = self.texts.get(text, self.mean)
        others = [self.texts.get(other, self.mean) for other in hearings[1:]]
        return [
            own,
            worst,
            mean,
            unknown,
            math.log1p(len(text.split())),
            max(0.0, own - min(others, default=own)),
            agreement,
            Indel.normalized_similarity(text, previous) if previous else 0.0,
        ]

    def worded(self, hearings: Sequence[str]) -> tuple[float, float, float, float]:
        """Return the columns `WORDED` of a request.

        Example:
            >>> import numpy as np
            >>> risk = Risk({}, {"lamp": -3.0, "of": 1.0}, -2.0, Logistic(np.zeros(8), 0.0))
            >>> risk.worded(["turn of lamp lamp", "turn of lamp lamp"])
            (1.0, -1.75, 0.25, 1.0)
        """
        words = hearings[0].split()
        odds = [self.words.get(word, self.mean) for word in words] or [self.mean]
        unknown = sum(word not in self.words for word in words) / max(len(words), 1)
        agreement = Indel.normalized_similarity(*hearings[:2]) if len(hearings) > 1 else 1.0
        return max(odds), sum(odds) / len(odds), unknown, agreement

    def save(self, folder: Path) -> None:
        """Write ``risk.json``, and the texts, of which there may be many, as arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        TextNumbers.of(self.texts).save(folder, _TEXTS)
        data = {
            "words": dict(self.words),
            "mean": self.mean,
            "weigh": self.weigh.to_dict(),
            "rate": self.rate,
            "a_day": self.a_day,
        }
        (folder / _FILE).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Risk":
        """Open what `save` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        path = folder / _FILE
        with reading_artefact(path):
            data = json.loads(path.read_text(encoding="utf-8"))
            words = {str(word): float(odds) for word, odds in data["words"].items()}
            weigh, texts = Logistic.from_dict(data["weigh"], len(COLUMNS)), TextNumbers.open(folder, _TEXTS)
            return cls(texts, words, float(data["mean"]), weigh, float(data["rate"]), int(data["a_day"]))


def worth(p: float) -> float:
    """Return how often turns of one risk are to be asked about, in proportion.

    What is drawn by the standard deviation of what is to be learned tells most of a whole (Neyman 1934, "On the two different
    aspects of the representative method"): ``sqrt(p (1 - p))``, and a little of everything. To ask only what is least sure
    would teach nothing of the rest.

    Example:
        >>> [round(worth(p), 2) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.05, 0.35, 0.55, 0.05]
    """
    return math.sqrt(p * (1 - p)) + _EVEN
