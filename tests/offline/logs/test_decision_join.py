"""Decisions joined to turns, against a reading of the two files in plain Python."""

import gzip
import json
import random

import duckdb
import pytest

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.offline.logs.reader import read
from rewriter.text import hash_user

KEY = bytes(16)
FILLED = ("sent", "rewrite_id", "rule", "layer", "scope", "arm", "propensity")
DAY = 86_400_000
START = 1_767_571_200_000  # 2026-01-05


def decision(rewrite_id, *, turn_id=None, user="ann", sent=None, ts_ms=START, **values):
    line = {"rewrite_id": rewrite_id, "turn_id": turn_id, "user_id": hash_user(user, KEY) if user else None, "ts_ms": ts_ms}
    return line | {"sent": sent, "rule": None, "layer": None, "scope": None, "arm": None, "propensity": None} | values


def turn(turn_id, *, user="ann", **values):
    return {"turn_id": turn_id, "user_id": user, "timestamp": START + 10_000, "utterance": "turn of the lamp", **values}


def joined(tmp_path, turns, files):
    folder, log = tmp_path / "decisions", tmp_path / "log.jsonl"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    log.write_text("".join(json.dumps(row) + "\n" for row in turns), encoding="utf-8")
    report = read([log], out=tmp_path / "out", key=KEY, config=Logs(), decisions=folder)
    with duckdb.cursor() as con:
        rows = con.read_parquet(str(tmp_path / "out/turns.parquet")).project(", ".join(("turn_id", *FILLED))).fetchall()
    return report.joined, {row[0]: dict(zip(FILLED, row[1:], strict=True)) for row in rows}


def text_of(*decisions):
    return "".join(json.dumps(line) + "\n" for line in decisions)


RULE = {"rule": "r1", "layer": "precomputed", "scope": "global", "arm": "rewrite", "propensity": 0.9}


def test_packed_files_and_deep_lines(tmp_path):
    folder = tmp_path / "decisions"
    folder.mkdir()
    (folder / "2026-01-05-a-0000.jsonl.gz").write_bytes(gzip.compress(text_of(decision("d1", sent="lamp", **RULE)).encode()))
    deep = '{"rewrite_id": ' + '{"a":' * 20_000 + "1" + "}" * 20_001 + "\n"
    lines = text_of(decision("d2", turn_id="t2", **RULE)) + deep
    report, found = joined(tmp_path, [turn("t1", rewrite_id="d1"), turn("t2")], {"2026-01-05-a-0001.jsonl": lines})
    assert report.turns == 2
    assert (found["t1"]["sent"], found["t2"]["rewrite_id"]) == ("lamp", "d2")


def test_by_rewrite_id_and_by_turn_id(tmp_path):
    lines = text_of(
        decision("d1", sent="turn off the lamp", **RULE),
        decision("d2", turn_id="t2", **RULE | {"arm": "leave", "propensity": 0.1}),
        decision("d9", turn_id="t9"),
    )
    report, found = joined(tmp_path, [turn("t1", rewrite_id="d1"), turn("t2"), turn("t3")], {"2026-01-05-a-0000.jsonl": lines})
    assert (report.lines, report.torn, report.turns) == (3, 0, 2)
    assert found["t1"] == {"sent": "turn off the lamp", "rewrite_id": "d1"} | RULE
    assert found["t2"] == {"sent": None, "rewrite_id": "d2"} | RULE | {"arm": "leave", "propensity": 0.1}
    assert set(found["t3"].values()) == {None}


def test_what_the_log_says_itself_stands(tmp_path):
    given = turn("t1", rewrite_id="d1", sent="lamp off", rule="mine")
    _, found = joined(tmp_path, [given], {"x.jsonl": text_of(decision("d1", sent="turn off the lamp", **RULE))})
    assert found["t1"] == {"sent": "lamp off", "rewrite_id": "d1"} | RULE | {"rule": "mine"}


def test_asked_twice_the_one_that_was_sent_counts(tmp_path):
    lines = text_of(decision("d1", turn_id="t1", ts_ms=5), decision("d2", turn_id="t1", sent="b", ts_ms=6),
                    decision("d3", turn_id="t1", ts_ms=7))  # fmt: skip
    _, found = joined(tmp_path, [turn("t1")], {"x.jsonl": lines})
    assert found["t1"]["rewrite_id"] == "d2"


def test_another_users_decision_is_not_taken(tmp_path):
    lines = text_of(decision("d1", user="ben", sent="x"), decision("d2", turn_id="t2", user=None, sent="x"))
    report, found = joined(tmp_path, [turn("t1", rewrite_id="d1"), turn("t2")], {"x.jsonl": lines})
    assert report.turns == 0
    assert found["t1"]["sent"] is None


def test_torn_lines_are_passed_over_and_counted(tmp_path):
    whole = text_of(decision("d1", turn_id="t1", sent="a"), decision("d2", turn_id="t2", sent="b"))
    files = {
        "a.jsonl": whole[:-20],
        "b.jsonl": text_of(decision("d3", turn_id="t3", sent="c")),
        "c.jsonl": "",
        "d.jsonl": "5\n[]\n",
    }
    report, found = joined(tmp_path, [turn(f"t{n}") for n in (1, 2, 3)], files)
    assert (report.lines, report.torn) == (2, 3)
    assert [found[f"t{n}"]["sent"] for n in (1, 2, 3)] == ["a", None, "c"]
    assert report.line() == "2 decisions for 2 turns, 3 torn lines passed over"


def test_files_of_long_ago_are_not_opened(tmp_path):
    files = {"2026-01-05-a-0000.jsonl": "no line at all", "2026-01-06-a-0000.jsonl": "torn"}
    report, _ = joined(tmp_path, [turn("t1") | {"timestamp": START + 2 * DAY + 1}], files)
    assert report.torn == 1


def test_no_folder_is_one_line(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps(turn("t1")) + "\n")
    with pytest.raises(LogError, match=r"no decisions at .*nothing: name the folder that rewriter.DecisionLog writes"):
        read([tmp_path / "log.jsonl"], out=tmp_path / "out", key=KEY, config=Logs(), decisions=tmp_path / "nothing")


def test_many_turns_against_plain_python(tmp_path):
    rng = random.Random(1)
    turns = [turn(f"t{n}", user=rng.choice("ab")) | ({"rewrite_id": f"d{n}"} if rng.random() < 0.3 else {}) for n in range(300)]
    lines = []
    for n in rng.sample(range(300), 200):
        for k in range(rng.choice((1, 1, 2))):
            named = rng.random() < 0.7
            sent = rng.choice((None, f"sent {n} {k}"))
            lines.append(decision(f"d{n}" if k == 0 else f"e{n}", turn_id=f"t{n}" if named else None, user=rng.choice("ab"),
                                  sent=sent, ts_ms=rng.randrange(9)))  # fmt: skip
    rng.shuffle(lines)
    expected = {}
    for row in turns:
        user = hash_user(row["user_id"], KEY)
        mine = [d for d in lines if d["user_id"] == user and (
            d["rewrite_id"] == row["rewrite_id"] if "rewrite_id" in row else d["turn_id"] == row["turn_id"])]  # fmt: skip
        best = max(mine, key=lambda d: (d["sent"] is not None, d["ts_ms"], d["rewrite_id"]), default=None)
        expected[row["turn_id"]] = best and best["sent"]
    report, found = joined(tmp_path, turns, {"a.jsonl": text_of(*lines[:100]), "b.jsonl": text_of(*lines[100:])})
    assert {turn_id: row["sent"] for turn_id, row in found.items()} == expected
    assert report.lines == len(lines)


def test_what_users_said_of_their_decisions_is_feedback(tmp_path):
    """The last word counts, another user's does not, and what the log says itself stands."""
    turns = [turn(f"t{n}", rewrite_id=f"d{n}") for n in range(4)] + [turn("t4", rewrite_id="d4", feedback=1)]
    said = [("d0", "ann", -1, 1), ("d1", "ann", -1, 1), ("d1", "ann", 1, 2), ("d2", "ben", -1, 1), ("d4", "ann", -1, 1)]
    lines = [{"rewrite_id": d, "user_id": hash_user(u, KEY), "value": v, "ts_ms": t} for d, u, v, t in said]
    (tmp_path / "feedback.jsonl").write_text(text_of(*lines) + "torn")
    (tmp_path / "log.jsonl").write_text(text_of(*turns))
    read([tmp_path / "log.jsonl"], out=tmp_path / "out", key=KEY, config=Logs(), feedback=tmp_path / "feedback.jsonl")
    with duckdb.cursor() as con:
        found = dict(con.read_parquet(str(tmp_path / "out/turns.parquet")).project("turn_id, feedback").fetchall())
    assert found == {"t0": -1, "t1": 1, "t2": None, "t3": None, "t4": 1}
