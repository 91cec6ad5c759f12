"""`Rates`: how often and how faithfully a recogniser errs.

The figures stand in `channel.json`; `benchmarks/fit_channel.py` wrote them, once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often a word of one class goes wrong, each a share of the words spoken.

    Attributes:
        substituted: another word is heard.
        deleted: nothing is heard.
        split: two words are heard.
        hazard: the rate from which the three come out on average, once takes, words and speakers differ: the probability of
            an error is 1 - exp(-hazard * severity of the take * weakness of the word * weakness in this mouth).
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
        fluent: share of the substitutes that are chosen because they can stand between the words beside them.
        close: share of the other substitutes that are close to the eye or the ear.
        known: share of the other substitutes that belong to the domain, for close and for far ones.
        sharpness: a close candidate is chosen with weight similarity ** sharpness.
        take_shape: gamma shape of the severity of one take; small means that errors come in the same utterances.
        word_shape: gamma shape of the weakness of a word, whoever speaks.
        pair_shape: gamma shape of the weakness of a word in the mouth of one speaker.
        speaker_habit: probability that an error takes the form that is this speaker's favourite for the word.
        shared_habit: probability that a speaker's favourite is everybody's favourite.
        nbest_truth: where the best hearing is wrong, the share of n-best lists with the truth further down.
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
    """Return how common and how long a word is, the key of `Rates.classes`.

    Example:
        >>> word_class("the"), word_class("thermostat")
        ('function/short', 'common/long')
    """
    words = common_words()
    kind = "function" if word in words["function"] else "common" if word in words["common"] else "rare"
    return f"{kind}/{'short' if len(word) <= 3 else 'medium' if len(word) <= 6 else 'long'}"
