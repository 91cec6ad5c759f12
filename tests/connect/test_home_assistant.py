"""The component for Home Assistant: what is laid out, and the story of `home_assistant/story.py` in a real Home Assistant."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hosts
import pytest
from click.testing import CliRunner

from rewriter import __version__
from rewriter.cli import main
from rewriter.connect.home_assistant import lay_out

HERE = Path(__file__).parent / "home_assistant"
LANGUAGES = ("en", "de")


@pytest.fixture(scope="module")
def component(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hacs")
    assert lay_out(folder).files == len([path for path in folder.rglob("*") if path.is_file()])
    return folder / "custom_components" / "rewriter"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def keys(tree, prefix=""):
    for key, value in tree.items():
        yield from keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]


def test_it_is_laid_out_as_hacs_and_home_assistant_expect(component, tmp_path):
    assert {path.name for path in component.parents[1].iterdir()} == {"custom_components", "hacs.json", "README.md"}
    manifest = read(component / "manifest.json")
    assert (manifest["domain"], manifest["version"]) == (component.name, __version__)
    assert manifest["requirements"] == []  # a package of this name that somebody else publishes must not be installed
    done = CliRunner().invoke(main, ["export", "home-assistant", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again" / "custom_components" / "rewriter" / "manifest.json").exists()


def test_texts_are_there_in_every_language(component):
    texts = {name: read(component / "translations" / f"{name}.json") for name in LANGUAGES}
    assert read(component / "strings.json") == texts["en"]
    assert set(keys(texts["de"])) == set(keys(texts["en"]))
    answers = read(component / "answers.json")
    assert set(answers) == set(LANGUAGES)
    for key, said in answers["en"].items():
        assert set(re.findall(r"{\w+}", said)) == set(re.findall(r"{\w+}", answers["de"][key]))
    code = "".join(path.read_text(encoding="utf-8") for path in component.glob("*.py"))
    assert set(re.findall(r'translation_key="(\w+)"', code)) == set(texts["en"]["exceptions"])


@pytest.mark.hosts
def test_in_a_real_home_assistant(component):
    python = hosts.python("home-assistant", ["--no-compile", *hosts.pinned("home-assistant")], "3.13")
    root = component.parents[1]
    (root / "custom_components" / "__init__.py").touch()  # pytest-homeassistant-custom-component has a folder of this name too
    (root / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    shutil.copy(HERE / "story.py", root / "test_story.py")
    environment = hosts.environment(REWRITER_COMMAND=f"{sys.executable} -m rewriter.cli", PYTHONPATH=hosts.ROOT)
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--show-capture=log",
        "--basetemp",
        root / "tmp",
        "test_story.py",
    ]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
