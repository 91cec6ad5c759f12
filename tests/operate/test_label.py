"""Labels of a log whose right labels are known."""

import stat

import duckdb
import lamp_log
import pytest
from click.testing import CliRunner

from rewriter.cli import main
from rewriter.errors import LogError
from rewriter.operate.label import label
from rewriter.tables import LABELS, check


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    out = folder / "labels.parquet"
    report = label([lamp_log.write(folder / "lamp.jsonl")], out=out, train=folder / "nlu.yml")
    with duckdb.connect() as con:
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
