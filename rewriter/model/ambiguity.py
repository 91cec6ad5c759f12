"""`Ambiguity`: texts that mean different things to different users, and which meaning a user's habits make probable."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats
from rewriter.errors import reading_artefact
from rewriter.model.columns import HashIndex, TextColumn, mapped, save_texts, text_key
from rewriter.model.habits import UserView
from rewriter.model.retrieve import RAREST, log_goal_prior
from rewriter.model.slots import UserPreferences

_HEADER = "ambiguity.json"
_KEYS = "keys"
_COLUMNS = ("starts", "rows", "share", "fails")


def posterior(share: Floats, liking: Floats, liking_unseen: Floats, trust: float) -> Floats:
    """Return P(each meaning | the text, the user), (…, m) float64.

    The share of each meaning among all users is multiplied by how much more often this user wants it than others do. That is
    Bayes' rule under the assumption that what is wanted and how it is said are independent::

        P(j | text, user) = share_j · e^(trust · liking_j) / (sum over all j of the same + rest · e^(trust · liking_unseen))

    Args:
        share: (…, m) share of each meaning in the votes of all users on the text. The rest, ``1 - sum``, is for other meanings.
        liking: (…, m) log preference of the user for each meaning, from `liking_of`.
        liking_unseen: (…,) the same for meanings that the user never wanted.
        trust: exponent of the habits, 0 (ignore them) .. 1 (the full Bayes factor).

    Example:
        >>> share, likes = np.array([0.6, 0.3]), np.array([0.0, np.log(20)])
        >>> posterior(share, likes, np.array(-1.0), 1.0).round(2).tolist()
        [0.09, 0.9]
        >>> posterior(share, likes, np.array(-1.0), 0.0).round(2).tolist()
        [0.6, 0.3]
    """
    weight = share * np.exp(trust * liking)
    rest = np.maximum(1 - share.sum(axis=-1), 0.0) * np.exp(trust * liking_unseen)
    return np.asarray(weight / np.maximum(weight.sum(axis=-1) + rest, 1e-300)[..., None], dtype=np.float64)


def liking_of(own: Floats, own_all: Floats, goal_prior: Floats) -> tuple[Floats, Floats]:
    """Return the log preference of a user for each meaning, (…, m), and for a meaning the user never wanted, (…,).

    The log preference is ``log (P(this user wants it) / P(any user wants it))``, with `log_goal_prior` for the user.

    Args:
        own: (…, m) the user's successful turns with this meaning.
        own_all: (…,) all successful turns of the user.
        goal_prior: (…, m) share of each meaning among the successful turns of all users.

    Example:
        >>> liking, stranger = liking_of(np.array([0.0, 30.0]), np.array(30.0), np.array([0.5, 0.5]))
        >>> np.exp(liking).round(2).tolist(), round(float(np.exp(stranger)), 2)
        ([0.4, 1.6], 0.4)
    """
    goal_prior = np.maximum(goal_prior, RAREST)
    liking_unseen = log_goal_prior(np.zeros_like(own_all), own_all, np.ones_like(own_all))
    return log_goal_prior(own, own_all[..., None], goal_prior) - np.log(goal_prior), liking_unseen


class Posterior(NamedTuple):
    """What a text means to one user.

    Attributes:
        texts: the text that would be sent for each meaning, likeliest first.
        p: P(this meaning | the text fails), for each.
        fails: P(the text fails as spoken).
    """

    texts: Sequence[str]
    p: Sequence[float]
    fails: float


class Meanings(NamedTuple):
    """What a text means to everybody.

    Attributes:
        locale: of the text.
        text: normalised.
        rows: for each meaning, a row of the global book.
        share: share of the votes for each; they add up to at most 1.
        fails: P(the text fails as spoken).
    """

    locale: str
    text: str
    rows: Sequence[int]
    share: Sequence[float]
    fails: float


class Ambiguity:
    """The texts of one artefact that have more than one meaning, in memory maps. Safe to use from many threads.

    Attributes:
        threshold: least P(a win) for a meaning to be sent.
        trust: see `posterior`.

    Example:
        >>> import tempfile
        >>> from rewriter.model.encoder import StaticEncoder, random_table
        >>> from rewriter.model.habits import UserCounts, write_habits
        >>> from rewriter.model.query_store import Queries, write_book
        >>> folder, encoder, ann, two = Path(tempfile.mkdtemp()), StaticEncoder(random_table(64, seed=0)), "a" * 32, np.arange(2)
        >>> songs = Queries(["play dancing queen", "play dancing shoes"], ["en"] * 2, two, *([9 + 0 * two] * 4))
        >>> write_book(folder / "book", songs, encoder)
        >>> none = songs.take(two[:0])
        >>> write_habits(folder / "habits", UserCounts([ann], two[1:], 30 * two[1:], two[1:]), [], none, 2, encoder)
        >>> dancing = Meanings("en", "play dancing", [0, 1], [0.7, 0.2], 1.0)
        >>> write_ambiguity(folder / "ambiguity", [dancing], trust=1.0, threshold=0.5)
        >>> ambiguity = Ambiguity.open(folder / "ambiguity", UserView.open(folder))
        >>> ambiguity.of("play dancing", "en", ann).texts[0], ambiguity.of("play dancing", "en", "b" * 32)
        ('play dancing shoes', None)
    """

    __slots__ = ("_fails", "_index", "_rows", "_share", "_starts", "_texts", "_user_view", "threshold", "trust")

    def __init__(self, folder: Path, user_view: UserView) -> None:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        self.trust, self.threshold = float(header["trust"]), float(header["threshold"])
        self._texts = TextColumn.open(folder, "texts")
        self._index = HashIndex.open(folder, _KEYS)
        self._starts, self._rows, self._share, self._fails = (mapped(folder / f"{name}.npy") for name in _COLUMNS)
        self._user_view = user_view

    @classmethod
    def open(cls, folder: Path, user_view: UserView) -> "Ambiguity | None":
        """Map what `write_ambiguity` wrote; None if `learn` found no such text.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        if not folder.is_dir():
            return None
        with reading_artefact(folder):
            return cls(folder, user_view)

    def of(self, text: str, locale: str, user: str, preferences: UserPreferences | None = None) -> Posterior | None:
        """Return what a text means to a user; None for a text with one meaning, and for a user without habits or preferences.

        Args:
            text: normalised.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
            preferences: the user's stated preferences; None without any.
        """
        place = self._place(text, locale)
        if place is None:
            return None
        habit = self._user_view.own(user, locale)
        if not len(habit.rows) and preferences is None:
            return None
        rows = self._rows[self._starts[place] : self._starts[place + 1]]
        goals = self._user_view.book.interpretations[rows]
        own = (goals[:, None] == self._user_view.interpretations(habit.rows)) @ habit.turns.astype(np.float64)
        adjusted = own if preferences is None else preferences.own(goals, own)
        if not len(habit.rows) and not adjusted.any():
            return None
        own_all = np.asarray(habit.turns.sum() + adjusted.sum() - own.sum(), dtype=np.float64)
        liking, liking_unseen = liking_of(adjusted, own_all, self._user_view.book.goal_prior(goals))
        p = posterior(self._share[self._starts[place] : self._starts[place + 1]], liking, liking_unseen, self.trust)
        order = np.argsort(-p, kind="stable")
        return Posterior([self._user_view.book.texts(rows[[i]])[0] for i in order], p[order].tolist(), float(self._fails[place]))

    def _place(self, text: str, locale: str) -> int | None:
        place = self._index.find(text_key(locale, text))
        return place if place is not None and self._texts.take(np.array([place])) == [text] else None


def write_ambiguity(folder: Path, meanings: Sequence[Meanings], *, trust: float, threshold: float) -> None:
    """Write the texts of more than one meaning.

    Args:
        folder: where the files go; created if it is missing.
        meanings: in any order; the caller has checked that each text and each of its meanings come from at least k users.
        trust: see `posterior`.
        threshold: least P(a win) for a meaning to be sent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index, order = HashIndex.sort(text_key(of.locale, of.text) for of in meanings)
    ordered = [meanings[i] for i in order.tolist()]
    index.save(folder, _KEYS)
    columns: Mapping[str, npt.NDArray[np.generic]] = {
        "starts": np.cumsum([0, *(len(of.rows) for of in ordered)], dtype=np.int64),
        "rows": np.array([row for of in ordered for row in of.rows], dtype=np.int64),
        "share": np.array([share for of in ordered for share in of.share], dtype=np.float64),
        "fails": np.array([of.fails for of in ordered], dtype=np.float64),
    }
    for name in _COLUMNS:
        np.save(folder / f"{name}.npy", columns[name])
    save_texts(folder, "texts", [of.text for of in ordered])
    (folder / _HEADER).write_text(json.dumps({"trust": trust, "threshold": threshold}), encoding="utf-8")


def ambiguous_texts(folder: Path) -> list[str]:
    """Return the texts with more than one meaning in a folder; an empty list if there is no such folder."""
    if not folder.is_dir():
        return []
    texts = TextColumn.open(folder, "texts")
    return texts.take(np.arange(len(texts)))
