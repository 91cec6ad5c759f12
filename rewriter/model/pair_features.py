"""Features of a request and a text that may have been meant. They are the same for every deployment.

No column depends on the words of one log, so weights that were fitted on public data hold elsewhere. `PairIndex` computes the
features for the texts of a catalog, most of them when it is opened. `PoolMeasure` computes them for the few candidates of a
request, from the word counts of a log. Both return the same columns.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.arrays import Floats, Ints
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.model.channel import NoisyChannel, Views
from rewriter.model.contrasts import mine
from rewriter.model.fluency import Wording
from rewriter.similarity import base_letters

if TYPE_CHECKING:
    from rewriter.model.retrieve import Pool  # which imports FAISS

PAIR = (
    "channel", "channel_lead", "channel_rival", "letters", "letters_lead", "idf_lost", "idf_gained", "lost_unknown", "lost_known",
    "contrast", "contrast_lost", "contrast_gained", "length", "request_words", "habit", "complete",
)  # fmt: skip
"""What the prior reads of a pair:

channel           log P(heard | text) per symbol heard (`rewriter.model.channel`)
channel_lead      how far the likelihood of the whole request is ahead of the best candidate of another interpretation, in nats,
                  as sign x log(1 + |nats|)
channel_rival     the likelihood per symbol of that rival
letters, …_lead   normalised Indel similarity of the texts without diacritics; how far it is ahead of the best rival
idf_lost/_gained  idf of the request's words that the text lacks, and of the text's words that were not heard, as shares of the
                  idf of all words of the request or the text
lost_unknown/_known  how many words of the request the text lacks that the index has never seen, and has seen
contrast          the greatest P(the meaning changes) of a lost word and a gained word that share a frame in the index
contrast_lost     the greatest share of frames in which a lost word changes the meaning (`rewriter.model.contrasts`)
contrast_gained   the same of the gained words
length            |log of the ratio of the lengths in symbols|
request_words     log of the number of words of the request
habit             log of (own turns + `PULL` x share), relative to the average over all users
complete          1 if the index holds all texts that the assistant understands, else 0
"""
_UP = ("channel", "channel_lead", "letters", "letters_lead", "habit")
_DOWN = (
    "channel_rival", "idf_lost", "idf_gained", "lost_unknown", "lost_known", "contrast", "contrast_lost", "contrast_gained",
    "length",
)  # fmt: skip
SIGNS: Final = tuple((name in _UP) - (name in _DOWN) for name in PAIR)
"""Sign that the weight of each column may have: 1 not negative, -1 not positive, 0 either."""
REQUEST: Final = ("unseen_steps", "new_steps", "unknown", "request_words")
"""Columns from which P(the request fails as spoken) is computed for a text that is not in the index:

unseen_steps      log of the number of pairs of neighbouring words that no text of the index has
new_steps         the same of two words that are both known
unknown           log of the number of words that the index has never seen
request_words     log of the number of words
"""
PULL = 2.0
"""Number of a user's own turns that weigh as much as the shares of all users."""

_LONGEST = 16  # so many words of a text are compared
_NOBODY = -1  # filler in rows of word numbers
_RIVAL_FLOOR = -4.0  # a candidate with a smaller log-likelihood per symbol is no rival
_EDGE = ""  # neighbour of the first and of the last word of a text
RAREST: Final = 1e-4
"""Share of everybody's turns that is assumed for an interpretation that nobody has asked for."""


class Asked(NamedTuple):
    """A request in the form in which it is compared.

    Attributes:
        text: normalised.
        views: as the channel reads it.
        words: its different words.
    """

    text: str
    views: Views
    words: tuple[str, ...]


class PairIndex:
    """The texts that may be sent, with everything that can be computed before a request comes.

    Args:
        texts: n normalised texts.
        interpretations: (n,) int64; texts that the assistant understands alike share one number.
        channel: of the locale.
        share: (n,) float64, share of the interpretation of each text in everybody's turns; None if it is not known.
        complete: whether the assistant understands these texts only.

    Example:
        >>> from rewriter.model.channel import channel_of
        >>> channel = channel_of("spoken", "en", [0.1, 3.0, 5.0, 4.0, 4.0])
        >>> index = PairIndex(["turn off the lamp", "turn on the lamp", "play jazz"], np.arange(3), channel)
        >>> table = index.measure(index.asked("turn of the lamp"), np.arange(3))
        >>> int(table[:, PAIR.index("channel")].argmax()), table[:, PAIR.index("lost_unknown")].tolist()
        (0, [1.0, 1.0, 1.0])
    """

    __slots__ = (
        "_average", "_counts", "_idf", "_plain", "_rows", "_steps", "_unseen", "_views", "_vocabulary", "channel", "complete",
        "contrasts", "interpretations", "share", "texts",
    )  # fmt: skip

    def __init__(
        self,
        texts: Sequence[str],
        interpretations: Ints,
        channel: NoisyChannel,
        *,
        share: Floats | None = None,
        complete: bool = False,
    ) -> None:
        self.texts = list(texts)
        self.interpretations = np.asarray(interpretations, dtype=np.int64)
        self.channel, self.complete = channel, complete
        self._average = 1 / max(1, len(np.unique(self.interpretations)))
        self.share = np.full(len(texts), self._average) if share is None else np.maximum(share, RAREST)
        self._views = channel.views(self.texts)
        self._plain = list(map(base_letters, self.texts))
        words = [distinct(text) for text in texts]
        self._vocabulary = {word: i for i, word in enumerate(dict.fromkeys(word for of in words for word in of))}
        self._rows: npt.NDArray[np.int32] = np.full((len(texts), _LONGEST), _NOBODY, dtype=np.int32)
        for row, of in zip(self._rows, words, strict=True):
            row[: len(of)] = [self._vocabulary[word] for word in of]
        self._steps = {step for text in texts for step in _steps(text)}
        self._counts = np.bincount(self._rows[self._rows >= 0], minlength=len(self._vocabulary))
        self._unseen = float(np.log1p(len(texts)))
        numbered = [[self._vocabulary[word] for word in text.split()[:_LONGEST]] for text in texts]
        self.contrasts = mine(numbered, self.interpretations.tolist(), len(self._vocabulary))
        self._idf = np.append(np.log((1 + len(texts)) / np.maximum(self._counts, 1)), 0.0)  # the last is that of no word

    def __len__(self) -> int:
        return len(self.texts)

    def number(self, word: str) -> int | None:
        """Return the number of a word in `contrasts`; None if no text has it."""
        return self._vocabulary.get(word)

    def knows(self, word: str) -> bool:
        """Return whether a text has a word."""
        return word in self._vocabulary

    def count(self, word: str) -> int:
        """Return how many texts have a word."""
        number = self._vocabulary.get(word)
        return 0 if number is None else int(self._counts[number])

    def said(self, rows: Ints) -> Views:
        """Return some texts as the channel reads them."""
        return self._views.take(rows.tolist())

    def asked(self, text: str) -> Asked:
        """Read a request, normalised."""
        return Asked(text, self.channel.views([text]), distinct(text))

    def wording(self, asked: Asked) -> Floats:
        """Measure a request by itself, the columns of `REQUEST`, (len(REQUEST),) float64."""
        steps = list(_steps(asked.text))
        unseen = [step for step in steps if step not in self._steps]
        known = [step for step in unseen if all(word == _EDGE or word in self._vocabulary for word in step)]
        unknown = sum(word not in self._vocabulary for word in asked.words)
        return np.log1p(np.array([len(unseen), len(known), unknown, len(asked.words)], dtype=np.float64))

    def measure(self, asked: Asked, rows: Ints, own: Floats | None = None) -> Floats:
        """Measure candidates, the columns of `PAIR`, (m, len(PAIR)) float64.

        Args:
            asked: the request.
            rows: (m,) int64, rows of the index, at least one.
            own: (m,) float64, how often this user was understood so with success; None for nobody.
        """
        plain = [self._plain[i] for i in rows.tolist()]
        turns = np.zeros(len(rows)) if own is None else own
        return columns(
            self.channel, asked, self.said(rows), plain, self.interpretations[rows], self._words(asked, rows), turns,
            self.share[rows], self._average, complete=self.complete,
        )  # fmt: skip

    def _words(self, asked: Asked, rows: Ints) -> tuple[Floats, ...]:
        """Compare words: the columns from ``idf_lost`` to ``contrast_gained``."""
        numbers = np.array([self._vocabulary.get(word, -2) for word in asked.words] or [-2], dtype=np.int32)
        heavy = np.where(numbers >= 0, self._idf[numbers], self._unseen)
        theirs = self._rows[rows]
        equal = theirs[:, :, None] == numbers
        kept, gained = equal.any(axis=1), (theirs >= 0) & ~equal.any(axis=2)
        mass = self._idf[theirs]
        row, left, right = np.nonzero(~kept[:, :, None] & (numbers >= 0)[None, :, None] & gained[:, None, :])
        contrast = np.zeros(len(rows))
        np.maximum.at(contrast, row, self.contrasts.p_change(numbers[left].astype(np.int64), theirs[row, right].astype(np.int64)))
        changing = self.contrasts.weight
        unknown = np.full(len(rows), np.count_nonzero(numbers < 0))
        return (
            (~kept @ heavy) / max(heavy.sum(), 1e-9),
            (mass * gained).sum(axis=1) / np.maximum(mass.sum(axis=1), 1e-9),
            unknown.astype(np.float64),
            ((~kept).sum(axis=1) - unknown).astype(np.float64),
            contrast,
            (~kept * np.where(numbers >= 0, changing[numbers], 0.0)).max(axis=1),
            (gained * changing[theirs]).max(axis=1),
        )


class PoolMeasure:
    """Measures the few candidates of a request, from the word counts of a log.

    Args:
        channel: of the locale.
        contrasts: what the texts of the log show about words.
        goals: how many interpretations the log has.

    Example:
        >>> from rewriter.model.channel import channel_of
        >>> from rewriter.model.retrieve import Pool
        >>> channel = channel_of("spoken", "en", [0.1, 3.0, 5.0, 4.0, 4.0])
        >>> wording = Wording.of([("lamp on", {}), ("lamp off", {})])
        >>> one = np.ones(2)
        >>> pool = Pool(["lamp on", "lamp off"], np.arange(2), one, one, one, one / 2, 0 * one, 0 * one, 0 * one, one == 0)
        >>> table = PoolMeasure(channel, WordContrasts(), 2).measure("lamb on", pool, wording)
        >>> table.shape == (2, len(PAIR)), int(table[:, PAIR.index("channel")].argmax())
        (True, 0)
    """

    __slots__ = ("_average", "_changing", "_contrasts", "channel")

    def __init__(self, channel: NoisyChannel, contrasts: WordContrasts, goals: int) -> None:
        self.channel, self._contrasts, self._average = channel, contrasts, 1 / max(1, goals)
        self._changing = contrasts.changing()

    def measure(self, heard: str, pool: "Pool", wording: Wording) -> Floats:
        """Measure candidates, the columns of `PAIR`, (m, len(PAIR)) float64.

        Args:
            heard: the request, normalised.
            pool: its m candidates, at least one.
            wording: counts of words of the locale.
        """
        asked, count = Asked(heard, self.channel.views([heard]), distinct(heard)), partial(wording.count, "word")
        words = [
            compare_words(asked.words, distinct(text), count, wording.texts, self._contrasts.p_change, self._changing)
            for text in pool.texts
        ]
        plain, share = list(map(base_letters, pool.texts)), np.maximum(pool.goal_prior, RAREST)
        return columns(
            self.channel, asked, self.channel.views(pool.texts), plain, pool.interpretations, tuple(np.array(words).T),
            pool.own_turns, share, self._average, complete=False,
        )  # fmt: skip


def compare_words(
    asked: Sequence[str],
    theirs: Sequence[str],
    count: Callable[[str], int],
    texts: int,
    p_change: Callable[[str, str], float],
    changing: Callable[[str], float],
) -> list[float]:
    """Compare the words of a request and of a text: the columns from ``idf_lost`` to ``contrast_gained``.

    Args:
        asked: the different words of the request.
        theirs: those of the text.
        count: tells how many texts have a word.
        texts: how many there are.
        p_change: tells P(the meaning changes | two words are exchanged).
        changing: tells the share of frames in which a word changes the meaning.
    """

    def idf(words: Sequence[str]) -> float:
        return float(sum(np.log((1 + texts) / max(count(word), 1)) for word in words))

    lost, gained = [word for word in asked if word not in theirs], [word for word in theirs if word not in asked]
    known = [word for word in lost if count(word) > 0]
    return [
        idf(lost) / max(idf(asked), 1e-9),
        idf(gained) / max(idf(theirs), 1e-9),
        float(len(lost) - len(known)),
        float(len(known)),
        max((p_change(one, other) for one in known for other in gained), default=0.0),
        max((changing(word) for word in known), default=0.0),
        max((changing(word) for word in gained), default=0.0),
    ]


def columns(
    channel: NoisyChannel,
    asked: Asked,
    said: Views,
    plain: Sequence[str],
    goals: Ints,
    words: Sequence[Floats],
    turns: Floats,
    share: Floats,
    average: float,
    *,
    complete: bool,
) -> Floats:
    """Put the columns of `PAIR` together, (m, len(PAIR)).

    Args:
        channel: of the locale.
        asked: the request.
        said: m candidates as the channel reads them.
        plain: their texts, by `base_letters`.
        goals: (m,) int64, their interpretations.
        words: the columns of `compare_words`, (m,) each.
        turns: (m,) float64, how often this user was understood so with success.
        share: (m,) float64, share of each interpretation in everybody's turns.
        average: the mean share of an interpretation.
        complete: whether the assistant understands nothing but the texts of the index.
    """
    letters, habit = _letters(asked.text, plain), _habit(turns, share, average)
    heard, same = asked.views.lengths[0], np.ones(len(goals))
    likelihood = -channel.cost(asked.views, said) / heard
    rival = rivals(likelihood, goals, _RIVAL_FLOOR)
    lead = likelihood - rival
    ahead = np.sign(lead) * np.log1p(np.abs(lead) * heard)
    length = np.abs(np.log(said.lengths / heard))
    return np.column_stack([
        likelihood, ahead, rival, letters, letters - rivals(letters, goals, 0.0), *words, length,
        np.log1p(len(asked.words)) * same, habit, float(complete) * same,
    ])  # fmt: skip


def _letters(heard: str, plain: Sequence[str]) -> Floats:
    """Return the column ``letters``, (m,). Diacritics are not compared: many people do not type them.

    Args:
        heard: the request.
        plain: the texts, by `base_letters`.
    """
    return np.asarray(cdist([base_letters(heard)], plain, scorer=Indel.normalized_similarity)[0])


def _habit(own: Floats, share: Floats, average: float) -> Floats:
    """Return the column ``habit`` from the user's own turns and everybody's share of an interpretation, (m,)."""
    return np.asarray(np.log((own + PULL * share) / (PULL * average)), dtype=np.float64)


def distinct(text: str) -> tuple[str, ...]:
    """Return the different words of a text, in order."""
    return tuple(dict.fromkeys(text.split()[:_LONGEST]))


def _steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of neighbouring words of a text, its ends among them."""
    return pairwise([_EDGE, *text.split(), _EDGE])


def rivals(values: Floats, goals: Ints, floor: float) -> Floats:
    """Return, for each candidate, the greatest value of candidates of another interpretation; `floor` if there is none, (m,).

    Example:
        >>> rivals(np.array([3.0, 2.0, 1.0]), np.array([7, 7, 8]), 0.0).tolist()
        [1.0, 1.0, 3.0]
    """
    first = int(values.argmax())
    others = values[goals != goals[first]]
    second = max(floor, float(others.max())) if len(others) else floor
    return np.where(goals == goals[first], second, max(floor, float(values[first])))
