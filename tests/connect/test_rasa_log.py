"""The reader of Rasa's tracker stores, on events as Rasa 3.6 writes them."""

import json
import sqlite3

import duckdb
import pytest

from rewriter import import_log
from rewriter.errors import LogError

DECIDED = {"said": "turn of the lamp", "sent": "turn off the lamp", "rewrite_id": "r1", "arm": "rewrite", "propensity": 0.9}


def user(text, intent, when, sender="ann", **more):
    parsed = {"text": text, "intent": {"name": intent, "confidence": 0.5}, "entities": more.pop("entities", [])} | more
    return {"sender_id": sender, "event": "user", "timestamp": when, "text": text, "parse_data": parsed, "message_id": f"m{when}"}


def does(kind, when, sender="ann", **more):
    return {"sender_id": sender, "event": kind, "timestamp": when} | more


ROOM = {"entity": "room", "value": "bath", "role": "to", "start": 0}
EVENTS = [
    does("action", 1767600000.0, name="action_session_start"),
    user("turn of the lamp", "nlu_fallback", 1767600001.0),
    does("bot", 1767600001.5, text="Sorry?"),
    does("bot", 1767600001.6, text="Once more?"),
    user("light in the bath", "light", 1767600007.0, entities=[ROOM, {"entity": "n", "value": [1]}]),
    user("what", "greet", 1767600009.0),
    does("action", 1767600009.1, name="action_default_fallback"),
    user("/restart", "restart", 1767600010.0),
    user("turn of the lamp", "off", 1767600011.0, sender="ben", rewriter=DECIDED),
    does("slot", 1767600012.0, name="x", value=None),
    user("lights of", "nlu_fallback", 1767600020.0, sender="ben"),
    user(
        "lights of",
        "off",
        1767600020.1,
        sender="ben",
        rewriter={"said": "lights of", "sent": "lights off", "after_failure": True},
    ),
]
ROWS = [
    ("ann", "turn of the lamp", "failed", None, "Sorry? Once more?", None, None),
    ("ann", "light in the bath", "ok", "light|room.to=bath", None, None, None),
    ("ann", "what", "failed", "greet", None, None, None),
    ("ben", "turn of the lamp", "ok", "off", None, "turn off the lamp", 0.9),
    ("ben", "lights of", "ok", "off", None, "lights off", None),
]


def read(sources, tmp_path):
    report = import_log("rasa", sources, tmp_path / "log.parquet")
    columns = "user_id, utterance, status, hypothesis, response, sent, propensity"
    return report, duckdb.sql(f"SELECT {columns} FROM '{tmp_path / 'log.parquet'}'").fetchall()


def test_an_sql_tracker_store(tmp_path):
    with sqlite3.connect(tmp_path / "rasa?#.db") as con:
        con.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, sender_id TEXT, type_name TEXT, timestamp FLOAT, data TEXT)")
        for event in EVENTS:
            row = (
                event["sender_id"],
                event["event"],
                event["timestamp"],
                json.dumps({k: v for k, v in event.items() if k != "sender_id"}),
            )
            con.execute("INSERT INTO events (sender_id, type_name, timestamp, data) VALUES (?, ?, ?, ?)", row)
    con.close()
    report, rows = read([tmp_path / "rasa?#.db"], tmp_path)
    assert rows == ROWS
    assert (report.turns, report.users, report.failed, report.unknown) == (5, 2, 2, 0)
    assert report.lines()[2:] == ["1 left out: commands such as /restart and buttons"]


@pytest.mark.parametrize("whole", [False, True])
def test_events_of_a_broker_and_whole_trackers(tmp_path, whole):
    lines = EVENTS
    if whole:
        lines = [{"sender_id": who, "events": [e for e in EVENTS if e["sender_id"] == who]} for who in ("ann", "ben")]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, "no event", {"event": "user", "text": "nobody"}])
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.jsonl").write_text(text + "{torn\n", encoding="utf-8")
    report, rows = read([tmp_path / "events"], tmp_path)
    assert rows == ROWS
    assert report.left_out["lines that are no event of Rasa"] == 3


def test_what_is_none_is_refused(tmp_path):
    with pytest.raises(LogError, match="there is no"):
        read([tmp_path / "none.db"], tmp_path)
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    with pytest.raises(LogError, match="as a tracker store of Rasa"):
        read([tmp_path / "torn.db"], tmp_path)
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(LogError, match="no turn was found"):
        read([tmp_path / "empty.jsonl"], tmp_path)
