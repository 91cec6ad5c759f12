"""`Risk`: P(a request goes wrong as spoken), of what is known when it is heard: its words, its hearings, what was said before."""

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
            ArtefactError: a file is missing, or is none of ours.
        """
        path = folder / _FILE
        with reading_artefact(path):
            data = json.loads(path.read_text(encoding="utf-8"))
            words = {str(word): float(odds) for word, odds in data["words"].items()}
            weigh, texts = Logistic.from_dict(data["weigh"], len(COLUMNS)), HashedNumbers.open(folder, _TEXTS)
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
