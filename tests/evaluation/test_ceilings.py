import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hand_made import make, texts

from rewriter.evaluation.judge import LoggedTurn, exact_ceiling, healthy_texts, logged, online_ceiling
from rewriter.evaluation.outcomes import where
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.worlds import phrase_world

LOG = [
    LoggedTurn("ann", "Lamp own", "On", True),
    LoggedTurn("ann", "lamp own", "On", True),
    LoggedTurn("bob", "lamp own", "On", True),
    LoggedTurn("eve", "lamp own", "Own", False),
    LoggedTurn("eve", "lamp off", "Off", False),
    LoggedTurn("joe", "lump off", "Off", True),
]


def judged(*turns):
    outcomes = make([(user, "ok" if healthy else "wrong", "ok" if healthy else "wrong", False) for user, _, _, healthy in turns])
    outcomes.source[:], outcomes.goal[:] = texts(t[1] for t in turns), texts(t[2] for t in turns)
    return outcomes


TURNS = judged(
    ("ann", "lamp own!", "On", False),  # ann failed with it herself
    ("zoe", "lamp own", "On", False),  # two users failed with it
    ("zoe", "lump off", "Off", False),  # one user failed with it
    ("zoe", "never heard", "Off", False),
    ("zoe", "lamp off", "Off", True),  # healthy: no part of the defects
)


@pytest.mark.parametrize(("min_users", "share"), [(1, 3 / 4), (2, 2 / 4), (3, 1 / 4)])
def test_exact_rules_reach_texts_that_failed_for_enough_users_or_this_one(min_users, share):
    assert exact_ceiling(TURNS, LOG, min_users=min_users) == share


def test_the_online_layer_reaches_goals_that_ever_succeeded():
    assert online_ceiling(TURNS, LOG) == 2 / 4


def test_an_unknown_goal_is_out_of_reach():
    assert online_ceiling(judged(("ann", "x", "", False)), [LoggedTurn("ann", "y", "", False)]) == 0.0


def test_without_defects_there_is_no_ceiling():
    healthy = where(TURNS, np.array([False] * 4 + [True]))
    assert math.isnan(exact_ceiling(healthy, LOG, min_users=1))
    assert math.isnan(online_ceiling(healthy, LOG))


def test_simulated_turns_become_logged_ones():
    world = phrase_world(0, n_users=12)
    turns = [turn for day in simulate_days(world, days=2, start=date(2026, 1, 5), seed=0) for turn in day]
    log = logged([*turns, replace(turns[0], sent="something else"), replace(turns[0], goal="")])
    meant = [turn for turn in turns if turn.goal]
    assert [(t.user, t.text, t.goal) for t in log] == [(t.user_id, t.utterance, t.goal) for t in meant]
    assert [t.failed for t in log] == [world.assistant.understand(t.utterance) != t.goal for t in meant]
    assert 0 < sum(t.failed for t in log) < len(log)


def test_texts_are_healthy_that_ever_were():
    assert healthy_texts([*LOG, LoggedTurn("ann", "Lump off!", "Off", False)]) == {"lamp own", "lamp off", "lump off"}
