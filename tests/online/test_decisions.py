"""The decision log: what a line says, and that no call waits, fails or tears what came before."""

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from published import publish

from rewriter import DecisionLog, Rewriter
from rewriter.artefact.versions import current
from rewriter.online import decisions
from rewriter.text import hash_user

OPEN = Path("/proc/self/fd")
RULES = {(None, "en", "turn of the lamp"): "turn off the lamp"}


@pytest.fixture
def root(tmp_path):
    publish(tmp_path / "artefact", RULES)
    return tmp_path / "artefact"


def lines(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_a_line_says_what_was_decided(root, tmp_path):
    rewriter, folder = Rewriter.open(root), tmp_path / "decisions"
    applied = rewriter.rewrite("Turn of the lamp", user_id="ann")
    left = rewriter.rewrite("hello \ud800", user_id=None)
    before = time.time_ns() // 1_000_000
    with DecisionLog(folder, artefact=root) as log:
        log.write(applied, user_id="ann", turn_id="t-1")
        log.write(left)
    one, other = lines(folder)
    ann = hash_user("ann", bytes.fromhex(current(root).manifest.user_key))
    assert before <= one.pop("ts_ms") <= time.time_ns() // 1_000_000
    assert one == {
        "rewrite_id": applied.id,
        "turn_id": "t-1",
        "user_id": ann,
        "utterance": "Turn of the lamp",
        "sent": "turn off the lamp",
        "reason": "rule",
        "rule": "r0",
        "layer": "precomputed",
        "scope": "global",
        "score": 0.0,
        "arm": applied.arm,
        "propensity": applied.propensity,
        "artefact": applied.artefact,
    }
    assert (other["sent"], other["user_id"], other["turn_id"], other["utterance"]) == (None, None, None, "hello ?")
    assert "ann" not in "".join(path.read_text() for path in folder.glob("*")).replace("lamp", "")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*")} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_many_threads_lose_nothing(root, tmp_path):
    answer = Rewriter.open(root).rewrite("turn of the lamp")
    with DecisionLog(tmp_path / "d", artefact=root) as log:

        def work(name):
            for i in range(300):
                log.write(answer, turn_id=f"{name}-{i}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {line["turn_id"] for line in lines(tmp_path / "d")} == {f"{n}-{i}" for n in range(4) for i in range(300)}
    assert log.dropped == 0


def test_a_full_queue_drops_and_counts(root, tmp_path, monkeypatch):
    answer, hold, begun = Rewriter.open(root).rewrite("x"), threading.Event(), threading.Event()
    write = decisions._write

    def slow(handle, raw):
        begun.set()
        hold.wait()
        write(handle, raw)

    monkeypatch.setattr(decisions, "_write", slow)
    log = DecisionLog(tmp_path / "d", artefact=root, room=3)
    log.write(answer, turn_id="first")
    begun.wait()
    for i in range(10):
        log.write(answer, turn_id=str(i))
    assert log.dropped == 7
    assert not log.flush(timeout=0.01)
    hold.set()
    log.close()
    assert [line["turn_id"] for line in lines(tmp_path / "d")] == ["first", "0", "1", "2"]
    log.write(answer)
    assert log.dropped == 8


@pytest.mark.parametrize("cuts_back", [True, False])
def test_a_disk_that_refuses_is_counted_and_leaves_no_torn_line_before_others(root, tmp_path, monkeypatch, caplog, cuts_back):
    """What was half written is cut off again; if that fails too, the next line begins a new file."""
    answer, write, cut = Rewriter.open(root).rewrite("x"), decisions._write, os.ftruncate
    log = DecisionLog(tmp_path / "d", artefact=root)
    log.write(answer, turn_id="before")
    assert log.flush()

    def full(handle, raw):
        os.write(handle, raw[: len(raw) // 2])
        raise OSError(28, "No space left on device")

    def refused(handle, size):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(decisions, "_write", full)
    monkeypatch.setattr(decisions.os, "ftruncate", cut if cuts_back else refused)
    log.write(answer, turn_id="lost")
    log.flush()
    monkeypatch.setattr(decisions, "_write", write)
    log.write(answer, turn_id="after")
    log.close()
    assert log.dropped == 1
    assert caplog.text.count("decisions are dropped") == 1
    first, *more = (path.read_text() for path in sorted((tmp_path / "d").glob("*.jsonl")))
    assert first.endswith("\n") == cuts_back
    kept = "".join([first, *more]).splitlines() if cuts_back else [first.splitlines()[0], *"".join(more).splitlines()]
    assert [json.loads(line)["turn_id"] for line in kept] == ["before", "after"]
    assert len(more) == (not cuts_back)


def test_files_end_by_size_and_by_day(root, tmp_path):
    answer = Rewriter.open(root).rewrite("x")
    files = decisions.DecisionFiles(tmp_path / "d", b"0" * 16, max_bytes=1)
    day = 86_400_000
    for ts_ms in (0, 1, day):
        files.append([decisions.Decision(answer, None, str(ts_ms), ts_ms)])
    names = sorted(path.name for path in (tmp_path / "d").glob("*"))
    assert [name[:10] for name in names] == ["1970-01-01", "1970-01-01", "1970-01-02"]
    assert [line["turn_id"] for line in lines(tmp_path / "d")] == ["0", "1", str(day)]


def _child(log, answer):
    log.write(answer, turn_id="child")
    log.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_writes_its_own_file(root, tmp_path):
    answer = Rewriter.open(root).rewrite("x")
    log = DecisionLog(tmp_path / "d", artefact=root)
    log.write(answer, turn_id="parent")
    assert log.flush()
    child = multiprocessing.get_context("fork").Process(target=_child, args=(log, answer))
    child.start()
    child.join()
    log.write(answer, turn_id="parent again")
    log.close()
    files = [[line["turn_id"] for line in map(json.loads, p.read_text().splitlines())] for p in (tmp_path / "d").glob("*")]
    assert sorted(files) == [["child"], ["parent", "parent again"]]


WRITES = """
import sys
from rewriter import DecisionLog, Rewriter
answer = Rewriter.open(sys.argv[1]).rewrite("turn of the lamp")
log = DecisionLog(sys.argv[2], artefact=sys.argv[1])
for i in range(int(sys.argv[3])):
    log.write(answer, turn_id=str(i))
    if i % 500 == 0:
        log.flush()
        print(i, flush=True)
"""


def test_what_a_kill_leaves_is_whole_but_for_the_last_line(root, tmp_path):
    run = subprocess.Popen([sys.executable, "-c", WRITES, str(root), str(tmp_path / "d"), "1000000"], stdout=subprocess.PIPE)
    for _ in range(3):
        assert run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    (path,) = (tmp_path / "d").glob("*.jsonl")
    found = path.read_text().split("\n")
    assert [json.loads(line)["turn_id"] for line in found[:1001]] == [str(i) for i in range(1001)]
    for line in found[:-1]:
        json.loads(line)


def test_a_process_that_ends_has_written_everything(root, tmp_path):
    subprocess.run([sys.executable, "-c", WRITES, str(root), str(tmp_path / "d"), "450"], check=True, stdout=subprocess.DEVNULL)
    assert len(lines(tmp_path / "d")) == 450


def test_what_is_opened_and_closed_leaves_no_thread_and_no_file(root, tmp_path):
    answer = Rewriter.open(root).rewrite("x")
    threads, files = threading.active_count(), sum(1 for _ in OPEN.iterdir())
    for i in range(300):
        with DecisionLog(tmp_path / "d", artefact=root) as log:
            log.write(answer, turn_id=str(i))
            assert i % 2 or log.flush()
        log.close()
        assert log.flush()
    assert (threading.active_count(), sum(1 for _ in OPEN.iterdir())) == (threads, files)
    assert {line["turn_id"] for line in lines(tmp_path / "d")} == set(map(str, range(300)))


def test_what_cannot_be_written_takes_nothing_with_it(root, tmp_path, monkeypatch):
    answer, hold, write = Rewriter.open(root).rewrite("x"), threading.Event(), decisions._write
    monkeypatch.setattr(decisions, "_write", lambda handle, raw: hold.wait() and write(handle, raw))
    log = DecisionLog(tmp_path / "d", artefact=root)
    for i in range(9):
        log.write(answer, turn_id=str(i), user_id=i)
        for odd in (None, "text", replace(answer, score=object()), replace(answer, rule={1}), replace(answer, reason=b"rule")):
            log.write(odd)
    hold.set()
    assert log.flush()
    log.close()
    assert [line["turn_id"] for line in lines(tmp_path / "d")] == list(map(str, range(9)))
    assert len({line["user_id"] for line in lines(tmp_path / "d")} - {None}) == 9
    assert log.dropped == 45


def test_flush_says_whether_the_disk_took_it(root, tmp_path, monkeypatch):
    def full(handle, *_):
        raise OSError(28, "No space left on device")

    answer, log = Rewriter.open(root).rewrite("x"), DecisionLog(tmp_path / "d", artefact=root)
    for name, where in (("_write", decisions), ("fsync", os)):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, full)
            log.write(answer)
            assert not log.flush()
        log.write(answer)
        assert log.flush()
    log.close()


def test_a_long_text_does_not_wait_in_the_queue(root, tmp_path):
    answer = Rewriter.open(root).rewrite("x" * 10**6)
    with DecisionLog(tmp_path / "d", artefact=root) as log:
        log.write(answer, user_id="u" * 10**6, turn_id="t" * 10**6)
    (line,) = lines(tmp_path / "d")
    assert (len(line["utterance"]), line["turn_id"], line["user_id"], line["reason"]) == (500, None, None, "too_long")
