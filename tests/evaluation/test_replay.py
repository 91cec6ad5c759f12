import math
from dataclasses import replace

import pytest

from rewriter.evaluation.outcomes import defects, losses, unknowns, win_loss, wins
from rewriter.evaluation.replay import REFUSED, RecordedTurn, grade, replay
from rewriter.result import Rewrite

PLAIN = RecordedTurn("t", "hash", "ann", 0, "en", "", "", None, False, False, ("heard",), {"hour": 7}, None)


def turn(hours, text, answer, **changes):
    return replace(PLAIN, turn_id=str(hours), ts_ms=hours * 3_600_000, utterance=text, sent=text, answer=answer, **changes)


# Background by which texts are known: "lamp on" is On, "lamp off" is Off, "lump on" is refused; "lamp" was said once.
BACKGROUND = [
    turn(i, text, answer) for i, (text, answer) in enumerate([("lamp on", "On"), ("lamp off", "Off"), ("lump on", REFUSED)] * 3)
]
JUDGED = [
    turn(20, "lump on", REFUSED, truth="On"),  # refused, rewritten to what was wanted: a win
    turn(21, "lump off", REFUSED, truth="Off"),  # refused, rewritten to another thing: a loss
    turn(22, "lamb off", "Lamb", truth="Off"),  # understood wrongly, rewritten to what was wanted: a win
    turn(23, "lamp one", "On", truth="On"),  # healthy, rewritten to another thing: a loss, and broken
    turn(24, "lamp ohm", "On", truth="On"),  # healthy, rewritten to what the log knows nothing of: unknown
    turn(25, "lap on", REFUSED, truth=None),  # refused, rewritten, but nobody knows what was wanted: unknown
    turn(26, "lamp own", "On", truth="On"),  # left alone
    turn(27, "lumps on", REFUSED, truth="On"),  # refused, rewritten to what is refused too: a tie
    turn(28, "lamp on on", None, truth="On"),  # what was understood is not logged: unknown
]
TARGETS = {
    "lump on": "lamp on",
    "lump off": "lamp on",
    "lamb off": "lamp off",
    "lamp one": "lamp off",
    "lamp ohm": "lamp",
    "lap on": "lamp on",
    "lumps on": "lump on",
    "lamp on on": "lamp on",
}


class Table:
    """Rewrites by a table and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, utterance, **options):
        self.asked.append((utterance, options))
        left = Rewrite("id", utterance, utterance, False, None, None, "no_rule", None, None, (), None, None, None, "v1")
        if utterance not in TARGETS:
            return left
        return replace(left, text=TARGETS[utterance], applied=True, layer="precomputed", scope="global", score=0.8)


@pytest.fixture
def always():
    return replay(BACKGROUND + JUDGED, Table(), after_failure=False, marked=True, healthy_in_log={"lamp one"})


def test_outcomes_of_a_hand_written_log(always):
    pairs = list(zip(always.as_spoken, always.rewritten, strict=True))[len(BACKGROUND) :]
    assert pairs == [
        ("failed_honestly", "ok"),
        ("failed_honestly", "wrong"),
        ("wrong", "ok"),
        ("ok", "wrong"),
        ("ok", "unknown"),
        ("failed_honestly", "unknown"),
        ("ok", "ok"),
        ("failed_honestly", "failed_honestly"),
        ("unknown", "ok"),
    ]
    judged = slice(len(BACKGROUND), None)
    assert always.applied[judged].tolist() == [True] * 6 + [False] + [True] * 2
    assert always.seen[judged].tolist() == [False] * 3 + [True] + [False] * 5
    assert always.goal[judged].tolist() == ["On", "Off", "Off", "On", "On", "", "On", "On", "On"]
    assert set(always.user) == {"hash"}


def test_the_ratio_without_unknowns_and_with_unknowns_as_losses(always):
    # The three turns "lump on" of the background are rewritten too, but nobody marked what they want: 3 more unknowns.
    assert (wins(always).sum(), losses(always).sum(), unknowns(always).sum()) == (2, 2, 6)
    assert win_loss(always).value == 1.0
    assert win_loss(always, unknown_is_loss=True).value == 2 / 8
    assert defects(always).sum() == 3 + 5


def test_after_a_refusal_only_refused_turns_are_asked():
    table = Table()
    outcomes = replay(JUDGED, table, after_failure=True, marked=True)
    assert [text for text, _ in table.asked] == ["lump on", "lump off", "lap on", "lumps on"]
    assert outcomes.applied.tolist() == [True, True, False, False, False, True, False, True, False]
    assert [math.isnan(x) for x in outcomes.latency_us] == [False, False, True, True, True, False, True, False, True]


def test_the_rewriter_is_asked_with_what_the_log_says():
    table = Table()
    replay(JUDGED[:1], table, after_failure=True, marked=True)
    options = {"user_id": "ann", "locale": "en", "nbest": ("heard",), "context": {"hour": 7}, "after_failure": True}
    assert table.asked == [("lump on", options)]


def test_without_marks_the_strict_rule_tells_the_goals():
    restated = turn(30, "lump on", REFUSED)
    turns = [*BACKGROUND, restated, replace(turn(30, "lamp on", "On"), turn_id="30b", ts_ms=restated.ts_ms + 8_000)]
    outcomes = replay(turns, Table(), after_failure=False)
    assert outcomes.goal[-2:].tolist() == ["On", "On"]
    assert (outcomes.as_spoken[-2], outcomes.rewritten[-2]) == ("failed_honestly", "ok")
    assert outcomes.goal[2] == ""


def test_a_turn_that_the_log_shows_rewritten_is_judged_as_spoken_by_its_text():
    healed = replace(turn(40, "lump on", "On"), sent="lamp on")
    odd = replace(turn(41, "never said", "On"), sent="lamp on")
    outcomes = replay([*BACKGROUND, healed, odd], Table(), after_failure=False)
    assert (outcomes.as_spoken[-2], outcomes.rewritten[-2], outcomes.goal[-2]) == ("failed_honestly", "ok", "On")
    assert outcomes.as_spoken[-1] == "unknown"


@pytest.mark.parametrize(
    ("answer", "goal", "outcome"),
    [
        ("On", "On", "ok"),
        ("On", "Off", "wrong"),
        ("On", None, "unknown"),
        (None, "On", "unknown"),
        (None, None, "unknown"),
        (REFUSED, "On", "failed_honestly"),
        (REFUSED, None, "failed_honestly"),
    ],
)
def test_an_answer_against_a_goal(answer, goal, outcome):
    assert grade(answer, goal) == outcome
