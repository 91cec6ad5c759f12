"""Copying a folder over one that is in use truncates its files; a process that has them open goes on answering."""

import os
import subprocess
import sys

import layered

SERVE = """
import os, pathlib, sys
from rewriter import Rewriter
rewriter = Rewriter.open(sys.argv[1])
calls = [("turn of the lamp", False), ("turn off the lamb", True), ("turn on the lamp", False)]
before = [rewriter.rewrite(text, user_id="ann", after_failure=late).text for text, late in calls]
for path in pathlib.Path(sys.argv[1], "versions").rglob("*"):
    if path.is_file():
        os.truncate(path, 0)
print(before == [rewriter.rewrite(text, user_id="ann", after_failure=late).text for text, late in calls], before[0])
"""


def test_a_process_survives_that_all_files_of_its_version_are_truncated(tmp_path):
    layered.publish(tmp_path, ["turn off the lamp", "turn on the lamp"], [{"lamp": "name"}] * 2)
    done = subprocess.run([sys.executable, "-c", SERVE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (os.EX_OK, "True turn off the lamp\n")


SWAP = r"""
import os, pathlib, shutil, sys
import rewriter.artefact.disk as disk
disk.IN_MEMORY = 0  # so every file is mapped
import rewriter.online.rewriter as online
from rewriter import Rewriter
online._LOOK_EVERY = 0.0
root = pathlib.Path(sys.argv[1])
rewriter = Rewriter.open(root)
first = rewriter.rewrite("turn of the lamp", user_id="ann", after_failure=True)
for n, path in enumerate(sorted(path for path in root.glob("next/*/**/*") if path.is_file() and path.stat().st_size)):
    version = root / "versions" / path.relative_to(root / "next").parts[0]
    shutil.copytree(root / "next" / version.name, version)
    os.truncate(version / path.relative_to(root / "next" / version.name), path.stat().st_size // 2)
    (root / ".new").write_text(version.name + "\n")
    os.replace(root / ".new", root / "CURRENT")
    answer = rewriter.rewrite("turn of the lamp", user_id="ann", after_failure=True)
    assert (answer.text, answer.artefact) == (first.text, first.artefact), path
    shutil.rmtree(version)
print(n > 10, first.text)
"""


def test_a_version_that_arrives_cut_is_not_mapped(tmp_path):
    """Each file in turn is half as long as the manifest says. Sizes are compared before a map is made, so the old one serves."""
    layered.publish(tmp_path, ["turn off the lamp", "turn on the lamp"], [{"lamp": "name"}] * 2)
    (old,) = (tmp_path / "versions").iterdir()
    named = (tmp_path / "CURRENT").read_bytes()
    layered.publish(tmp_path, ["turn off the lamp", "turn on the radio"], [{"lamp": "name"}, {"radio": "name"}])
    (new,) = (path for path in (tmp_path / "versions").iterdir() if path != old)
    (tmp_path / "next").mkdir()
    new.rename(tmp_path / "next" / new.name)
    (tmp_path / "CURRENT").write_bytes(named)
    done = subprocess.run([sys.executable, "-c", SWAP, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (os.EX_OK, "True turn off the lamp\n"), done.stderr
