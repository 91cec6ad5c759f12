"""Shipping a version as docs/artefact.md says, under processes that never stop asking; each runs in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

from layered import publish

PAGE = Path(__file__).parents[2] / "docs" / "artefact.md"
TEXTS = ["turn off the lamp", "stop the music", "play some jazz"]
SERVE = """
import sys
import rewriter.online.rewriter as module
from rewriter import Rewriter

module._LOOK_EVERY = 0.0
rewriter, seen = Rewriter.open(sys.argv[1]), set()
print("ready", flush=True)
while len(seen) < int(sys.argv[2]):
    for text in ("turn of the lamp", "turn off the lamb", "stop the music"):
        answer = rewriter.rewrite(text, user_id="ann", after_failure=True)
        if answer.reason == "error":
            sys.exit(f"{text}: {answer}")
    seen.add(answer.artefact)
print(len(seen))
"""


def ship(source, target):
    """Run the script of the page."""
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    subprocess.run(["sh", "-euc", script], env={"FROM": str(source), "TO": str(target), "PATH": "/usr/bin:/bin"}, check=True)


def test_versions_arrive_while_two_processes_serve(tmp_path):
    """Neither dies, neither answers by an error, and both end on the last version."""
    source, target = tmp_path / "learned", tmp_path / "served"
    publish(source, TEXTS, [{}, {}, {}])
    ship(source, target)
    command = [sys.executable, "-c", SERVE, str(target), "4"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for child in children:
        assert child.stdout.readline() == "ready\n", child.stderr.read()
    seen = 1
    while any(child.poll() is None for child in children):
        publish(source, [f"{text} {seen}" for text in TEXTS], [{}, {}, {}])
        ship(source, target)
        seen += 1
        ship(source, target)  # again: what has arrived is not written over
    for child in children:
        out, errors = child.communicate(timeout=60)
        assert (child.returncode, out, errors) == (0, "4\n", ""), errors


def test_a_version_that_arrived_is_not_written_over(tmp_path):
    source, target = tmp_path / "learned", tmp_path / "served"
    version_id = publish(source, TEXTS, [{}, {}, {}])
    ship(source, target)
    before = {path: path.stat().st_ino for path in (target / "versions" / version_id).rglob("*")}
    ship(source, target)
    assert {path: path.stat().st_ino for path in (target / "versions" / version_id).rglob("*")} == before
    assert sorted(path.name for path in target.iterdir()) == ["CURRENT", "versions"]
