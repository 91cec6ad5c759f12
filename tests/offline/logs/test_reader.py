"""Every form of a log against a plain-Python reading of the contract."""

import csv
import gzip
import hashlib
import json
import time
from datetime import datetime

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from log_oracle import time_ms, turn

from rewriter import tables
from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.offline.logs.reader import check, read
from rewriter.text import hash_user

KEY = b"0123456789abcdef"
ANY = Logs(max_rejected=1.0)
# A log is small enough to read as it is found, and shrinking would read it hundreds of times.
QUICK = {
    "deadline": None,
    "phases": [Phase.reuse, Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}

CELLS = {
    "user_id": ["ann", "bob 2", "ß|=\\", "'; DROP TABLE users; --", "42", "", None, " \u00a0"],
    "timestamp": [
        "2026-01-02T03:04:05Z",
        "2026-01-02 03:04:05",
        "2026-01-02",
        "2026-01-02T03:04",
        "2026-01-02T03:04:05.678901+02:00",
        "2026-01-02T03:04:05,5-0330",
        "20260102T030405Z",
        "2026-01-02t03:04:05 +01:00",
        " 2026-01-02T03:04:05z ",
        "1767323045",
        "1767323045.25",
        "1767323045678",
        "1.767323045e9",
        "0",
        "20260105",
        "20260230",
        "202601050807",
        "20260105080706",
        "1767323045678901",
        "1767323045678901234",
        "99999999999",
        "100000000000",
        "-1",
        "1969-12-31T23:59:59Z",
        "2026-02-30",
        "now",
        "yesterday",
        "1e99",
        "nan",
        "",
        None,
    ],
    "utterance": [
        "turn on",
        " turn  on ",
        'say "hi", ok',
        "two\nlines",
        "日本語",
        "Ä" * 500,
        "a" * 501,
        "  ",
        "\u3000",
        None,
        "!",
        "\ufffd",
    ],
    "turn_id": [None, None, None, "", "same", "other"],
    "session_id": [None, "s1", ""],
    "locale": [None, "de", "en_US", ""],
    "hypothesis": [None, "On|name=lamp", ""],
    "intent": [None, "On", "a|b=c\\", ""],
    "slots": [
        None,
        "{}",
        '{"b": 1, "a": "x|y=z", "A": 2.5}',
        '{"n": 20.0, "t": true, "none": null}',
        "[1]",
        '{"a": [1]}',
        "{",
        "",
    ],
    "status": [None, "ok", "FAILED", " success ", "Error", "true", "0", "fine", ""],
    "response": [None, "done", ""],
    "barge_in": [None, "1", "0", "True", "no", "Y", "off", "0.0", "2", "maybe", ""],
    "engaged": [None, "0", "1", "0.25", "1e-1", "true", "1.01", "-0.1", "half", "nan", ""],
    "feedback": [None, "-1", "0", "1", "-1.0", "0.5", "2", "good"],
    "asr_confidence": [None, "0.5", "5"],
    "nlu_confidence": [None, "0.5", "x"],
    "nbest": [None, "[]", '["a", "b"]', '["a", 1]', '[["a"]]', "a", "{}", '["a"', ""],
    "device_id": [None, "d"],
    "device_type": [None, "t"],
    "context": [None, "{}", '{"hour": 5, "room": "b", "on": true, "x": null}', '{"a": {}}', "[]", "x", ""],
    "sent": [None, "turn it on", "b" * 501],
    "rewrite_id": [None, "r"],
    "rule": [None, "u"],
    "layer": [None, "precomputed"],
    "scope": [None, "global"],
    "arm": [None, "live"],
    "propensity": [None, "0.9", "1.5"],
}
FIRST = {name: next(v for v in values if v) for name, values in CELLS.items()}


@st.composite
def logs(draw):
    """Rows of text cells; most cells are good ones, so that each row has few reasons to be set aside."""
    columns = ["user_id", "timestamp", "utterance", *draw(st.lists(st.sampled_from(list(CELLS)[3:]), unique=True))]
    n = draw(st.integers(20, 50))
    rng = draw(st.randoms(use_true_random=False))

    def cell(name):
        return rng.choice(CELLS[name]) if rng.random() < 0.3 or name == "turn_id" else FIRST[name]

    return columns, [{name: cell(name) for name in columns} for _ in range(n)]


def as_parquet(columns, rows, path):
    with duckdb.cursor() as con:
        con.execute(f"CREATE TEMP TABLE log ({', '.join(f'{c} VARCHAR' for c in columns)})")
        con.executemany(f"INSERT INTO log VALUES ({', '.join('?' * len(columns))})", [[r[c] for c in columns] for r in rows])
        con.execute(f"COPY log TO '{path}' (FORMAT parquet)")


def as_csv(columns, rows, path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([["" if r[c] is None else r[c] for c in columns] for r in rows])


def as_json(columns, rows, path):
    """Cells that are JSON are written as JSON values, NULLs as null or not at all."""

    def value(name, text):
        try:
            known = json.loads(text) if name not in ("utterance", "response", "timestamp") else text
        except (TypeError, ValueError):
            return text
        return text if known != known else known

    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            cells = {c: value(c, row[c]) for c in columns}
            file.write(json.dumps(cells if i % 2 else {c: v for c, v in cells.items() if v is not None or i == 0}) + "\n")


def rows_of(path, columns="*"):
    with duckdb.cursor() as con:
        found = con.execute(f"SELECT {columns} FROM read_parquet('{path}')")
        names = [d[0] for d in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def expected(columns, rows, checksum):
    """Turns by id, and (row number, reason) of what is set aside."""
    turns, bad, ids = {}, [], set()
    for n, row in enumerate(rows, start=1):
        found, reason = turn(row, KEY, default_id=f"{checksum[:16]}-{n}", slots_known="slots" in columns)
        given = row.get("turn_id") or None
        if not reason and given in ids:
            found, reason = None, "duplicate turn_id"
        ids |= {given} - {None}
        if reason:
            bad.append((n, reason))
        else:
            turns[found["turn_id"]] = found
    return turns, bad


def same_json(found, wanted):
    return found == wanted or (found is not None and wanted is not None and json.loads(found) == json.loads(wanted))


def compare(path, columns, rows, out):
    raw = path.read_bytes()
    checksum = hashlib.sha256(gzip.decompress(raw) if path.suffix == ".gz" else raw).hexdigest()
    report = read([path], out=out, key=KEY, config=ANY)
    turns, bad = expected(columns, rows, checksum)
    found = {row["turn_id"]: row for row in rows_of(out / "turns.parquet")}
    assert found.keys() == turns.keys()
    for turn_id, wanted in turns.items():
        for name in tables.TURNS.names:
            a, b = found[turn_id][name], wanted.get(name)
            assert same_json(a, b) if name in ("nbest", "context") else a == b, (name, a, b)
    assert sorted((r["row_number"], r["reason"]) for r in rows_of(out / "rejected.parquet")) == bad
    assert report.turns == len(turns)
    assert report.rows == len(rows) == report.files[0].rows
    assert report.files[0].checksum == checksum
    assert report.users == len({t["user_id"] for t in turns.values()})


@pytest.mark.parametrize(("write", "name"), [(as_parquet, "log.parquet"), (as_csv, "log.csv"), (as_csv, "log.csv.gz")])
@settings(max_examples=8, **QUICK)
@given(log=logs())
def test_text_cells_read_as_the_contract_says(tmp_path, write, name, log):
    write(*log, tmp_path / name)
    compare(tmp_path / name, *log, tmp_path / "out")


@pytest.mark.parametrize("name", ["log.jsonl", "log.json.gz"])
@settings(max_examples=8, **QUICK)
@given(log=logs())
def test_json_values_read_as_the_contract_says(tmp_path, name, log):
    columns, rows = log
    as_json(columns, rows, tmp_path / name)
    compare(tmp_path / name, columns, rows, tmp_path / "out")


@settings(max_examples=5, **QUICK)
@given(
    times=st.lists(st.datetimes(max_value=datetime(2024, 1, 1), timezones=st.none() | st.timezones()), min_size=1, max_size=40)
)
def test_iso_texts(tmp_path, times):
    texts = [t.isoformat(*((sep,) if (sep := " T"[i % 2]) else ())) for i, t in enumerate(times)]
    texts = [t for t in texts if t[-3] != ":" or t.count(":") < 4]  # offsets of seconds are no ISO 8601
    rows = [{"user_id": "u", "timestamp": t, "utterance": "x"} for t in texts] or [{**FIRST}]
    as_csv(["user_id", "timestamp", "utterance"], rows, tmp_path / "log.csv")
    read([tmp_path / "log.csv"], out=tmp_path, key=KEY, config=ANY)
    wanted = sorted(ms for row in rows if (ms := time_ms(row["timestamp"])) is not None)
    assert sorted(row["ts_ms"] for row in rows_of(tmp_path / "turns.parquet")) == wanted


@pytest.mark.parametrize(
    ("sql", "ms"),
    [
        ("TIMESTAMP '2026-01-02 03:04:05.678901'", 1767323045678),
        ("TIMESTAMPTZ '2026-01-02 03:04:05.678+02:00'", 1767315845678),
        ("TIMESTAMP_S '2026-01-02 03:04:05'", 1767323045000),
        ("TIMESTAMP_MS '2026-01-02 03:04:05.678'", 1767323045678),
        ("TIMESTAMP_NS '2026-01-02 03:04:05.678901234'", 1767323045678),
        ("DATE '2026-01-02'", 1767312000000),
        ("20260102::BIGINT", 1767312000000),
        ("20260102::DOUBLE", 1767312000000),
        ("'20260102'", 1767312000000),
        ("'202601020304'", 1767323040000),
        ("20260102030405::BIGINT", 1767323045000),
        ("1767323045678901::BIGINT", 1767323045678),
        ("1767323045678901234::BIGINT", 1767323045678),
        ("1767323045::BIGINT", 1767323045000),
        ("1767323045::INTEGER", 1767323045000),
        ("1767323045678::BIGINT", 1767323045678),
        ("1767323045.25::DOUBLE", 1767323045250),
        ("1767323045.25::DECIMAL(18, 3)", 1767323045250),
        ("'1767323045'", 1767323045000),
        ("'2026-01-02T03:04:05Z'::BLOB", 1767323045000),
    ],
)
def test_times_of_parquet(tmp_path, sql, ms):
    write_sql(tmp_path, f"SELECT 'u' AS user_id, {sql} AS timestamp, 'x' AS utterance")
    read([tmp_path / "log.parquet"], out=tmp_path / "out", key=KEY, config=Logs())
    assert [row["ts_ms"] for row in rows_of(tmp_path / "out/turns.parquet")] == [ms]


@pytest.mark.parametrize(
    "sql", ["TIMESTAMP 'infinity'", "'nan'::DOUBLE", "-1::BIGINT", "NULL::BIGINT", "TIME '03:04:05'", "1e300"]
)
def test_times_of_parquet_that_are_none(tmp_path, sql):
    write_sql(tmp_path, f"SELECT 'u' AS user_id, {sql} AS timestamp, 'x' AS utterance")
    assert check([tmp_path / "log.parquet"], config=Logs()).rejected == {"unreadable time": 1}


def write_sql(folder, query):
    with duckdb.cursor() as con:
        con.execute(f"COPY ({query}) TO '{folder / 'log.parquet'}' (FORMAT parquet)")


MOMENT = 1767323045678901234
"""Nanoseconds since 1970."""


@pytest.mark.parametrize("int96", [False, True])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "America/St_Johns", "+05:30"])
@pytest.mark.parametrize(("unit", "ns"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_times_of_parquet_in_all_units_and_zones(tmp_path, unit, ns, zone, int96):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    times = pa.array([MOMENT // ns], type=pa.timestamp(unit, tz=zone))
    table = pa.table({"user_id": ["u"], "timestamp": times, "utterance": ["x"]})
    parquet.write_table(table, tmp_path / "log.parquet", use_deprecated_int96_timestamps=int96)
    read([tmp_path / "log.parquet"], out=tmp_path / "out", key=KEY, config=Logs())
    wanted = MOMENT // ns * ns // 10**6
    assert [row["ts_ms"] for row in rows_of(tmp_path / "out/turns.parquet")] == [wanted]


NOW = int(time.time())
DAY = 86_400


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("2150-01-01", "time in the future"),
        (str(NOW + 3 * DAY), "time in the future"),
        ("0", "time far from the rest"),
        (str(NOW - 900 * DAY), "time far from the rest"),
        (str(NOW - 200 * DAY), None),
        (str(NOW), None),
    ],
    ids=["2150", "in three days", "1970", "900 days ago", "200 days ago", "now"],  # every worker must give the same names
)
def test_a_few_rows_of_a_wrong_clock_are_set_aside(tmp_path, odd, reason):
    rows = [row(str(NOW - (9 + n % 7) * DAY)) for n in range(300)]
    as_csv(["user_id", "timestamp", "utterance"], [*rows, row(odd), row(odd)], tmp_path / "log.csv")
    report = read([tmp_path / "log.csv"], out=tmp_path / "out", key=KEY, config=Logs())
    assert report.rejected == ({reason: 2} if reason else {})
    assert report.last_ms <= (NOW + DAY) * 1000


def test_a_part_of_the_log_far_from_the_rest_is_kept(tmp_path):
    rows = [row(str(NOW - 9 * DAY - n)) for n in range(300)]
    old = [row(str(NOW - 2000 * DAY - n)) for n in range(9)]
    as_csv(["user_id", "timestamp", "utterance"], rows + old, tmp_path / "log.csv")
    assert check([tmp_path / "log.csv"], config=Logs()).rejected == {}
    as_csv(["user_id", "timestamp", "utterance"], rows + old[:1], tmp_path / "log.csv")
    assert check([tmp_path / "log.csv"], config=Logs(far_days=0)).rejected == {}
    late = [row(str(NOW + 40 * DAY + n)) for n in range(9)]
    as_csv(["user_id", "timestamp", "utterance"], late + rows[:3], tmp_path / "log.csv")
    report = check([tmp_path / "log.csv"], config=Logs())
    assert report.rejected == {}, "most rows are in the future: this clock is wrong"
    assert any("most rows are in the future" in line for line in report.lines())
    as_csv(["user_id", "timestamp", "utterance"], rows, tmp_path / "log.csv")
    assert not any("in the future" in line for line in check([tmp_path / "log.csv"], config=Logs()).lines())


BAD = {
    "too long": {"utterance": "x" * 501},
    "no utterance": {"utterance": " "},
    "time in the future": {"timestamp": "2150-01-01"},
    "wrong type in engaged": {"engaged": "9"},
    "broken line": {"utterance": "one, two"},
}
"""Reason -> what a user, or the user's device, does to get a row rejected."""


@pytest.mark.parametrize("reason", BAD)
@pytest.mark.parametrize(("accounts", "stops"), [(1, False), (2, False), (40, True)])
def test_fewer_than_k_accounts_cannot_stop_the_job(tmp_path, reason, accounts, stops):
    columns = ["user_id", "timestamp", "utterance", "engaged"]
    good = [row(str(NOW - n)) | {"user_id": f"u{n % 60}", "engaged": "1"} for n in range(1200)]
    bad = [good[n] | BAD[reason] | {"user_id": f"odd{n % accounts}"} for n in range(200)]
    lines = [",".join(each[name] for name in columns) for each in good + bad]
    (tmp_path / "log.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")
    report = check([tmp_path / "log.csv"], config=Logs(), min_users=3)
    assert report.rejected == {reason: 200}
    assert bool(report.stop) == stops


def test_rows_without_a_user_and_mistakes_of_all_rows_stop_the_job(tmp_path):
    columns = ["user_id", "timestamp", "utterance"]
    good = [row(str(NOW - n)) | {"user_id": f"u{n % 60}"} for n in range(1200)]
    as_csv(columns, [*good, *(each | {"user_id": None} for each in good[:31])], tmp_path / "log.csv")
    assert "no user 31" in check([tmp_path / "log.csv"], config=Logs()).stop
    as_csv(columns, [each | {"utterance": "x" * 501} for each in good[:4]], tmp_path / "log.csv")
    assert check([tmp_path / "log.csv"], config=Logs()).stop, "no row is left"
    as_csv(columns, [each | {"timestamp": "5th of May"} for each in good], tmp_path / "log.csv")
    assert "such as '5th of May': write ISO 8601" in check([tmp_path / "log.csv"], config=Logs()).stop


DEEP = '{"a":' * 20_000 + "1" + "}" * 20_000


@pytest.mark.parametrize("column", ["context", "slots", "nbest", "utterance", "user_id", "unknown"])
@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_deep_json_spoils_only_its_row(tmp_path, name, column):
    lines = [row(str(n)) | {"intent": "On"} for n in range(3)]
    if name == "log.jsonl":
        cells = [json.dumps(line)[:-1] for line in lines]
        (tmp_path / name).write_text(f'{cells[0]}}}\n{cells[1]}, {json.dumps(column + "2")}: 1, "{column}": {DEEP}}}\n{DEEP}\n')
    else:
        as_csv([*lines[0], "deep"], [lines[0] | {"deep": ""}, lines[1] | {"deep": DEEP}], tmp_path / name)
    mapping = {column: "deep"} if name == "log.csv" and column != "unknown" else {}
    report = check([tmp_path / name], config=ANY, mapping=mapping)
    assert report.turns >= 1 or column in ("user_id", "utterance")
    assert report.rows == (3 if name == "log.jsonl" else 2)


def test_native_values_of_parquet(tmp_path):
    write_sql(
        tmp_path,
        """SELECT 42.0::DOUBLE AS user_id, 1767323045 AS timestamp, 'x'::BLOB AS utterance, true AS status, false AS barge_in,
        0.5::FLOAT AS engaged, -1::TINYINT AS feedback, 1 AS asr_confidence, 'nan'::DOUBLE AS nlu_confidence,
        ['a', 'b"c'] AS nbest, {'hour': 5, 'room': 'bath'} AS context, 'On' AS intent,
        MAP {'name': 'lamp', 'area': 'bath'} AS slots, 7 AS session_id""",
    )
    read([tmp_path / "log.parquet"], out=tmp_path / "out", key=KEY, config=Logs())
    found = rows_of(tmp_path / "out/turns.parquet")[0]
    wanted = {
        "user_id": hash_user("42", KEY),
        "utterance": "x",
        "status": "ok",
        "barge_in": 0,
        "engaged": 0.5,
        "feedback": -1,
        "asr_confidence": 1.0,
        "nlu_confidence": None,
        "nbest": '["a","b\\"c"]',
        "context": '{"hour":5,"room":"bath"}',
        "hypothesis": "On|area=bath|name=lamp",
        "session_id": "7",
    }
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        ("nbest", "[1, 2]"),
        ("nbest", "['a', NULL]"),
        ("nbest", "{'a': 1}"),
        ("context", "['a']"),
        ("context", "{'a': [1]}"),
        ("slots", "['a']"),
        ("barge_in", "2"),
        ("feedback", "3::DOUBLE"),
        ("engaged", "DATE '2026-01-01'"),
    ],
)
def test_native_values_of_a_wrong_type(tmp_path, column, sql):
    write_sql(tmp_path, f"SELECT 'u' AS user_id, 1 AS timestamp, 'x' AS utterance, 'On' AS intent, {sql} AS {column}")
    assert check([tmp_path / "log.parquet"], config=Logs()).rejected == {f"wrong type in {column}": 1}


def test_bytes_of_parquet_that_are_no_text(tmp_path):
    write_sql(tmp_path, r"SELECT 'u' AS user_id, 1 AS timestamp, unnest(['x'::BLOB, '\xFF'::BLOB]) AS utterance")
    report = check([tmp_path / "log.parquet"], config=ANY)
    assert (report.turns, report.rejected) == (1, {"not UTF-8": 1})


def test_nested_text_column_is_one_clear_line(tmp_path):
    write_sql(tmp_path, "SELECT 'u' AS user_id, 1 AS timestamp, ['x'] AS utterance")
    with pytest.raises(LogError, match=r"column utterance is VARCHAR\[\]"):
        check([tmp_path / "log.parquet"], config=Logs())


@pytest.mark.parametrize(
    ("complete", "columns", "wanted"), [(False, "", None), (True, "", "On"), (False, ", NULL AS slots", "On")]
)
def test_intent_alone_is_an_interpretation_only_on_request(tmp_path, complete, columns, wanted):
    write_sql(tmp_path, f"SELECT 'u' AS user_id, 1 AS timestamp, 'x' AS utterance, 'On' AS intent{columns}")
    report = read([tmp_path / "log.parquet"], out=tmp_path / "out", key=KEY, config=Logs(intents_are_complete=complete))
    assert [row["hypothesis"] for row in rows_of(tmp_path / "out/turns.parquet")] == [wanted]
    assert any("set intents_are_complete = true" in note for note in report.notes) == (wanted is None)


def test_slots_are_not_looked_at_beside_a_hypothesis(tmp_path):
    rows = "(1, 'On|name=lamp'), (2, NULL)) AS t(timestamp, hypothesis)"
    write_sql(tmp_path, f"SELECT 'u' AS user_id, 'x' AS utterance, 'On' AS intent, '[1]' AS slots, t.* FROM (VALUES {rows}")
    report = read([tmp_path / "log.parquet"], out=tmp_path / "out", key=KEY, config=ANY)
    assert [row["hypothesis"] for row in rows_of(tmp_path / "out/turns.parquet")] == ["On|name=lamp"]
    assert report.rejected == {"wrong type in slots": 1}


def test_broken_rows_of_csv_lose_only_themselves(tmp_path):
    lines = [
        b"user_id;timestamp;utterance",
        b'ann;1;"a ""quoted"" one"',
        b"ann;2",
        b'ann;3;"never closed',
        b"ann;4;x;y",
        b"",
        b'bob;5;"two',
        b' lines"',
        b'bob;6;"closed" late',
        b"bob;7;caf\xe9",
        b"bob;8;last",
    ]
    (tmp_path / "log.csv").write_bytes(b"\r\n".join(lines))
    report = read([tmp_path / "log.csv"], out=tmp_path / "out", key=KEY, config=ANY)
    turns = [(row["turn_id"][17:], row["ts_ms"], row["utterance"]) for row in rows_of(tmp_path / "out/turns.parquet")]
    assert turns == [("1", 1000, 'a "quoted" one'), ("5", 5000, "two\r\n lines"), ("8", 8000, "last")]
    bad = rows_of(tmp_path / "out/rejected.parquet")
    ann, bob = (hash_user(user, KEY) for user in ("ann", "bob"))
    assert [(row["row_number"], row["reason"], row["content"]) for row in bad] == [
        (2, "broken line", f"{ann};2"),
        (3, "broken line", f'{ann};3;"never closed'),
        (4, "broken line", f"{ann};4;x;y"),
        (6, "broken line", f'{bob};6;"closed" late'),
        (7, "not UTF-8", f"{bob};7;caf\ufffd"),
    ]
    assert report.rows == 8
    assert report.rejected == {"broken line": 4, "not UTF-8": 1}


def test_broken_lines_of_json_lose_only_themselves(tmp_path):
    lines = [
        b'\xef\xbb\xbf{"user_id": "ann", "timestamp": 1, "utterance": "first"}',
        b'{"user_id": "ann", "timestamp": 2, "utter',
        b"",
        b"[1]",
        b"null",
        b'{"user_id": "b\\"ob", "timestamp": 5, "utterance": "caf\xe9"}',
        b'{"user_id": {"id": 1}, "timestamp": 6, "utterance": "x"}',
        b'{"user_id": "ann", "timestamp": 7, "utterance": ["x"]}',
        b'{"user_id": 8, "timestamp": 8, "utterance": "last"}',
    ]
    (tmp_path / "log.jsonl").write_bytes(b"\r\n".join(lines))
    read([tmp_path / "log.jsonl"], out=tmp_path / "out", key=KEY, config=ANY)
    turns = [(row["turn_id"][17:], row["user_id"], row["utterance"]) for row in rows_of(tmp_path / "out/turns.parquet")]
    assert turns == [("1", hash_user("ann", KEY), "first"), ("8", hash_user("8", KEY), "last")]
    bad = rows_of(tmp_path / "out/rejected.parquet")
    assert [(row["row_number"], row["reason"]) for row in bad] == [
        (2, "broken line"),
        (3, "broken line"),
        (4, "broken line"),
        (5, "not UTF-8"),
        (6, "wrong type in user_id"),
        (7, "wrong type in utterance"),
    ]
    assert bad[0]["content"] == f'{{"user_id": "{hash_user("ann", KEY)}", "timestamp": 2, "utter'
    assert json.loads(bad[5]["content"]) == {"user_id": hash_user("ann", KEY), "timestamp": "7", "utterance": '["x"]'}


@pytest.mark.parametrize("key", ["user_id", "timestamp", "utterance", "context", "unknown"])
def test_a_row_that_gives_a_key_twice_is_set_aside_whole_and_names_nobody(tmp_path, key):
    """Which of the two values counts is not guessed: readers differ, and the row may be of two users."""
    values = {"user_id": '"ann"', "timestamp": "2", "utterance": '"x"', "context": '{"room": "a", "room": "b"}', "unknown": "1"}
    for escaped in (key, "".join(f"\\u{ord(letter):04x}" for letter in key)):
        pairs = [*values.items(), (escaped, '"ben"' if key == "user_id" else values[key])]
        twice = "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"
        once = '{"user_id": "cid", "timestamp": 1, "utterance": "y", "context": {"room": "a", "room": "b"}}'
        (tmp_path / "log.jsonl").write_text(f"{once}\n{twice}\n", encoding="utf-8")
        report = read([tmp_path / "log.jsonl"], out=tmp_path / "out", key=KEY, config=ANY)
        assert (report.turns, report.rejected) == (1, {"key given twice": 1})
        (bad,) = rows_of(tmp_path / "out/rejected.parquet")
        assert hash_user("ann", KEY) in bad["content"]
        assert "ann" not in bad["content"]
        assert (hash_user("ben", KEY) in bad["content"]) == (key == "user_id")
        assert "ben" not in bad["content"]


def test_a_turn_id_counts_once_over_all_files(tmp_path):
    as_csv(["user_id", "timestamp", "utterance", "turn_id"], [row("1", "a"), row("2", "a"), row("3", "b")], tmp_path / "1.csv")
    as_json(
        ["user_id", "timestamp", "utterance", "turn_id"], [row("4", "b"), row("5", "c"), row("6", None)], tmp_path / "2.jsonl"
    )
    report = read([tmp_path / "1.csv", tmp_path / "2.jsonl"], out=tmp_path / "out", key=KEY, config=ANY)
    assert sorted(t["ts_ms"] for t in rows_of(tmp_path / "out/turns.parquet")) == [1000, 3000, 5000, 6000]
    bad = [(r["file"], r["row_number"], r["reason"]) for r in rows_of(tmp_path / "out/rejected.parquet")]
    assert bad == [(str(tmp_path / "1.csv"), 2, "duplicate turn_id"), (str(tmp_path / "2.jsonl"), 1, "duplicate turn_id")]
    assert report.rejected == {"duplicate turn_id": 2}


def row(timestamp, turn_id=None):
    return {"user_id": "ann", "timestamp": timestamp, "utterance": "turn on", "turn_id": turn_id}


def test_too_many_bad_rows_stop_the_job_and_can_be_looked_at(tmp_path):
    columns = ["user_id", "timestamp", "utterance"]
    rows = [{**row(str(n)), "utterance": None if n < 3 else "x", "timestamp": "?" if n == 5 else str(n)} for n in range(300)]
    as_csv(columns, rows, tmp_path / "log.csv")
    message = (
        r"^4 of 300 rows are bad, more than the 1.0% of logs.max_rejected: no utterance 3, unreadable time 1"
        r" \(such as '\?': write ISO 8601, such as 2026-01-05T08:00:00Z, or epoch seconds\); see .*rejected"
    )
    with pytest.raises(LogError, match=message):
        read([tmp_path / "log.csv"], out=tmp_path / "out", key=KEY, config=Logs())
    assert len(rows_of(tmp_path / "out/rejected.parquet")) == 4
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["rejected.parquet"]
    as_csv(columns, rows[1:], tmp_path / "log.csv")  # 3 of 299 is over one in a hundred, 3 of 300 is not
    assert "would stop" in check([tmp_path / "log.csv"], config=Logs()).lines()[-1]
    as_csv(columns, [*rows[1:], rows[-1]], tmp_path / "log.csv")
    assert read([tmp_path / "log.csv"], out=tmp_path / "out", key=KEY, config=Logs()).rejected == {
        "no utterance": 2,
        "unreadable time": 1,
    }


def test_no_user_id_is_written_anywhere(tmp_path):
    name = "anneliese.von.der.heide@example.org"
    lines = [
        {"user_id": name, "timestamp": 1, "utterance": "x"},
        {"user_id": name, "timestamp": "?", "utterance": "x"},
        {"user_id": name, "timestamp": 3},
    ]
    texts = [json.dumps(line) for line in lines]
    (tmp_path / "log.jsonl").write_text("\n".join([*texts, texts[0][:-4], texts[1][:20]]))
    (tmp_path / "log.csv").write_text(f'user_id,timestamp,utterance\n{name},1,x\n{name},2\n"{name}",3,"x\n')
    read([tmp_path], out=tmp_path / "out", key=KEY, config=ANY)
    written = list((tmp_path / "out").rglob("*"))
    assert sorted(p.name for p in written) == ["rejected.parquet", "turns.parquet"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in written)
    everything = [str(value) for path in written for row in rows_of(path) for value in row.values()]
    assert not [value for value in everything if "anneliese.v" in value]
    assert sum(hash_user(name, KEY) in value for value in everything) == 7


def test_the_report_says_what_is_missing_and_what_that_costs(tmp_path):
    as_csv(["user_id", "timestamp", "utterance", "intent"], [{**row("1"), "intent": "On"}], tmp_path / "log.csv")
    report = check([tmp_path / "log.csv"], config=Logs())
    lines = report.lines()
    assert lines[0] == "1 file, 1 row: 1 turn of 1 user, 1970-01-01 to 1970-01-01"
    assert [line for line in lines if "does not have" in line] == [
        f"columns that the log does not have (docs/log.md says what each costs): {', '.join(report.missing)}"
    ]
    assert "status" in report.missing
    assert "slots" in report.missing
    assert "hypothesis" not in report.missing
    assert not report.stop
    assert check([tmp_path / "log.csv"], config=Logs()) == report


def test_the_report_says_where_the_first_bad_row_is(tmp_path):
    names = ["user_id", "timestamp", "utterance"]
    good, late = row("1"), {**row("2"), "timestamp": "soon"}
    as_csv(names, [good, good], tmp_path / "a.csv")
    as_csv(names, [good, late, good, late], tmp_path / "b.csv")
    report = check([tmp_path / "a.csv", tmp_path / "b.csv"], config=Logs())
    place = tmp_path / "b.csv"
    assert any(
        f"set aside, unreadable time: 2 rows, first in row 2 of {place} (such as 'soon'" in line for line in report.lines()
    )


def test_the_report_quotes_nothing_that_people_said(tmp_path):
    said = ["utterance", "nbest", "response", "hypothesis", "sent"]
    bad = [{"user_id": "ann", "timestamp": 1, "utterance": "x", name: {"my": "secret"}} for name in said]
    bad.append({"user_id": "ann", "timestamp": 1, "utterance": "x", "barge_in": "perhaps"})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in bad))
    told = "\n".join(check([tmp_path / "log.jsonl"], config=Logs()).lines())
    assert "secret" not in told
    assert "set aside, wrong type in barge_in: 1 row" in told
    assert "(such as 'perhaps': write true or false)" in told
    assert '(write a list of texts, such as ["turn on", "turn off"])' in told
