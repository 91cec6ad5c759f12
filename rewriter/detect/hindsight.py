"""`Hindsight`: how the turns of each text went, as it was known afterwards, and what that tells of texts and words."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rewriter.detect.listed import Floats, Ints
from rewriter.detect.trees import log_odds
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk

_PRIOR = 2.0  # turns of mean risk that every text and word begins with
_NO_WEIGHTS = Logistic(np.zeros(len(COLUMNS)), 0.0)


class Hindsight:
    """Counts of turns and defects by text and user. Counts, not odds: what somebody said can be taken out again.

    Args:
        said: (n,) str, what was said, normalised; the same text and user may come more than once.
        user: (n,) int64, whose turns they are.
        bad: (n,) how many of them went wrong, in expectation.
        turns: (n,) how many there are, > 0.
        min_users: k, distinct users of a text or word that anything is told of.

    Example:
        >>> said = np.array(["lamp off", "lamp off", "lamp of"], dtype=object)
        >>> seen = Hindsight(said, np.array([0, 1, 1]), np.array([0.0, 0.0, 2.0]), np.array([4.0, 4.0, 2.0]), 1)
        >>> seen.p("lamp of"), seen.p("lamp")
        (1.0, None)
        >>> seen.risk().words["off"] < seen.risk().mean < seen.risk().words["of"]
        True
        >>> sorted(seen.without(["lamp of"]).words)
        ['lamp']
    """

    def __init__(self, said: npt.NDArray[np.object_], user: Ints, bad: Floats, turns: Floats, min_users: int) -> None:
        self._k = min_users
        self._mean = float(bad.sum() / turns.sum()) if len(turns) else 0.5
        self._users = int(user.max(initial=0)) + 1
        texts, number = np.unique(said.astype(object), return_inverse=True)
        key, row = np.unique(number * self._users + user, return_inverse=True)
        self._text, self._user = np.divmod(key, self._users)
        self._bad, self._turns = (np.bincount(row, values, len(key)) for values in (bad, turns))
        self._number = {text: i for i, text in enumerate(texts.tolist())}
        self._at = np.searchsorted(self._text, np.arange(len(texts) + 1))
        self._words: dict[str, int] = {}
        words = [[self._words.setdefault(word, len(self._words)) for word in dict.fromkeys(t.split())] for t in self._number]
        self._entry_row, self._entry_word = _entries(words, self._text)
        self._entry_at = np.searchsorted(self._entry_row, self._at)
        self._of_word = self._summed(self._entry_word, self._entry_row, len(self._words))
        self._pairs, self._pair_texts = np.unique(self._pair(slice(None)), return_counts=True)
        self._users_of_word = np.bincount(self._pairs // self._users, minlength=len(self._words))

    def p(self, text: str) -> float | None:
        """Return the share of the turns of a text that went wrong; None where nobody said it."""
        if text not in self._number:
            return None
        first, last = self._at[self._number[text] :][:2]
        return float(self._bad[first:last].sum() / self._turns[first:last].sum())

    def risk(self) -> Risk:
        """Return the log-odds of a defect of all texts and words of enough users; the weights of its columns are 0."""
        users = np.diff(self._at)
        texts = self._odds(list(self._number), self._summed(self._text, np.arange(len(self._text)), len(users)), users)
        return self._told(texts, self._odds(list(self._words), self._of_word, self._users_of_word))

    def without(self, texts: Collection[str]) -> Risk:
        """Return what would be known of the words of some texts had nobody ever said these texts.

        Args:
            texts: none twice.

        Returns:
            The log-odds of their words, from all other texts that hold them; of no other words, and of no text. What stands in
            for unknown words is the mean of all turns: it is the same for whatever is left out, so that it gives nothing away.
        """
        held = {self._words[word]: word for text in texts for word in text.split() if word in self._words}
        place = np.array(sorted(held), dtype=np.int64)
        gone = [self._number[text] for text in sorted(texts) if text in self._number]
        entry = np.concatenate([np.arange(0), *(np.arange(self._entry_at[i], self._entry_at[i + 1]) for i in gone)])
        row, word = self._entry_row[entry], np.searchsorted(place, self._entry_word[entry])
        left = self._of_word[:, place] - self._summed(word, row, len(place))
        pairs, said = np.unique(self._pair(entry), return_counts=True)
        silent = pairs[said == self._pair_texts[np.searchsorted(self._pairs, pairs)]] // self._users
        users = self._users_of_word[place] - np.bincount(np.searchsorted(place, silent), minlength=len(place))
        return self._told({}, self._odds([held[i] for i in place.tolist()], left, users))

    def _pair(self, entry: Ints | slice) -> Ints:
        """Return one number for word and user of each entry."""
        return np.asarray(self._entry_word[entry] * self._users + self._user[self._entry_row[entry]], dtype=np.int64)

    def _summed(self, group: Ints, row: Ints, groups: int) -> Floats:
        """Return defects and turns of each group of rows, (2, groups)."""
        return np.array([np.bincount(group, part[row], groups) for part in (self._bad, self._turns)], dtype=np.float64)

    def _odds(self, names: Sequence[str], counts: Floats, users: Ints) -> dict[str, float]:
        bad, turns = counts
        odds = log_odds((bad + _PRIOR * self._mean) / (turns + _PRIOR)).round(3).tolist()
        return {name: odds[i] for i, name in enumerate(names) if users[i] >= self._k}

    def _told(self, texts: Mapping[str, float], words: Mapping[str, float]) -> Risk:
        return Risk(texts, words, float(log_odds(np.array([self._mean]))[0]), _NO_WEIGHTS)


def _entries(words: Sequence[Sequence[int]], text: Ints) -> tuple[Ints, Ints]:
    """Return one entry for each word of the text of each row: its row and its word, in the order of the rows."""
    length = np.array([len(of) for of in words], dtype=np.int64)
    flat = np.array([word for of in words for word in of], dtype=np.int64)
    row = np.repeat(np.arange(len(text)), length[text])
    first = np.searchsorted(row, np.arange(len(text)))
    return row, flat[(np.cumsum(length) - length)[text][row] + np.arange(len(row)) - first[row]]
