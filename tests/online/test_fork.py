"""A fork at any moment: the child answers, whatever the parent's threads were doing."""

import ast
import itertools
import os
import signal
import threading
import time
from pathlib import Path

import layered
import pytest

from rewriter import DecisionLog, Rewriter
from rewriter.online.overlay import MAX_A_DAY

ROOT = Path(__file__).parents[2] / "rewriter"
CHILDREN = 24


def test_every_lock_of_the_package_is_one_that_a_fork_frees():
    made = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
    for path in ROOT.rglob("*.py"):
        if "custom_components" in path.parts:
            continue  # runs in the process of Home Assistant, which does not fork, and is read before the package is there
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "threading"
            assert not (called and node.attr in made) or path.name == "locks.py", f"{path}: use rewriter.locks.Lock"


def answers(rewriter, log):
    """Answer in a child, and end it: 0 if all went well, killed by the alarm if it waits for ever."""
    signal.alarm(20)
    status = 1
    try:
        answer = rewriter.rewrite("turn of the lamp", user_id="child")
        asked = rewriter.rewrite("never heard before", user_id="child")
        found = rewriter.rewrite("turn off the lamb", user_id="child", after_failure=True)
        rewriter.feedback(answer.id, -1, f"child {os.getpid()}")
        again = rewriter.rewrite("turn of the lamp", user_id=f"child {os.getpid()}")
        log.write(answer)
        log.close()
        rewriter.teach("movie time", "turn on the tv", user_id=f"child {os.getpid()}")
        taught = rewriter.rewrite("movie time", user_id=f"child {os.getpid()}")
        Rewriter.open(rewriter._root).rewrite("turn of the lamp")
        reasons = [each.reason for each in (answer, asked, found, again, taught)]
        status = 0 if reasons == ["rule", asked.reason, "online", "undone_by_user", "lesson"] and asked.reason != "error" else 2
    finally:
        os._exit(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_answer_while_threads_of_the_parent_hold_whatever_they_hold(tmp_path, record_property):
    record_property("children forked under load", CHILDREN)
    root = tmp_path / "artefact"
    layered.publish(root, ["turn off the lamp", "turn on the lamp"], [{"lamp": "name"}] * 2)
    rewriter, stop = Rewriter.open(root), threading.Event()
    log = DecisionLog(tmp_path / "d", artefact=root)

    def load(name):
        for n in itertools.count():
            answer = rewriter.rewrite("turn of the lamp", user_id=f"{name} {n // (MAX_A_DAY - 1)}")
            log.write(answer)
            if n % 20 == 0:
                Rewriter.open(root)
                rewriter.feedback(answer.id, n % 3 - 1, f"{name} {n // (MAX_A_DAY - 1)}")
            rewriter.rewrite("what was never heard", user_id=f"{name} {n}")
            if stop.is_set():
                break

    threads = [threading.Thread(target=load, args=(f"thread {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(CHILDREN):
        time.sleep(0.02)
        child = os.fork()
        if child == 0:
            answers(rewriter, log)
        statuses.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    log.close()
    assert statuses == [0] * CHILDREN
