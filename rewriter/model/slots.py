"""`Slots`: the values in the slots of the shared queries; `UserPreferences`: how a user's stated preferences count beside habits.

A query is known by its interpretation. The *frame* of an interpretation is a hash of its intent and all its slots. It is a sum:
the frame of "find a restaurant" plus the hash of ``cuisine=italian`` is the frame of "find an italian restaurant". So what a
preference makes of a request is one look-up.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.errors import reading_artefact
from rewriter.model.columns import HashIndex, Keys, mapped, text_key
from rewriter.model.habits import Habit, UserView
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.text import normalise

_WORDS = "vocabulary.json"
_COLUMNS = ("goals", "starts", "names", "pairs", "best", "frames", "frame_goals")
_WRAP: Final = 1 << 64
Vocabulary = Mapping[str, Mapping[str, Sequence[str]]]
"""Locale -> slot -> its values, normalised, the commonest first."""


class Filled(NamedTuple):
    """Shared queries with a known interpretation, as parallel columns.

    Attributes:
        rows: (n,) int64, rows of the query book that a request may be rewritten to.
        goals: (n,) int64, number of the interpretation of each.
        locales: of each.
        hypotheses: the interpretation of each (`rewriter.model.hypothesis`).
        success: (n,) float64, how often each was sent with success.
    """

    rows: Ints
    goals: Ints
    locales: Sequence[str]
    hypotheses: Sequence[str]
    success: Floats


def value_key(slot: str, value: str) -> int:
    """Return the hash of a slot with a value, 0 .. 2^64 - 1.

    Args:
        slot: its name.
        value: normalised.
    """
    return text_key("slot", slot, value)


def write_slots(folder: Path, filled: Filled) -> None:
    """Write what `Slots` maps. Interpretations without slots are kept too: a preference may add the first.

    Args:
        folder: where the files go; created if it is missing.
        filled: the queries; of each interpretation the one with most success is what a preference sends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = np.lexsort((-filled.success, filled.goals))
    _, first = np.unique(filled.goals[order], return_index=True)
    best = order[first]  # one query for each interpretation, by its number
    slots_of_goal = [_slots(filled.hypotheses[i]) for i in best.tolist()]
    pairs = [[value_key(*pair) for pair in slots.items()] for slots in slots_of_goal]
    heads = (text_key("intent", filled.locales[i], intent_of(filled.hypotheses[i])) for i in best.tolist())
    frames, by_frame = HashIndex.sort((head + sum(of)) % _WRAP for head, of in zip(heads, pairs, strict=True))
    columns = {
        "goals": filled.goals[best],
        "starts": np.cumsum([0, *map(len, pairs)], dtype=np.int64),
        "names": np.array([text_key("name", name) for slots in slots_of_goal for name in slots], dtype=np.uint64),
        "pairs": np.array([key for of in pairs for key in of], dtype=np.uint64),
        "best": filled.rows[best],
        "frames": frames.keys,
        "frame_goals": filled.goals[best][by_frame],
    }
    for name in _COLUMNS:
        np.save(folder / f"{name}.npy", columns[name])
    words: dict[str, dict[str, dict[str, float]]] = {}
    for i, slots in zip(best.tolist(), slots_of_goal, strict=True):
        for name, value in slots.items():
            known = words.setdefault(filled.locales[i], {}).setdefault(name, {})
            known[value] = known.get(value, 0.0) + float(filled.success[i])
    sorted_words = {
        locale: {name: sorted(of, key=lambda value, of=of: (-of[value], value)) for name, of in slots.items()}  # type: ignore[misc]
        for locale, slots in words.items()
    }
    (folder / _WORDS).write_text(json.dumps(sorted_words, ensure_ascii=False), encoding="utf-8")


class Slots:
    """The slots of the shared queries of one artefact, in memory maps. Safe to use from many threads.

    Attributes:
        vocabulary: which values each slot has, by locale.

    Example:
        >>> import tempfile
        >>> folder, two = Path(tempfile.mkdtemp()), np.arange(2)
        >>> said = ["Find", "Find|cuisine=Italian"]
        >>> write_slots(folder, Filled(two, two + 7, ["en", "en"], said, np.ones(2)))
        >>> slots = Slots.open(folder)
        >>> slots.vocabulary["en"], slots.refined(7, "cuisine", "italian"), slots.refined(7, "cuisine", "thai")
        ({'cuisine': ['italian']}, 1, None)
        >>> slots.holds(two + 7, "cuisine", "italian").tolist()
        [False, True]
    """

    __slots__ = ("_best", "_frame_goals", "_frames", "_goals", "_names", "_own_frames", "_pairs", "_starts", "vocabulary")

    def __init__(self, folder: Path) -> None:
        arrays = {name: mapped(folder / f"{name}.npy") for name in _COLUMNS}
        self._goals: Ints = arrays["goals"]
        self._starts: Ints = arrays["starts"]
        self._names: Keys = arrays["names"]
        self._pairs: Keys = arrays["pairs"]
        self._best: Ints = arrays["best"]
        self._frames, self._frame_goals = HashIndex(arrays["frames"]), arrays["frame_goals"]
        self._own_frames = np.empty(len(self._goals), dtype=np.uint64)
        self._own_frames[np.searchsorted(self._goals, self._frame_goals)] = arrays["frames"]
        self.vocabulary: Vocabulary = json.loads((folder / _WORDS).read_text(encoding="utf-8"))

    @classmethod
    def open(cls, folder: Path) -> "Slots | None":
        """Map what `write_slots` wrote; None if there is no such folder.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        if not folder.is_dir():
            return None
        with reading_artefact(folder):
            return cls(folder)

    def pair_of(self, goals: Ints, slot: str) -> Keys:
        """Return the `value_key` of a slot in each of some interpretations, (m,) uint64; 0 where the slot is open."""
        found = np.zeros(len(goals), dtype=np.uint64)
        if not len(self._names) or not len(goals):
            return found
        places = np.minimum(self._goals.searchsorted(goals), len(self._goals) - 1)
        starts, ends = self._starts[places], self._starts[places + 1]
        ends = np.where(self._goals[places] == goals, ends, starts)
        name = np.uint64(text_key("name", slot))
        for step in range(int((ends - starts).max())):  # over the slots of one interpretation, which are few
            at = np.minimum(starts + step, len(self._names) - 1)
            found = np.where((starts + step < ends) & (self._names[at] == name), self._pairs[at], found)
        return found

    def holds(self, goals: Ints, slot: str, value: str) -> Bools:
        """Return in which of some interpretations a slot has a value, (m,) bool."""
        return np.asarray(self.pair_of(goals, slot) == np.uint64(value_key(slot, value)), dtype=bool)

    def refined(self, goal: int, slot: str, value: str) -> int | None:
        """Return the row of the query that says an interpretation with one slot more; None if there is none.

        Args:
            goal: number of the interpretation, which leaves the slot open.
            slot: to be filled.
            value: normalised.
        """
        place = self._place(goal)
        if place is None:
            return None
        at = self._frames.find((int(self._own_frames[place]) + value_key(slot, value)) % _WRAP)
        found = None if at is None else self._place(int(self._frame_goals[at]))
        return None if found is None else int(self._best[found])

    def _place(self, goal: int) -> int | None:
        place = int(self._goals.searchsorted(goal))
        return place if place < len(self._goals) and self._goals[place] == goal else None


class StatedPreference(NamedTuple):
    """What a user said to prefer.

    Attributes:
        slot: its name.
        value: normalised.
        over: the only value that it is preferred to, normalised; empty for all others.
        before: `value_key` of each value of the slot, as decimal digits -> the user's turns with it when this was stated.
    """

    slot: str
    value: str
    over: str
    before: Mapping[str, float]


class UserPreferences:
    """The stated preferences of one user, against what the user has done since.

    A preference counts as `weight` successful turns with this value. Turns with another value count against it only if they came
    after it was stated, because the preference overrules what the user did before.

    Args:
        slots: of the artefact.
        user_view: the query book and the habits.
        habit: of the user.
        stated: the preferences.
        weight: turns.
    """

    __slots__ = ("_now", "_slots", "_stated", "_weight")

    def __init__(
        self, slots: Slots, user_view: UserView, habit: Habit, stated: Sequence[StatedPreference], weight: float
    ) -> None:
        self._slots, self._stated, self._weight = slots, stated, weight
        self._now = {slot: turns_by_value(slots, user_view, habit, slot) for slot in {one.slot for one in stated}}

    def own(self, goals: Ints, own: Floats) -> Floats:
        """Return a user's turns with each of some interpretations as the preferences make them, (m,) float64.

        A preference acts where one of the interpretations has its value and another has another value of the slot.

        Args:
            goals: (m,) int64.
            own: (m,) turns by the habits.
        """
        own = own.copy()
        for one in self._stated:
            pairs = self._slots.pair_of(goals, one.slot).tolist()
            liked, rival = value_key(one.slot, one.value), value_key(one.slot, one.over) if one.over else 0
            others = [i for i, pair in enumerate(pairs) if pair and pair != liked and rival in (0, pair)]
            wanted = [i for i, pair in enumerate(pairs) if pair == liked]
            if wanted and others:
                own[wanted] += self._weight
                for i in others:
                    own[i] *= self._recent(one, pairs[i]) / max(self._now[one.slot].get(pairs[i], 0.0), 1e-9)
        return own

    def refined(self, goal: int) -> tuple[int, float] | None:
        """Return the row of an interpretation with the preferred value, and P(the user wants it); None if no preference fits.

        Args:
            goal: number of the interpretation; it leaves the slot open.
        """
        found = [
            (row, self._p(one)) for one in self._stated if (row := self._slots.refined(goal, one.slot, one.value)) is not None
        ]
        return max(found, key=lambda of: of[1], default=None)

    def _p(self, one: StatedPreference) -> float:
        """Return P(a user wants the preferred value): its turns among those with any value of the slot since it was stated."""
        liked = value_key(one.slot, one.value)
        also = {value_key(other.slot, other.value) for other in self._stated if other.slot == one.slot} - {liked}
        counted = {value_key(one.slot, one.over)} if one.over else {*self._now[one.slot], *also} - {liked}
        against = sum(self._recent(one, pair) + (self._weight if pair in also else 0.0) for pair in counted)
        for_it = self._weight + self._recent(one, liked)
        return for_it / (for_it + against)

    def _recent(self, one: StatedPreference, pair: int) -> float:
        return max(self._now[one.slot].get(pair, 0.0) - one.before.get(str(pair), 0.0), 0.0)


def turns_by_value(slots: Slots, user_view: UserView, habit: Habit, slot: str) -> dict[int, float]:
    """Return how often a user's habits have each value of a slot: `value_key` -> turns with success."""
    if not len(habit.rows):
        return {}
    pairs, places = np.unique(slots.pair_of(user_view.interpretations(habit.rows), slot), return_inverse=True)
    turns = np.bincount(places, weights=habit.turns)
    return {pair: of for pair, of in zip(pairs.tolist(), turns.tolist(), strict=True) if pair}


class OpenSlot(NamedTuple):
    """A slot that requests of a user leave open.

    Attributes:
        slot: its name.
        values: that it can have there, the likeliest for this user first.
        gain: expected reduction of entropy if the user says which value they prefer, in bits over the user's requests.
    """

    slot: str
    values: Sequence[str]
    gain: float


def open_slots(slots: Slots, user_view: UserView, user: str, locale: str, weight: float) -> list[OpenSlot]:
    """Return the slots that a user's requests leave open, sorted by the information that an answer gives, the greatest first.

    The distribution of the user's wishes in an open slot is the number of own turns with each value, plus one for each value. An
    answer adds `weight` turns. The gain of a question is the mean reduction of the entropy over the possible answers, times the
    turns that leave the slot open.

    Args:
        slots: of the artefact.
        user_view: the query book and the habits.
        user: keyed hash; without habits each known request counts as one turn.
        locale: as spelled in the log.
        weight: turns that a stated preference weighs.
    """
    habit = user_view.own(user, locale)
    book = user_view.book
    known = np.flatnonzero(book.speaks(np.arange(len(book)), locale))
    rows, turns = (habit.rows, habit.turns) if habit.turns.any() else (known, np.ones(len(known), dtype=np.int64))
    recent = np.argsort(-turns, kind="stable")[:_MOST_REQUESTS]
    goals = user_view.interpretations(np.sort(rows[recent]))[np.argsort(np.argsort(rows[recent]))]
    found = []
    for slot, every in slots.vocabulary.get(locale, {}).items():
        own = turns_by_value(slots, user_view, habit, slot)
        values = sorted(every, key=lambda value: -own.get(value_key(slot, value), 0.0))[:_MOST_VALUES]
        fits = [[value for value in values if slots.refined(int(goal), slot, value) is not None] for goal in goals.tolist()]
        left_open = sum(of for of, fit in zip(turns[recent].tolist(), fits, strict=True) if len(fit) > 1)
        offered = [value for value in values if any(value in fit for fit in fits)]
        if left_open and len(offered) > 1:
            wanted = np.array([own.get(value_key(slot, value), 0.0) + 1.0 for value in offered])
            found.append(OpenSlot(slot, offered, left_open * _entropy_reduction(wanted, weight)))
    return sorted(found, key=lambda of: (-of.gain, of.slot))


_MOST_REQUESTS: Final = 100  # so many of a user's commonest requests are used
_MOST_VALUES: Final = 8  # a question may offer so many values of a slot


def _entropy_reduction(wanted: Floats, weight: float) -> float:
    """Return the mean reduction of entropy, in bits, if a user names the wanted value. The answer counts as `weight` turns."""

    def entropy(turns: Floats) -> float:
        p = turns / turns.sum()
        return -float(p @ np.log2(p))

    p = wanted / wanted.sum()
    after = sum(p[i] * entropy(wanted + weight * (np.arange(len(wanted)) == i)) for i in range(len(wanted)))
    return entropy(wanted) - float(after)


def _slots(line: str) -> dict[str, str]:
    """Return the slots of a hypothesis with normalised values; slots without a value are left out."""
    return {name: value for name, said in slots_of(line).items() if (value := normalise(said))}
