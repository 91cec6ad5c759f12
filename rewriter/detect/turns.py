"""`Turns`: the turns of a mined log as arrays, one row each; `Likeness`: how alike two utterances of a log are.

`Listed` names the mined tables that they are read from.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.engines import connect
from rewriter.similarity import contained, pairwise, phonetic_keys
from rewriter.text import normalise

_OTHER_HEARINGS = 9  # so many other hearings of a turn are read

_TURNS = """
SELECT s.turn_id, s.user_no, s.turn_no, s.session_no, s.opens, s.locale_no, s.said, s.stop, s.friction, s.ts_ms, s.rewritten,
       COALESCE(s.hypothesis, -1) AS hypothesis, COALESCE(s.reply, -1) AS reply, CAST(s.failed AS DOUBLE) AS failed,
       CASE WHEN t.feedback IN (-1, 1) THEN CASE WHEN s.failed = 1 THEN 1000 ELSE 50 END ELSE s.friction END AS cued,
       CAST(CASE WHEN t.feedback IN (-1, 1) THEN NULL ELSE s.engaged END AS DOUBLE) AS engaged,
       CAST(s.barge_in AS DOUBLE) AS barge_in, CAST(t.feedback AS DOUBLE) AS feedback,
       t.asr_confidence, t.nlu_confidence, {nbest} AS nbest
FROM sessions AS s JOIN turns AS t ON t.turn_id = s.turn_id{listed}
ORDER BY s.user_no, s.turn_no
"""
_ALL = {"nbest": "t.nbest", "listed": ""}
_OF_CANDIDATES = {
    "nbest": "CASE WHEN c.turn_no IS NOT NULL THEN t.nbest END",
    "listed": """
LEFT JOIN (SELECT user_no, turn_no FROM candidates UNION SELECT user_no, turn_no - 1 AS turn_no FROM candidates) AS c
     ON c.user_no = s.user_no AND c.turn_no = s.turn_no""",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """Paths of Parquet: `tables.TURNS`, `tables.SESSIONS`, `tables.TEXTS` and `tables.CANDIDATES`.

    They may hold a part of a log: the turns of some users, and the texts of these turns. A text is known by its place among them.
    """

    turns: Path
    sessions: Path
    texts: Path
    candidates: Path


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of a log in the order of user and turn, n of them; the place of a turn here is its *row*.

    Attributes:
        turn_id: (n,) str.
        start: row of the first turn of each user, by number.
        column: name -> (n,): int64 ``user_no, turn_no, session_no, opens, locale_no, said, stop, friction, ts_ms, rewritten,
            hypothesis, reply`` (-1 for none), and ``cued``, the friction without explicit feedback; float64
            ``failed, engaged, barge_in, feedback, asr_confidence, nlu_confidence`` (NaN for none; engaged without feedback).
        heard: (m,) ids of the texts of the other hearings of all turns, best first.
        heard_at: (n + 1,); the other hearings of a row are ``heard[heard_at[row] : heard_at[row + 1]]``.
        text: (t,) str: every text of `tables.TEXTS` in the order of their ids, then the hearings that are not among them. The
            columns hold places in it.
        kind: (t,) str: ``u``, ``h``, ``r`` as in the table, and ``n`` for a hearing that is not among them.
        locale: (t,) str.
    """

    turn_id: npt.NDArray[np.object_]
    start: Ints
    column: dict[str, npt.NDArray[Any]]
    heard: Ints
    heard_at: Ints
    text: npt.NDArray[np.object_]
    kind: npt.NDArray[np.object_]
    locale: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.turn_id)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.column[name]

    def rows(self, user_no: Ints, turn_no: Ints) -> Ints:
        """Return the rows of turns by their key, (m,)."""
        return np.asarray(self.start[user_no] + turn_no - 1, dtype=np.int64)

    @property
    def prompt(self) -> Ints:
        """The response of the turn before in the session, by id, (n,); -1 for none."""
        before = np.concatenate([[-1], self["reply"][:-1]])[: len(self)]
        return np.where(self["opens"] == 1, -1, before)

    @property
    def last(self) -> npt.NDArray[np.bool_]:
        """Whether each turn ends its session, (n,)."""
        return np.append(self["opens"][1:] == 1, True)[: len(self)]

    @classmethod
    def read(cls, listed: Listed, *, hearings_of_all: bool = True) -> "Turns":
        """Read the turns of a log.

        Args:
            listed: where they are.
            hearings_of_all: whether the other hearings of all turns are read, or only of those that have candidates and of those
                just before them.
        """
        with connect(turns=listed.turns, sessions=listed.sessions, texts=listed.texts, candidates=listed.candidates) as con:
            found = con.execute(_TURNS.format(**(_ALL if hearings_of_all else _OF_CANDIDATES))).fetchnumpy()
            texts = con.execute("SELECT id, text, kind, locale FROM texts ORDER BY id").fetchnumpy()
        column = {name: _plain(values) for name, values in found.items() if name not in ("turn_id", "nbest")}
        for name in ("said", "hypothesis", "reply"):
            column[name] = np.where(column[name] < 0, -1, np.searchsorted(texts["id"], column[name]))
        text, kind, locale = (list(texts[name]) for name in ("text", "kind", "locale"))
        spoken = np.asarray([locale[said] for said in column["said"]], dtype=object)
        heard, heard_at = _hearings(found["nbest"], spoken, column["said"], text, kind, locale)
        first = np.flatnonzero(column["turn_no"] == 1)
        start = np.zeros(int(column["user_no"].max(initial=-1)) + 1, dtype=np.int64)
        start[column["user_no"][first]] = first  # a user may have no turn, because normalisation left no text
        return cls(
            turn_id=np.asarray(found["turn_id"], dtype=object),
            start=start,
            column=column,
            heard=heard,
            heard_at=heard_at,
            text=np.asarray(text, dtype=object),
            kind=np.asarray(kind, dtype=object),
            locale=np.asarray(locale, dtype=object),
        )


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ma.filled(values, np.nan) if values.dtype == np.float64 else np.asarray(values)


def _hearings(
    nbest: Iterable[object], spoken: Iterable[str], said: Ints, text: list[str], kind: list[str], locale: list[str]
) -> tuple[Ints, Ints]:
    """Return ids of the hearings of all turns; new texts are appended to `text`, `kind` and `locale`."""
    nbest = list(nbest)
    if not any(isinstance(listed, str) for listed in nbest):
        return np.zeros(0, dtype=np.int64), np.zeros(len(nbest) + 1, dtype=np.int64)
    number = {(locale[i], text[i]): i for i in range(len(text)) if kind[i] == "u"}

    def numbered(place: str, hearing: str) -> int:
        known = number.setdefault((place, hearing), len(text))
        if known == len(text):
            text.append(hearing)
            kind.append("n")
            locale.append(place)
        return known

    once = cache(normalise)
    lists: list[list[int]] = []
    for listed, place, first in zip(nbest, spoken, said, strict=True):
        hearings = json.loads(listed)[: _OTHER_HEARINGS + 1] if isinstance(listed, str) else []
        ids = dict.fromkeys(numbered(place, clean) for h in hearings if isinstance(h, str) and (clean := once(h, place)))
        lists.append([i for i in ids if i != first])
    at = np.cumsum([0, *map(len, lists)])
    return np.asarray([i for ids in lists for i in ids], dtype=np.int64), at.astype(np.int64)


NAMES = ("text_similarity", "sound_similarity", "contained")


class Likeness:
    """Compares utterances of `tables.TEXTS` by their places in it, in the order of their ids.

    Phonetic keys are computed when a text is first compared, because most texts never are.
    """

    def __init__(self, texts: Path) -> None:
        with connect(texts=texts) as con:
            found = con.execute("SELECT locale, text FROM texts ORDER BY id").fetchnumpy()
        self.text, self._locale = (np.asarray(found[name], dtype=object) for name in ("text", "locale"))
        self._sound = np.full(len(self.text), None, dtype=object)

    def measure(self, source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """Return `NAMES` for pairs of texts, (m,) int64 each: likeness in thousandths; whether one holds the other, 0/1."""
        pairs, places = np.unique(source * len(self.text) + target, return_inverse=True)
        one, other = np.divmod(pairs, max(len(self.text), 1))
        found = likeness(self.text[one], self.text[other], self._sounds(one), self._sounds(other))
        return {name: values[places] for name, values in found.items()}

    def _sounds(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        new = np.unique(ids)
        new = new[[sound is None for sound in self._sound[new]]]
        self._sound[new] = sounds_of(self.text[new], self._locale[new])
        return np.asarray(self._sound[ids], dtype=object)


Words = npt.NDArray[np.object_]


def sounds_of(texts: Words, locale: Words) -> Words:
    """Return the phonetic key of each text, (m,)."""
    sounds = np.full(len(texts), "", dtype=object)
    for place in set(locale):
        rows = np.flatnonzero(locale == place)
        sounds[rows] = phonetic_keys(texts[rows], place)
    return sounds


def likeness(one: Words, other: Words, sound: Words, other_sound: Words) -> dict[str, npt.NDArray[Any]]:
    """Return `NAMES` for pairs of texts and their phonetic keys, (m,) int64 each, as `Likeness.measure` does."""
    text = pairwise(one, other)
    values = (np.rint(text * 1000), np.rint(pairwise(sound, other_sound) * 1000), _contained(one, other, text))
    return {name: value.astype(np.int64) for name, value in zip(NAMES, values, strict=True)}


def _contained(one: Words, other: Words, alike: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return whether one text holds the other; words are compared only if all letters are found in order."""
    letters = [np.array([len(text) for text in texts], dtype=np.int64) for texts in (one, other)]
    common = alike * (letters[0] + letters[1]) / 2  # what Indel similarity counts
    found = np.asarray(common > np.minimum(*letters) - 0.5)
    for i in np.flatnonzero(found):
        found[i] = contained(one[i], other[i])
    return found
