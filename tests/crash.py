"""Runs a script in a process of its own and kills it with SIGKILL at its n-th step on the disk.

A step is an operation on a path below a given folder (open, mkdir, rename, remove, link, chmod, listing), as Python's audit
events report it, or an fsync. The process dies just before that step, with whatever it has written until then.

Each script has one process that imports what the script imports at its top level. It forks a child for each run, so a run costs
what the script does and no imports.
"""

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

PARENT = """
import json, os, shutil, signal, sys, tempfile, traceback

EVENTS = {"open": 1, "os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.chmod": 1,
          "os.listdir": 1, "os.scandir": 1, "crash.fsync": 1}  # how many of the arguments are paths

def below(root, path):
    path = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return path.startswith(root) or path not in ("", ".") and not os.path.isabs(path)  # shutil names files in an open folder

def arm(root, act):
    done, busy = [0], [False]

    def step(event, arguments):
        if event not in EVENTS or busy[0] or not any(below(root, path) for path in arguments[: EVENTS[event]]):
            return
        done[0] += 1
        busy[0] = True  # what `act` does on the disk is no step
        act(done[0])
        busy[0] = False

    os.fsync = lambda handle: sys.audit("crash.fsync", root)  # who is killed leaves what was written, also if it was not synced
    sys.addaudithook(step)
    return done

def act_of(n, states, root):
    def kill(step):
        if step == n:
            os.kill(os.getpid(), signal.SIGKILL)

    kept, before = {}, [""]

    def keep(step):
        found = dict(files_of(root))
        if found == kept:
            return
        place = os.path.join(states, str(step))

        def copy(path, to):  # a file that has not changed since the state before is that file
            if kept.get(path) == found[path]:
                os.link(before[0] + path[len(root):], to)
            else:
                shutil.copy2(path, to)

        shutil.copytree(root, place, copy_function=copy)
        kept.clear()
        kept.update(found)
        before[0] = place

    return kill if states is None else keep

def files_of(folder):
    for entry in os.scandir(folder):
        found = entry.stat()
        yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)
        if entry.is_dir():
            yield from files_of(entry.path)

def child(n, states, arguments, told):
    signal.alarm(300)
    sys.argv = ["-c", *arguments]
    code = 1
    try:
        done = arm(arguments[0], act_of(n, states, arguments[0]))
        exec(BODY, NAMES)
        told.write(str(done[0]))
        code = 0
    except BaseException:
        told.write(traceback.format_exc())
    told.flush()
    os._exit(code)

NAMES = {"__name__": "__main__"}
exec(compile(IMPORTS, "imports", "exec"), NAMES)
BODY = compile(SCRIPT, "script", "exec")
for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as told:
        pid = os.fork()
        if pid == 0:
            child(*json.loads(line), told)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        told.seek(0)
        print(json.dumps([code, told.read()]), flush=True)
"""


def run_killed(script: str, n: int, root: Path, *arguments: str) -> bool:
    """Run `script` with ``sys.argv[1:] == [root, *arguments]`` and kill it at step `n`.

    Returns:
        Whether it was killed; False where it ended, well, with fewer steps.
    """
    code, told = _run(script, n, None, root, arguments)
    if code not in (0, -9):
        raise AssertionError(f"the script failed by itself ({code}):\n{told}")
    return code == -9


def count_steps(script: str, root: Path, *arguments: str) -> int:
    """Run `script` to its end and return the number of its steps on the disk."""
    return _ended(*_run(script, 0, None, root, arguments))


def states_of(script: str, states: Path, root: Path, *arguments: str) -> int:
    """Run `script` to its end, and before each step `n` that finds the disk changed copy `root` to ``states/n``.

    A copy is what a SIGKILL at that step leaves on the disk, so one run shows what kills at all steps leave.

    Returns:
        The number of steps.
    """
    return _ended(*_run(script, 0, str(states), root, arguments))


def _ended(code: int, told: str) -> int:
    if code != 0:
        raise AssertionError(f"the script failed by itself ({code}):\n{told}")
    return int(told)


def _run(script: str, n: int, states: str | None, root: Path, arguments: tuple[str, ...]) -> tuple[int, str]:
    parent = _parent(script)
    parent.stdin.write(json.dumps([n, states, [str(root), *arguments]]) + "\n")
    parent.stdin.flush()
    code, told = json.loads(parent.stdout.readline())
    return code, told


@functools.cache
def _parent(script: str) -> subprocess.Popen[str]:
    """The process that forks the runs of a script; it ends with the tests, when its standard input is closed."""
    parts = ast.parse(script).body
    imports = [part for part in parts if isinstance(part, ast.Import | ast.ImportFrom)]
    body = [part for part in parts if part not in imports]
    texts = (ast.unparse(ast.Module(part, type_ignores=[])) for part in (imports, body))
    code = "IMPORTS, SCRIPT = {!r}, {!r}\n{}".format(*texts, PARENT)
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
