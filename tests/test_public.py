"""The names that users rely on."""

import subprocess
import sys

import pytest

import rewriter
from rewriter.cli import main
from rewriter.errors import MissingExtraError

TYPES = ["Candidate", "Config", "DecisionLog", "Rewrite", "Rewriter", "RewriterError", "TeachingSession", "__version__"]


def test_every_public_name_is_there():
    assert rewriter.__all__[: len(TYPES)] == TYPES
    for name in rewriter.__all__:
        assert getattr(rewriter, name) is not None
        assert name in dir(rewriter)


def test_every_verb_of_the_command_line_is_a_function():
    keywords = {"try": "try_out", "import": "import_log"}  # are no names
    verbs = {keywords.get(name, name).replace("-", "_") for name in main.commands}
    elsewhere = {"rewrite", "wyoming"}  # a method, and what needs a package of its host
    assert verbs - elsewhere == set(rewriter.__all__) - set(TYPES)
    assert all(callable(getattr(rewriter, verb)) for verb in verbs - elsewhere)
    assert callable(rewriter.Rewriter.rewrite)


def test_a_public_name_is_no_module():
    """A function that shares its name with a sub-package would be replaced by it on the next import."""
    for name in rewriter.__all__:
        assert f"rewriter.{name}" not in sys.modules


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import rewriter; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("rewriter")}
    assert ours == {"rewriter", "rewriter.errors"}


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        rewriter.nothing  # noqa: B018


@pytest.mark.parametrize("name", ["learn", "evaluate", "label"])
def test_without_the_learning_tier_a_function_names_the_extra(name):
    """As in an installation that can only serve: duckdb is not there."""
    code = f"import sys; sys.modules['duckdb'] = None; from rewriter import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(f"rewriter.errors.{MissingExtraError.__name__}: rewriter.{name} needs duckdb")
    assert "pip install 'rewriter[learn]'" in done.stderr
