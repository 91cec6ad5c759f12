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
