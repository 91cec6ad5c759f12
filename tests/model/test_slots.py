"""Slots of shared queries against a plain reading of hypotheses, and preferences against sums worked by hand."""

from itertools import product

import numpy as np
import pytest
from user_views import ENCODER, user

from rewriter.model.ambiguity import Ambiguity, Meanings, write_ambiguity
from rewriter.model.habits import Habit, UserCounts, UserView, write_habits
from rewriter.model.hypothesis import hypothesis, intent_of, slots_of
from rewriter.model.query_store import Queries, write_book
from rewriter.model.slots import Filled, Slots, StatedPreference, UserPreferences, value_key, write_slots

CHOICES = {"team": ["", "Warriors", "lakers"], "room": ["", "den"]}
SAID = [
    hypothesis(intent, {"team": team or None, "room": room or None})
    for intent, team, room in product(["Play", "Stop"], *CHOICES.values())
]
NUMBERS = np.arange(len(SAID)) * 3 + 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slots")
    n = len(SAID)
    write_slots(folder / "slots", Filled(np.arange(n), NUMBERS, ["en"] * n, SAID, np.arange(n, dtype=np.float64)))
    one = np.ones(n, dtype=np.int64)
    texts = [f"text {i}" for i in range(n)]
    write_book(folder / "book", Queries(texts, ["en"] * n, NUMBERS, 9 * one, 9000 * one, 5 * one, one), ENCODER)
    none = Queries([], [], *(np.zeros(0, dtype=np.int64),) * 5)
    rows, turns = np.array([row_of("Play", "lakers"), row_of("Play", "warriors")]), np.array([12, 3])
    write_habits(folder / "habits", UserCounts([user(1)] * 2, rows, turns, turns), [], none, n, ENCODER)
    return folder


def row_of(intent, team="", room=""):
    wanted = {name: value for name, value in (("team", team), ("room", room)) if value}
    return next(i for i, line in enumerate(SAID) if intent_of(line) == intent and folded(line) == wanted)


def folded(line):
    return {name: value.lower() for name, value in slots_of(line).items()}


def test_the_slots_are_those_of_the_hypotheses(folder):
    slots = Slots.open(folder / "slots")
    assert {name: set(of) for name, of in slots.vocabulary["en"].items()} == {"team": {"warriors", "lakers"}, "room": {"den"}}
    for slot, value in (("team", "warriors"), ("team", "lakers"), ("room", "den"), ("room", "lakers"), ("no", "den")):
        assert slots.holds(NUMBERS, slot, value).tolist() == [folded(line).get(slot) == value for line in SAID]
    assert slots.holds(np.array([1, 10_000]), "team", "lakers").tolist() == [False, False]
    assert Slots.open(folder / "none") is None


def test_a_slot_more_leads_to_the_query_that_has_it(folder):
    slots = Slots.open(folder / "slots")
    for i, line in enumerate(SAID):
        for slot, value in (("team", "warriors"), ("room", "den")):
            more = [
                j
                for j, other in enumerate(SAID)
                if intent_of(line) == intent_of(other) and folded(other) == folded(line) | {slot: value}
            ]
            expected = more[0] if slot not in folded(line) else None
            assert slots.refined(int(NUMBERS[i]), slot, value) == expected
    assert slots.refined(4, "team", "warriors") is None


def preferences(folder, *stated, who=1, weight=10.0):
    view = UserView.open(folder)
    return UserPreferences(Slots.open(folder / "slots"), view, view.own(user(who), "en"), stated, weight)


def test_a_preference_weighs_as_turns_and_those_before_it_do_not_count_against_it(folder):
    goals = NUMBERS[[row_of("Play", "warriors"), row_of("Play", "lakers"), row_of("Stop")]]
    own = np.array([3.0, 12.0, 1.0])
    before = {str(value_key("team", "lakers")): 12.0}
    since = preferences(folder, StatedPreference("team", "warriors", "", before))
    assert since.own(goals, own).tolist() == [13.0, 0.0, 1.0]
    assert preferences(folder, StatedPreference("team", "warriors", "", {})).own(goals, own).tolist() == [13.0, 12.0, 1.0]
    assert since.own(goals[[0, 2]], own[[0, 2]]).tolist() == [3.0, 1.0], "nothing else competes for the slot"
    assert preferences(folder, StatedPreference("team", "warriors", "bulls", {})).own(goals, own).tolist() == own.tolist()
    assert preferences(folder, StatedPreference("team", "warriors", "lakers", before)).own(goals, own).tolist() == [
        13.0,
        0.0,
        1.0,
    ]


def test_an_open_request_is_filled_in_with_what_contrary_turns_leave(folder):
    goal, row = int(NUMBERS[row_of("Play")]), row_of("Play", "warriors")
    before = {str(value_key("team", "lakers")): 12.0, str(value_key("team", "warriors")): 3.0}
    assert preferences(folder, StatedPreference("team", "warriors", "", before)).refined(goal) == (row, 1.0)
    assert preferences(folder, StatedPreference("team", "warriors", "", {})).refined(goal) == (row, pytest.approx(13 / 25))
    both = StatedPreference("team", "warriors", "", before), StatedPreference("team", "lakers", "", before)
    assert preferences(folder, *both).refined(goal)[1] == pytest.approx(0.5)
    assert preferences(folder, StatedPreference("team", "warriors", "", {}), who=2).refined(goal) == (row, 1.0)
    assert preferences(folder, StatedPreference("team", "warriors", "", {})).refined(int(NUMBERS[row])) is None


def test_a_preference_tells_what_an_ambiguous_text_means_to_a_user_without_habits(folder):
    meanings = Meanings("en", "play the game", [row_of("Play", "lakers"), row_of("Play", "warriors")], [0.6, 0.3], 1.0)
    write_ambiguity(folder / "ambiguity", [meanings], trust=1.0, threshold=0.5)
    ambiguity = Ambiguity.open(folder / "ambiguity", UserView.open(folder))
    stated = preferences(folder, StatedPreference("team", "warriors", "", {}), who=2)
    warriors, lakers = f"text {row_of('Play', 'warriors')}", f"text {row_of('Play', 'lakers')}"
    assert ambiguity.of("play the game", "en", user(2)) is None
    assert ambiguity.of("play the game", "en", user(1)).texts[0] == lakers
    assert ambiguity.of("play the game", "en", user(2), stated).texts[0] == warriors
    assert (
        ambiguity.of("play the game", "en", user(2), preferences(folder, StatedPreference("room", "den", "", {}), who=2)) is None
    )


def test_habits_without_rows_have_no_turns(folder):
    nobody = Habit(*(np.zeros(0, dtype=np.int64),) * 3)
    assert not len(nobody.rows)
    assert preferences(folder, StatedPreference("team", "lakers", "", {}), who=9).refined(int(NUMBERS[row_of("Play")]))[1] == 1.0
