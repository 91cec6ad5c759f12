"""The notebooks run from top to bottom and show what is committed; their outputs hold nothing of a machine."""

import os
import re
from itertools import cycle
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs the extra notebook")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 900
"""For one cell, however busy the machine."""


WRITES = "REWRITER_WRITE_NOTEBOOKS" in os.environ
"""Whether the notebooks are written as they ran, instead of compared."""


def names(path):
    return path.stem


def code(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def shown(cell):
    """What a cell prints and returns, as lines. Pictures and warnings are left out; so is white space that tables pad with.

    A kernel may send one printed line in several pieces, so what was printed is joined first.
    """
    outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    texts = (output.get("text") or "\n" + output.get("data", {}).get("text/plain", "") + "\n" for output in outputs)
    return [line for line in (" ".join(line.split()) for line in "".join(texts).splitlines()) if line]


def write(notebook, path):
    """Keep what a notebook shows, and nothing of the machine: no times, no warnings."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(notebook, path)


@pytest.mark.notebooks
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("path", "folder"), list(zip(NOTEBOOKS, cycle((ROOT, ROOT / "notebooks")))), ids=str)
def test_notebook_runs_and_shows_what_is_committed(path, folder):
    """From the root and from the notebooks' own folder. A cell tagged ``varies`` shows something that no seed fixes."""
    committed = code(path)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()
    if WRITES:
        write(notebook, path)
        return
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for n, (old, new) in enumerate(zip(committed, ran, strict=True), start=1):
        if "varies" not in old.metadata.get("tags", ()):
            assert shown(new) == shown(old), f"cell [{n}] of {path.name}: run the notebook again and commit it"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_notebook_is_kept_with_its_outputs_and_nothing_of_the_machine(path):
    cells = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 1
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert not re.search(r"/(tmp|home|root|work|Users)/|execution\":|\\u001b\[", path.read_text(encoding="utf-8"))


def test_every_notebook_is_here():
    named = {"1_log_to_rewrites", "2_the_chain", "3_personal_and_global", "4_evaluation", "5_teaching"}
    assert named <= {path.stem for path in NOTEBOOKS}
