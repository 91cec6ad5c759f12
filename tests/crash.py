"""Runs a script in a process of its own and kills it with SIGKILL at its n-th step on the disk.

A step is an operation on a path below a given folder (open, mkdir, rename, remove, link, chmod, listing), as Python's audit
events report it, or an fsync. The process dies just before that step, with whatever it has written until then.
"""

import subprocess
import sys
from pathlib import Path

_PREAMBLE = """
import os, signal, sys

def _arm(root, n):
    fsync, done = os.fsync, [0]

    def step(event, arguments):
        if event not in _EVENTS or not any(_below(root, path) for path in arguments[: _EVENTS[event]]):
            return
        done[0] += 1
        if done[0] == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def audited_fsync(handle):
        sys.audit("crash.fsync", root)
        fsync(handle)

    os.fsync = audited_fsync
    sys.addaudithook(step)
    return done

def _below(root, path):
    path = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return path.startswith(root) or path not in ("", ".") and not os.path.isabs(path)  # shutil names files in an open folder

_EVENTS = {"open": 1, "os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.chmod": 1,
           "os.listdir": 1, "os.scandir": 1, "crash.fsync": 1}  # how many of the arguments are paths
"""


def run_killed(script: str, n: int, root: Path, *arguments: str) -> bool:
    """Run `script` with ``sys.argv[1:] == [root, *arguments]`` and kill it at step `n`.

    Returns:
        Whether it was killed; False where it ended, well, with fewer steps.
    """
    done = _run(script, n, root, arguments)
    if done.returncode not in (0, -9):
        raise AssertionError(f"the script failed by itself:\n{done.stderr}")
    return done.returncode == -9


def count_steps(script: str, root: Path, *arguments: str) -> int:
    """Run `script` to its end and return the number of its steps on the disk."""
    done = _run(script + "\nprint('steps', _done[0])\n", 0, root, arguments)
    if done.returncode != 0:
        raise AssertionError(f"the script failed by itself:\n{done.stderr}")
    return int(done.stdout.split()[-1])


def _run(script: str, n: int, root: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    armed = f"{_PREAMBLE}\n_done = _arm({str(root)!r}, {n})\n{script}"
    return subprocess.run(
        [sys.executable, "-c", armed, str(root), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
