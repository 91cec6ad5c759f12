"""`Likeness`: how alike two utterances of a log are, each pair of texts compared once."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.database import connect
from rewriter.model.similarity import contained, pairwise, phonetic_keys

NAMES = ("text_similarity", "sound_similarity", "contained")


class Likeness:
    """The utterances of `tables.TEXTS` by id, and how alike they are; None stands at the ids of other texts.

    How a text sounds is worked out when it is compared: of a day's texts few are, and of those of all days before hardly any.
    """

    def __init__(self, texts: Path) -> None:
        with connect(texts=texts) as con:
            found = con.execute("SELECT id, locale, text FROM texts WHERE kind = 'u'").fetchnumpy()
        ids: npt.NDArray[np.int64] = found["id"]
        size = int(ids.max(initial=-1)) + 1
        self.text, self._sound, self._locale = np.full((3, size), None, dtype=object)
        self.text[ids], self._locale[ids] = found["text"], found["locale"]

    def measure(self, source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """Compare each pair of texts once, however often it comes: thousandths, and whether one holds the other (0/1)."""
        pairs, places = np.unique(source * len(self.text) + target, return_inverse=True)
        one, other = np.divmod(pairs, max(len(self.text), 1))
        text = pairwise(self.text[one], self.text[other])
        sound = pairwise(self._sounds(one), self._sounds(other))
        values = (np.rint(text * 1000), np.rint(sound * 1000), self._contained(one, other, text))
        return {name: value.astype(np.int64)[places] for name, value in zip(NAMES, values, strict=True)}

    def _sounds(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        new = np.unique(ids)
        new = new[[sound is None for sound in self._sound[new]]]
        for locale in set(self._locale[new]):
            rows = new[self._locale[new] == locale]
            self._sound[rows] = phonetic_keys(self.text[rows], locale)
        return np.asarray(self._sound[ids], dtype=object)

    def _contained(
        self, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64], alike: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Look into the words only where all letters of the shorter text are in the longer one, in their order."""
        letters = [np.array([len(text) for text in self.text[ids]], dtype=np.int64) for ids in (one, other)]
        common = alike * (letters[0] + letters[1]) / 2  # what Indel similarity counts
        found = common > np.minimum(*letters) - 0.5
        for i in np.flatnonzero(found):
            found[i] = contained(self.text[one[i]], self.text[other[i]])
        return found
