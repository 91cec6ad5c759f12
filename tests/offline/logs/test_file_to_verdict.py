"""From a file as it is to the verdict: `learn --check` finds out how it is laid out, and the command that it prints works."""

import contextlib
import json
import shlex
from pathlib import Path

import lamp_log
import pytest
from click.testing import CliRunner
from log_shapes import REFUSAL, SHAPES

from rewriter import Rewriter
from rewriter.cli import main
from rewriter.codes import Lack
from rewriter.config import Config, Logs
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.offline.logs.examine import examine
from rewriter.offline.logs.guess import propose
from rewriter.offline.logs.reader import check
from rewriter.offline.logs.report import COSTS
from rewriter.offline.verdict import forecast

ROWS = list(lamp_log.rows())
FAILED = sum(row["status"] == "failed" for row in ROWS)


def run(*args, cwd):
    """What the command prints; in this process, as its packages take a second to import."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
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


def test_check_names_what_is_not_used_what_was_said_and_how_to_keep_it(tmp_path):
    rows = [
        {"who": {"id": row["user_id"]}, "at": row["timestamp"], "said": {"text": row["utterance"], "size": 3}, "liked": "👍"}
        for row in ROWS
    ]
    (tmp_path / "home.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = run("learn", "home.jsonl", "--check", "--map", "feedback=liked", "--map", "feedback.👍=1", cwd=tmp_path)
    assert "\nnot used: said.size\n" in out
    assert "\nfeedback is liked, as was said\n" in out
    assert "\nshorter: --check --save-mapping FILE.toml keeps these pairs, then --mapping FILE.toml is enough\n" in out


def test_the_printed_command_tries_the_log(tmp_path):
    (tmp_path / "dialogflow.jsonl").write_text(SHAPES["dialogflow.jsonl"](ROWS), encoding="utf-8")
    out = run("learn", "dialogflow.jsonl", "--check", cwd=tmp_path)
    tried = run(*printed(out, "try it:"), cwd=tmp_path)
    assert "replayed" in tried
    assert "is the data enough?\nrules: " in tried
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
    assert min(sure.get("utterance", 1), sure.get("timestamp", 1)) > 0.5


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
    assert "no column looks like timestamp; name it, such as --map timestamp=COLUMN" in result.stderr
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


def asked(*columns, users=(), texts=4):
    """Rows with a time, a request and further columns, (name, values that come back in turn); names of users come in runs."""
    return [
        {"at": 1767600000 + 9 * i, "said": f"turn on lamp {i % texts}", **{name: of[i // 2 % len(of)] for name, of in columns}}
        | ({"who": users[i // 5 % len(users)]} if users else {})
        for i in range(60)
    ]


@pytest.mark.parametrize(
    "column",
    [
        ("status_code", ["200", "404", "500", "503", "408"]),
        ("state", ["NEW", "DONE", "LATE", "LOST"]),
        ("outcome", ["success", "failure"]),
        ("x", ["ok", "failed", "error", "fallback"]),
        ("language", ["en", "de", "fr", "it"]),
        ("intentName", ["Intent.Play", "Intent.Stop", "Intent.Lamp", "Intent.Time"]),
        ("deviceType", ["phone", "tv", "watch", "car"]),
    ],
    ids=lambda column: column[0],
)
def test_what_says_what_else_it_is_is_no_user(column):
    found = propose(asked(column), {})
    assert found.mapping.get("user_id") is None
    assert found.lacks == ("user_id",)
    assert propose(asked(column, users=["ann", "ben", "cleo"]), {}).mapping["user_id"] == "who"


def test_a_weak_guess_is_called_weak(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row | {"zz": f"a{i % 7}"}) + "\n" for i, row in enumerate(asked())), encoding="utf-8")
    found = examine([path], {})
    weak = [guess for guess in found.proposal.guesses if guess.confidence < 0.7]
    assert "user_id" in {guess.ours for guess in weak}
    assert [line for line in found.lines() if line.startswith("weak guess: ")] == [
        f"weak guess: {of.ours} is {of.theirs}, {of.confidence:.0%} sure; look at the rows below, or --map {of.ours}=COLUMN"
        for of in weak
    ]


def refused(requests):
    """Talks in which some requests are refused with one answer, and then said again in other words."""
    rows = []
    for i in range(40):
        again = f"turn on lamp {i % requests}"
        for text, answer in (
            (again.replace("on", "an"), "Pardon?"),
            (again, f"Lamp {i % requests} is on."),
            ("what time is it", "8"),
        ):
            rows.append({"user": f"u{i % 5}", "time": 1767600000 + 20 * len(rows), "query": text, "answer": answer})
    return rows


def test_an_answer_to_fewer_than_three_requests_is_named_and_not_taken_for_a_refusal():
    few, enough = propose(refused(2), {}), propose(refused(3), {})
    assert "status" not in few.mapping
    assert few.notes == (
        "the answer 'Pardon?' may refuse, but fewer than 3 different requests got it; if it does: --map status=answer"
        " --map 'status.Pardon?=failed'",
    )
    assert (enough.mapping["status"], enough.mapping["status.Pardon?"], enough.notes) == ("answer", "failed", ())
    told = propose([row | {"answer": "Hello to you."} for row in refused(3)], {}).notes
    assert len(told) == 1
    assert told[0].startswith("no answer was taken for a refusal: one that refuses is given 5 times or more, to 3 different")


def test_what_a_missing_column_costs_stands_in_the_page_on_logs():
    page = (Path(__file__).parents[3] / "docs" / "log.md").read_text(encoding="utf-8")
    assert [name for name, cost in COSTS.items() if f"| `{name}` | {cost} |" not in page] == []


@pytest.mark.parametrize("users", [1, 6])
def test_the_forecast_of_the_online_layer_is_what_learning_then_says(tmp_path, users):
    """A log of one user has no text for others; one of six users is small, so that the shipped prior decides."""
    rows = [row for row in ROWS if row["user_id"] in sorted({row["user_id"] for row in ROWS})[:users]]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    expected = forecast(check([path], config=Logs()), Config())
    found = learn(path, out=tmp_path / "a", detector=RuleDetector()).verdict
    online = [[(of.lack, of.by_prior) for of in verdict.parts[1:]] for verdict in (expected, found)]
    assert online[0] == online[1]
    assert online[0] == [(Lack.NO_TEXTS, True)] * 2 if users == 1 else [(None, True)] * 2
