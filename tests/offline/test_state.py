"""The private state as a whole: what is missing is refused, by its name and with the cure; what is known is not learned again."""

import shutil

import lamp_log
import pytest

from rewriter import Config, learn
from rewriter.artefact.versions import current, version_ids
from rewriter.errors import ArtefactError
from rewriter.model.detector import RuleDetector

EXACT = Config.from_dict({"loop": {"refit_days": 0}})
PARTS = (
    "contents.json", "context_counts.parquet", "context_steps.parquet", "contrasts.json", "counts.parquet",
    "days.json", "edge_discount.parquet", "edges.parquet", "evidence_starts.json", "evidence_starts.parquet",
    "files.json", "left_out.parquet", "nodes.parquet", "priors.json", "queries.parquet", "recent.parquet",
    "rejected.parquet", "rephrases.parquet", "row_days.parquet", "rules.parquet", "stage_changes.parquet",
    "stage_counts.parquet", "texts.parquet", "user_edges.parquet", "user_nodes.parquet", "users.parquet",
)  # fmt: skip


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    log = lamp_log.write(folder / "log.jsonl")
    learn([log], out=folder / "artefact", config=EXACT, detector=RuleDetector())
    later = folder / "later.jsonl"
    later.write_text(log.read_text(encoding="utf-8").replace("2026-01", "2026-02"), encoding="utf-8")
    return folder / "artefact", log, later


@pytest.fixture
def copied(learned, tmp_path):
    shutil.copytree(learned[0], tmp_path / "artefact")
    return tmp_path / "artefact", *learned[1:]


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_every_part_of_a_state_is_named_here(learned):
    assert {path.name for path in current(learned[0]).state.iterdir()} == set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_state_without_one_of_its_parts_is_refused(copied, name):
    root, _, later = copied
    remove(current(root).state / name)
    before = version_ids(root / "versions")
    with pytest.raises(ArtefactError, match=rf"{name}.* is missing: .*; put it back from a backup, or begin anew with --afresh"):
        learn([later], out=root, config=EXACT, detector=RuleDetector())
    assert version_ids(root / "versions") == before


def test_one_file_of_a_folder_of_counts_is_missed(copied):
    root, _, later = copied
    lost = sorted((current(root).state / "counts.parquet").iterdir())[0]
    lost.unlink()
    with pytest.raises(ArtefactError, match=rf"counts.parquet/{lost.name} is missing"):
        learn([later], out=root, config=EXACT, detector=RuleDetector())


def test_without_a_state_nothing_is_added_and_afresh_begins_anew(copied):
    root, log, later = copied
    remove(current(root).state)
    with pytest.raises(ArtefactError, match=r"state/.* is missing: .*--afresh"):
        learn([later], out=root, config=EXACT, detector=RuleDetector())
    report = learn([log], out=root, config=EXACT, detector=RuleDetector(), afresh=True)
    assert (report.nothing_new, report.version) == (False, current(root).id)


def test_a_known_file_publishes_nothing_unless_the_settings_change(copied):
    root, log, _ = copied
    before = version_ids(root / "versions")
    report = learn([log], out=root, config=EXACT, detector=RuleDetector())
    assert (report.nothing_new, report.version, report.rules["global"]) == (True, current(root).id, 1)
    assert version_ids(root / "versions") == before
    other = Config.from_dict({"loop": {"refit_days": 0}, "launch": {"min_users": 11}})
    again = learn([log], out=root, config=other, detector=RuleDetector())
    assert (again.nothing_new, again.refused["few_say_source"]) == (False, 5)
