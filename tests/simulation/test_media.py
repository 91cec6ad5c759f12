"""The media world: what few words mean follows from the moment and the person, and nothing else."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from worlds.goals import read_goals
from worlds.media import GOALS, media_world
from worlds.routines import ROOMS, routines

from rewriter.errors import ConfigError
from rewriter.simulation import Around, requests, simulate, simulate_days
from rewriter.simulation.world import Withheld

START = date(2026, 1, 5)
SCREENS = ("display", "tv")


def everything(world):
    """The same world with nothing withheld from its log."""
    return replace(world, split=Withheld(frozenset(), frozenset(), frozenset()))


@pytest.fixture(scope="module")
def world():
    return media_world(1, n_users=100)


@pytest.fixture(scope="module")
def log(world):
    return [t for day in simulate_days(everything(world), days=8, start=START, seed=1) for t in day]


@pytest.fixture(scope="module")
def asked(world):
    return requests(world, n=4000, seed=1, start=date(2026, 2, 1))


def title(text):
    return text.removeprefix("play ")


TRUTH = {  # the moment alone: what the words mean there
    "play hunger games": lambda c: f"Play{'Film' if c['device_type'] in SCREENS else 'Audiobook'}|title=hunger games",
    "play little women": lambda c: f"Play{'Film' if c['device_type'] in SCREENS else 'Audiobook'}|title=little women",
    "what is the temperature": lambda c: f"Temperature|of={'oven' if c['state.oven'] == 'on' else 'outside'}",
    "how hot is it": lambda c: f"Temperature|of={'oven' if c['state.oven'] == 'on' else 'outside'}",
    "turn on the light": lambda c: f"LightOn|room={c['room']}",
    "turn off the light": lambda c: f"LightOff|room={c['room']}",
    "start my routine": lambda c: f"Routine|name={'morning' if c['hour'] < 12 else 'bedtime'}",
}
TASTE = {  # the person: words that always mean one thing to one person
    "play music": "PlayMusic",
    "what's the weather in wilkerson": "Weather",
    "what's the weather in springfield": "Weather",
    "play we don't talk": "PlaySong",
    "play blue river": "PlaySong",
}
FOLLOWING = {  # the goal just before
    ("what about tomorrow", "Weather|day=today"): "Weather|day=tomorrow",
    ("what about tomorrow", "Calendar|day=today"): "Calendar|day=tomorrow",
    ("start brewing", "StopAlarm"): "Brew|drink=coffee",
}


def context(turn):
    return {**json.loads(turn.context), "device_type": turn.device_type}


def first_turns(log):
    """Turns in which a goal is said for the first time, each with the turn before it where that was just now."""
    last = {}
    for turn in log:
        before = last.get(turn.user_id)
        near = before if before and turn.ts_ms - before.ts_ms <= 120_000 else None
        if near is None or near.goal != turn.goal:
            yield turn, near
        last[turn.user_id] = turn


@pytest.mark.parametrize("said", TRUTH)
def test_the_moment_says_what_is_meant(log, asked, said):
    seen = [(context(t), t.goal) for t, _ in first_turns(log) if t.said == said]
    seen += [(r.context, r.goal) for r in asked if r.said == said]
    assert len(seen) >= 10
    assert all(goal == TRUTH[said](c) for c, goal in seen)
    assert len({goal for _, goal in seen}) > 1


@pytest.mark.parametrize("said", TASTE)
def test_the_person_says_what_is_meant(log, asked, said):
    meant = defaultdict(set)
    for turn in [*(t for t, _ in first_turns(log)), *asked]:
        if turn.said == said:
            meant[turn.user_id].add(turn.goal)
    assert len(meant) >= 3
    assert all(len(goals) == 1 for goals in meant.values())
    goals = set().union(*meant.values())
    assert len(goals) > 1
    assert all(goal.startswith(TASTE[said]) for goal in goals)


@pytest.mark.parametrize(("said", "before"), FOLLOWING)
def test_the_wish_before_says_what_is_meant(log, said, before):
    following = [t for t, near in first_turns(log) if t.said == said and near and near.goal == before]
    assert following
    assert {t.goal for t in following} == {FOLLOWING[said, before]}
    assert all(context(t)["previous_utterance"] for t in following)


def test_who_likes_one_song_can_want_the_other(world, log):
    wanted = Counter((t.user_id, t.goal) for t in log if t.goal.startswith("PlaySong|song=we don't talk"))
    both = [user.user_id for user in world.users if len({goal for who, goal in wanted if who == user.user_id}) == 2]
    assert both
    full = [t for t in log if t.user_id in both and "bruno" in t.said]
    assert {t.goal for t in full} == {"PlaySong|song=we don't talk about bruno"}


def test_the_assistant_knows_nothing_of_the_moment():
    pure = media_world(1, n_users=30, misrouted=0.0, refused=0.0, guessed=0.0)
    understand = pure.assistant.understand
    for one in read_goals(GOALS).goals:
        assert {understand(text) for text in one.full} == {one.goal}
    brief = {text for one in read_goals(GOALS).goals for text in one.brief}
    default = {text: one.goal for one in read_goals(GOALS).goals if one.default for text in one.brief}
    assert {text: understand(text) for text in brief} == {text: default.get(text) for text in brief}
    assert understand("play hunger games") == "PlayAudiobook|title=hunger games"
    assert understand("what is the temperature") == "Temperature|of=outside"
    assert understand("start brewing") is understand("play music") is understand("play we don't talk") is None
    assert understand("what's the weather in wilkerson") == "Weather|town=wilkerson washington"
    assert understand("never mind") == "stop"


def test_no_full_phrase_means_two_things():
    owner = Counter(text for one in read_goals(GOALS).goals for text in set(one.full))
    assert set(owner.values()) == {1}
    assert not owner.keys() & {text for one in read_goals(GOALS).goals for text in one.brief}


def test_a_moment_and_a_person_have_one_meaning_at_most(world):
    rng = np.random.default_rng(0)
    wanted = read_goals(GOALS).goals
    brief = sorted({text for one in wanted for text in one.brief})
    goals = ["", *(one.goal for one in wanted)]
    for _ in range(500):
        at = Around("d", str(rng.choice(["speaker", "display", "tv", "car"])), {
            "hour": int(rng.integers(24)), "room": str(rng.choice(ROOMS)), "place": str(rng.choice(["home", "car"])),
            "state.oven": str(rng.choice(["on", "off"])),
        }, str(rng.choice(goals)))  # fmt: skip
        for text in brief:
            assert sum(text in one.brief and one.fits(at) and not one.mine for one in wanted) <= 1


def test_a_share_is_withheld_and_never_logged(world):
    split, wanted = world.split, read_goals(GOALS).goals
    full = {text for one in wanted if one.goal not in split.goals for text in one.full}
    brief = {text for one in wanted for text in one.brief}
    assert len(split.users) == 20
    assert len(split.goals) == round(0.1 * len(world.goals))
    assert len(split.phrases & full) == round(0.2 * len(full))
    assert 0.15 < len(split.phrases & brief) / len(brief) < 0.5
    for one in wanted:
        assert one.goal in split.goals or set(one.full) - split.phrases
    for turn in (t for day in simulate_days(world, days=3, start=START, seed=1) for t in day):
        assert turn.user_id not in split.users
        assert turn.goal not in split.goals
        assert turn.hypothesis not in split.goals
        assert turn.said not in split.phrases
        assert not split.phrases.intersection(turn.nbest)


def test_those_withheld_are_judged(asked):
    assert 0.15 < np.mean([not r.known_user for r in asked]) < 0.25
    assert 0.02 < np.mean([not r.known_goal for r in asked]) < 0.25
    assert 0.1 < np.mean([not r.known_phrase for r in asked if r.known_goal]) < 0.45


def test_the_columns_of_the_moment(world, log, asked):
    days = routines((user.user_id for user in world.users), seed=1)
    for turn in log:
        said, at = json.loads(turn.context), days[turn.user_id].at(turn.ts_ms)
        expected = {"hour": turn.ts_ms // 3_600_000 % 24, "room": at.room, "place": at.place, "state.oven": at.oven}
        assert {name: said[name] for name in expected} == expected
        assert said.keys() - expected.keys() <= {"previous_utterance"}
        assert turn.device_type == at.device_type
        assert turn.device_id.endswith(f"-{at.room}")
        assert (at.place == "car") == (at.room == "car") == (at.device_type == "car")
    last = {}
    for turn in log:
        before = last.get(turn.user_id)
        near = before and turn.ts_ms - before.ts_ms <= 120_000
        assert context(turn).get("previous_utterance") == (before.utterance if near else None)
        last[turn.user_id] = turn
    assert all({"hour", "room", "place", "state.oven", "device_type"} <= r.context.keys() for r in asked)
    share = np.mean(["previous_utterance" in r.context for r in asked])
    assert share == pytest.approx(world.behaviour.follow_up / (1 + world.behaviour.follow_up), abs=0.03)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_defects_are_few_enough_and_some_are_silent(seed):
    world = media_world(seed)
    drawn = [(r.goal, world.assistant.understand(r.heard)) for r in requests(world, n=1500, seed=1, start=START)]
    defects = [understood for goal, understood in drawn if understood != goal]
    assert 0.2 < len(defects) / len(drawn) < 0.55
    assert sum(understood is not None for understood in defects) / len(defects) >= 0.12


def test_it_can_be_written(tmp_path):
    for name in ("a", "b"):
        simulate("media", tmp_path / f"{name}.jsonl", days=1, users=20, seed=2)
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text() != ""


def test_wishes_that_cannot_be_read(tmp_path):
    (tmp_path / "bad.json").write_text('{"goals": [{"say": ["hello"]}], "words": {}, "stop": "stop"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.json"):
        read_goals(tmp_path / "bad.json")
