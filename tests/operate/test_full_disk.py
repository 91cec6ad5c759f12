"""A full disk: one line, and the version before serves on; with room again everything works.

The disk is a real one, a `tmpfs` of a few megabytes. Mounting one needs root; elsewhere these tests are skipped.
"""

import json
import shutil
import subprocess
from contextlib import closing

import lamp_log
import pytest

from rewriter import DecisionLog, Rewriter
from rewriter.artefact.versions import current, current_id, verify
from rewriter.errors import RewriterError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.offline.rules.assess import rule_id
from rewriter.operate.forget import forget
from rewriter.operate.review import decide
from rewriter.result import Rewrite

SOURCE, TARGET = "turn of the lamp", "turn off the lamp"
MORE = {"user_id": "new", "timestamp": "2026-02-01T08:00:00Z", "utterance": TARGET, "hypothesis": lamp_log.OFF, "status": "ok"}


@pytest.fixture
def disk(tmp_path, lamp):
    """A disk with an artefact on it and some room; `fill` takes the room, `free` gives it back."""
    mount = tmp_path / "disk"
    mount.mkdir()
    size = sum(path.stat().st_size for path in lamp[0].rglob("*") if path.is_file()) + 8 * 2**20
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        shutil.copytree(lamp[0], mount / "artefact", symlinks=True)
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(disk, left=0):
    """Take all room but some bytes."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        block = b"x" * 4096
        try:
            while True:
                file.write(block)
        except OSError:
            file.truncate(max(0, file.tell() - left) // 4096 * 4096)


def more(tmp_path):
    path = tmp_path / "more.jsonl"
    path.write_text(json.dumps(MORE) + "\n", encoding="utf-8")
    return path


USES = {
    "learn": lambda root, tmp: learn([more(tmp)], out=root, detector=RuleDetector()),
    "learn afresh": lambda root, tmp: learn([more(tmp)], out=root, detector=RuleDetector(), afresh=True),
    "forget": lambda root, tmp: forget("ann", root),
    "review": lambda root, tmp: decide(root, "approve", [rule_id("", "en", SOURCE, TARGET)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 1 << 18])
@pytest.mark.parametrize("use", USES)
def test_what_writes_says_one_line_and_the_version_before_serves_on(disk, tmp_path, use, left, record_property):
    record_property("commands on a full disk", 1)
    root = disk / "artefact"
    before, served = current_id(root), Rewriter.open(root)
    fill(disk, left)
    try:
        USES[use](root, tmp_path)
    except RewriterError as error:
        assert "\n" not in str(error)
        assert "space" in str(error)
        assert current_id(root) == before
    else:
        assert left, "there was no room at all"
    verify(current(root))
    for process in (served, Rewriter.open(root)):
        assert process.rewrite(SOURCE, user_id="ben").text == TARGET
    (disk / "ballast").unlink()
    USES[use](root, tmp_path)
    verify(current(root))
    assert Rewriter.open(root).rewrite(SOURCE, user_id="ben").text == (SOURCE if use == "learn afresh" else TARGET)


def test_calls_go_on_and_what_could_not_be_written_is_said(disk, tmp_path):
    """The decision log says so at the flush; an undo is refused in one line, and can be repeated once there is room."""
    root = disk / "artefact"
    served = Rewriter.open(root)
    with closing(DecisionLog(disk / "decisions", artefact=root)) as log:
        answer = served.rewrite(SOURCE, user_id="ben")
        log.write(answer, user_id="ben")
        assert log.flush()
        fill(disk)
        for _ in range(200):
            answer = served.rewrite(SOURCE, user_id="ben")
            assert isinstance(answer, Rewrite)
            log.write(answer, user_id="ben")
        assert not log.flush()
        for refused in (lambda: served.feedback(answer.id, -1, "ben"), lambda: served.teach("zap", TARGET, user_id="ben")):
            with pytest.raises(RewriterError) as raised:
                refused()
            assert "\n" not in str(raised.value)
        assert served.rewrite(SOURCE, user_id="ben").text == TARGET
        (disk / "ballast").unlink()
        served.feedback(answer.id, -1, "ben")
        assert served.rewrite(SOURCE, user_id="ben").text == SOURCE
        assert served.rewrite(SOURCE, user_id="cem").text == TARGET
        served.teach("zap", TARGET, user_id="ben")
        assert served.rewrite("zap", user_id="ben").text == TARGET
        log.write(answer, user_id="ben")
        assert log.flush()
    (file,) = (disk / "decisions").glob("*.jsonl")  # a disk that stays full is not filled with new files, and no line is torn
    kept = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert 2 <= len(kept) == 202 - log.dropped < 202
