"""Forgetting: nothing of a person is left in any byte, what others share stays, what fewer than k share goes."""

import gzip
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import lamp_log
import numpy as np
import pytest
from click.testing import CliRunner
from crash import run_killed

from rewriter import tables
from rewriter.artefact.review import Line, read, write
from rewriter.artefact.switch import rollback
from rewriter.artefact.versions import current, verify, version_ids
from rewriter.cli import main
from rewriter.config import Config
from rewriter.errors import ArtefactError, LogError, RequestError, RewriterError
from rewriter.model.detector import RuleDetector
from rewriter.model.habits import UserView
from rewriter.model.index import GlobalIndex
from rewriter.model.query_store import QueryBook
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.learn import learn
from rewriter.online import overlay
from rewriter.online.decisions import DecisionLog
from rewriter.online.rewriter import Rewriter
from rewriter.operate import forget as operate_forget
from rewriter.operate.forget import forget
from rewriter.operate.scrub import Person, is_declared, online_without
from rewriter.operate.scrub_logs import logs_without
from rewriter.text import hash_user

ANN = "ann.of.green-gables"
"""Long enough to be found in no file by chance."""
HERS = (lamp_log.SECRETS["ann"], lamp_log.OWN, "play my mix")
SOURCE = "turn of the lamp"


def rows():
    """The lamp log with a name for ann that is found nowhere by chance; her mix is hers alone."""
    for row in lamp_log.rows():
        if not (row["user_id"] == "hal" and row["utterance"].startswith("play")):
            yield row | {"user_id": ANN if row["user_id"] == "ann" else row["user_id"]}


def jsonl(path, lines):
    path.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Two versions, a decision log, feedback and a review, all with something of ann in them."""
    folder = tmp_path_factory.mktemp("learned")
    log = jsonl(folder / "log.jsonl", rows())
    bad = jsonl(folder / "bad.jsonl", [{"user_id": ANN, "timestamp": "not a time", "utterance": "her bad row"}])
    root = folder / "a"
    config = Config.from_dict({"logs": {"max_rejected": 0.5}})
    learn([log], out=root, detector=RuleDetector())
    more = jsonl(folder / "more.jsonl", [r | {"timestamp": r["timestamp"].replace("2026-01", "2026-02")} for r in rows()])
    learn([log, more, bad], out=root, config=config, detector=RuleDetector())
    rewriter = Rewriter.open(root)
    with DecisionLog(folder / "decisions", artefact=root) as decisions:
        for user in (ANN, "ben"):
            answer = rewriter.rewrite(lamp_log.OWN if user == ANN else SOURCE, user_id=user)
            decisions.write(answer, user_id=user, turn_id=f"t-{user[:3]}")
            rewriter.feedback(rewriter.rewrite(SOURCE, user_id=user, after_failure=True).id, -1, user)
            rewriter.teach(f"words of {user}", "a secret wish", user_id=user, household_id="home-7", scope="household")
            rewriter.teach("movie time", f"a wish of {user}", user_id=user)
            rewriter.prefer("name", "lamp", user_id=user)
    write(root / "review.csv", [Line("", "", HERS[0], "block"), Line("en", "a", "b", "approve")])
    return folder


@pytest.fixture
def place(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "x")
    return tmp_path / "x"


def bytes_of(folder):
    """Everything in a folder, file by file: the raw bytes, and of Parquet every value, for its pages are packed."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            with duckdb.cursor() as con:
                values = con.read_parquet(str(path)).fetchall()
            yield path, "\n".join(str(value) for row in values for value in row).encode("utf-8", "replace")


def found(folder, needles):
    return {(needle, path.name) for path, raw in bytes_of(folder) for needle in needles if needle.encode() in raw}


def needles(root):
    key = bytes.fromhex(current(root).manifest.user_key)
    hashed = hash_user(ANN, key)
    return hashed, [ANN, hashed, *HERS, "her bad row"]


def test_the_scan_finds_what_is_there(place):
    _, wanted = needles(place / "a")
    before = found(place, wanted)
    assert {needle for needle, _ in before} == set(wanted)
    files = {name for _, name in before}
    assert {
        "users.parquet",
        "texts.parquet",
        "rules.parquet",
        "log.jsonl",
        "feedback.jsonl",
        "review.csv",
        "taught.db",
        "personal.mdb",
    } <= files


def test_nothing_of_her_is_left(place):
    root = place / "a"
    hashed, wanted = needles(root)
    halves = [bytes.fromhex(hashed)[i : i + 8][::-1] for i in (0, 8)]  # as the habits hold it
    assert any(halves[0] in raw for path, raw in bytes_of(root) if path.name == "high.npy")
    report = forget(ANN, root, logs=[place / "*.jsonl"], decisions=place / "decisions")
    assert found(place, wanted) == set()
    assert not any(half in raw for path, raw in bytes_of(root) if path.suffix == ".npy" for half in halves)
    assert report.known
    assert (report.decisions, report.feedback, report.taught) == (1, 1, 3)
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite("movie time", user_id="ben").text == "a wish of ben"
    assert [lesson.said for lesson in rewriter.lessons(household_id="home-7")] == ["words of ben"]
    hers = sum(1 for row in rows() if row["user_id"] == ANN)
    assert {Path(name).name: n for name, n in report.logs.items()} == {"log.jsonl": hers, "more.jsonl": hers, "bad.jsonl": 1}


def test_what_others_share_stays(place):
    root = place / "a"
    report = forget(ANN, root)
    rewriter = Rewriter.open(root)
    assert report.version == current(root).id
    assert report.online
    assert rewriter.rewrite(SOURCE, user_id="cem", after_failure=True).text == "turn off the lamp"
    assert not rewriter.rewrite(lamp_log.OWN, user_id=ANN, after_failure=True).applied
    assert rewriter.rewrite(SOURCE, user_id="ben", after_failure=True).reason == "undone_by_user", "what ben said of it holds"
    assert rewriter.rewrite(SOURCE, user_id=ANN, after_failure=True).applied, "what she said of it does not"
    assert read(root / "review.csv").lines == [Line("en", "a", "b", "approve")]
    with duckdb.cursor() as con:
        state = current(root).state
        users = con.execute("SELECT COUNT(*), COUNT(DISTINCT user_id) FROM read_parquet(?)", [str(state / "users.parquet")])
        assert users.fetchone() == (10, 10), "her number is still taken"
        secret = con.execute(
            "SELECT COUNT(*) FROM read_parquet(?) WHERE text = ?", [str(state / "texts.parquet"), lamp_log.SECRETS["ben"]]
        )
        assert secret.fetchone() == (1,)


def test_one_whole_version_is_left(place):
    root = place / "a"
    before = current(root).id
    report = forget(ANN, root)
    assert version_ids(root / "versions") == version_ids(root / "state") == [report.version] != [before]
    verify(current(root))
    with pytest.raises(ArtefactError, match="no older version is kept"):
        rollback(root)


def test_rewritten_logs_are_known_and_learning_goes_on(place):
    root, log = place / "a", place / "log.jsonl"
    others = [line for line in log.read_text(encoding="utf-8").splitlines() if ANN not in line]
    forget(ANN, root, logs=[log])
    assert log.read_text(encoding="utf-8").splitlines() == others, "the lines of others are as they were"
    known = json.loads((current(root).state / "files.json").read_text(encoding="utf-8"))
    assert hashlib.sha256(log.read_bytes()).hexdigest() in known
    new = jsonl(
        place / "new.jsonl",
        [r | {"timestamp": r["timestamp"].replace("2026-01", "2026-03")} for r in rows() if r["user_id"] != ANN],
    )
    report = learn([log, new], out=root, detector=RuleDetector())
    assert report.log.turns == len(new.read_text(encoding="utf-8").splitlines()), "the rewritten log is not counted twice"
    assert Rewriter.open(root).rewrite(SOURCE, after_failure=True).text == "turn off the lamp"
    _, wanted = needles(root)
    assert found(root, wanted) == set()


def test_what_fewer_than_k_share_is_withdrawn(tmp_path):
    """Ten users carry the rule where ten are needed; nine are too few."""
    root, config = tmp_path / "a", Config.from_dict({"launch": {"min_users": 10}})
    learn([jsonl(tmp_path / "log.jsonl", rows())], out=root, config=config, detector=RuleDetector())
    assert Rewriter.open(root).rewrite(SOURCE, user_id="nobody", after_failure=True).scope == "global"
    report = forget(ANN, root)
    assert not report.online, "its texts were of ten users too"
    answer = Rewriter.open(root).rewrite(SOURCE, user_id="nobody", after_failure=True)
    assert (answer.text, answer.reason) == (SOURCE, "no_rule")
    assert not (current(root).folder / "online").exists()
    assert current(root).manifest.counts["global rules"] == 0


def test_who_is_not_known_changes_no_answer(place):
    root = place / "a"
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    report = forget("ann.of.green-gable", root, logs=[place / "*.jsonl"], decisions=place / "decisions")
    assert (report.known, report.rows, report.texts, report.rules, report.logs) == (False, 0, 0, 0, {})
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before, "older versions stay, too"


def test_twice_is_once(place):
    root = place / "a"
    forget(ANN, root, logs=[place / "*.jsonl"])
    again = forget(ANN, root, logs=[place / "*.jsonl"])
    assert (again.known, again.rows, again.logs, again.version) == (False, 0, {}, current(root).id)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_other_kinds_of_logs(place, suffix):
    path = place / f"log{suffix}"
    with duckdb.cursor() as con:
        table = con.read_json(str(place / "log.jsonl")).project("* EXCLUDE (user_id), user_id AS caller")
        table.write_csv(str(path)) if suffix == ".csv" else table.write_parquet(str(path))
        kept = [row for row in table.project("utterance, caller").fetchall() if row[1] != ANN]
    lines = path.read_bytes().splitlines(keepends=True)
    report = forget(ANN, place / "a", logs=[path], mapping={"user_id": "caller"})
    if suffix == ".csv":
        assert path.read_bytes() == b"".join(line for line in lines if ANN.encode() not in line), "other bytes are kept"
    assert list(report.logs) == [str(path)]
    with duckdb.cursor() as con:
        left = con.read_csv(str(path)) if suffix == ".csv" else con.read_parquet(str(path))
        assert left.project("utterance, caller").fetchall() == kept


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".csv.gz"])
def test_packed_logs_stay_packed_and_are_not_learned_again(place, suffix):
    path, plain = place / f"log{suffix}", place / "log.jsonl"
    with duckdb.cursor() as con:
        rows = con.read_json(str(plain))
        rows.write_csv(str(place / "log.csv"))
        with gzip.open(path, "wb") as file:
            file.write((plain if suffix == ".jsonl.gz" else place / "log.csv").read_bytes())
        kept = [row for row in rows.project("utterance, user_id").fetchall() if row[1] != ANN]
    report = forget(ANN, place / "a", logs=[path])
    assert report.logs == {str(path): len(plain.read_text(encoding="utf-8").splitlines()) - len(kept)}
    with duckdb.cursor() as con:
        left = con.read_json(str(path)) if suffix == ".jsonl.gz" else con.read_csv(str(path))
        assert left.project("utterance, user_id").fetchall() == kept
    known = json.loads((current(place / "a").state / "files.json").read_text(encoding="utf-8"))
    was_learned = suffix == ".jsonl.gz"
    assert (hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() in known) == was_learned


def test_what_cannot_be_done_is_said_before_anything_is_done(place):
    root, before = place / "a", current(place / "a").id
    (place / "log.tsv").write_text("user_id\tutterance\nann\tx\n", encoding="utf-8")
    (place / "log.tsv").rename(place / "log.xml")
    with pytest.raises(LogError, match=r"cannot tell how to read .*log\.xml: its name must end in \.parquet"):
        forget(ANN, root, logs=[place / "log.xml"])
    (place / "c.csv").write_text("who,utterance\nann,x\n", encoding="utf-8")
    with pytest.raises(LogError, match=r"has no column user_id \(it has who, utterance\); say --map user_id="):
        forget(ANN, root, logs=[place / "c.csv"])
    shutil.rmtree(root / "state" / before)
    with pytest.raises(ArtefactError, match="has no private state"):
        forget(ANN, root)
    assert current(root).id == before


HER_ROWS = {
    "json.jsonl": [
        (0, b'\xef\xbb\xbf{"user_id": "ben", "timestamp": 1, "utterance": "7"}\r\n'),
        (1, b'{"user_id": 7, "timestamp": 1, "utterance": "x"}\n'),
        (0, b"\n"),
        (1, b'{"user_id": "7", "user_id": "ben", "timestamp": 1, "utterance": "x"}\n'),
        (1, b'{"user_id": "ben", "user_id": "7", "timestamp": 1, "utterance": "x"}\n'),
        (1, b'{"user_id": "ben", "user\\u005fid": 7, "timestamp": 1, "utterance": "x"}\n'),
        (0, b'{"user_id": "ben", "utterance": "7", "timestamp": 1, "utterance": "x"}\n'),
        (1, b'{"user_id": "7", "timestamp": 1, "utterance": "x",}\n'),
        (1, b'{"user_id": "7", "timestamp": 1, "utter\n'),
        (1, b'{"user_id": "\\u0037", "timestamp": 1, "utterance": "x"}\n'),
        (1, b'{"usr": 7, "timestamp\n'),
        (0, b'{"user_id": "ben", "timestamp": 7, "utter\n'),
        (0, b'{"user_id": "77", "timestamp": 1, "utterance": "x"}'),
    ],
    "comma.csv": [
        (0, b"user_id,timestamp,utterance\n"),
        (0, b'ben,1,"say ""hi"", 7"\n'),
        (0, b"#comment,1,7\n"),
        (1, b"7,1,x\n"),
        (1, b'"7",1,"two\nlines"\n'),
        (0, b"\n"),
        (0, b"ben,1,a\\,b\n"),
        (1, b'7,2,"never closed\n'),
        (0, b'"ben",1,last'),
    ],
    "semicolon.tsv": [
        (0, b"utterance;user_id;timestamp\r\n"),
        (0, b'"7";ben;1\r\n'),
        (1, b"x;7;1\r\n"),
    ],
}
"""Files of (whether `learn` takes it for a row of user 7, or for a broken one that names her, its bytes)."""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", HER_ROWS)
def test_rows_are_found_as_learn_reads_them_and_other_bytes_stay(tmp_path, name, packed):
    path = tmp_path / (f"{name}.gz" if packed else name)
    raw = b"".join(line for _, line in HER_ROWS[name])
    path.write_bytes(gzip.compress(raw) if packed else raw)
    (each,) = logs_without("7", [path], {})
    each.apply()
    left = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    assert left == b"".join(line for is_hers, line in HER_ROWS[name] if not is_hers)
    assert each.rows == sum(is_hers for is_hers, _ in HER_ROWS[name])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("user", "sql"), [("7", "7.0::DOUBLE"), ("7", "'7'::BLOB"), ("true", "true"), ("7", "7::TINYINT"), (7, "'7'")]
)
def test_rows_of_parquet_are_found_whatever_their_type(tmp_path, user, sql):
    path = tmp_path / "log.parquet"
    rest = "TIMESTAMPTZ '2026-01-05 08:00:00Z' AS timestamp, 'x' AS utterance, {'room': 'hall'} AS context, ['a', NULL] AS nbest"
    with duckdb.cursor() as con:
        con.execute(f"CREATE TEMP TABLE log AS SELECT {sql} AS user_id, {rest} UNION ALL SELECT NULL, {rest}")
        con.execute(f"COPY log TO '{path}' (FORMAT parquet)")
        wanted = con.execute("FROM log WHERE user_id IS NULL").fetchall(), con.execute("DESCRIBE log").fetchall()
    (each,) = logs_without(str(user), [path], {})
    each.apply()
    with duckdb.cursor() as con:
        con.execute(f"CREATE TEMP TABLE log AS FROM '{path}'")
        assert (con.execute("FROM log").fetchall(), con.execute("DESCRIBE log").fetchall()) == wanted


def test_a_log_of_nobody_else_is_removed(tmp_path):
    path = jsonl(tmp_path / "ann.jsonl", [r for r in rows() if r["user_id"] == ANN])
    (each,) = logs_without(ANN, [path], {})
    each.apply()
    assert list(tmp_path.iterdir()) == [], "an empty file would stop the next learn"


def test_what_cannot_be_rewritten_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"user_id": "7", "timestamp": 1, "utterance": "x"}\n' * 2 + "[" * 40 + "\n")
    path.chmod(0o400)
    before = path.read_bytes()
    (tmp_path / "bad.csv").write_bytes(b"us\xe9r,timestamp,utterance\n7,1,x\n")
    with pytest.raises(LogError, match="is not UTF-8: convert it first"):
        logs_without("7", [path, tmp_path / "bad.csv"], {})
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "log.jsonl"]


def test_a_transcript_is_refused_before_anything_is_written(place):
    """Its lines belong together, so rows cannot be taken out; the logs beside it and the artefact stay as they are."""
    talk = place / "talk.txt"
    said = ["2026-01-05 08:00:00 ben: turn of the lamp", f"2026-01-05 08:00:09 {ANN}: turn off the lamp"]
    talk.write_text("\n".join([*said, ""]), encoding="utf-8")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    mapping = {"user_id": "speaker", "timestamp": "time", "utterance": "text"}
    (place / "same.jsonl").write_text(json.dumps({"speaker": ANN, "time": "2026-01-05T08:00:00Z", "text": "x"}) + "\n")
    with pytest.raises(LogError, match=r"it is a transcript, whose lines belong together; .*; nothing was changed$"):
        forget(ANN, place / "a", logs=[place / "same.jsonl", talk], mapping=mapping)
    (place / "same.jsonl").unlink()
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_log_that_was_not_learned_is_not_noted_as_learned(place):
    root = place / "a"
    new = jsonl(place / "new.jsonl", [r | {"timestamp": r["timestamp"].replace("2026-01", "2026-03")} for r in rows()])
    forget(ANN, root, logs=[place / "*.jsonl"])
    known = json.loads((current(root).state / "files.json").read_text(encoding="utf-8"))
    assert hashlib.sha256(new.read_bytes()).hexdigest() not in known
    assert hashlib.sha256((place / "log.jsonl").read_bytes()).hexdigest() in known


def test_names_of_files_are_told_and_not_kept(learned, place):
    root, path = place / "a", place / f"{ANN}.jsonl"
    (place / "log.jsonl").rename(path)
    files = current(root).state / "files.json"
    known = json.loads(files.read_text(encoding="utf-8"))
    files.write_text(json.dumps({k: str(path) if name.endswith("/log.jsonl") else name for k, name in known.items()}))
    report = forget(ANN, root, logs=[path])
    assert report.named == (str(path),)
    assert ANN not in (current(root).state / "files.json").read_text(encoding="utf-8")


def test_packed_decisions_and_rejected_rows_of_a_stopped_job(place):
    root, folder = place / "a", place / "decisions"
    (log,) = folder.glob("*.jsonl")
    (folder / "old.jsonl.gz").write_bytes(gzip.compress(log.read_bytes()))
    hashed, _ = needles(root)
    with duckdb.cursor() as con:
        row = f"SELECT 'f' AS file, 1::BIGINT AS row_number, 'too long' AS reason, '{{\"user_id\":\"{hashed}\"}}' AS content"
        con.execute(f"COPY ({row}) TO '{root / 'state' / 'rejected.parquet'}' (FORMAT parquet)")
    assert forget(ANN, root, decisions=folder).decisions == 2
    assert len(gzip.decompress((folder / "old.jsonl.gz").read_bytes()).splitlines()) == 1
    assert not (root / "state" / "rejected.parquet").exists()


@pytest.mark.parametrize("step", ["Writer.publish", "Writer._retire", "Rewritten.apply", "_mend_review", "lines_without"])
def test_whatever_step_is_cut_off_a_second_call_finishes(place, monkeypatch, step):
    root = place / "a"
    owner, _, name = step.rpartition(".")
    target = getattr(operate_forget, owner) if owner else operate_forget

    def cut_off(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, name, cut_off)
        with pytest.raises(KeyboardInterrupt):
            forget(ANN, root, logs=[place / "*.jsonl"], decisions=place / "decisions")
    hashed = hash_user(ANN, bytes.fromhex(current(root).manifest.user_key))
    forget(ANN, root, logs=[place / "*.jsonl"], decisions=place / "decisions")
    assert found(place, [ANN, hashed, *HERS, "her bad row"]) == set()
    assert not (root / "state" / operate_forget.NOTE).exists()


def test_the_online_layer_serves_on_without_what_fewer_than_k_say(place, tmp_path):
    old, new = current(place / "a").folder / "online", tmp_path / "online"
    book = QueryBook.open(old / "book")
    gone, *stay = book.texts(np.arange(len(book)))
    person = Person(ANN, "0" * 32, -1, frozenset(), frozenset(), frozenset({gone}), frozenset({gone}), frozenset(gone.split()), 3)
    parts = online_without(person, old, new)
    assert parts["rows of the query index"] == 1
    left = UserView.open(new)
    assert left.book.texts(np.arange(len(left.book))) == stay
    assert GlobalIndex.open(new / "index").measured["en"].rows == len(stay)
    before = UserView.open(old)
    for user in set(lamp_log.SECRETS) - {"ann"}:
        hashed = hash_user(user, bytes.fromhex(current(place / "a").manifest.user_key))
        was, now = (view.texts(view.own(hashed, "en").rows) for view in (before, left))
        assert now == [text for text in was if text != gone]
    assert online_without(replace(person, few=frozenset([gone, *stay])), old, tmp_path / "none") is None


def test_every_column_and_every_file_is_declared(place):
    root = place / "a"
    forget(ANN, root)
    for table in (each for each in vars(tables).values() if isinstance(each, tables.Table)):
        assert all(column.holds for column in table.columns if column.type == "VARCHAR"), table.name
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert [name for name in names if not is_declared(name)] == []
    with pytest.raises(KeyError):
        _ = tables.Column("new_text", "VARCHAR").holds


KILLED = "import sys\nfrom rewriter.operate.forget import forget\nforget(sys.argv[2], sys.argv[1], logs=[sys.argv[3]])"


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 120, 320, 520])
def test_a_kill_leaves_one_of_the_two_and_a_second_call_finishes(place, n, record_property):
    root = place / "a"
    record_property("writers killed", 1)
    run_killed(KILLED, n, root, ANN, str(place / "log.jsonl"))
    verify(current(root))
    assert Rewriter.open(root).rewrite(SOURCE, after_failure=True).applied
    forget(ANN, root, logs=[place / "*.jsonl"], decisions=place / "decisions")
    _, wanted = needles(root)
    assert found(place, wanted) == set()


def test_on_the_command_line(place):
    arguments = ["forget", ANN, place / "a", "--logs", place / "log.jsonl", "--decisions", place / "decisions"]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    assert "known here" in result.output
    assert ANN not in (place / "log.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "nobody", ["", "  ", "\n", "*", " * ", None, True, False, ["ann"], {"ann"}, b"ann", 1.0, float("nan"), np.nan]
)
def test_what_is_no_id_is_refused_in_one_line(learned, nobody):
    root = learned / "a"
    before = current(root).id
    with pytest.raises(RequestError, match=r"^user_id is one id as the log gives it, such as 'ann' or 7, not .*$"):
        forget(nobody, root)
    assert current(root).id == before
    assert issubclass(RequestError, RewriterError)
    if isinstance(nobody, str):
        result = CliRunner().invoke(main, ["forget", nobody, str(root)])
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("nobody", [7, np.int64(7), "7", "None", "nobody"])
def test_an_id_that_is_found_nowhere_is_said_to_be_nobodys(learned, nobody):
    assert forget(nobody, learned / "a").is_empty
    result = CliRunner().invoke(main, ["forget", str(nobody), str(learned / "a")])
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith(f"rewriter: nobody has the id '{nobody}' in {learned / 'a'}, so nothing was changed")


HER_LOCALE = "de-CH-zebraloc"


def locale_in(root):
    """The files that hold her locale in their bytes, values or names."""
    named = {path.name for path in root.rglob("*") if HER_LOCALE in path.name}
    return named | {name for _, name in found(root, [HER_LOCALE])}


def test_a_locale_that_only_she_had_goes_with_her(tmp_path):
    root = tmp_path / "a"
    log = jsonl(tmp_path / "log.jsonl", (row | {"locale": HER_LOCALE if row["user_id"] == ANN else "en"} for row in rows()))
    learn([log], out=root, detector=RuleDetector())
    assert {"texts.parquet", "nodes.parquet", "queries.parquet", "rules.parquet"} <= locale_in(root / "state")
    assert HER_LOCALE not in current(root).manifest.locales
    forget(ANN, root)
    assert locale_in(root) == set()
    more = (r | {"timestamp": r["timestamp"].replace("2026-01", "2026-02")} for r in rows() if r["user_id"] != ANN)
    learn([jsonl(tmp_path / "more.jsonl", more)], out=root, detector=RuleDetector())
    assert locale_in(root) == set()
    assert Rewriter.open(root).rewrite(SOURCE, after_failure=True).text == "turn off the lamp"


def test_a_locale_of_fewer_than_k_others_leaves_the_manifest(tmp_path):
    root, few = tmp_path / "a", (ANN, "ben", "cem")
    log = jsonl(tmp_path / "log.jsonl", (row | {"locale": HER_LOCALE if row["user_id"] in few else "en"} for row in rows()))
    learn([log], out=root, detector=RuleDetector())
    assert current(root).manifest.locales == {"en": 7, HER_LOCALE: 3}
    forget("dan", root)
    assert current(root).manifest.locales == {"en": 6, HER_LOCALE: 3}
    forget(ANN, root)
    assert current(root).manifest.locales == {"en": 6}
    assert "texts.parquet" in locale_in(root / "state"), "others have it still"


def held_back(root, log, *, afresh):
    """Learn a version that does not serve."""
    report = learn([log], out=root, detector=RuleDetector(), afresh=afresh, judge=lambda *_: ["not yet"])
    assert report.held == ("not yet",)


@pytest.mark.parametrize("known_to", ["the version that serves", "the version that is held back"])
def test_while_a_version_is_held_back_she_is_found_in_both(tmp_path, known_to):
    """A version that was learned afresh holds other people than the one that serves."""
    hers = [row for row in rows() if row["user_id"] in (ANN, "ben", "cem", "dan")]
    others = [row | {"timestamp": row["timestamp"].replace("2026-01", "2026-02")} for row in rows() if row["user_id"] != ANN]
    root, two = tmp_path / "a", [jsonl(tmp_path / "hers.jsonl", hers), jsonl(tmp_path / "others.jsonl", others)]
    first, second = two if known_to == "the version that serves" else two[::-1]
    learn([first], out=root, detector=RuleDetector())
    held_back(root, second, afresh=True)
    hashed, private = needles(root)
    assert {needle for needle, _ in found(root, private)} >= {hashed, *HERS}
    report = forget(ANN, root, logs=[tmp_path / "*.jsonl"])
    assert report.known
    assert found(root, private) == set()
    assert found(tmp_path, private) == set()
    assert version_ids(root / "versions") == [report.version]
    if known_to == "the version that is held back":  # its log was read, as it was and as it is now
        again = learn([tmp_path / "hers.jsonl"], out=root, detector=RuleDetector()).log
        assert (len(again.files), len(again.skipped)) == (0, 1)


def test_her_words_leave_the_index_of_feedback_at_once(place):
    root = place / "a"
    path = root / "state" / "feedback.jsonl"
    Rewriter.open(root)

    def keys():
        with overlay._transaction(overlay._index_of(path)) as (view, rows):
            return view.stat(rows)["entries"], view.get(overlay._key(needles(root)[0], ""))

    before, hers = keys()
    assert hers is not None
    forget(ANN, root)
    assert keys() == (before - 2, None)  # her word, and how many she said on its day


def test_a_household_and_who_only_taught_are_forgotten(place):
    """The log never heard of either."""
    root = place / "a"
    rewriter = Rewriter.open(root)
    rewriter.teach("bedtime", "play rain", user_id="new.user")
    assert forget("new.user", root).taught == 1
    assert rewriter.lessons("new.user") == []
    report = forget("home-7", root)
    assert (report.known, report.taught, report.is_empty) == (False, 2, False)
    assert rewriter.lessons(household_id="home-7") == []
    assert rewriter.lessons("ben") != []
    assert forget("home-7", root).is_empty


def test_learning_carries_lessons_over(place):
    root = place / "a"
    new = jsonl(place / "new.jsonl", [r | {"timestamp": r["timestamp"].replace("2026-01", "2026-03")} for r in rows()])
    learn([new], out=root, detector=RuleDetector())
    assert Rewriter.open(root).rewrite("movie time", user_id="ben").text == "a wish of ben"


def test_an_artefact_of_a_catalog_alone_knows_nobody_but_its_feedback(tmp_path):
    """Nothing of a person is in it. Only the person's feedback, decisions and logs are taken out, and no version is written."""
    root = tmp_path / "artefact"
    (tmp_path / "phrases.txt").write_text("turn on the lamp\nturn off the lamp\n", encoding="utf-8")
    learn_catalog([tmp_path / "phrases.txt"], out=root)
    version = current(root).id
    log = jsonl(tmp_path / "log.jsonl", rows())
    assert forget("nobody", root).is_empty
    rewriter = Rewriter.open(root)
    rewriter.feedback(rewriter.rewrite(SOURCE, user_id=ANN, after_failure=True).id, -1, ANN)
    report = forget(ANN, root, logs=[log])
    assert (report.version, report.feedback, report.online) == (version, 1, True)
    assert report.logs == {str(log): sum(row["user_id"] == ANN for row in rows())}
    assert not found(root, [needles(root)[0], ANN])
    learn([log], out=root, config=Config.from_dict({"loop": {"refit_days": 0}}), detector=RuleDetector())
    assert forget("ben", root).known
