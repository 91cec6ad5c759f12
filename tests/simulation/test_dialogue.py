"""The simulated log against what is known of its world."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest

from rewriter.result import Rewrite
from rewriter.simulation import Behaviour, Phrase, PhraseAssistant, phrase_world, requests, simulate_days, text_world

START = date(2026, 1, 5)


def turns_of(world, days=3, seed=1, **options):
    return [turn for day in simulate_days(world, days=days, start=START, seed=seed, **options) for turn in day]


@pytest.fixture(scope="module")
def world():
    return phrase_world(3, n_users=60)


@pytest.fixture(scope="module")
def log(world):
    return turns_of(world)


def first_turns(world, log):
    return [turn for turn in log if turn.said != world.stop]


def test_every_turn_is_what_the_assistant_makes_of_what_was_heard(world, log):
    for turn in log:
        assert turn.hypothesis == world.assistant.understand(turn.utterance)
        assert turn.status == ("failed" if turn.hypothesis is None else "ok")
        assert turn.nbest[0] == turn.utterance
        assert turn.sent is turn.rewrite_id is turn.propensity is None
        assert turn.goal in world.goals if turn.said != world.stop else turn.goal == "stop"
        assert turn.said in world.goals.get(turn.goal, (world.stop,))


def test_nothing_withheld_is_in_the_log(world, log):
    split = world.split
    assert split.users
    assert split.phrases
    assert split.goals
    for turn in log:
        assert turn.user_id not in split.users
        assert turn.goal not in split.goals
        assert turn.hypothesis not in split.goals
        assert turn.said not in split.phrases
        assert not split.phrases.intersection(turn.nbest)


def test_days_are_days_in_order_and_ids_are_unique(world):
    days = list(simulate_days(world, days=3, start=START, seed=1))
    assert len(days) == 3
    for n, day in enumerate(days):
        assert [t.ts_ms for t in day] == sorted(t.ts_ms for t in day)
        starts = {datetime.fromtimestamp(t.ts_ms / 1000, UTC).date().toordinal() - START.toordinal() for t in day}
        assert starts <= {n, n + 1}
    ids = [t.turn_id for day in days for t in day]
    assert len(ids) == len(set(ids)) > 500


def test_a_day_follows_from_its_seed_and_date_alone(world, log):
    second = next(simulate_days(world, days=1, start=date(2026, 1, 6), seed=1))
    assert second == list(simulate_days(phrase_world(3, n_users=60), days=3, start=START, seed=1))[1]
    assert turns_of(world) == log
    assert turns_of(world, seed=2) != log


@pytest.mark.parametrize("setting", ["quiet", "normal", "noisy"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_enough_defects_are_silent(setting, seed):
    world = phrase_world(seed, setting=setting)
    drawn = [(r.goal, world.assistant.understand(r.heard)) for r in requests(world, n=1500, seed=1, start=START)]
    logged = [(t.goal, t.hypothesis) for t in first_turns(world, turns_of(world))]
    for turns in (drawn, logged):
        defects = [understood for goal, understood in turns if understood != goal]
        assert 0.12 < len(defects) / len(turns) < 0.5
        assert sum(understood is not None for understood in defects) / len(defects) >= 0.15


def test_requests_are_of_everybody_and_say_who_is_known(world):
    drawn = requests(world, n=4000, seed=1, start=date(2026, 3, 1), days=7)
    assert len(drawn) == 4000
    for r in drawn:
        assert r.known_user == (r.user_id not in world.split.users)
        assert r.known_phrase == (r.said not in world.split.phrases)
        assert r.known_goal == (r.goal not in world.split.goals)
        assert r.known_goal or not r.known_phrase
        assert r.said in world.goals[r.goal]
        assert r.nbest[0] == r.heard
        assert 0 <= r.confidence <= 1
        assert r.context["hour"] == datetime.fromtimestamp(r.ts_ms / 1000, UTC).hour
        assert date(2026, 3, 1) <= datetime.fromtimestamp(r.ts_ms / 1000, UTC).date() < date(2026, 3, 8)
    assert 0.15 < np.mean([not r.known_user for r in drawn]) < 0.25
    assert 0.04 < np.mean([not r.known_goal for r in drawn]) < 0.2
    assert 0.12 < np.mean([not r.known_phrase for r in drawn if r.known_goal]) < 0.28
    assert drawn == requests(world, n=4000, seed=1, start=date(2026, 3, 1), days=7)
    assert drawn != requests(world, n=4000, seed=2, start=date(2026, 3, 1), days=7)


def test_habits_show_in_the_log(world):
    """The commonest goal of each person is wanted as often as Zipf says, first turns of a goal counted."""
    calm = replace(world, behaviour=replace(world.behaviour, follow_up=0.0, switch=0.0))
    log = turns_of(calm, days=30)
    hits = expected = 0.0
    for user in filter(None, map(world.logged, world.users)):
        mine = [t for t in log if t.user_id == user.user_id]
        firsts = [t for a, t in zip([None, *mine], mine, strict=False) if a is None or t.ts_ms - a.ts_ms > 29_000]
        hits += sum(t.goal == user.goals[0] for t in firsts)
        expected += user.weights[0] * len(firsts)
    assert expected > 500
    assert hits == pytest.approx(expected, rel=0.12)


def small(behaviour, **options):
    table = {"a one": "a", "a two": "a", "b one": "b", "b two": "b", "stop it": "stop"}
    phrases = [Phrase(text, "", {}) for text in table if text != "stop it"]
    made = text_world(PhraseAssistant(table), phrases, n_users=20, behaviour=behaviour, stop="stop it", **options)
    return replace(made, split=replace(made.split, users=frozenset(), phrases=frozenset(), goals=frozenset()))


class Deaf:
    """Everything is heard as one text."""

    def __init__(self, text):
        self.text = text

    def hear(self, said, speaker, rng):
        from rewriter.simulation import Heard

        return Heard(self.text, (self.text,), 0.5)


ALONE = Behaviour(rephrase=0.0, repeat=0.0, switch=0.0, follow_up=0.0, stop=0.0, complaint=0.0, praise=0.0)


def wish_runs(log, gap_ms=29_000):
    runs = defaultdict(list)
    for turn in log:
        mine = runs[turn.user_id]
        if mine and turn.ts_ms - mine[-1][-1].ts_ms < gap_ms:
            mine[-1].append(turn)
        else:
            mine.append([turn])
    return [run for of_user in runs.values() for run in of_user]


@pytest.mark.parametrize(
    ("change", "length", "same"),
    [
        ({}, 1, True),
        ({"repeat": 1.0, "patience": 3}, 3, True),
        ({"rephrase": 1.0, "patience": 4}, 4, False),
    ],
)
def test_what_people_do_after_a_refusal(change, length, same):
    world = replace(small(replace(ALONE, **change, gap_spread=0.0)), channel=Deaf("xyz"))
    runs = wish_runs(turns_of(world))
    assert len(runs) > 100
    for run in runs:
        assert [t.status for t in run] == ["failed"] * length
        assert len({t.goal for t in run}) == 1
        assert all((a.said == b.said) == same for a, b in pairwise(run))
        assert all(b.ts_ms - a.ts_ms == 5001 for a, b in pairwise(run))
        assert not any(t.barge_in for t in run)


def test_what_people_do_who_notice_that_something_else_was_done():
    behaviour = replace(ALONE, repeat=1.0, patience=2, notice=0.5, interrupt=0.5, gap_spread=0.0)
    world = replace(small(behaviour), channel=Deaf("a one"))
    wrong = [run for run in wish_runs(turns_of(world, days=10)) if run[0].goal == "b"]
    assert all(run[0].status == "ok" and run[0].hypothesis == "a" for run in wrong)
    noticed = [run for run in wrong if len(run) == 2]
    assert len(noticed) / len(wrong) == pytest.approx(0.5, abs=0.06)
    assert np.mean([run[1].barge_in for run in noticed]) == pytest.approx(0.5, abs=0.08)
    assert all(run[1].ts_ms - run[0].ts_ms == (2001 if run[1].barge_in else 5001) for run in noticed)


def test_people_call_off_what_went_wrong():
    behaviour = replace(ALONE, notice=1.0, stop=1.0, interrupt=1.0)
    world = small(behaviour)
    world = replace(world, channel=_WrongUnless(world.stop))
    for run in wish_runs(turns_of(world)):
        if run[0].goal == "b":
            assert [t.said for t in run] == [run[0].said, "stop it"]
            assert [t.barge_in for t in run] == [False, True]
            assert run[1].goal == run[1].hypothesis == "stop"


class _WrongUnless:
    def __init__(self, stop):
        self.stop = stop

    def hear(self, said, speaker, rng):
        from rewriter.simulation import Heard

        text = said if said == self.stop else "a one"
        return Heard(text, (text,), 0.5)


def test_feedback_is_given_at_its_rates():
    world = small(replace(ALONE, praise=0.3, complaint=0.4), setting="noisy")
    log = turns_of(world, days=20)
    right = [t.feedback for t in log if t.hypothesis == t.goal]
    wrong = [t.feedback for t in log if t.hypothesis != t.goal]
    assert set(right) == {None, 1}
    assert set(wrong) == {None, -1}
    assert np.mean([f == 1 for f in right]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([f == -1 for f in wrong]) == pytest.approx(0.4, abs=0.06)


class Rewriter:
    """Rewrites everything to one text, and keeps what it was asked."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def __call__(self, utterance, **keywords):
        self.asked.append((utterance, keywords))
        applied = utterance != self.text
        layer = "precomputed" if applied else None
        return Rewrite(
            id=f"r{len(self.asked)}",
            source=utterance,
            text=self.text if applied else utterance,
            applied=applied,
            layer=layer,
            scope="global" if applied else None,
            reason="rule" if applied else "no_rule",
            score=None,
            suggestion=None,
            candidates=(),
            rule="rule1" if applied else None,
            arm="live",
            propensity=0.9,
            artefact="v1",
        )


def test_the_assistant_is_sent_what_the_rewriter_says(world):
    rewriter = Rewriter("turn on the kettle")
    log = turns_of(world, rewrite=rewriter, days=1)
    assert len(rewriter.asked) == len(log)
    for turn in log:
        assert turn.hypothesis == world.assistant.understand("turn on the kettle")
        assert turn.sent == (None if turn.utterance == "turn on the kettle" else "turn on the kettle")
        assert (turn.rule is None) == (turn.sent is None) == (turn.layer is None) == (turn.scope is None)
        assert (turn.arm, turn.propensity) == ("live", 0.9)
        assert turn.rewrite_id
    asked, keywords = rewriter.asked[0]
    first = next(t for t in log if t.rewrite_id == "r1")
    assert asked == first.utterance
    assert keywords["user_id"] == first.user_id
    assert keywords["nbest"] == first.nbest
    assert keywords["locale"] == "en"
    assert keywords["after_failure"] is False
    assert set(keywords["context"]) == {"hour", "room", "device_type"}


def test_after_a_refusal_the_rewriter_is_asked_only_then(world):
    rewriter = Rewriter("turn on the kettle")
    log = turns_of(world, rewrite=rewriter, days=1, mode="after_failure")
    for turn in log:
        refused = world.assistant.understand(turn.utterance) is None
        assert (turn.rewrite_id is not None) == refused
        assert turn.hypothesis == world.assistant.understand("turn on the kettle" if refused else turn.utterance)
    assert len(rewriter.asked) == sum(t.rewrite_id is not None for t in log) > 0
    assert all(keywords["after_failure"] for _, keywords in rewriter.asked)
