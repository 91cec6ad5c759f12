"""The stages of a rule after a log in which nothing was drawn and after one in which it was."""

import lamp_log
import pytest
from click.testing import CliRunner

from rewriter import Config, learn
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.errors import ArtefactError
from rewriter.model.detector import RuleDetector
from rewriter.model.rules import RuleBook
from rewriter.operate.info import history

LAMP = "Turn of the lamp"


def test_without_draws_a_rule_is_live_at_once(lamp):
    (change,) = history(lamp[0], LAMP)
    assert (change.target, change.scope, change.stage_before, change.stage) == ("turn off the lamp", "global", "", "live")
    assert (change.share, change.reason, change.day) == (1.0, "restated", "2026-01-15")
    assert (change.tried, change.left_ok) == (0.0, 0.0)
    assert change.left_alone > 30
    assert [c.scope for c in history(lamp[0], lamp_log.OWN, user_id="ann")] == ["personal"]
    assert history(lamp[0], lamp_log.OWN) == history(lamp[0], "turn on the lamp") == []


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    config = Config.from_dict({"loop": {"draw": True, "refit_days": 0}})
    learn([lamp_log.write(folder / "log.jsonl")], out=folder / "artefact", config=config, detector=RuleDetector())
    return folder / "artefact"


def test_where_arms_are_drawn_it_is_a_canary_first(drawn):
    (change,) = history(drawn, LAMP)
    assert (change.stage, change.share) == ("canary", pytest.approx(0.9))
    rule = RuleBook.open(current(drawn).folder / "rules").get("turn of the lamp", "en")
    assert rule.share == pytest.approx(0.9)
    assert [(c.stage, c.share) for c in history(drawn, lamp_log.OWN, user_id="ann") if c.scope == "personal"] == [("live", 1.0)]


def test_the_verb(drawn):
    run = CliRunner().invoke(main, ["history", str(drawn), LAMP])
    assert run.exit_code == 0
    assert "canary" in run.output
    assert CliRunner().invoke(main, ["history", str(drawn), "turn on the lamp"]).output.startswith("no rule of")
    assert '"stage": "canary"' in CliRunner().invoke(main, ["history", str(drawn), LAMP, "--json"]).output


def test_without_the_state_it_cannot_be_told(drawn, tmp_path):
    import shutil

    shutil.copytree(drawn, tmp_path / "shipped", ignore=shutil.ignore_patterns("state"))
    with pytest.raises(ArtefactError, match="private state"):
        history(tmp_path / "shipped", LAMP)
