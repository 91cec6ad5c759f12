"""Arguments as people give them: one value where many may stand, numbers for ids, and mistakes, each told in one line."""

import re
import subprocess
import sys

import lamp_log
import pytest
from click.testing import CliRunner

import rewriter
from rewriter import Config, DecisionLog, Rewriter
from rewriter.cli import main
from rewriter.errors import ArtefactError, ConfigError, LogError, RequestError, RewriterError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

SOURCE, TARGET = "turn of the lamp", "turn off the lamp"


@pytest.fixture
def log(tmp_path):
    return lamp_log.write(tmp_path / "log.jsonl")


@pytest.fixture
def open_(small):
    return Rewriter.open(small)


def test_a_log_is_one_path_or_several(log, tmp_path):
    config = Config.from_dict({"loop": {"refit_days": 0}})
    for i, sources in enumerate((str(log), log, [log], (str(log),))):
        assert learn(sources, out=tmp_path / f"a{i}", config=config, detector=RuleDetector()).log.users == 10


@pytest.mark.parametrize("sources", [5, [5], {"a": 1}.values(), True])
def test_what_is_no_log_says_so(sources, tmp_path):
    with pytest.raises(LogError, match=re.escape("a log is a file, a folder or a pattern, such as 'logs/*.parquet'")):
        rewriter.learn(sources, out=tmp_path / "a")


@pytest.mark.parametrize("sources", [None, []])
def test_no_log_at_all_says_what_to_give(sources, tmp_path):
    with pytest.raises(LogError, match="give either log files, such as"):
        rewriter.learn(sources, out=tmp_path / "a")


@pytest.mark.parametrize("verb", ["learn", "label", "try_out"])
def test_settings_are_a_config(verb, log, tmp_path):
    with pytest.raises(ConfigError, match=r"config is a rewriter\.Config, such as Config\.from_dict.*, not \{'launch'"):
        getattr(rewriter, verb)(log, out=tmp_path / "a", config={"launch": {"min_users": 4}})


def test_a_batch_is_one_text_or_several_with_one_argument_or_several(open_):
    assert [answer.text for answer in open_.rewrite_batch(SOURCE)] == [TARGET]
    both = open_.rewrite_batch(
        [SOURCE, "lamb"],
        user_ids=7,
        context=[{"room": "kitchen"}, None],
        nbest=[(), ["turn off the lamp"]],
        after_failure=[False, True],
    )
    assert both[0].text == TARGET
    one = open_.rewrite("lamb", user_id=7, nbest=["turn off the lamp"], after_failure=True)
    assert (both[1].text, both[1].reason) == (one.text, one.reason)
    with pytest.raises(RequestError, match="utterances are texts, or one text, not None"):
        open_.rewrite_batch(None)
    with pytest.raises(RequestError, match="nbest must be one for all utterances or one for each: 1 are given for 2"):
        open_.rewrite_batch(["a", "b"], nbest=[["c"]])


def test_a_user_may_be_a_number(small, open_):
    assert open_.rewrite(SOURCE, user_id=7).text == TARGET
    assert rewriter.explain(small, SOURCE, user_id=7).rewrite.text == TARGET
    assert rewriter.history(small, SOURCE, user_id=7) == rewriter.history(small, SOURCE, user_id="7")
    for ask in (rewriter.explain, rewriter.history):
        with pytest.raises(RequestError, match=r"user_id is one id as the log gives it, such as 'ann' or 7, not 0\.5"):
            ask(small, SOURCE, user_id=0.5)
    with pytest.raises(RequestError, match="text is one request, such as 'turn of the lamp', not 5"):
        rewriter.explain(small, 5)


@pytest.mark.parametrize("deadline", ["5", -1, float("nan"), True])
def test_a_deadline_is_a_number(small, deadline):
    with pytest.raises(RequestError, match="deadline_ms is a number of milliseconds, such as 20, not"):
        Rewriter.open(small, deadline_ms=deadline)


def test_a_version_that_is_not_there_says_which_are(small):
    with pytest.raises(ArtefactError, match=r"no version nosuch in .*; there are: 000001-"):
        Rewriter.open(small, version="nosuch")
    assert Rewriter.open(small, version="000001").rewrite(SOURCE).text == TARGET


def test_what_is_unknown_says_so(small, open_):
    assert open_.rewrite("hello", locale="tlh").reason == "unknown_locale"
    result = CliRunner().invoke(main, ["rewrite", str(small), "hello", "--locale", "tlh"])
    assert (result.exit_code, result.stdout) == (0, "hello\n")
    assert result.stderr == (
        "unchanged (unknown_locale): The artefact has nothing in the language of this locale."
        " `rewriter info` lists its locales.\n"
    )
    with pytest.raises(RequestError, match="layers are any of lesson, spelling, precomputed, online"):
        Rewriter.open(small, layers=["nosuch"])
    with pytest.raises(RequestError, match="the id of a Rewrite that this artefact answered, not on 'nosuch'"):
        open_.feedback("nosuch", 1, "ann")
    with pytest.raises(ConfigError, match="did you mean launch"):
        Config.from_dict({"launhc": {}})


def test_a_decision_that_is_none_takes_no_other_with_it(small, open_, tmp_path):
    with DecisionLog(tmp_path / "decisions", artefact=small) as kept:
        for answer in (None, open_.rewrite(SOURCE), "text", open_.rewrite("hello")):
            kept.write(answer, user_id=7)
        assert kept.flush()
        assert kept.dropped == 2
    assert sum(len(path.read_text().splitlines()) for path in (tmp_path / "decisions").glob("*.jsonl")) == 2


def test_a_page_that_cannot_be_written_is_one_line(small, tmp_path):
    for write in (rewriter.report, rewriter.console):
        with pytest.raises(RewriterError, match="cannot write"):
            write(small, tmp_path / "none" / "page.html")


@pytest.mark.parametrize("name", ["learn", "try_out", "console", "explain"])
def test_without_the_extra_each_function_names_it(name):
    code = f"import sys; sys.modules['duckdb'] = None; from rewriter import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"rewriter.{name} needs duckdb: pip install 'rewriter[learn]'" in done.stderr.splitlines()[-1]
