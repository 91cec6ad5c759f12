"""`Risk`: P(a request fails as spoken), from what is known when it arrives: its words, its hearings, the utterance before it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rapidfuzz.distance import Indel

from rewriter.errors import reading_artefact
from rewriter.model.columns import HashedNumbers
from rewriter.model.logistic import Logistic

COLUMNS: Final = (
    "text",  # log-odds of a defect among the turns of this text, shrunk towards the mean
    "worst_word",  # the same for its words: the highest
    "mean_word",  # and their mean
    "unknown_words",  # share of words that the log hardly knows
    "words",  # log(1 + number of words)
    "other_hearing",  # how much lower the log-odds of the best other hearing are; 0 if none is lower
    "agreement",  # similarity of the two best hearings; 1 if there is only one
    "repeats",  # similarity to the utterance just before; 0 if there was none
)
"""The columns of the risk."""

WORDED: Final = ("worst_word", "mean_word", "unknown_words", "agreement")
"""The columns that also describe a text that was never heard before. The trigger reads them too (`model.features.RISK`)."""

_FILE = "risk.json"
_TEXTS = "risk_texts"
_LEAST_ASKED = 0.05
"""Added to every rate of asking, so that users are also asked about requests that wrongly seem certain to work or to fail."""


@dataclass(frozen=True, slots=True)
class Risk:
    """P(a request fails), fitted to a log. It holds no text and no word of fewer users than `Config.launch.min_users`.

    Attributes:
        texts: text -> log-odds of a defect.
        words: word -> log-odds of a defect among the turns that contain it.
        mean: log-odds of any turn; used for unknown texts and words.
        weigh: the logistic regression on the columns `COLUMNS`.
        rate: factor between `asking_rate` and P(the user is asked "did I get that right?"), set to meet the budget of prompts.
        a_day: most prompts to one user in a day.
    """

    texts: Mapping[str, float] | HashedNumbers
    words: Mapping[str, float]
    mean: float
    weigh: Logistic
    rate: float = 0.0
    a_day: int = 1

    def p(self, hearings: Sequence[str], previous: str = "") -> float:
        """Return P(defect as spoken), 0..1.

        Args:
            hearings: normalised, the utterance first; at least one.
            previous: the user's utterance just before, normalised; empty if there was none.

        Example:
            >>> import numpy as np
            >>> plain = Logistic(np.array([1.0, *[0.0] * 7]), 0.0)
            >>> round(Risk({"lamp of": 2.0}, {}, -1.0, plain).p(["lamp of"]), 2)
            0.88
        """
        return self.weigh.p_of(self.columns(hearings, previous))

    def p_asked(self, p: float) -> float:
        """Return the probability with which the user is asked "did I get that right?" after a turn with this risk p, 0..1."""
        return min(1.0, self.rate * asking_rate(p))

    @property
    def most_asked(self) -> float:
        """The greatest value of `p_asked`, which is that of p = 0.5."""
        return self.p_asked(0.5)

    def columns(self, hearings: Sequence[str], previous: str) -> list[float]:
        """Return the values of `COLUMNS` for a request."""
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
        """Return the values of `WORDED` for a request.

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
        """Write ``risk.json``, and the numbers of the texts as arrays, because there may be millions."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = self.texts if isinstance(self.texts, HashedNumbers) else HashedNumbers.of(self.texts)
        texts.save(folder, _TEXTS)
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
            ArtefactError: a file is missing or unreadable.
        """
        path = folder / _FILE
        with reading_artefact(path):
            data = json.loads(path.read_text(encoding="utf-8"))
            words = {str(word): float(odds) for word, odds in data["words"].items()}
            weigh, texts = Logistic.from_dict(data["weigh"], len(COLUMNS)), HashedNumbers.open(folder, _TEXTS)
            return cls(texts, words, float(data["mean"]), weigh, float(data["rate"]), int(data["a_day"]))


def asking_rate(p: float) -> float:
    """Return the relative rate at which turns with P(defect) = p should be asked about: ``sqrt(p (1 - p)) + 0.05``.

    Sampling in proportion to the standard deviation of the outcome estimates a total with the least variance (Neyman 1934, "On
    the two different aspects of the representative method"). The constant keeps every turn's chance above zero.

    Example:
        >>> [round(asking_rate(p), 2) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.05, 0.35, 0.55, 0.05]
    """
    return math.sqrt(p * (1 - p)) + _LEAST_ASKED
