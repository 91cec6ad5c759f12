"""An undo teaches at once: that user, that rewrite, every process; and nobody else."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import lmdb
import pytest
from published import publish

from rewriter import Rewriter
from rewriter.artefact.feedback import last_words, parse, without
from rewriter.artefact.versions import current
from rewriter.errors import ArtefactError, RequestError
from rewriter.online import overlay as overlay_module
from rewriter.online.overlay import MAX_A_DAY, Overlay, mark_of
from rewriter.text import hash_user

LAMP, OFF = "turn of the lamp", "turn off the lamp"


@pytest.fixture
def root(tmp_path):
    publish(tmp_path, {(None, "en", LAMP): OFF, (None, "en", "lamp of"): OFF, ("ann", "en", "my mess"): "my mix"})
    return tmp_path


def test_an_undo_holds_from_the_next_call_on_for_this_user_and_this_rewrite(root):
    rewriter, other = Rewriter.open(root), Rewriter.open(root)
    answer = rewriter.rewrite(LAMP, user_id="ann")
    assert answer.applied
    rewriter.feedback(answer.id, -1, "ann")
    for process in (rewriter, other):
        assert (process.rewrite(LAMP, user_id="ann").reason, process.rewrite(LAMP, user_id="ann").text) == (
            "undone_by_user",
            LAMP,
        )
        assert process.rewrite("lamp of", user_id="ann").applied
        assert process.rewrite("my mess", user_id="ann").applied
        assert process.rewrite(LAMP, user_id="ben").applied
        assert process.rewrite(LAMP).applied


def test_the_last_word_counts(root):
    rewriter = Rewriter.open(root)
    answer = rewriter.rewrite(LAMP, user_id="ann")
    for value, applied in ((-1, False), (1, True), (-1, False), (0, True)):
        rewriter.feedback(answer.id, value, "ann")
        assert rewriter.rewrite(LAMP, user_id="ann").applied is applied


def test_it_outlives_the_version_and_the_process(root):
    answer = Rewriter.open(root).rewrite("my mess", user_id="ann")
    Rewriter.open(root).feedback(answer.id, -1, "ann")
    publish(root, {(None, "en", "my mess"): "my mix"})
    ask = "import sys; from rewriter import Rewriter; print(Rewriter.open(sys.argv[1]).rewrite('my mess', user_id='ann').reason)"
    done = subprocess.run([sys.executable, "-c", ask, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout == "undone_by_user\n"


def test_the_file_is_private_and_names_nobody(root):
    rewriter = Rewriter.open(root)
    rewriter.feedback(rewriter.rewrite(LAMP, user_id="ann").id, -1, "ann")
    path = root / "state" / "feedback.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "ann" not in path.read_text()
    assert json.loads(path.read_text())["value"] == -1


def test_a_file_that_was_cut_is_read_anew(root):
    rewriter = Rewriter.open(root)
    for text in (LAMP, "lamp of"):
        rewriter.feedback(rewriter.rewrite(text, user_id="ann").id, -1, "ann")
        assert not rewriter.rewrite(text, user_id="ann").applied
    path = root / "state" / "feedback.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[1])
    assert rewriter.rewrite(LAMP, user_id="ann").applied
    assert not rewriter.rewrite("lamp of", user_id="ann").applied
    path.unlink()
    assert rewriter.rewrite("lamp of", user_id="ann").applied


def line_of(user, mark, value=-1, ts_ms=1_000):
    return json.dumps({"user_id": user, "rewrite_id": f"x-1-{mark}", "value": value, "ts_ms": ts_ms}) + "\n"


def test_what_is_half_written_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "feedback.jsonl"
    line = line_of("u", mark_of("a", "b"))
    overlay = Overlay(path)
    assert not overlay.refuses("u", mark_of("a", "b"))
    path.write_text('no line\n{"user_id": 5}\n' + line[:30])
    assert not overlay.refuses("u", mark_of("a", "b"))
    path.write_text('no line\n{"user_id": 5}\n' + line)
    assert overlay.refuses("u", mark_of("a", "b"))
    assert not overlay.refuses("u", mark_of("b", "a"))
    assert not overlay.refuses("v", mark_of("a", "b"))
    assert not overlay.refuses("", mark_of("a", "b"))


def test_many_writers(tmp_path):
    overlay = Overlay(tmp_path / "feedback.jsonl")

    def say(user):
        for i in range(40):
            overlay.add(user, f"x-1-{mark_of(str(i), 'b')}", -1, 0)
            assert overlay.refuses(user, mark_of(str(i), "b"))

    threads = [threading.Thread(target=say, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reader in (overlay, Overlay(tmp_path / "feedback.jsonl")):
        assert all(reader.refuses(f"u{n}", mark_of(str(i), "b")) for n in range(4) for i in range(40))


@pytest.mark.parametrize(
    ("value", "user"),
    [(2, "ann"), (True, "ann"), (1.0, "ann"), (None, "ann"), (-1, ""), (-1, None), (-1, True), (-1, b"ann"), (-1, 10**50)],
)
def test_what_is_no_feedback_is_refused(root, value, user):
    rewriter = Rewriter.open(root)
    with pytest.raises(RequestError, match=r"^feedback "):
        rewriter.feedback(rewriter.rewrite(LAMP, user_id="ann").id, value, user)
    assert not (root / "state" / "feedback.jsonl").exists()


@pytest.mark.parametrize(
    "made_up", ["x-1", "", "0123456789abcdef-1", "0123456789abcdef-1-01234567-0123456789ab", None, 5, "{real}0"]
)
def test_a_decision_that_nobody_took_is_refused(root, made_up):
    rewriter = Rewriter.open(root)
    real = rewriter.rewrite(LAMP, user_id="ann").id
    for one in (made_up, real[:-1], real[:-13]):
        with pytest.raises(RequestError, match=r"^feedback "):
            rewriter.feedback(one.format(real=real) if isinstance(one, str) else one, -1, "ann")
    assert not (root / "state" / "feedback.jsonl").exists()


def test_users_may_be_numbers(root):
    publish(root, {("5", "en", LAMP): OFF})
    rewriter = Rewriter.open(root)
    answer = rewriter.rewrite(LAMP, user_id=5)
    assert answer.text == OFF
    rewriter.feedback(answer.id, -1, user_id=5)
    assert [rewriter.rewrite(LAMP, user_id=user).reason for user in (5, "5", 6)] == [
        "undone_by_user",
        "undone_by_user",
        "no_rule",
    ]


def test_a_disk_that_refuses_is_one_line(root):
    (root / "file").write_text("")
    rewriter = Rewriter.open(root, feedback=root / "file" / "feedback.jsonl")
    answer = rewriter.rewrite(LAMP, user_id="ann")
    assert answer.applied
    with pytest.raises(ArtefactError, match="cannot write"):
        rewriter.feedback(answer.id, -1, "ann")


# The file, whatever happened to it


def test_a_short_write_loses_only_itself(root, monkeypatch):
    rewriter, write, path = Rewriter.open(root), os.write, root / "state" / "feedback.jsonl"
    lamp, mess = rewriter.rewrite(LAMP, user_id="ann"), rewriter.rewrite("my mess", user_id="ann")
    rewriter.feedback(mess.id, -1, "ann")

    def full(handle, raw):
        write(handle, raw[: len(raw) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ArtefactError, match="No space left"):
        rewriter.feedback(lamp.id, -1, "ann")
    monkeypatch.setattr(os, "write", write)
    assert path.read_text().endswith("\n")
    path.write_text(path.read_text() + '{"user_id": "torn by a ki')
    rewriter.feedback(lamp.id, -1, "ben")
    assert [rewriter.rewrite(LAMP, user_id=user).applied for user in ("ann", "ben")] == [True, False]
    assert not rewriter.rewrite("my mess", user_id="ann").applied
    assert [parse(line) is not None for line in path.read_bytes().splitlines()] == [True, False, True]


ODD = [
    "", "null", "5", "[]", "{}", '{"user_id": ["u"]}', "[" * 100_000, "\x00", "\ufeff{}", '"' * 3_000, '{"user_id": {}}',
    line_of(["u"], "m"), line_of({"u": 1}, "m"), line_of("u", "m", True), line_of("u", "m", 1.0), line_of("u", "m", "-1"),
    line_of("u", "m", -1, "1"), line_of("u", "m", -1, None), line_of("u", "m", -1, 10**30), line_of("u", "m", -7),
    line_of("", "m"), json.dumps({"user_id": "u", "rewrite_id": 5, "value": -1, "ts_ms": 1}), line_of("u\n", "m"),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_line_that_is_none_of_ours_says_nothing_to_anybody(tmp_path, odd):
    path = tmp_path / "feedback.jsonl"
    path.write_text(line_of("u", "a") + odd.strip() + "\n" + line_of("u", "b"))
    assert [Overlay(path).refuses("u", mark) for mark in "abm"] == [True, True, False]
    assert last_words(path) == {("u", "x-1-a"): -1, ("u", "x-1-b"): -1}


def test_serving_and_learning_agree_on_the_last_word_whatever_the_clock_says(root):
    clock = [3_000.0]
    rewriter = Rewriter.open(root, now=lambda: clock[0])
    answer, path = rewriter.rewrite(LAMP, user_id="ann"), root / "state" / "feedback.jsonl"
    for value, applied in ((-1, False), (1, True), (-1, False), (1, True)):
        clock[0] -= 500.0
        rewriter.feedback(answer.id, value, "ann")
        assert list(last_words(path).values()) == [value]
        assert rewriter.rewrite(LAMP, user_id="ann").applied is applied
    lines = [line_of("u", "m", -1, 7), line_of("u", "m", 1, 5), line_of("u", "n", -1, 5), line_of("u", "n", 1, 5)]
    path.write_text("".join(lines))  # by hand: the later by time, then by place
    assert last_words(path) == {("u", "x-1-m"): -1, ("u", "x-1-n"): 1}
    assert [Overlay(path).refuses("u", mark) for mark in "mn"] == [True, False]


def test_one_user_cannot_fill_the_disk(root):
    clock = [0.0]
    rewriter = Rewriter.open(root, now=lambda: clock[0])
    answer = rewriter.rewrite(LAMP, user_id="ann")
    for _ in range(MAX_A_DAY):
        rewriter.feedback(answer.id, -1, "ann")
    with pytest.raises(RequestError, match="words a day"):
        Rewriter.open(root, now=lambda: clock[0]).feedback(answer.id, 1, "ann")
    rewriter.feedback(answer.id, -1, "ben")
    clock[0] += 86_400
    rewriter.feedback(answer.id, 1, "ann")
    assert len((root / "state" / "feedback.jsonl").read_text().splitlines()) == MAX_A_DAY + 2


def test_each_line_is_read_once_by_all(tmp_path, monkeypatch):
    path, read = tmp_path / "feedback.jsonl", []
    path.write_text("".join(line_of(f"u{i}", "m") for i in range(500)))
    monkeypatch.setattr(overlay_module, "parse", lambda line: read.append(line) or parse(line))
    overlays = [Overlay(path) for _ in range(3)]
    for i in range(5):
        overlays[i % 3].add(f"v{i}", "x-1-m", -1, 0)
        assert all(overlay.refuses(f"v{i}", "m") and overlay.refuses("u7", "m") for overlay in overlays)
    assert len(read) == 505


def test_a_file_that_was_edited_and_grew_is_read_anew(tmp_path):
    path = tmp_path / "feedback.jsonl"
    path.write_text(line_of("u", "a") + line_of("u", "b"))
    overlay = Overlay(path)
    path.write_text(line_of("u", "c") + line_of("u", "d") + line_of("u", "e"))
    assert [overlay.refuses("u", mark) for mark in "abcde"] == [False, False, True, True, True]


def test_users_given_as_hashes_are_hashed_once(root):
    by_name, by_hash = Rewriter.open(root), Rewriter.open(root, hashed=True)
    ann = hash_user("ann", bytes.fromhex(current(root).manifest.user_key))
    by_hash.feedback(by_hash.rewrite(LAMP, user_id=ann).id, -1, ann)
    assert by_name.rewrite(LAMP, user_id="ann").reason == by_hash.rewrite(LAMP, user_id=ann).reason == "undone_by_user"
    assert json.loads((root / "state" / "feedback.jsonl").read_text())["user_id"] == ann


def test_forgetting_loses_no_line_of_others(tmp_path):
    path, overlay = tmp_path / "feedback.jsonl", Overlay(tmp_path / "feedback.jsonl")

    def say(user):
        for i in range(30):
            overlay.add(user, f"x-1-{i}", -1, 0)

    threads = [threading.Thread(target=say, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    gone = 0
    while any(thread.is_alive() for thread in threads):
        gone += without(path, "u0")
    gone += without(path, "u0")
    assert gone == 30
    assert all(overlay.refuses(f"u{n}", str(i)) == (n > 0) for n in range(4) for i in range(30))


def break_index(monkeypatch, how, overlay):
    """Let what an index needs fail from now on."""

    def fail(*_, **__):
        raise {"folder": OSError(30, "read-only file system"), "full": lmdb.MapFullError("map is full")}[how]

    if how == "folder":
        monkeypatch.setattr(overlay_module, "_index_of", fail)
    elif how == "full":
        monkeypatch.setattr(overlay_module, "_extend", fail)
    elif how == "look-up":
        whole = overlay_module._transaction
        monkeypatch.setattr(overlay_module, "_extend", lambda index, path: overlay_module._seen(path.stat()))
        monkeypatch.setattr(overlay_module, "_transaction", lambda index, **edit: whole("/dev/null/none", **edit))
    else:  # the index is removed, and a process opens it again
        Path(overlay._index).unlink()
        overlay_module._close_before_fork()
        overlay_module._using.release()


@pytest.mark.parametrize("how", ["folder", "full", "look-up", "removed"])
def test_undos_hold_without_an_index(tmp_path, monkeypatch, caplog, how):
    path = tmp_path / "feedback.jsonl"
    path.write_text(line_of("u", "a"))
    overlay = Overlay(path)
    assert overlay.refuses("u", "a")
    break_index(monkeypatch, how, overlay)
    assert overlay.refuses("u", "a")
    overlay.add("u", "x-1-b", -1, 0)
    overlay.add("u", "x-1-a", 1, 0)
    for each in (overlay, Overlay(path)):
        assert [each.refuses("u", mark) for mark in "abc"] == [False, True, False]
        assert not each.refuses("v", "b")
    assert sum("undos are looked up in its last" in line for line in caplog.messages) <= 2, "one warning of each overlay"
    with pytest.raises(RequestError, match="words a day"):
        for _ in range(MAX_A_DAY + 1):
            overlay.add("u", "x-1-c", -1, 0)


def test_without_an_index_memory_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "feedback.jsonl"
    path.write_text("".join(line_of(f"u{i}", "m") for i in range(1_000)))
    monkeypatch.setattr(overlay_module, "_MAX_IN_MEMORY", 10_000)
    break_index(monkeypatch, "folder", None)
    overlay = Overlay(path)
    assert overlay.refuses("u999", "m")
    assert len(overlay._memory) < 300  # two entries a word
