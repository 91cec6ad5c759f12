"""The file of what users taught: whole after a kill, private, read at once by all, and without a trace of who was forgotten."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from rewriter.artefact import taught as module
from rewriter.artefact.taught import FILE, TaughtLesson, TaughtStore
from rewriter.errors import ArtefactError

TEACH = """
import os, signal, sqlite3, sys
from pathlib import Path
from rewriter.artefact.taught import FILE, TaughtLesson, TaughtStore

left, connect = [int(sys.argv[2])], sqlite3.connect

def step():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(*args, **kwargs):
    con = connect(*args, **kwargs)
    con.set_progress_handler(step, 1)
    return con

sqlite3.connect = watched
taught = TaughtStore(Path(sys.argv[1]) / FILE)
for n in range(3):
    taught.teach(TaughtLesson("5f", f"words {n}", "en", f"{n}", "5f", ("turn on the tv",), "", n), most=9)
    print(n, flush=True)
"""
"""Teaches three lessons, says so of each, and dies at a certain instruction of the database, with whatever is on the disk."""


def lesson(owner="5f", said="movie time", *, author="5f", steps=("turn on the tv",), locale="en", n=1):
    return TaughtLesson(owner, said, locale, f"{owner}-{said}-{locale}", author, steps, "", n)


def test_a_lesson_is_kept_replaced_and_removed(tmp_path):
    path = tmp_path / "state" / FILE
    one, other = TaughtStore(path), TaughtStore(path)
    assert (one.lessons_on("5f", "movie time"), one.lessons("5f"), one.unteach("x"), one.forget(["5f"])) == ([], [], False, 0)
    assert not path.exists(), "asking makes no file"
    assert one.teach(lesson(), most=2)
    assert other.lessons_on("5f", "movie time") == [lesson()]
    assert one.teach(lesson(steps=("a", "b")), most=2)
    assert [found.steps for found in other.lessons("5f")] == [("a", "b")]
    assert other.lessons_on("60", "movie time") == other.lessons_on("5f", "movie") == []
    assert other.unteach(lesson().id)
    assert not one.unteach(lesson().id)
    assert one.lessons("5f") == []


def test_a_user_has_no_more_lessons_than_there_is_room_for(tmp_path):
    taught = TaughtStore(tmp_path / FILE)
    assert [taught.teach(lesson(said=f"words {n}"), most=2) for n in range(3)] == [True, True, False]
    assert taught.teach(lesson(said="words 1", steps=("new",)), most=2), "one in the place of another needs no room"
    assert taught.teach(lesson(owner="60"), most=2), "others have room of their own"
    assert {found.said: found.steps for found in taught.lessons("5f")} == {"words 0": ("turn on the tv",), "words 1": ("new",)}


def test_only_the_owner_reads_the_file(tmp_path):
    path, umask = tmp_path / "state" / FILE, os.umask(0)
    try:
        TaughtStore(path).teach(lesson(), most=9)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_of_who_is_forgotten_is_left_in_a_byte(tmp_path):
    taught = TaughtStore(tmp_path / FILE)
    for n in range(20):
        for owner in ("aa" * 16, "bb" * 16):
            said = f"the secret words of {owner[:2]} number {n}"
            taught.teach(lesson(owner, said, author=owner, steps=(f"a secret thing of {owner[:2]}",)), most=99)
    taught.teach(lesson("cc" * 16, "bedtime", author="aa" * 16), most=99)
    assert taught.forget(["aa" * 16]) == 21, "her own, and what she taught for a household"
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"aa" * 16 not in raw
    assert b"of aa" not in raw
    assert raw.count(b"the secret words of bb") >= 20
    assert len(taught.lessons("bb" * 16)) == 20


@pytest.mark.parametrize("n", [1, 40, 80, 150, 200, 250, 300, 400])
def test_a_kill_loses_nothing_that_was_told(tmp_path, n):
    done = subprocess.run([sys.executable, "-c", TEACH, str(tmp_path), str(n)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    told, found = done.stdout.split(), TaughtStore(tmp_path / FILE).lessons("5f")
    assert [each.id for each in found][: len(told)] == told
    assert len(found) <= len(told) + 1
    assert all(each.steps == ("turn on the tv",) for each in found)
    assert TaughtStore(tmp_path / FILE).teach(lesson(), most=9)


def test_many_threads_write_and_read(tmp_path):
    taught = TaughtStore(tmp_path / FILE)

    def teach(owner):
        for n in range(5):
            taught.teach(lesson(owner, f"words {n}"), most=9)
            assert taught.lessons_on(owner, f"words {n}")

    threads = [threading.Thread(target=teach, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(taught.lessons(f"u{n}")) for n in range(4)] == [5] * 4


def test_another_file_in_its_place_is_read(tmp_path):
    one, other = TaughtStore(tmp_path / FILE), TaughtStore(tmp_path / "other")
    one.teach(lesson(), most=9)
    other.teach(lesson(steps=("play jazz",)), most=9)
    assert one.lessons("5f")[0].steps == ("turn on the tv",)
    (tmp_path / "other").replace(tmp_path / FILE)
    assert one.lessons("5f")[0].steps == ("play jazz",)


def test_a_damaged_file_is_passed_over_and_named_when_written(tmp_path, caplog):
    path = tmp_path / FILE
    path.write_bytes(b"no database at all" * 100)
    taught = TaughtStore(path)
    assert taught.lessons_on("5f", "movie time") == taught.lessons("5f") == []
    assert len(caplog.messages) == 1
    with pytest.raises(ArtefactError, match=r"taught.db: .*not a database"):
        taught.teach(lesson(), most=9)


def test_rows_that_are_none_of_ours_are_passed_over(tmp_path):
    taught = TaughtStore(tmp_path / FILE)
    taught.teach(lesson(), most=9)
    with taught._writing() as edit:
        for n, odd in enumerate(["", "[]", "[5]", "{}", '"x"', "[" * 10_000]):
            edit.execute("INSERT INTO lessons VALUES ('5f', ?, 'en', ?, '', ?, '', 0)", (f"odd {n}", f"{n}", odd))
    assert [found.said for found in taught.lessons("5f")] == ["movie time"]


def test_a_fork_closes_what_is_open(tmp_path):
    taught = TaughtStore(tmp_path / FILE)
    taught.teach(lesson(), most=9)
    assert taught.lessons("5f")
    module._close_before_fork()
    module._using.release()
    assert taught.lessons("5f") == [lesson()]
