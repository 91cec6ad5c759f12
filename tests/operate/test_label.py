"""Labels of a log whose right labels are known, and the training data that is made of them."""

import json
import stat

import duckdb
import lamp_log
import pandas as pd
import pytest
from click.testing import CliRunner

from rewriter.cli import main
from rewriter.codes import FailurePoint
from rewriter.errors import LogError
from rewriter.operate.label import TrainingExample, examples, json_lines, label, rasa_yaml, write_training_data
from rewriter.tables import LABELS, check


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    out = folder / "labels.parquet"
    report = label([lamp_log.write(folder / "lamp.jsonl")], out=out, train=folder / "nlu.yml")
    with duckdb.cursor() as con:
        rows = con.execute(
            "SELECT utterance, p_defect, goal, goal_success, repaired, intent, slots FROM read_parquet(?)", [str(out)]
        )
        return folder, report, rows.fetchall()


def test_a_failed_request_is_repaired_by_what_was_said_next(labelled):
    _, _, rows = labelled
    said = [row for row in rows if row[0] == "turn of the lamp"]
    assert len(said) == 50
    for _, p, goal, success, *meant in said:
        assert p > 0.9
        assert success > 0.9
        assert meant == ["turn off the lamp", "TurnOff", '{"name": "lamp"}']
        assert [row[0] for row in rows if row[2] == goal] == ["turn of the lamp", "turn off the lamp"]


def test_what_worked_needs_no_repair(labelled):
    _, report, rows = labelled
    for text, p, _, success, *meant in rows:
        if text == "turn on the lamp":
            assert p < 0.5 < success
            assert meant == [None, None, None]
    assert report.turns == len(rows)
    assert report.goals == len({row[2] for row in rows})
    assert report.repaired == sum(row[5] is not None for row in rows)
    assert report.defects == pytest.approx(sum(row[1] for row in rows))


def test_the_training_data_holds_no_text_of_one_user(labelled):
    folder, report, _ = labelled
    text = (folder / "nlu.yml").read_text()
    assert "    - turn of the [lamp](name)\n" in text
    assert lamp_log.OWN not in text
    assert text.count("\n    - ") == report.examples


def test_the_file_is_as_declared_and_private(labelled):
    folder, _, _ = labelled
    check(LABELS, folder / "labels.parquet")
    assert stat.S_IMODE((folder / "labels.parquet").stat().st_mode) == 0o600


def test_every_turn_carries_its_failure_point(labelled):
    folder, report, rows = labelled
    with duckdb.connect() as con:
        columns = ", ".join(f"p_{point}" for point in FailurePoint)
        found = con.execute(
            f"SELECT utterance, failure, {columns} FROM read_parquet(?)", [str(folder / "labels.parquet")]
        ).fetchall()
    assert len(found) == len(rows)
    assert all(sum(p) == pytest.approx(1) for _, _, *p in found)
    assert {failure for text, failure, *_ in found if text == "turn of the lamp"} <= {FailurePoint.ASR, FailurePoint.NLU}
    assert report.failures[FailurePoint.CORRECT] == pytest.approx(sum(p[-1] for _, _, *p in found))


def test_a_wrong_ending_is_refused_before_the_work(tmp_path):
    with pytest.raises(LogError, match="training data ends in"):
        label([tmp_path / "missing.jsonl"], out=tmp_path / "labels.parquet", train=tmp_path / "nlu.txt")


def test_the_verb(tmp_path):
    log = lamp_log.write(tmp_path / "lamp.jsonl")
    result = CliRunner().invoke(
        main, ["label", str(log), "--out", str(tmp_path / "l.parquet"), "--train", str(tmp_path / "n.jsonl")]
    )
    assert result.exit_code == 0, result.output
    assert "NLU" in result.output
    assert (tmp_path / "n.jsonl").exists()


def example(text, intent="Off", **slots):
    return TrainingExample("en", text, intent, slots, turns=4, users=3)


def test_only_what_enough_users_had_to_repair_in_the_same_way():
    rows = [
        *(("lamp of", "Off", '{"name": "lamp"}', user) for user in (0, 1, 2, 2)),
        *(("lamp of", "On", '{"name": "lamp"}', user) for user in (3, 4)),
        *(("my secret", "Off", "{}", 5) for _ in range(9)),
        *(("fine", None, None, user) for user in range(9)),
    ]
    labels = pd.DataFrame(rows, columns=["utterance", "intent", "slots", "user_no"]).assign(locale="en")
    labels = labels.assign(p_asr=0.25, p_nlu=0.75, p_entity=0.0)
    with duckdb.cursor() as con:
        con.register("labels", labels)
        (only,) = examples(con, min_users=3)
    p = {"asr": 0.25, "nlu": 0.75, "entity": 0.0}
    assert only == TrainingExample("en", "lamp of", "Off", {"name": "lamp"}, turns=4, users=3, p=p)
    assert json.loads(json_lines([only]))["p"] == p


def test_rasa_marks_whole_words_once_and_the_longest_first():
    found = rasa_yaml([
        example("lamp of the lamps lamp", name="lamp"),
        example("hall lamp of", name="hall lamp", area="hall"),
        example("[evil] (intent) {x}", name="evil"),
        example("play", intent='Say "hi": #1', song=""),
    ])  # fmt: skip
    assert found.splitlines() == [
        'version: "3.1"',
        "nlu:",
        '- intent: "Off"',
        "  examples: |",
        "    - [lamp](name) of the lamps lamp",
        "    - [hall lamp](name) of",
        "    - [evil](name) intent x",
        '- intent: "Say \\"hi\\": #1"',
        "  examples: |",
        "    - play",
    ]


def test_json_lines_hold_everything():
    (line,) = json_lines([example("çay koy", room="mutfak")]).splitlines()
    told = {"text": "çay koy", "intent": "Off", "slots": {"room": "mutfak"}, "locale": "en", "turns": 4, "users": 3}
    assert json.loads(line) == told


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(LogError, match=r"training data ends in .jsonl, .yml, .yaml"):
        write_training_data([], tmp_path / "nlu.md")
