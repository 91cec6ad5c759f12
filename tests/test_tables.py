"""The pages of figures say what the result files say."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT / "benchmarks" / "tables.py").exists():
    pytest.skip("benchmarks and their pages are not part of this distribution", allow_module_level=True)

import cells  # noqa: E402
import tables  # noqa: E402

INTERVAL = {"value": 0.25, "low": 0.125, "high": 0.5}
SEEN = {
    "turns": 1200,
    "defects": 400,
    "wins": 100,
    "losses": 5,
    "win_loss": {"value": 20.0, "low": 9.5, "high": None},
    "trigger_rate": INTERVAL,
    "fixed": INTERVAL,
    "broken_unseen": {"value": 1.5, "low": 0.5, "high": 3.0},
}
REFUSED = SEEN | {"wins": 90, "losses": 0, "win_loss": {"value": None, "low": 23.4, "high": None}}
NOTHING = SEEN | {"wins": 0, "losses": 0, "win_loss": {"value": None, "low": 0.0, "high": None}}
PEERS = {
    "command": "python benchmarks/peers.py",
    "ceilings": [{"seed": 0, "exact": 0.5, "online": 0.75}, {"seed": 1, "exact": 0.25, "online": 0.75}],
    "modes": {
        mode: {"rewriter": {"pooled": [first, {}]}, "no rewriting": {"pooled": [NOTHING, {}]}}
        for mode, first in (("before", SEEN), ("after", REFUSED))
    },
}


@pytest.fixture
def root(tmp_path):
    """A project with one result file, and a README with an old block."""
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"before\n{tables.OPENS}\nold\n{tables.CLOSES}\nafter\n", encoding="utf-8")
    (results / "peers_home_normal.json").write_text(json.dumps(PEERS), encoding="utf-8")
    return tmp_path


def test_the_pages_of_this_project_are_fresh():
    command = [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_row_of_every_system_in_both_modes(root):
    (_, page), (_, readme) = tables.pages(root)
    assert "## A simulated home" in page
    assert "`python benchmarks/peers.py`" in page
    assert "Before the NLU, 1,200 requests, 400 of them defects:" in page
    assert "| rewriter | 25.0 % | 100 | 5 | 20 (9.5–∞) | 25.0 % (12.5–50.0) | 1.5 (0.5–3.0) |" in page
    assert "| rewriter | 25.0 % | 90 | 0 | no loss (≥ 23) | 25.0 % (12.5–50.0) | 1.5 (0.5–3.0) |" in page
    assert "exact rules 37.5 % of the defects, online layer 75.0 %" in page
    ours = "| rewriter | 20 (9.5–∞) | 25.0 % (12.5–50.0) | 1.5 (0.5–3.0) | no loss (≥ 23) | 25.0 % (12.5–50.0) |"
    assert ours in readme
    assert "| no rewriting | – |" in readme
    assert readme.startswith("before\n<!-- figures -->\n| ")
    assert readme.endswith("\n<!-- /figures -->\nafter\n")
    assert "old" not in readme


def test_writing_twice_changes_nothing(root, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", root)
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 1
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    assert tables.main() == 0
    written = {path: path.read_text(encoding="utf-8") for path, _ in tables.pages(root)}
    assert dict(tables.pages(root)) == written
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    assert tables.main() == 0
    page = root / "docs" / "benchmarks.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| 100 | 5 |", "| 101 | 5 |"), encoding="utf-8")
    assert tables.main() == 1


def test_a_file_without_a_table_of_its_own_is_shown_figure_by_figure(root):
    found = {
        "command": "python benchmarks/new.py",
        "seeds": [0],
        "hit": {"p50_us": 1.25, "share": INTERVAL},
        "runs": [{"n": 1000}],
    }
    (root / "benchmarks" / "results" / "new.json").write_text(json.dumps(found), encoding="utf-8")
    (root / "benchmarks" / "results" / "new_before.svg").touch()
    page = tables.page(root / "benchmarks" / "results")
    assert "## new\n\n`python benchmarks/new.py`" in page
    assert "| hit, p50_us | 1.25 |" in page
    assert "| hit, share | 0.250 (0.125–0.500) |" in page
    assert "| runs 0, n | 1,000 |" in page
    assert "![new](../benchmarks/results/new_before.svg)" in page
    assert "| seeds" not in page


def test_nothing_measured_leaves_the_block_empty(root):
    (root / "benchmarks" / "results" / "peers_home_normal.json").unlink()
    (_, page), (_, readme) = tables.pages(root)
    assert page == tables.HEAD
    assert readme == "before\n<!-- figures -->\n<!-- /figures -->\nafter\n"


def test_a_readme_without_marks_is_refused():
    with pytest.raises(SystemExit, match="has no <!-- figures -->"):
        tables.replaced("nothing here", "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (1234567, "1,234,567"),
        (0.5, "0.500"),
        (99.97, "100"),
        (1234.5, "1,234"),
        (True, "True"),
        ([0.25, 2], "0.250 / 2"),
        ({"value": 2.0, "low": 1.0, "high": None}, "2.00 (1.00–∞)"),
    ],
)
def test_number(value, text):
    assert cells.number(value) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0.125, "12.5 %"),
        (float("nan"), "–"),
        (None, "–"),
        (INTERVAL, "25.0 % (12.5–50.0)"),
        ({"value": None, "low": 0.0, "high": 1.0}, "–"),
        ({"hits": 1, "n": 4, "share": 0.25, "low": 0.125, "high": 0.5}, "25.0 % (12.5–50.0)"),
    ],
)
def test_percent(part, text):
    assert cells.percent(part) == text


def test_a_bar_in_a_cell_does_not_end_it():
    assert cells.grid(["a"], [["On|name=lamp"]]).splitlines()[-1] == "| On\\|name=lamp |"


def test_the_examples_of_the_cells():
    found = doctest.testmod(cells)
    assert found.attempted > 0
    assert found.failed == 0
