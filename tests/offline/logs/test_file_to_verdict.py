"""From a file as it is to the verdict: `learn --check` finds out how it is laid out, and the command that it prints works."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import lamp_log
import pytest
from click.testing import CliRunner
from log_shapes import REFUSAL, SHAPES

from rewriter import Rewriter
from rewriter.cli import main
from rewriter.config import Logs
from rewriter.offline.logs.examine import examine
from rewriter.offline.logs.guess import propose
from rewriter.offline.logs.reader import check

ROWS = list(lamp_log.rows())
FAILED = sum(row["status"] == "failed" for row in ROWS)


def run(*args, cwd):
    done = subprocess.run([sys.executable, "-m", "rewriter.cli", *args], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(out, start):
    """The arguments of the command that stands behind a word, without the name of the program."""
    line = next(line for line in out.splitlines() if line.startswith(start))
    return shlex.split(line.removeprefix(start))[1:]


@pytest.mark.parametrize("name", ["nested.json", "day first.csv", "botpress.json", "transcript.txt"])
def test_the_printed_command_learns_the_rule(tmp_path, name):
    (tmp_path / name).write_text(SHAPES[name](ROWS), encoding="utf-8")
    out = run("learn", name, "--check", "--save-mapping", "log.toml", cwd=tmp_path)
    assert f"1 file, {len(ROWS)} rows: {len(ROWS)} turns of 10 users, 2026-01-05 to 2026-01-14" in out
    assert f"'{REFUSAL}' in status means failed" in out
    assert "as understood" in out
    learned = run(*printed(out, "learn:"), cwd=tmp_path)
    assert "learned version" in learned
    user = {"botpress.json": "user_ann"}.get(name, "ann")
    answer = Rewriter.open(tmp_path / "artefact").rewrite("Turn of the lamp", user_id=user)
    assert (answer.text, answer.applied) == ("turn off the lamp", True)
    again = run(*printed(out, "learn:"), cwd=tmp_path)
    assert "nothing new: all files were learned before" in again


def test_the_printed_command_tries_the_log(tmp_path):
    (tmp_path / "dialogflow.jsonl").write_text(SHAPES["dialogflow.jsonl"](ROWS), encoding="utf-8")
    out = run("learn", "dialogflow.jsonl", "--check", cwd=tmp_path)
    tried = run(*printed(out, "try it:"), cwd=tmp_path)
    assert "replayed" in tried
    assert "enough data? rules" in tried
    assert "--map utterance=response.queryResult.text" in next(line for line in tried.splitlines() if line.startswith("next: "))


@pytest.mark.parametrize("name", SHAPES)
def test_what_check_finds_reads_every_turn(tmp_path, name):
    path = tmp_path / name
    path.write_text(SHAPES[name](ROWS), encoding="utf-8")
    proposal = examine([path], {}).proposal
    report = check([path], config=Logs(), mapping=proposal.mapping)
    assert (report.turns, report.rejected, report.users) == (len(ROWS), {}, 10)
    assert proposal.lacks == ()
    sure = {guess.ours: guess.confidence for guess in proposal.guesses}
    assert min(sure["utterance"], sure["timestamp"]) > 0.5


def test_what_is_given_is_not_guessed_again(tmp_path):
    path = tmp_path / "nested.json"
    path.write_text(SHAPES["nested.json"](ROWS), encoding="utf-8")
    given = {"rows": "messages", "user_id": "customer.tier"}
    proposal = examine([path], given).proposal
    assert {**proposal.mapping, **given} == proposal.mapping
    assert "user_id" not in {guess.ours for guess in proposal.guesses}


def test_a_log_of_the_contract_needs_no_mapping(tmp_path):
    assert not examine([lamp_log.write(tmp_path / "log.jsonl")], {}).is_new
    out = CliRunner().invoke(main, ["learn", str(tmp_path / "log.jsonl"), "--check"]).stdout
    assert f"learn:   rewriter learn {tmp_path}/log.jsonl --out artefact" in out
    assert "seems to be laid out" not in out


def test_what_cannot_be_found_is_asked_for(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"who": r["user_id"], "what": r["utterance"]}) + "\n" for r in ROWS), encoding="utf-8")
    result = CliRunner().invoke(main, ["learn", str(path), "--check"])
    assert "column timestamp was not found; if it is there: --map timestamp=COLUMN" in result.stdout
    assert "has no column timestamp" in result.stderr
    assert result.exit_code == 1


def test_ambiguous_dates_are_asked_for_and_then_read(tmp_path):
    rows = [row for row in ROWS if row["timestamp"] < "2026-01-13"]
    path = tmp_path / "log.csv"
    path.write_text(SHAPES["day first.csv"](rows), encoding="utf-8")
    asked = CliRunner().invoke(main, ["learn", str(path), "--check"])
    assert "of which either number may be the day: add --dates day-first" in asked.stderr
    told = CliRunner().invoke(main, ["learn", str(path), "--check", "--dates", "day-first"])
    assert " of 10 users, 2026-01-05 to 2026-01-12" in told.stdout
    assert "--dates day-first" in next(line for line in told.stdout.splitlines() if line.startswith("learn:"))


HERE = Path(__file__).parent.parent.parent / "data" / "logs"


@pytest.mark.parametrize("name", ["botpress_messages.json", "dialogflow_cx.jsonl", "transcript.txt"])
def test_an_export_is_read_as_it_is(name):
    """Files in the shapes of real exports, written by hand: 18 turns of three people."""
    proposal = examine([HERE / name], {}).proposal
    report = check([HERE / name], config=Logs(), mapping=proposal.mapping)
    assert (report.turns, report.users, report.rejected) == (18, 3, {})
    assert "response" not in report.missing
    assert "status" not in report.missing


def test_users_who_take_turns_are_no_assistant():
    rows = [{"speaker": f"u{i % 3}", "time": 1767600000 + i, "text": f"turn on lamp {i % 4}"} for i in range(30)]
    assert propose(rows, {}).mapping == {"timestamp": "time", "utterance": "text", "user_id": "speaker"}
