"""A replay against a world that knows the truth: whatever the log tells for sure must be so."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rewriter.evaluation.judge import grade
from rewriter.evaluation.replay import REFUSED, RecordedTurn, answers, goals, replay
from rewriter.result import Rewrite
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.worlds import phrase_world


@pytest.fixture(scope="module")
def world():
    return phrase_world(0, n_users=60)


@pytest.fixture(scope="module")
def turns(world):
    rows = [turn for day in simulate_days(world, days=7, start=date(2026, 1, 5), seed=0) for turn in day]
    plain = RecordedTurn("", "", "", 0, "en", "", "", None, False, False, (), {}, None)
    found = [
        replace(
            plain,
            turn_id=t.turn_id,
            user=t.user_id,
            speaker=t.user_id,
            ts_ms=t.ts_ms,
            utterance=t.utterance,
            sent=t.utterance,
            answer=t.hypothesis or REFUSED,
            barge_in=t.barge_in,
            disliked=t.feedback == -1,
            truth=t.goal or None,
        )
        for t in rows
    ]
    return sorted(found, key=lambda t: (t.user, t.ts_ms, t.turn_id))


def nearest(turns):
    """A rewriter that sends the last text that the same user said before, right or wrong."""
    before = {a.utterance: b.utterance for a, b in zip(turns[1:], turns, strict=False)}

    def rewrite(utterance, **options):
        text = before.get(utterance, utterance)
        left = Rewrite("id", utterance, text, True, "precomputed", "global", "rule", 0.5, None, (), None, None, None, "v1")
        return left if text != utterance else replace(left, applied=False, layer=None, scope=None)

    return rewrite


def test_every_answer_that_the_log_is_sure_of_is_the_assistants(world, turns):
    known = answers(turns)
    assert len(known) > 100
    assert {text: world.assistant.understand(text) or REFUSED for _, text in known} == {text: a for (_, text), a in known.items()}


def test_every_known_outcome_is_what_the_world_would_do(world, turns):
    outcomes = replay(turns, nearest(turns), after_failure=False, marked=True)
    exact = [grade(world.assistant.understand(sent), turn.truth or "") for sent, turn in zip(outcomes.sent, turns, strict=True)]
    known = outcomes.applied & (outcomes.rewritten != "unknown")
    assert known.sum() > 500
    assert set(outcomes.rewritten[known]) == {"ok", "wrong", "failed_honestly"}
    assert (outcomes.rewritten[known] == np.array(exact, dtype=object)[known]).all()


def test_the_strict_rule_names_goals_of_refused_turns_mostly_rightly(turns):
    told = [(goal, t.truth) for goal, t in zip(goals(turns), turns, strict=True) if t.answer == REFUSED and t.truth and goal]
    refused = sum(t.answer == REFUSED and t.truth is not None for t in turns)
    assert len(told) > 0.3 * refused
    assert sum(goal == truth for goal, truth in told) > 0.85 * len(told)
