"""An undo teaches at once: that user, that rewrite, every process; and nobody else."""

import json
import stat
import subprocess
import sys
import threading

import pytest
from published import publish

from rewriter import Rewriter
from rewriter.errors import ArtefactError, RequestError
from rewriter.online.overlay import Overlay, mark_of

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


def test_what_is_half_written_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "feedback.jsonl"
    line = json.dumps({"user_id": "u", "rewrite_id": f"x-1-{mark_of('a', 'b')}", "value": -1}) + "\n"
    overlay = Overlay(path)
    assert overlay.undone_by_user("u") == frozenset()
    path.write_text('no line\n{"user_id": 5}\n' + line[:30])
    assert overlay.undone_by_user("u") == frozenset()
    path.write_text('no line\n{"user_id": 5}\n' + line)
    assert overlay.undone_by_user("u") == {mark_of("a", "b")}
    assert overlay.refuses("u", mark_of("a", "b"))
    assert not overlay.refuses("u", mark_of("b", "a"))
    assert not overlay.refuses("v", mark_of("a", "b"))
    assert not overlay.refuses("", mark_of("a", "b"))


def test_many_writers(tmp_path):
    overlay = Overlay(tmp_path / "feedback.jsonl")

    def say(user):
        for i in range(40):
            overlay.add(user, f"x-1-{mark_of(str(i), 'b')}", -1)
            overlay.undone_by_user(user)

    threads = [threading.Thread(target=say, args=(f"u{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        assert overlay.undone_by_user(f"u{n}") == {mark_of(str(i), "b") for i in range(40)}


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
