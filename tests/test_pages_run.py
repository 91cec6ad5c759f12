"""The commands of the tutorial and of the how-to run as written, in order, and print what the pages say."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_readme import ROOT, RULES_ONLY, learn_sample_once

from rewriter.cli import main
from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline import learn as job

BLOCKS = re.compile(r"^```(?P<kind>sh|text|toml)(?: title=(?P<title>\S+))?\n(?P<content>.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return [(m["kind"], m["title"], m["content"]) for m in BLOCKS.finditer(text)]


@pytest.fixture
def folder(tmp_path, monkeypatch, sample):
    """A folder with the sample log. The defaults learn it once for all tests; what else is learned uses the documented rule."""
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "sample.parquet", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    learn = job.learn

    def quickly(sources, *, out, **given):
        if (Path(out) / "CURRENT").exists():
            return learn(sources, out=out, **given)
        if [*map(str, sources)] == ["data/sample.parquet"] and given["config"] == Config():
            return learn_sample_once(sample, ["data/sample.parquet"], out=out)
        return learn(sources, out=out, **given | {"config": RULES_ONLY, "detector": RuleDetector()})

    monkeypatch.setattr(job, "learn", quickly)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial", "howto"])
def test_the_commands_of_a_page_run_as_written(folder, page):
    outputs = []
    for kind, title, content in blocks(page):
        if title:
            Path(title).write_text(content, encoding="utf-8")
        elif kind == "sh":
            outputs = [output(line) for line in content.splitlines() if line]
        else:
            missing = [line for line in content.splitlines() if line not in "".join(outputs)]
            assert not missing, (page, missing, outputs)


def output(line):
    program, *arguments = shlex.split(line, comments=True)
    assert program == "rewriter", line
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, (line, done.output, done.exception)
    return done.stdout
