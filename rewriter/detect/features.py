"""`Cues`: the features of a pair of turns that learned detectors use: text, sound, time, outcome, response and interpretation."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist
from scipy import sparse

from rewriter.arrays import Floats, Ints
from rewriter.detect.turns import Turns
from rewriter.detect.weak_labels import Items
from rewriter.model.detector import Columns
from rewriter.similarity import pairwise

GIVEN: Final = ("gap_ms", "ahead", "barge_in", "text_similarity", "sound_similarity", "contained")
"""Columns of a candidate that are cues as they stand."""

NAMES: Final = (
    *GIVEN,
    "source_friction",  # cues from the outcomes of both turns, and from the turns after them
    "target_friction",
    "source_failed",
    "target_failed",
    "source_engaged",
    "source_words",
    "target_words",
    "same_response",
    "same_prompt",  # the assistant had asked both times the same
    "source_unheeded",  # its response was the one that the assistant had given just before
    "target_unheeded",
    "same_hypothesis",
    "source_items",  # slots and words of the intent that were understood
    "target_items",
    "items_new",  # understood in the later turn only
    "items_gone",
    "slots_new",
    "slots_common",
    "target_rate",  # share of its users for whom the later text works
    "target_answers",  # log of how much more often its slots follow what the assistant had said just before
    "heard_alike",  # likeness of the later text and the nearest hearing of the earlier turn
    "value_alike",  # likeness of a slot value that is new in the later turn and the nearest part of the earlier text
    "value_heard",  # the same, over all hearings of the earlier turn
)
"""The cues, one column each."""

_OTHER_HEARINGS = 5  # so many other hearings of a turn are compared
_NEW_VALUES = 3  # so many slot values that are new in the later turn are compared
_PRIOR_TURNS = 2.0  # the overall share of a set of slots counts as so many turns beside the turns after one prompt
_FRICTION = 500  # a turn with less friction, in thousandths, counts as one that worked


class Cues:
    """Measures pairs of turns of one log.

    Args:
        turns: of the log.
        items: of their hypotheses.
    """

    def __init__(self, turns: Turns, items: Items) -> None:
        self._turns = turns
        self._value = items.value
        self._words = np.asarray([text.count(" ") + 1 for text in turns.text], dtype=np.float64)
        self._items = _matrix(items.hypothesis, items.item, len(turns.text))
        named = items.slot >= 0
        self._slots = _matrix(items.hypothesis[named], items.slot[named], len(turns.text))
        self._valued = _matrix(items.hypothesis[named], items.item[named], len(turns.text), self._items.shape[1])
        self._prompt = turns.prompt
        self._rate = _rate(turns)
        self._signature = _signatures(self._slots)[turns["hypothesis"]]
        self._answers = _answers(self._prompt, self._signature)

    def measure(
        self, source: Ints, target: Ints, given: Columns, ignore_nbest: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the cues of pairs of turns, (m, len(NAMES)) float32; NaN where the log lacks a value.

        Args:
            source: rows of the earlier turns, (m,).
            target: rows of the later ones, (m,).
            given: the columns `GIVEN`, (m,) each.
            ignore_nbest: (m,) bool, pairs whose other hearings are not looked at; None for none.
        """
        found: dict[str, npt.NDArray[Any]] = {name: given[name] for name in GIVEN}
        found |= self._outcome(source, target) | self._understood(source, target)
        found |= self._heard(source, target, np.zeros(len(source), dtype=bool) if ignore_nbest is None else ignore_nbest)
        return np.column_stack([np.asarray(found[name], dtype=np.float32) for name in NAMES])

    def _outcome(self, source: Ints, target: Ints) -> dict[str, npt.NDArray[Any]]:
        t, prompt = self._turns, self._prompt
        return {
            "source_friction": t["cued"][source],
            "target_friction": t["cued"][target],
            "source_failed": t["failed"][source],
            "target_failed": t["failed"][target],
            "source_engaged": t["engaged"][source],
            "source_words": self._words[t["said"][source]],
            "target_words": self._words[t["said"][target]],
            "same_response": _same(t["reply"][source], t["reply"][target]),
            "same_prompt": _same(prompt[source], prompt[target]),
            "source_unheeded": _same(prompt[source], t["reply"][source]),
            "target_unheeded": _same(prompt[target], t["reply"][target]),
            "target_rate": self._rate[t["said"][target]],
            "target_answers": self._answers[target],
        }

    def _understood(self, source: Ints, target: Ints) -> dict[str, npt.NDArray[Any]]:
        one, other = self._turns["hypothesis"][source], self._turns["hypothesis"][target]
        items, slots = (_common(matrix, one, other) for matrix in (self._items, self._slots))
        return {
            "same_hypothesis": _same(one, other),
            "source_items": items[0],
            "target_items": items[1],
            "items_new": items[1] - items[2],
            "items_gone": items[0] - items[2],
            "slots_new": slots[1] - slots[2],
            "slots_common": slots[2],
        }

    def _heard(self, source: Ints, target: Ints, ignore_nbest: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
        said, text = self._turns["said"], self._turns.text
        pair, hearing = self._hearings(source, ignore_nbest)
        alike = _best(pair, _once(text, text, hearing, said[target[pair]], pairwise), len(source))
        of, value = self._new_values(source, target)
        plain = _best(of, _once(text, self._value, said[source[of]], value, _part_alike), len(source))
        # Each value with each hearing of its pair.
        many, place = np.bincount(pair, minlength=len(source)), np.searchsorted(pair, np.arange(len(source)))
        each = np.repeat(np.arange(len(of)), many[of])
        nth = np.arange(len(each)) - np.repeat(np.cumsum(many[of]) - many[of], many[of])
        heard = _once(text, self._value, hearing[place[of[each]] + nth], value[each], _part_alike)
        return {
            "heard_alike": np.maximum(alike, text_alike(text, said[source], said[target])),
            "value_alike": plain,
            "value_heard": np.maximum(plain, _best(of[each], heard, len(source))),
        }

    def _hearings(self, source: Ints, ignore_nbest: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Return the pair and the text of each of the first other hearings of the earlier turns, ordered by pair."""
        start, end = self._turns.heard_at[source], self._turns.heard_at[source + 1]
        many = np.where(ignore_nbest, 0, np.minimum(end - start, _OTHER_HEARINGS))
        pair = np.repeat(np.arange(len(source)), many)
        nth = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
        return pair, self._turns.heard[start[pair] + nth]

    def _new_values(self, source: Ints, target: Ints) -> tuple[Ints, Ints]:
        """Return the pair and the item of each slot value that only the later turn has, of each pair the first few."""
        one, other = self._turns["hypothesis"][source], self._turns["hypothesis"][target]
        new = _rows_of(self._valued, other) - _rows_of(self._valued, one).multiply(_rows_of(self._valued, other))
        new.eliminate_zeros()
        new.sort_indices()
        pair = np.repeat(np.arange(len(source)), np.diff(new.indptr))
        first = np.arange(len(pair)) - np.repeat(new.indptr[:-1], np.diff(new.indptr)) < _NEW_VALUES
        return pair[first], new.indices[first].astype(np.int64)


def text_alike(text: npt.NDArray[np.object_], one: Ints, other: Ints) -> Floats:
    """Return how alike pairs of texts are, given by their ids, (m,) in 0..1."""
    return _once(text, text, one, other, pairwise)


def _part_alike(text: npt.NDArray[np.object_], value: npt.NDArray[np.object_]) -> Floats:
    """Return how alike each value is to the part of its text that is most like it, (m,) in 0..1."""
    return np.asarray(cpdist(value, text, scorer=fuzz.partial_ratio, dtype=np.float64)) / 100 if len(text) else np.zeros(0)


def _once(one: npt.NDArray[np.object_], other: npt.NDArray[np.object_], left: Ints, right: Ints, compare: Any) -> Floats:  # noqa: ANN401
    """Compare texts given by their ids, each distinct pair once."""
    pairs, places = np.unique(left * max(len(other), 1) + right, return_inverse=True)
    first, second = np.divmod(pairs, max(len(other), 1))
    return np.asarray(compare(one[first], other[second]), dtype=np.float64)[places]


def _best(of: Ints, value: Floats, n: int) -> Floats:
    """Return the greatest value of each of n groups, 0 for a group without values; `of` is the group of each value."""
    best = np.zeros(n)
    np.maximum.at(best, of, value)
    return best


def _same(one: Ints, other: Ints) -> Floats:
    """Return 1.0 where two ids are equal, 0.0 where not, NaN where either is missing (-1)."""
    return np.where((one < 0) | (other < 0), np.nan, one == other)


def _matrix(row: Ints, column: Ints, rows: int, columns: int | None = None) -> sparse.csr_array:
    """Return a 0/1 matrix with one row for each text, and an empty last row, which the id -1 stands for."""
    width = columns if columns is not None else int(column.max(initial=-1)) + 1
    return sparse.csr_array((np.ones(len(row), dtype=np.int32), (row, column)), shape=(rows + 1, max(width, 1)))


def _rows_of(matrix: sparse.csr_array, rows: Ints) -> sparse.csr_array:
    return matrix[np.where(rows < 0, matrix.shape[0] - 1, rows)]


def _common(matrix: sparse.csr_array, one: Ints, other: Ints) -> tuple[Ints, Ints, Ints]:
    """Return how many entries each of two rows has, and how many they have in common, (m,) each."""
    left, right = _rows_of(matrix, one), _rows_of(matrix, other)
    return tuple(np.asarray(m.sum(axis=1)).ravel() for m in (left, right, left.multiply(right)))  # type: ignore[return-value]


def _rate(turns: Turns) -> Floats:
    """Return the share of the users of each text for whom it worked, (texts,). One user is added, as half a success."""
    n = len(turns.text)
    users = [
        np.bincount(
            np.unique(turns["said"][rows] * len(turns.start) + turns["user_no"][rows]) // max(len(turns.start), 1), minlength=n
        )
        for rows in (turns["friction"] < _FRICTION, slice(None))
    ]
    return np.asarray((users[0] + 0.5) / (users[1] + 1))


def _signatures(slots: sparse.csr_array) -> Ints:
    """Return a number for the set of slots of each hypothesis, (texts + 1,)."""
    slots.sort_indices()
    numbers: dict[bytes, int] = {}
    ends = zip(slots.indptr[:-1], slots.indptr[1:], strict=True)
    return np.asarray([numbers.setdefault(slots.indices[a:b].tobytes(), len(numbers)) for a, b in ends], dtype=np.int64)


def _answers(prompt: Ints, signature: Ints) -> Floats:
    """Return log(P(slots of the turn | what the assistant had said) / P(slots)), without the turn itself, (n,)."""
    n = len(prompt)
    share = np.bincount(signature)[signature] / max(n, 1)
    _, place, many = np.unique(prompt, return_inverse=True, return_counts=True)
    _, both, together = np.unique(
        place * (int(signature.max(initial=0)) + 1) + signature, return_inverse=True, return_counts=True
    )
    p = (together[both] - 1 + _PRIOR_TURNS * share) / (many[place] - 1 + _PRIOR_TURNS)
    return np.asarray(np.log(p / share), dtype=np.float64)
