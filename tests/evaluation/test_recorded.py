import json
from dataclasses import replace

import duckdb
import pandas as pd
import pytest

from rewriter.evaluation.replay import REFUSED, RecordedTurn, answers, goals, load
from rewriter.tables import TURNS

PLAIN = RecordedTurn("t", "ann", "ann", 0, "en", "lamp on", "lamp on", "On", False, False, (), {}, None)


def turn(seconds, text, answer, **changes):
    return replace(PLAIN, turn_id=str(seconds), ts_ms=seconds * 1000, utterance=text, sent=text, answer=answer, **changes)


def said(text, *given):
    return [turn(i, text, answer) for i, answer in enumerate(given)]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (["On"] * 3, "On"),
        (["On"] * 2, None),  # too seldom
        (["On"] * 9 + ["Off"], "On"),  # exactly nine of ten
        (["On"] * 8 + ["Off"], None),  # eight of nine
        ([REFUSED] * 4, REFUSED),
        ([None] * 5, None),  # the log does not say
        (["On"] * 9 + [None] * 2, None),  # silence counts as another answer
    ],
)
def test_a_text_is_known_where_it_was_answered_alike(given, answer):
    assert answers(said("lamp on", *given)).get(("en", "lamp on")) == answer


def test_texts_are_compared_as_they_were_sent_in_their_normal_form_and_locale():
    turns = [
        turn(0, "Lamp ON", "On"),
        turn(1, "lamp on!", "On"),
        turn(2, "lump on", "On"),
        turn(3, "lamp on", "On", locale="de"),
    ]
    assert answers([*turns[:2], replace(turns[2], sent="lamp on")]) == {("en", "lamp on"): "On"}
    assert answers(turns) == {}


FAIL = REFUSED
# Turns of one user (second, text, answer, changes) -> the goals, worked by hand.
STORIES = {
    "healthy turns want what they got": (
        [(0, "lamp on", "On", {}), (100, "play jazz", "Jazz", {})],
        ["On", "Jazz"],
    ),
    "a failure wants what its restatement got": (
        [(0, "lump on", FAIL, {}), (10, "lamp on", "On", {})],
        ["On", "On"],
    ),
    "two failures want what the third try got": (
        [(0, "lump on", FAIL, {}), (10, "lump orn", FAIL, {}), (20, "lamp on", "On", {})],
        ["On", "On", "On"],
    ),
    "the fourth try is too far": (
        [(0, "lump on", FAIL, {}), (5, "lump orn", FAIL, {}), (10, "lamp orn", FAIL, {}), (15, "lamp on", "On", {})],
        [None, "On", "On", "On"],
    ),
    "a restatement after half a minute still counts, later ones do not": (
        [(0, "lump on", FAIL, {}), (30, "lamp on", "On", {}), (100, "lump on", FAIL, {}), (131, "lamp on", "On", {})],
        ["On", "On", None, "On"],
    ),
    "another wish is no restatement": (
        [(0, "lump on", FAIL, {}), (10, "play some jazz music", "Jazz", {})],
        [None, "Jazz"],
    ),
    "a failure without a next turn wants nobody knows what": ([(0, "lump on", FAIL, {})], [None]),
    "an answer that was interrupted was wrong": (
        [(0, "lamb on", "Lamb", {}), (5, "lamp on", "On", {"barge_in": True})],
        ["On", "On"],
    ),
    "an answer that was disliked was wrong": (
        [(0, "lamb on", "Lamb", {"disliked": True}), (5, "lamp on", "On", {})],
        ["On", "On"],
    ),
    "an accepted answer that is soon restated is in doubt": (
        [(0, "lamp on", "On", {}), (5, "lamp one", "One", {})],
        [None, "One"],
    ),
    "a restatement that is itself restated is in doubt": (
        [(0, "lump on", FAIL, {}), (5, "lamp on", "On", {}), (10, "lamp one", "One", {})],
        [None, None, "One"],
    ),
    "a turn whose answer is not logged wants nobody knows what": ([(0, "lamp on", None, {})], [None]),
    "another user is no restatement": (
        [(0, "lump on", FAIL, {}), (5, "lamp on", "On", {"user": "bob"})],
        [None, "On"],
    ),
    "another language is no restatement": (
        [(0, "lump on", FAIL, {}), (5, "lamp on", "On", {"locale": "de"})],
        [None, "On"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_goals_of_hand_worked_stories(story):
    rows, expected = STORIES[story]
    assert goals([turn(s, text, answer, **changes) for s, text, answer, changes in rows]) == expected


def test_no_turns_no_goals():
    assert goals([]) == []


def test_turns_are_read_in_the_order_of_users_and_time(tmp_path):
    rows = [
        {
            "turn_id": "2",
            "user_id": "h1",
            "device_id": "ann",
            "ts_ms": 5,
            "utterance": "b",
            "status": "failed",
            "hypothesis": "On",
        },
        {"turn_id": "1", "user_id": "h1", "device_id": "ann", "ts_ms": 5, "utterance": "a", "hypothesis": "On", "sent": "A!"},
        {"turn_id": "3", "user_id": "h0", "device_id": "bob", "ts_ms": 9, "utterance": "c", "barge_in": 1, "feedback": -1},
        {"turn_id": "4", "user_id": "h0", "device_id": "bob", "ts_ms": 1, "utterance": "d", "response": "Off", "feedback": 1},
    ]
    rows[3] |= {"nbest": json.dumps(["d", "t"]), "context": json.dumps({"hour": 7})}
    write_turns(rows, tmp_path / "turns.parquet")
    turns = load(tmp_path / "turns.parquet", speaker="device_id", truth="response")
    plain = RecordedTurn("", "", "", 0, "en", "", "", None, False, False, (), {}, None)
    assert turns == [
        replace(
            plain,
            turn_id="4",
            user="h0",
            speaker="bob",
            ts_ms=1,
            utterance="d",
            sent="d",
            nbest=("d", "t"),
            context={"hour": 7},
            truth="Off",
        ),
        replace(plain, turn_id="3", user="h0", speaker="bob", ts_ms=9, utterance="c", sent="c", barge_in=True, disliked=True),
        replace(plain, turn_id="1", user="h1", speaker="ann", ts_ms=5, utterance="a", sent="A!", answer="On"),
        replace(plain, turn_id="2", user="h1", speaker="ann", ts_ms=5, utterance="b", sent="b", answer=REFUSED),
    ]
    assert not turns[2].rewritten
    assert load(tmp_path / "turns.parquet")[0].truth is None
    assert load(tmp_path / "turns.parquet")[0].speaker == "h0"


def write_turns(rows, path):
    table = pd.DataFrame([{"locale": "en"} | row for row in rows], columns=list(TURNS.names))
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in TURNS.columns)
    with duckdb.cursor() as con:
        con.register("rows", table)
        con.execute(f"COPY (SELECT {columns} FROM rows) TO '{path}' (FORMAT parquet)")
