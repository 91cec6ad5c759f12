"""Logs as files: what is written is what is read back, and keeps the log contract."""

import csv
import json
from datetime import UTC, date, datetime

import duckdb
import pytest

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.offline.logs.reader import read
from rewriter.simulation import phrase_world, simulate_days, write_log


@pytest.fixture(scope="module")
def turns():
    return [t for day in simulate_days(phrase_world(3, n_users=40), days=2, start=date(2026, 1, 5), seed=1) for t in day]


def moment(turn):
    return datetime.fromtimestamp(turn.ts_ms / 1000, UTC).replace(tzinfo=None)


def test_parquet_holds_the_turns_in_order_with_the_types_of_the_contract(turns, tmp_path):
    path = tmp_path / "deep" / "log.parquet"
    assert write_log(turns, path) == len(turns)
    types = {name: kind for name, kind, *_ in duckdb.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()}
    assert types["timestamp"] == "TIMESTAMP"
    assert types["nbest"] == "VARCHAR[]"
    assert types["barge_in"] == "BOOLEAN"
    assert types["asr_confidence"] == types["propensity"] == "DOUBLE"
    columns = "turn_id, user_id, timestamp, utterance, hypothesis, status, barge_in, feedback, nbest, context, goal, said"
    rows = duckdb.execute(f"SELECT {columns} FROM '{path}'").fetchall()
    expected = [
        (t.turn_id, t.user_id, moment(t), t.utterance, t.hypothesis, t.status, t.barge_in, t.feedback, list(t.nbest), t.context)
        for t in turns
    ]
    assert [row[:10] for row in rows] == expected
    assert [row[10:] for row in rows] == [(t.goal, t.said) for t in turns]


def test_the_same_turns_give_the_same_file(turns, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_log(turns, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_json_lines_and_csv_hold_the_same(turns, tmp_path):
    write_log(turns, tmp_path / "log.jsonl")
    write_log(turns, tmp_path / "log.csv")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "log.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(lines) == len(rows) == len(turns)
    for turn, line, row in zip(turns, lines, rows, strict=True):
        assert line["timestamp"] == row["timestamp"] == moment(turn).isoformat(timespec="milliseconds") + "Z"
        assert line["nbest"] == json.loads(row["nbest"]) == list(turn.nbest)
        assert line["hypothesis"] == turn.hypothesis
        assert row["hypothesis"] == (turn.hypothesis or "")
        assert json.loads(line["context"]).keys() == {"hour", "room"}


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl", "log.csv"])
def test_every_row_keeps_the_log_contract(turns, tmp_path, name):
    write_log(turns, tmp_path / name)
    report = read([tmp_path / name], out=tmp_path / "state", key=bytes(16), config=Logs(max_rejected=0.0))
    assert report.turns == len(turns)
    sql = f"SELECT turn_id, ts_ms, utterance, hypothesis, status, barge_in, feedback FROM '{tmp_path}/state/turns.parquet'"
    expected = {
        (t.turn_id, t.ts_ms, t.utterance, t.hypothesis, t.status, int(t.barge_in) if t.barge_in is not None else None, t.feedback)
        for t in turns
    }
    assert set(duckdb.execute(sql).fetchall()) == expected


def test_other_endings_are_refused(turns, tmp_path):
    with pytest.raises(LogError, match="ends in"):
        write_log(turns, tmp_path / "log.txt")
    with pytest.raises(LogError, match="cannot write"):
        (tmp_path / "file").write_text("")
        write_log(turns, tmp_path / "file" / "log.csv")
