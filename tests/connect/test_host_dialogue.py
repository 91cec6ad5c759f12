"""What every host shares: rewriting before and after the NLU, undo by complaint, and the turns that it keeps."""

import json
import os
import shutil
import signal
import subprocess
import sys

import lamp_log
import pytest

from rewriter.connect.dialogue import UNDO_WITHIN, Dialogue, TurnLog, row
from rewriter.offline.learn import learn

WRONG, RIGHT = "turn of the lamp", "turn off the lamp"


class Clock:
    now = 1767600000.0

    def __call__(self):
        return self.now


def kept(folder):
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(small, tmp_path):
    shutil.copytree(small, tmp_path / "artefact")
    return tmp_path


def test_before_the_nlu_and_after_its_refusal(folder):
    talk = Dialogue(folder / "artefact", folder / "turns")
    before, spoken = (
        talk.hear(WRONG, user_id="ann"),
        talk.begin(WRONG, user_id="ben", nbest=["turn up"], context={"room": "bath"}),
    )
    after = talk.retry(spoken)
    assert (before.text, spoken.text, after.text) == (RIGHT, WRONG, RIGHT)
    assert (before.rewritten, spoken.rewritten, after.rewritten) == (True, False, True)
    assert after.id == spoken.id
    assert talk.retry(before) is before, "what was rewritten is not asked a third time"
    for turn in (before, after):
        talk.end(turn, "ok", hypothesis=lamp_log.OFF, barge_in=None)
    talk.close()
    first, second = kept(folder / "turns")
    assert first["sent"] == second["sent"] == RIGHT
    assert (second["user_id"], second["nbest"], second["context"]) == ("ben", ["turn up"], {"room": "bath"})
    assert first["rewrite_id"] == before.answer.id
    assert "barge_in" not in first


def test_the_turns_are_a_log_of_the_contract(folder):
    talk = Dialogue(folder / "artefact", folder / "turns")
    for user in ("ann", "kim"):
        talk.end(talk.hear(WRONG, user_id=user), "ok", hypothesis=lamp_log.OFF)
    talk.close()
    report = learn([folder / "turns"], out=folder / "artefact")
    assert (report.log.turns, report.log.rejected) == (2, {})


def test_a_complaint_undoes_the_rewrite_just_before_it(folder):
    clock = Clock()
    talk = Dialogue(folder / "artefact", now=clock)

    def heard(text, user, after=1.0):
        clock.now += after
        return talk.hear(text, user_id=user).text

    assert heard(WRONG, "ann") == RIGHT
    heard("That's not what I meant!", "ann", after=UNDO_WITHIN + 1)
    assert heard(WRONG, "ann") == RIGHT, "too late"
    heard("that's wrong", "ben")
    assert heard(WRONG, "ann") == RIGHT, "somebody else complained"
    heard(RIGHT, "ann")
    heard("that's wrong", "ann")
    assert heard(WRONG, "ann") == RIGHT, "the complaint was about the turn between them"
    heard("that's wrong", "ann")
    assert heard(WRONG, "ann") == WRONG
    assert heard(WRONG, "ben") == RIGHT
    assert talk.undo("ann") is False


def test_without_an_artefact_requests_pass_and_are_kept(folder, monkeypatch):
    talk = Dialogue(folder / "none", folder / "turns")
    turn = talk.retry(talk.hear(WRONG, user_id="ann"))
    talk.end(turn, "failed")
    assert (turn.text, turn.answer, talk.complains("that's wrong")) == (WRONG, None, False)
    (folder / "artefact").rename(folder / "none")
    assert talk.hear(WRONG, user_id="ann").text == WRONG, "it looks again in a while"
    monkeypatch.setattr(talk, "_next_look", 0.0)
    assert talk.hear(WRONG, user_id="ann").text == RIGHT
    talk.close()
    assert [line["status"] for line in kept(folder / "turns")] == ["failed"]


def test_a_file_gets_its_name_when_it_is_closed(tmp_path):
    log = TurnLog(tmp_path / "turns", Clock())
    log.write({"utterance": "é"})
    (path,) = (tmp_path / "turns").iterdir()
    assert path.name.startswith(".20260105T080000-")
    assert path.stat().st_mode & 0o777 == 0o600
    TurnLog(tmp_path / "turns")
    assert path.exists(), "it is being written"
    log.close()
    (named,) = (tmp_path / "turns").iterdir()
    assert named.name == path.name[1:]
    log.write({"utterance": "b"})
    log.close()
    assert len(kept(tmp_path / "turns")) == 2


def test_what_a_killed_process_left_gets_its_name(tmp_path):
    code = "import sys, time; from pathlib import Path; from rewriter.connect.dialogue import TurnLog\n"
    code += "TurnLog(Path(sys.argv[1])).write({1: 1}); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "turns")], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [path.name[0] for path in (tmp_path / "turns").iterdir()] == ["."]
    TurnLog(tmp_path / "turns")
    assert [path.name[0] for path in (tmp_path / "turns").iterdir()] == ["2"]


def test_no_request_fails_because_of_its_record(folder, caplog):
    (folder / "turns").write_text("a file", encoding="utf-8")
    talk = Dialogue(folder / "artefact", folder / "turns")
    turn = talk.hear(WRONG, user_id="ann")
    talk.end(turn, "ok", hypothesis=object())
    talk.end(turn, "ok")
    talk.close()
    assert turn.text == RIGHT
    assert "turns are not kept in" in caplog.text
    assert os.fspath(folder) in caplog.text
    assert row(turn)["utterance"] == WRONG
