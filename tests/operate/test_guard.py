"""The guard, limit by limit, on versions that differ in exactly one thing; and `learn` with the guard in front."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import lamp_log
import pytest
from click.testing import CliRunner

from rewriter.artefact.switch import listed
from rewriter.artefact.versions import current, held, open_version
from rewriter.artefact.writer import Writer
from rewriter.cli import main
from rewriter.config import Config, Publish
from rewriter.evaluation.replay import Guard
from rewriter.model.rules import Rule, write_rules
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.text import hash_user

LIMITS = Publish(few_rules=10, min_size=0.5, max_churn=0.3)


def write(root, targets, *, turns=None, online=False, own=()):
    """A version with global rules source -> target of the given traffic, and personal ones of the same kind for ann."""
    with Writer(root) as writer:
        ann = hash_user("ann", writer.user_key)
        everybody = [Rule(s, "", "en", s, t, 0.9) for s, t in targets.items()]
        write_rules(writer.folder / "rules", everybody + [Rule(s, ann, "en", s, t, 0.9) for s, t in dict(own).items()])
        rows = [("en", s, t, float((turns or {}).get(s, 1))) for s, t in targets.items()]
        with duckdb.cursor() as con:
            con.execute("CREATE TEMP TABLE rules (locale VARCHAR, source VARCHAR, target VARCHAR, turns DOUBLE)")
            if rows:
                con.executemany("INSERT INTO rules VALUES (?, ?, ?, ?)", rows)
            con.sql("FROM rules").write_parquet(str(writer.folder / "rules.parquet"))
        if online:
            (writer.folder / "online").mkdir()
            (writer.folder / "online" / "part").write_text("x")
        held_back = writer.publish(config=Config(), locales={"en": 9}, counts={}, metrics={}, judge=lambda _: ["for the test"])
    return open_version(root, held_back)


def log(root, folder, rows):
    """Turns of [user, text, hypothesis or None] as `learn` reads them, a minute apart, or six seconds after a failure."""
    start = datetime(2026, 2, 1, tzinfo=UTC)
    path = folder / "log.jsonl"
    gaps = [0, *(60 if hypothesis else 6 for _, _, hypothesis in rows)]
    turns = [
        {
            "user_id": user,
            "timestamp": (start + timedelta(seconds=sum(gaps[: n + 1]))).isoformat(),
            "utterance": text,
            "hypothesis": hypothesis,
            "status": "ok" if hypothesis else "failed",
        }
        for n, (user, text, hypothesis) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(turn) + "\n" for turn in turns), encoding="utf-8")
    key = bytes.fromhex(current(root).manifest.user_key)
    reader.read([path], out=folder, key=key, config=Config().logs, mapping={})
    return folder / "turns.parquet"


@pytest.fixture
def quiet(tmp_path):
    """A folder for the log, and turns that no rule of the tests knows."""

    def turns(root):
        folder = tmp_path / "log"
        folder.mkdir()
        return log(root, folder, [(user, "good morning", "Hello") for user in "abcde"])

    return turns


SOURCES = [f"source {n}" for n in range(20)]


@pytest.mark.parametrize(("kept", "found"), [(10, []), (9, ["much smaller: 9 rules, 20 before"])])
def test_much_smaller(tmp_path, quiet, kept, found):
    write(tmp_path / "a", dict.fromkeys(SOURCES, "t"), turns=dict.fromkeys(SOURCES[10:], 0))
    new = write(tmp_path / "a", dict.fromkeys(SOURCES[:kept], "t"))
    reasons = Guard(Publish(few_rules=10, min_size=0.5, max_churn=1.0))(quiet(tmp_path / "a"), new)
    assert [r.partition(" (")[0] for r in reasons] == found


def test_personal_rules_count_for_the_size(tmp_path, quiet):
    write(tmp_path / "a", {}, own=dict.fromkeys(SOURCES, "t"))
    new = write(tmp_path / "a", {}, own=dict.fromkeys(SOURCES[:3], "t"))
    (reason,) = Guard(LIMITS)(quiet(tmp_path / "a"), new)
    assert reason.startswith("much smaller: 3 rules, 20 before")


def test_a_lost_online_layer_is_much_smaller(tmp_path, quiet, monkeypatch):
    monkeypatch.setattr("rewriter.online.serving._open_layer_of_log", lambda *_: None)
    write(tmp_path / "a", {}, online=True)
    new = write(tmp_path / "a", {})
    assert Guard(LIMITS)(quiet(tmp_path / "a"), new) == ["much smaller: it has no online layer, and the one that serves has one"]


def test_churn_is_weighed_by_traffic(tmp_path, quiet):
    turns = dict.fromkeys(SOURCES, 10) | {SOURCES[0]: 110}  # 300 in all
    old = dict.fromkeys(SOURCES, "t")
    write(tmp_path / "a", old, turns=turns)
    calm = write(tmp_path / "a", {s: t for s, t in old.items() if s not in SOURCES[1:10]}, turns=turns)  # 90 of 300 are gone
    log_ = quiet(tmp_path / "a")
    assert Guard(LIMITS)(log_, calm) == []
    other = write(tmp_path / "a", old | {SOURCES[0]: "u"}, turns=turns)  # 110 of 300 go elsewhere
    (reason,) = Guard(LIMITS)(log_, other)
    assert reason.startswith("churn: 36.7 % of the traffic")
    assert Guard(Publish(few_rules=21, max_churn=0.3))(log_, other) == []


def test_new_rules_are_no_churn(tmp_path, quiet):
    write(tmp_path / "a", dict.fromkeys(SOURCES[:10], "t"))
    assert Guard(LIMITS)(quiet(tmp_path / "a"), write(tmp_path / "a", dict.fromkeys(SOURCES, "t"))) == []


def test_worse_on_replay(tmp_path):
    """The old rule mends "lamp of"; the new one breaks "lamp on", which was healthy, for as many of the same users."""
    root = tmp_path / "a"
    write(root, {"lamp of": "lamp off"})
    rows = []
    for user in (f"u{n}" for n in range(20)):
        rows += [(user, "lamp of", None), (user, "lamp off", "Off"), (user, "lamp on", "On"), (user, "hello", "Hi")]
    (tmp_path / "log").mkdir()
    turns = log(root, tmp_path / "log", rows)
    assert Guard(LIMITS)(turns, write(root, {"lamp of": "lamp off"})) == []
    (reason,) = Guard(LIMITS)(turns, write(root, {"lamp on": "lamp off"}))
    assert reason.startswith("worse on replay: wins less losses are -250.0 in 1,000 turns, 250.0 before")


def test_personal_rules_are_replayed_for_their_user(tmp_path):
    root = tmp_path / "a"
    write(root, {})
    rows = [(user, text, meant) for user in ("ann", "ben") for text, meant in (("lamp on", "On"), ("lamp off", "Off"))] * 5
    (tmp_path / "log").mkdir()
    new = write(root, {}, own={"lamp on": "lamp off"})
    turns = log(root, tmp_path / "log", rows)
    reasons = Guard(LIMITS)(turns, new)
    assert reasons == [], "one of two users is worse off: that may be chance"
    hashed = Rewriter.open(root, version=new.id, hashed=True)
    ann = hash_user("ann", bytes.fromhex(new.manifest.user_key))
    assert hashed.rewrite("lamp on", user_id=ann).text == "lamp off"
    assert hashed.rewrite("lamp on", user_id="ann").text == "lamp on"


def test_a_log_of_one_user_says_nothing(tmp_path):
    root = tmp_path / "a"
    write(root, {})
    (tmp_path / "log").mkdir()
    turns = log(root, tmp_path / "log", [("a", "lamp on", "On"), ("a", "lamp off", "Off")] * 9)
    assert Guard(LIMITS)(turns, write(root, {"lamp on": "lamp off"})) == []


def test_the_sample_is_of_whole_users(tmp_path):
    root = tmp_path / "a"
    write(root, {})
    (tmp_path / "log").mkdir()
    turns = log(root, tmp_path / "log", [(f"u{n}", "hello", "Hi") for n in range(10) for _ in range(7)])
    Guard(Publish(replayed=30))(turns, write(root, {}))
    with duckdb.cursor() as con:
        users = con.execute("SELECT COUNT(*) FROM read_parquet(?) GROUP BY user_id", [str(tmp_path / "log/replayed.parquet")])
        assert users.fetchall() == [(7,)] * 4


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_learn_holds_back_and_a_person_publishes(tmp_path, monkeypatch):
    monkeypatch.setattr(Guard, "__call__", lambda self, turns, new: [f"{turns.name} of {new.id[:6]} do not please"])
    log_, root = lamp_log.write(tmp_path / "log.jsonl"), tmp_path / "a"
    assert run("learn", log_, "--out", root).exit_code == 0, "the first version serves"
    first = current(root).id
    result = run("learn", log_, "--out", root, "--afresh")
    assert result.exit_code == 3, result.output
    assert "rewriter publish" in result.output
    waiting = held(root)
    assert waiting.reasons == ("turns.parquet of 000002 do not please",)
    assert current(root).id == first != waiting.id
    assert [(v.id, v.place) for v in listed(root)] == [(first, "serves"), (waiting.id, "held back")]

    refused = run("publish", root)
    assert (refused.exit_code, current(root).id) == (1, first)
    assert "000002 do not please; publish it all the same with --force" in refused.stderr
    assert "is held back: turns.parquet of 000002" in run("versions", root).output
    assert run("publish", root, "--force").exit_code == 0
    assert current(root).id == waiting.id
    assert run("rollback", root).exit_code == 0
    assert current(root).id == first


def test_the_guard_can_be_switched_off(tmp_path, monkeypatch):
    monkeypatch.setattr(Guard, "__call__", lambda self, turns, new: ["whatever it is"])
    log_, root = lamp_log.write(tmp_path / "log.jsonl"), tmp_path / "a"
    (tmp_path / "open.toml").write_text("[publish]\nguard = false\n", encoding="utf-8")
    for _ in range(2):
        assert run("learn", log_, "--config", tmp_path / "open.toml", "--out", root, "--afresh").exit_code == 0
    assert current(root).id.startswith("000002")
