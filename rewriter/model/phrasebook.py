"""`Phrasebook`: the texts that are known to work, searched exactly, by letters and by sounds: no model, no index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.errors import ArtefactError
from rewriter.model.pool import Floats, Ints, Pool
from rewriter.model.similarity import phonetic_key, phonetic_keys

_FILE = "phrases.json"
_DISCOUNT = 0.97  # of the similarity, for each place that a hearing stands below the first


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one locale, as parallel columns; each text once, from as many users as anything shared must have.

    Attributes:
        texts: n normalised texts.
        interpretations: (n,) int64.
        turns: (n,) float64, how often each was sent with success.
        share: (n,) float64, which share of its turns was understood so and went well.
    """

    texts: Sequence[str]
    interpretations: Ints
    turns: Floats
    share: Floats


class Phrasebook:
    """Finds phrases by the mean of two Indel similarities, of the letters and of the sounds.

    It looks at every phrase of the locale, some tens of thousands a second for each thousand of them.

    Example:
        >>> one = np.ones(2)
        >>> book = Phrasebook({"en": Phrases(["turn off the lamp", "play some jazz"], np.array([7, 8]), one, one)})
        >>> book.find(["turn of the lamb"], "en", k=1).texts
        ['turn off the lamp']
    """

    __slots__ = ("_phrases", "_sounds")

    def __init__(self, phrases: dict[str, Phrases]) -> None:
        self._phrases = phrases
        self._sounds = {locale: phonetic_keys(of.texts, locale) for locale, of in phrases.items()}

    def __len__(self) -> int:
        return sum(len(of.texts) for of in self._phrases.values())

    @property
    def interpretations(self) -> frozenset[int]:
        """The interpretations that have a phrase."""
        return frozenset(number for of in self._phrases.values() for number in of.interpretations.tolist())

    def find(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Pool:  # noqa: ARG002
        """Return the k most alike phrases; see `rewriter.model.pool.Finder`."""
        phrases = self._phrases.get(locale)
        if phrases is None or not phrases.texts:
            return _NOTHING
        discounts = _DISCOUNT ** np.arange(len(hearings))[:, None]
        sounds = [phonetic_key(hearing, locale) for hearing in hearings]
        alike = ((_similar(hearings, phrases.texts) + _similar(sounds, self._sounds[locale])) / 2 * discounts).max(axis=0)
        k = min(k, len(alike))
        best = np.argpartition(-alike, k - 1)[:k]
        best = best[np.argsort(-alike[best], kind="stable")]
        texts = [phrases.texts[row] for row in best.tolist()]
        return Pool(texts, phrases.interpretations[best], phrases.turns[best], phrases.share[best], alike[best], np.zeros(k))

    def save(self, folder: Path) -> None:
        """Write ``phrases.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        columns = {
            locale: [list(of.texts), of.interpretations.tolist(), of.turns.tolist(), np.round(of.share, 4).tolist()]
            for locale, of in self._phrases.items()
        }
        (folder / _FILE).write_text(json.dumps(columns, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")

    @classmethod
    def open(cls, folder: Path) -> "Phrasebook":
        """Open what `save` wrote.

        Raises:
            ArtefactError: the file is missing, or is none of ours.
        """
        path = folder / _FILE
        try:
            columns = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
            return cls({
                locale: Phrases(texts, np.array(goals, dtype=np.int64), np.array(turns, float), np.array(share, float))
                for locale, (texts, goals, turns, share) in columns.items()
            })  # fmt: skip
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtefactError(f"cannot read {path}: {error!r}; copy the artefact again or go back a version") from error


_NOTHING = Pool([], np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


def _similar(one: Sequence[str], other: Sequence[str]) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = cdist(one, other, scorer=Indel.normalized_similarity, dtype=np.float32)
    return found
