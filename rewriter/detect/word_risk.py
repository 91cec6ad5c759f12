"""`WordRisk`: counts of turns and defects by text and user, and the risk of texts and words that follows from them.

`learn_risk` distils the defect model, which sees a turn and what followed it, into a `Risk`, which sees only the request, before
the NLU.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.config import Config
from rewriter.detect.boosting import FOLDS, fair_weights, fold_of, log_odds
from rewriter.detect.rephrase import PairDetector
from rewriter.detect.turns import Turns
from rewriter.model.logistic import Logistic, fit_logistic
from rewriter.model.risk import COLUMNS, Risk, asking_rate

_PRIOR_TURNS = 2.0  # number of turns of mean risk that are added to the turns of every text and word
_MOST_TURNS = 5.0  # largest number of turns of one user that count for a text, as in the traffic of a rule
_MAX_TURNS = 50_000  # largest number of turns from which these weights are learned; there are eight of them
_RIDGE = 1.0  # ridge penalty of the weights of `Risk`, for columns scaled to unit variance
_OTHER_HEARINGS = 4  # so many other hearings of a turn are used
_NO_WEIGHTS = Logistic(np.zeros(len(COLUMNS)), 0.0)


class WordRisk:
    """Counts of turns and defects by text and user, from which single texts can be taken out again.

    Args:
        said: (n,) str, normalised texts; a pair of text and user may come more than once.
        user: (n,) int64, the user of each row.
        bad: (n,) expected number of defects among the turns of the row.
        turns: (n,) number of turns of the row, > 0.
        min_users: k, distinct users that a text or word must have to be in a `Risk`.

    Example:
        >>> said = np.array(["lamp off", "lamp off", "lamp of"], dtype=object)
        >>> seen = WordRisk(said, np.array([0, 1, 1]), np.array([0.0, 0.0, 2.0]), np.array([4.0, 4.0, 2.0]), 1)
        >>> seen.p("lamp of"), seen.p("lamp")
        (1.0, None)
        >>> seen.risk().words["off"] < seen.risk().mean < seen.risk().words["of"]
        True
        >>> sorted(seen.without(["lamp of"]).words)
        ['lamp']
    """

    def __init__(self, said: npt.NDArray[np.object_], user: Ints, bad: Floats, turns: Floats, min_users: int) -> None:
        self._k = min_users
        self._users = int(user.max(initial=0)) + 1
        texts, number = np.unique(said.astype(object), return_inverse=True)
        key, row = np.unique(number * self._users + user, return_inverse=True)
        self._text, self._user = np.divmod(key, self._users)
        self._bad, self._turns = (np.bincount(row, values, len(key)) for values in (bad, turns))
        less = np.minimum(1.0, _MOST_TURNS / np.maximum(self._turns, _MOST_TURNS))
        self._bad, self._turns = self._bad * less, self._turns * less
        self._mean = float(self._bad.sum() / self._turns.sum()) if len(turns) else 0.5
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
        """Return the share of the turns of a text that went wrong; None if nobody said it."""
        if text not in self._number:
            return None
        first, last = self._at[self._number[text] :][:2]
        return float(self._bad[first:last].sum() / self._turns[first:last].sum())

    def risk(self) -> Risk:
        """Return the log-odds of a defect of all texts and words of k users or more; the weights of the columns are 0."""
        users = np.diff(self._at)
        texts = self._odds(list(self._number), self._summed(self._text, np.arange(len(self._text)), len(users)), users)
        return self._with_mean(texts, self._odds(list(self._words), self._of_word, self._users_of_word))

    def without(self, texts: Collection[str]) -> Risk:
        """Return the risk that the words of some texts would have if nobody had ever said these texts.

        Args:
            texts: distinct.

        Returns:
            The log-odds of the words of these texts, from all other texts that hold them. It has no other words, and no texts.
            Unknown words get the mean of all turns, so that the mean does not depend on what is left out.
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
        return self._with_mean({}, self._odds([held[i] for i in place.tolist()], left, users))

    def _pair(self, entry: Ints | slice) -> Ints:
        """Return one number for word and user of each entry."""
        return np.asarray(self._entry_word[entry] * self._users + self._user[self._entry_row[entry]], dtype=np.int64)

    def _summed(self, group: Ints, row: Ints, groups: int) -> Floats:
        """Return defects and turns of each group of rows, (2, groups)."""
        return np.array([np.bincount(group, part[row], groups) for part in (self._bad, self._turns)], dtype=np.float64)

    def _odds(self, names: Sequence[str], counts: Floats, users: Ints) -> dict[str, float]:
        bad, turns = counts
        odds = log_odds((bad + _PRIOR_TURNS * self._mean) / (turns + _PRIOR_TURNS)).round(3).tolist()
        return {name: odds[i] for i, name in enumerate(names) if users[i] >= self._k}

    def _with_mean(self, texts: Mapping[str, float], words: Mapping[str, float]) -> Risk:
        return Risk(texts, words, float(log_odds(np.array([self._mean]))[0]), _NO_WEIGHTS)


def _entries(words: Sequence[Sequence[int]], text: Ints) -> tuple[Ints, Ints]:
    """Return the row and the word of each word of the text of each row, ordered by row."""
    length = np.array([len(of) for of in words], dtype=np.int64)
    flat = np.array([word for of in words for word in of], dtype=np.int64)
    row = np.repeat(np.arange(len(text)), length[text])
    first = np.searchsorted(row, np.arange(len(text)))
    return row, flat[(np.cumsum(length) - length)[text][row] + np.arange(len(row)) - first[row]]


@dataclass(frozen=True, slots=True)
class LearnedRisk:
    """A risk, and its predictions for users that it has not seen.

    Attributes:
        risk: for serving.
        held_out: (m,) P(defect) of each turn from which the weights were learned, by counts of other users; of a log of up to
            50,000 turns these are all.
    """

    risk: Risk
    held_out: Floats


def learn_risk(turns: Turns, defect: Floats, *, min_users: int, budget: float, a_day: int = 1) -> LearnedRisk:
    """Distil P(defect) into a risk of what is known when the request is heard.

    The columns of a turn are measured by counts of the other folds of users. So the weights are right for a user who says a text
    for the first time, after others have said it.

    Args:
        turns: of a log, n of them.
        defect: (n,) P(defect) of each, by the defect model.
        min_users: distinct users of every text and word that is kept.
        budget: share of the turns that may be followed by "did I get that right?".
        a_day: how often one user may be asked that in a day.
    """
    fold, learned = fold_of(turns["user_no"]), _learned_from(turns["user_no"])
    columns = np.zeros((len(learned), len(COLUMNS)))
    for k in range(FOLDS):
        seen = _word_risk(turns, defect, np.flatnonzero(fold != k), min_users).risk()
        for place in np.flatnonzero(fold[learned] == k):
            columns[place] = seen.columns(*_request(turns, int(learned[place])))
    spoken = turns["rewritten"][learned] == 0
    users, wrong = turns["user_no"][learned][spoken], defect[learned][spoken]
    weigh = fit_logistic(columns[spoken], wrong, weight=fair_weights(users, min_users), penalty=_RIDGE)
    p = weigh.p(columns)
    whole = _word_risk(turns, defect, np.arange(len(turns)), min_users).risk()
    rate = budget / float(np.mean([asking_rate(one) for one in p.tolist()]))
    return LearnedRisk(replace(whole, weigh=weigh, rate=rate, a_day=a_day), p)


def _learned_from(user_no: Ints) -> Ints:
    """Return the rows from which the weights are learned: of a large log the turns of some users, as many of each fold."""
    _, place = np.unique(user_no // FOLDS, return_inverse=True)
    return np.flatnonzero(place.reshape(-1) % max(1, -(-len(user_no) // _MAX_TURNS)) == 0)


def export_risk(pair: PairDetector | None, known: Risk, config: Config, folder: Path) -> None:
    """Write ``risk.json``, which `Risk.open` reads while serving.

    Args:
        pair: the detector, for its turns and their P(defect); without one nobody is asked "did I get that right?".
        known: log-odds of texts and words, from `WordRisk.risk`.
        config: uses `launch.min_users`, `trigger.max_asked` and `trigger.max_asked_a_day`.
        folder: where the file goes.
    """
    if pair is not None:
        least, trigger = config.launch.min_users, config.trigger
        found = learn_risk(pair.turns, pair.defect, min_users=least, budget=trigger.max_asked, a_day=trigger.max_asked_a_day)
        known = replace(found.risk, texts=known.texts, words=known.words, mean=known.mean)
    known.save(folder)


def _request(turns: Turns, row: int) -> tuple[list[str], str]:
    """Return the hearings of a turn, and what the user had said before in the session."""
    first, last = turns.heard_at[row], turns.heard_at[row + 1]
    hearings = [str(turns.text[i]) for i in (turns["said"][row], *turns.heard[first : min(last, first + _OTHER_HEARINGS)])]
    return hearings, "" if turns["opens"][row] else str(turns.text[turns["said"][row - 1]])


def _word_risk(turns: Turns, defect: Floats, rows: Ints, min_users: int) -> WordRisk:
    """Count some turns, without those that were rewritten, because their outcome says nothing about the words as spoken."""
    rows = rows[turns["rewritten"][rows] == 0]
    return WordRisk(turns.text[turns["said"][rows]], turns["user_no"][rows], defect[rows], np.ones(len(rows)), min_users)
