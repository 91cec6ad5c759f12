"""Where a log comes from: files, folders, globs, one SELECT; and one clear line for everything that is no log."""

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewriter import tables
from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.offline.logs.contract import CONTRACT
from rewriter.offline.logs.files import require_apart, require_outside
from rewriter.offline.logs.reader import check, read

KEY = b"0123456789abcdef"
HEADER = "user_id,timestamp,utterance\n"
ONE = HEADER + "ann,1,one\n"
TWO = HEADER + "ann,2,two\n"


def utterances(out):
    with duckdb.cursor() as con:
        return [u for (u,) in con.execute(f"SELECT utterance FROM read_parquet('{out}/turns.parquet') ORDER BY ts_ms").fetchall()]


def test_folders_globs_and_files_in_one_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("logs/2026").mkdir(parents=True)
    Path("logs/2026/a.csv").write_text(ONE)
    Path("logs/2026/_temporary.csv").write_text("no log\n")
    Path("logs/.hidden.csv").write_text("no log\n")
    Path("logs/notes.txt").write_text("no log\n")
    Path("b [1]*'x'.jsonl").write_text(json.dumps({"user_id": "ann", "timestamp": 2, "utterance": "two"}))
    Path("c1.tsv").write_text("utterance\tuser_id\ttimestamp\nthree\tann\t3\n")
    Path("c2.CSV.GZ").write_bytes(gzip.compress(HEADER.replace("utt", "utt").encode() + b"ann,4,four\n"))
    report = read(["logs", Path("b [1]*'x'.jsonl"), "c?.*"], out=Path("out [2]"), key=KEY, config=Logs())
    assert utterances("out [2]") == ["one", "two", "three", "four"]
    assert [file.file for file in report.files] == ["logs/2026/a.csv", "b [1]*'x'.jsonl", "c1.tsv", "c2.CSV.GZ"]
    assert [file.rows for file in report.files] == [1, 1, 1, 1]


def test_the_same_content_counts_once(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    (tmp_path / "copy.csv").write_text(ONE)
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(ONE.encode()))
    (tmp_path / "b.csv").write_text(TWO)
    report = read([tmp_path, tmp_path / "a.csv", tmp_path / "*.csv"], out=tmp_path / "out", key=KEY, config=Logs())
    assert utterances(tmp_path / "out") == ["one", "two"]
    assert [(Path(s.file).name, s.reason) for s in report.skipped] == [
        (name, f"same content as {tmp_path / 'a.csv'}") for name in ("copy.csv", "link.csv", "packed.csv.gz")
    ]


def test_what_was_learned_before_is_left_out(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    first = read([tmp_path / "a.csv"], out=tmp_path / "out", key=KEY, config=Logs())
    seen = frozenset(file.checksum for file in first.files)
    (tmp_path / "b.csv").write_text(TWO)
    second = read([tmp_path / "*.csv"], out=tmp_path / "out", key=KEY, config=Logs(), seen=seen)
    assert utterances(tmp_path / "out") == ["two"]
    assert [s.reason for s in second.skipped] == ["learned before"]
    seen |= {file.checksum for file in second.files}
    third = read([tmp_path / "*.csv"], out=tmp_path / "out", key=KEY, config=Logs(), seen=seen)
    assert (third.turns, third.rows, third.files) == (0, 0, ())
    tables.check(tables.TURNS, tmp_path / "out/turns.parquet")
    tables.check(tables.REJECTED, tmp_path / "out/rejected.parquet")


def test_a_killed_run_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    left = tmp_path / "out/.reading-killed"
    left.mkdir(parents=True)
    (left / "users.parquet").write_text("ann")
    read([tmp_path / "a.csv"], out=tmp_path / "out", key=KEY, config=Logs())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["rejected.parquet", "turns.parquet"]


def test_other_names_are_mapped(tmp_path):
    (tmp_path / "a.csv").write_text('speaker;when;"what; heard"\nann;1;one\n')
    mapping = {"user_id": "speaker", "timestamp": "when", "utterance": "what; heard"}
    read([tmp_path / "a.csv"], out=tmp_path / "csv", key=KEY, config=Logs(), mapping=mapping)
    assert utterances(tmp_path / "csv") == ["one"]
    (tmp_path / "a.jsonl").write_text(json.dumps({"speaker": "ann", "a/b~c": 1, "x'y\"z": "one", "user_id": "other"}))
    mapping = {"user_id": "speaker", "timestamp": "a/b~c", "utterance": "x'y\"z"}
    read([tmp_path / "a.jsonl"], out=tmp_path / "json", key=KEY, config=Logs(), mapping=mapping)
    with duckdb.cursor() as con:
        con.execute(f"""COPY (SELECT 'ann' AS speaker, 1 AS "a/b~c", 'one' AS "x'y""z", 9 AS row) TO '{tmp_path}/a.parquet'""")
    read([tmp_path / "a.parquet"], out=tmp_path / "parquet", key=KEY, config=Logs(), mapping=mapping)
    assert utterances(tmp_path / "json") == utterances(tmp_path / "parquet") == ["one"]


def test_one_select_is_a_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(ONE)
    sql = Path("log.sql")
    sql.write_text("-- all of it\nWITH a AS (FROM 'a.csv') SELECT user_id, timestamp, utterance || '!' AS utterance FROM a;")
    report = read([], out=Path("out"), key=KEY, config=Logs(), sql=sql)
    assert utterances("out") == ["one!"]
    assert [file.file for file in report.files] == ["log.sql"]
    again = read([], out=Path("out"), key=KEY, config=Logs(), sql=sql, seen=frozenset({report.files[0].checksum}))
    assert [(s.file, s.reason) for s in again.skipped] == [("log.sql", "learned before")]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "must hold one SELECT"),
        ("SELECT 1; SELECT 2", "must hold one SELECT"),
        ("SELECT 1; COPY (SELECT 1) TO 'written.csv'", "must hold one SELECT"),
        ("COPY (SELECT 1) TO 'written.csv'", "must hold one SELECT"),
        ("WITH a AS (COPY (SELECT 1) TO 'written.csv') SELECT * FROM a", "one SELECT|not valid SQL"),
        ("WITH a AS (INSERT INTO b VALUES (1) RETURNING *) SELECT * FROM a", "one SELECT|not valid SQL"),
        ("CREATE TABLE a (b INT)", "must hold one SELECT"),
        ("ATTACH 'written.db'", "must hold one SELECT"),
        ("INSTALL httpfs", "must hold one SELECT"),
        ("SET threads = 1", "must hold one SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "must hold one SELECT"),
        ("SELEC 1", "not valid SQL"),
        ("SELECT 'never closed", "not valid SQL"),
        ("SELECT * FROM 'no such file.parquet'", "failed: .*no such file"),
        ("SELECT * FROM read_csv('https://example.org/a.csv')", "failed"),
        ("SELECT ?", "failed"),
        ("SELECT * FROM KEY", "failed"),
        ("SELECT 'ann' AS user_id", "no columns timestamp, utterance"),
        ("SELECT 'ann' AS user_id, 1 AS timestamp, 'x' AS utterance WHERE false", "no rows"),
    ],
)
def test_anything_else_than_one_select_is_refused(tmp_path, monkeypatch, sql, message):
    monkeypatch.chdir(tmp_path)
    Path("log.sql").write_text(sql)
    with pytest.raises(LogError, match=message):
        check([], config=Logs(), sql=Path("log.sql"))
    assert [p.name for p in tmp_path.iterdir()] == ["log.sql"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv is empty; write it again, or leave it out"),
        ("a.csv", (HEADER + ONE).encode("utf-16"), r"a.csv is UTF-16: convert it first \(iconv -f utf-16 -t utf-8\)"),
        ("a.csv", (HEADER + ONE).encode("utf-16-le"), r"a.csv is UTF-16: convert it first \(iconv -f utf-16le -t utf-8\)"),
        ("a.jsonl", '{"user_id": "ann"}'.encode("utf-16-be"), r"is UTF-16: .*iconv -f utf-16be -t utf-8\)"),
        ("a.csv", b"user_id,user_id,timestamp,utterance\nann,ben,1,x\n", "a.csv names the column user_id twice; keep one"),
        (
            "a.csv",
            b"status,timestamp,utterance\nok,1,x\n",
            r"status, timestamp, utterance\); name the column that is meant, such as",
        ),
        ("a.parquet", b"PAR2 is no Parquet", "a.parquet is not a Parquet file"),
        ("a.parquet", b"PAR1 and then nothing PAR1", "a.parquet is not a Parquet file that can be read"),
        ("a.csv.gz", b"not packed", "cannot read .*a.csv.gz"),
        ("a.csv.gz", gzip.compress(ONE.encode() * 99, mtime=0)[:-20], "cannot read .*a.csv.gz: .*; write it again"),
        ("a.json", b'[{"user_id": "ann"}]', r"has no columns timestamp, utterance \(it has user_id\)"),
        ("a.json", b'[{"user_id": "ann"}', "cannot read the log: .*a.json"),
        ("a.txt", b"no transcript\n", "a.txt is no transcript: its lines have the form 2026-01-05 08:00:01 user: "),
        ("a.csv", HEADER.encode(), "the log holds no rows: .*a.csv; write one row for each turn"),
        ("a.jsonl", b"\n\n", "the log holds no rows: .*a.jsonl"),
        ("a.csv", b"us\xe9r,timestamp,utterance\n", "a.csv is not UTF-8: convert it first"),
        (
            "a.csv",
            b"user,timestamp,utterance\nann,1,x\n",
            r"no column user_id \(it has user, timestamp, utterance\); say --map user_id=user",
        ),
        (
            "a.csv",
            b"speaker,when,text\nann,1,x\n",
            r"no columns user_id, timestamp, utterance .*; say --map user_id=speaker --map timestamp=when --map utterance=text",
        ),
        ("a.csv", b"user id,timestamp,utterance\nann,1,x\n", "no column user_id .*; say --map 'user_id=user id' if that is it"),
        ("a.jsonl", b'{"user_id": "ann", "ts": 1, "utterance": "x"}', "no column timestamp .*--map timestamp=ts "),
        ("a.jsonl", b'{"user_id": "ann", "timestamp": 1, "utterence": "x"}', "no column utterance .*--map utterance=utterence "),
        ("a.txt", b"", "a.txt is empty; write it again, or leave it out"),
        ("a.pdf", b"", "its name must end in .parquet, "),
    ],
)
def test_a_file_that_is_no_log_is_one_clear_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=message) as caught:
        check([tmp_path / name], config=Logs())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ours", ["user_id", "timestamp", "utterance"])
def test_no_message_proposes_a_column_that_the_contract_names(tmp_path, ours):
    columns = [name for name in CONTRACT if name != ours]
    (tmp_path / "a.csv").write_text(",".join(columns) + "\n" + ",".join("1" for _ in columns) + "\n")
    with pytest.raises(LogError, match=f"has no column {ours} .*; name the column that is meant, such as --map {ours}=COLUMN"):
        check([tmp_path / "a.csv"], config=Logs())
    (tmp_path / "a.csv").write_text(",".join(CONTRACT) + "\n" + ",".join("1" for _ in CONTRACT) + "\n")
    with pytest.raises(LogError, match=f"has no column nobody .*; leave out --map {ours}=nobody"):
        check([tmp_path / "a.csv"], config=Logs(), mapping={ours: "nobody"})


SECRET = "root:x:0:0:top secret"
LINKS = {
    "a.csv": f"{SECRET},b,c\n1,2,3\n",
    "b.csv": f'user_id,timestamp,utterance\nann,{SECRET},"\n',
    "a.jsonl": json.dumps({SECRET: 1, "b": 2}) + "\n",
    "b.jsonl": f"{SECRET}\n" * 9,
    "c.jsonl": json.dumps({"user_id": "ann", "timestamp": SECRET, "utterance": "x"}) + "\n",
    "a.parquet": f"PAR1{SECRET}PAR1",
    "a.sql": f"SELECT {SECRET}",
    "b.sql": f"SELECT '{SECRET}'::INTEGER",
}
"""What a link leads to, by the name of the link."""


@pytest.mark.parametrize("name", LINKS)
def test_the_content_of_a_link_is_not_quoted(tmp_path, name):
    (tmp_path / "secret").write_text(LINKS[name])
    (tmp_path / name).symlink_to(tmp_path / "secret")
    sql = tmp_path / name if name.endswith(".sql") else None
    with pytest.raises(LogError) as caught:
        read([] if sql else [tmp_path / name], sql=sql, out=tmp_path / "out", key=KEY, config=Logs())
    assert "secret" not in str(caught.value).replace(str(tmp_path / "secret"), "")
    assert "root:x" not in str(caught.value)


def test_missing_files_and_wrong_maps_name_what_is_near(tmp_path):
    (tmp_path / "monday.csv").write_text(ONE)
    with pytest.raises(LogError, match=r"no log at .*mondai.csv; did you mean .*monday.csv\?"):
        check([tmp_path / "mondai.csv"], config=Logs())
    with pytest.raises(LogError, match="no log at"):
        check([tmp_path / "nowhere/*.csv"], config=Logs())
    with pytest.raises(LogError, match="no log at"):
        check([tmp_path / "**x" / "a.csv"], config=Logs())
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match="holds no log"):
        check([tmp_path / "empty"], config=Logs())
    with pytest.raises(LogError, match=r"no column statsu to map to; did you mean status\?"):
        check([tmp_path / "monday.csv"], config=Logs(), mapping={"statsu": "x"})
    with pytest.raises(LogError, match=r"no file has a column time_stamp; the columns are "):
        check([tmp_path / "monday.csv"], config=Logs(), mapping={"session_id": "time_stamp"})
    with pytest.raises(LogError, match="either log files"):
        check([], config=Logs())
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="cannot write to"):
        read([tmp_path / "monday.csv"], out=tmp_path / "file/out", key=KEY, config=Logs())


noise = st.lists(
    st.sampled_from(
        [b'"', b",", b";", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\\", b"{", b"}", b"[", b"]", b":", b" "]
    )
    | st.sampled_from(
        [b"user_id", b"timestamp", b"utterance", b"ann", b"1", b"null", b'{"user_id":"a","timestamp":1,"utterance":"x"}\n']
    )
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.csv", HEADER.encode()),
        ("a.csv", b""),
        ("a.jsonl", b""),
        ("a.json", b"["),
        ("a.txt", b"2026-01-05 08:00 user: "),
        ("a.parquet", b"PAR1"),
    ],
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=noise)
def test_no_bytes_are_a_traceback(tmp_path, name, start, data):
    (tmp_path / name).write_bytes(start + data)
    try:
        report = check([tmp_path / name], config=Logs(max_rejected=1.0))
    except LogError as error:
        assert "\n" not in str(error)
    else:
        assert report.rows == report.files[0].rows > 0


def test_a_single_path_is_a_log(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    expected = check([tmp_path / "a.csv"], config=Logs())
    for path in (tmp_path / "a.csv", str(tmp_path / "a.csv")):
        assert check(path, config=Logs()) == expected


def test_no_result_takes_the_place_of_a_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    Path("logs/a.csv").write_text(ONE)
    Path("link.csv").symlink_to("logs/a.csv")
    require_apart(["logs"], [Path("labels.parquet"), Path("new/nlu.yml")])
    for output in ("logs/a.csv", "logs/../logs/a.csv", "link.csv"):
        with pytest.raises(LogError, match=f"^{output} is one of the logs and would be lost; write to another file$"):
            require_apart(["logs"], [Path("labels.parquet"), Path(output)])
    with pytest.raises(LogError, match=r"^logs is a folder; name a file in it, such as logs/results\.parquet$"):
        require_apart(["logs"], [Path("logs")])
    with pytest.raises(LogError, match=r"^two results would be written to x/\.\./y; give each a file of its own$"):
        require_apart(["logs"], [Path("y"), Path("x/../y")])


def test_no_artefact_in_a_folder_of_logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    Path("logs/a.csv").write_text(ONE)
    for apart in ("artefact", "logs2", "."):
        require_outside(["logs"], Path(apart))
    require_outside(["logs/a.csv", "logs/*.csv"], Path("logs/artefact"))
    for inside in ("logs", "logs/artefact", "artefact/../logs/x"):
        with pytest.raises(
            LogError, match=f"^{inside} lies in the folder of logs logs, which is read whole; write to a folder outside it$"
        ):
            require_outside(["logs"], Path(inside))
