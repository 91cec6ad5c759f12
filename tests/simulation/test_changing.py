"""The home that changes: what is meant and understood on which day."""

import doctest
from datetime import date

import pytest
from worlds import changing
from worlds.changing import Changing

from rewriter.simulation.dialogue import simulate_days


@pytest.fixture(scope="module")
def home():
    return Changing(0, turns=10, new=5, broken=(15, 16))


def of(home, kind):
    return next(s for s in home.sources if s.kind == kind)


@pytest.mark.parametrize(
    ("kind", "day", "understood", "meant"),
    [
        ("steady", 0, None, 0.97),
        ("steady", 12, None, 0.97),
        ("turns", 9, None, 0.97),
        ("turns", 10, "On|name=heater", 0.03),
        ("wrong", 0, "On|name=radio", 0.03),
        ("new", 7, None, 0.97),
    ],
)
def test_what_the_words_are_taken_for_and_what_is_meant(home, kind, day, understood, meant):
    source = of(home, kind)
    assert home.world(day).assistant.understand(source.text) == understood
    assert home.share_meant(source, day) == meant


def test_a_broken_release_understands_no_target(home):
    for day in range(13, 19):
        found = {home.world(day).assistant.understand(s.target) for s in home.sources}
        assert found == ({None} if day in (15, 16) else {s.meant for s in home.sources})


def test_people_mean_it_in_the_stated_share_and_keep_to_it(home):
    source = of(home, "steady")
    who = [{u.user_id for u in home.world(day).users if source.meant in u.goals} for day in (0, 30)]
    assert who[0] == who[1]
    assert len(who[0]) >= 54


def test_a_new_device_is_not_asked_for_before_it_comes(home):
    new = of(home, "new")
    for day, there in ((4, False), (5, True)):
        (turns,) = simulate_days(home.world(day), days=1, start=date(2026, 1, 5), seed=0)
        assert any(t.goal in (new.meant, new.taken) for t in turns) is there


def test_popularity_drifts_and_nothing_else_is_drawn_anew():
    first, other = Changing(3).world(50), Changing(3).world(50)
    assert [u.weights for u in first.users] == [u.weights for u in other.users]
    assert Changing(3).world(0).users[0].weights != first.users[0].weights


def test_examples_run():
    assert doctest.testmod(changing).failed == 0
