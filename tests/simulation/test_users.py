"""People: habits, ownership, withheld goals."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from rewriter.simulation import Behaviour
from rewriter.simulation.users import people

GOALS = {f"g{i}": (f"say {i}", f"tell {i}", f"ask {i}") for i in range(60)}
CALM = Behaviour(repertoire=20, zipf=1.2)


def test_wishes_follow_zipf():
    for user in people(GOALS, 20, seed=1, behaviour=CALM):
        expected = np.arange(1, 21) ** -1.2
        assert user.weights == pytest.approx(tuple(expected / expected.sum()))
        assert len(user.goals) == len(set(user.goals)) == 20


def test_wishes_are_drawn_by_their_weights():
    user = people(GOALS, 1, seed=1, behaviour=CALM)[0]
    rng = np.random.default_rng(0)
    counts = Counter(user.pick(rng) for _ in range(20_000))
    assert chisquare([counts[g] for g in user.goals], [20_000 * w for w in user.weights]).pvalue > 0.001


def test_the_favourite_phrase_comes_by_habit():
    user = people(GOALS, 1, seed=1, behaviour=CALM)[0]
    rng = np.random.default_rng(0)
    goal = user.goals[0]
    counts = Counter(user.phrase(goal, 0.7, rng) for _ in range(20_000))
    assert sorted(user.phrases[goal]) == sorted(GOALS[goal])
    assert [counts[p] / 20_000 for p in user.phrases[goal]] == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_taste_decides_how_alike_people_are():
    def shared(taste):
        users = people(GOALS, 30, seed=1, behaviour=replace(CALM, variety=taste))
        return np.mean([len(set(a.goals) & set(b.goals)) for a in users for b in users if a is not b])

    assert shared(0.0) == 20
    assert 20 > shared(0.5) > shared(3.0) > 20 * 20 / 60 - 1


def test_only_owners_want_what_must_be_owned():
    owned = {f"g{i}": {"device": f"thing {i % 10}"} for i in range(30)} | {f"g{i}": {"name": f"list {i}"} for i in range(30, 50)}
    behaviour = Behaviour(repertoire=100, owns_device=0.5, owns_name=0.1)
    users = people(GOALS, 400, seed=2, behaviour=behaviour, owned=owned)
    share = {g: np.mean([g in u.goals for u in users]) for g in GOALS}
    assert [share[f"g{i}"] for i in range(30)] == pytest.approx([0.5] * 30, abs=0.09)
    assert [share[f"g{i}"] for i in range(30, 50)] == pytest.approx([0.1] * 20, abs=0.06)
    assert all(share[f"g{i}"] == 1 for i in range(50, 60))
    for user in users:
        assert all((f"g{i}" in user.goals) == (f"g{i + 10}" in user.goals) for i in range(20))


def test_people_without_a_wish_are_left_out():
    owned = {g: {"device": "d"} for g in GOALS}
    assert people(GOALS, 5, seed=0, behaviour=Behaviour(owns_device=0.0), owned=owned) == ()


def test_fashion_decides_which_phrases_are_favourites():
    users = people({"g": ("a", "b", "c")}, 4000, seed=0, behaviour=Behaviour(fashion=1.0))
    favourites = Counter(u.phrases["g"][0] for u in users)
    expected = [4000 * w / (1 + 1 / 2 + 1 / 3) for w in (1, 1 / 2, 1 / 3)]
    assert chisquare([favourites[p] for p in "abc"], expected).pvalue > 0.001


def test_voices_are_dealt_round():
    users = people(GOALS, 5, seed=0, behaviour=CALM, speakers=["a", "b"])
    assert [u.speaker for u in users] == ["a", "b", "a", "b", "a"]
    assert [u.speaker for u in people(GOALS, 2, seed=0, behaviour=CALM)] == ["user0000", "user0001"]


def test_without_some_goals_and_phrases():
    user = people({"a": ("a1", "a2"), "b": ("b1",), "c": ("c1",)}, 1, seed=0, behaviour=Behaviour(variety=0.0))[0]
    kept = user.without(frozenset({"b"}), frozenset({"a1"}))
    assert set(kept.goals) == {"a", "c"}
    assert kept.phrases == {"a": ("a2",), "c": ("c1",)}
    old = dict(zip(user.goals, user.weights, strict=True))
    ratio = old["a"] / old["c"]
    new = dict(zip(kept.goals, kept.weights, strict=True))
    assert sum(kept.weights) == pytest.approx(1)
    assert new["a"] / new["c"] == pytest.approx(ratio)
    assert user.without(frozenset({"b", "c"}), frozenset({"a1", "a2"})) is None
