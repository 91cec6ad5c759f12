"""Versions come and go while threads and processes call, the online layer on: no call fails, none mixes two versions."""

import itertools
import multiprocessing
import os
import threading
import time

import pytest
from layered import publish

import rewriter.online.rewriter as module
from rewriter.online.rewriter import Rewriter

SWAPS = int(os.environ.get("REWRITER_SWAPS", "8"))
CALLS = [
    # what is heard, by whom, after a refusal, the reason, what is sent
    ("turn off the lamb", None, True, "online", "turn off the lamp{tag}"),
    ("turn off the lamb", "ann", True, "online", "turn off the lamp{tag}"),
    ("call ant zoe", "ann", True, "online", "call aunt zoe{tag}"),
    ("call ant zoe", "bob", True, "blocked", "call ant zoe"),
    ("stop the music", "bob", False, "healthy", "stop the music"),
    ("turn of the lamp", "bob", False, "rule", "turn off the lamp"),
    ("what will it be tomorrow", "ann", True, "blocked", "what will it be tomorrow"),
]


def version(root, tag, keep=3):
    """An artefact whose targets end in its tag."""
    texts = [f"turn off the lamp{tag}", "stop the music", "play some jazz"]
    return publish(root, texts, [{}, {}, {}], private=[("ann", f"call aunt zoe{tag}")], keep=keep)


def wrong(answer, call, tag):
    _, _, _, reason, sent = call
    return (answer.reason, answer.text) != (reason, sent.format(tag=tag))


def ask(rewriter, call):
    text, user, late, *_ = call
    return rewriter.rewrite(text, user_id=user, after_failure=late)


@pytest.mark.slow
def test_threads_are_answered_by_one_version_each_time(tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)
    tags = {version(tmp_path, "a", keep=1): "a"}
    rewriter, answers, stop = Rewriter.open(tmp_path), [], threading.Event()

    def load():
        mine = []
        for n in itertools.count():
            call = CALLS[n % len(CALLS)]
            mine.append((call, ask(rewriter, call)))
            if stop.is_set():
                break
        answers.extend(mine)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for tag in ("bcdefghi"[n % 8] for n in range(SWAPS)):
        tags[version(tmp_path, tag, keep=1)] = tag
    stop.set()
    for thread in threads:
        thread.join()
    assert [pair for pair in answers if wrong(pair[1], pair[0], tags[pair[1].artefact])] == []
    assert len({answer.artefact for _, answer in answers}) > 3
    assert len(answers) > 300
    record_property("versions swapped under load", SWAPS)
    record_property("calls while versions were swapped", len(answers))


def test_a_batch_is_answered_as_its_calls_are(tmp_path):
    version(tmp_path, "a")
    rewriter = Rewriter.open(tmp_path)
    plain = [call for call in CALLS if not call[2]]
    answers = rewriter.rewrite_batch([call[0] for call in plain], user_ids=[call[1] for call in plain])
    assert [wrong(*pair, "a") for pair in zip(answers, plain, strict=True)] == [False] * len(plain)


def serve(root, barrier, queue):
    rewriter = Rewriter.open(root)
    found = [call for call in CALLS * 5 if wrong(ask(rewriter, call), call, "a")]
    barrier.wait(60)
    barrier.wait(60)  # a new version has been published
    time.sleep(1.05)
    queue.put(found + [call for call in CALLS * 5 if wrong(ask(rewriter, call), call, "b")])


@pytest.mark.slow
def test_processes_read_one_copy(tmp_path):
    version(tmp_path, "a")
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(3), context.Queue()
    children = [context.Process(target=serve, args=(tmp_path, barrier, queue), daemon=True) for _ in range(2)]
    for child in children:
        child.start()
    barrier.wait(60)
    version(tmp_path, "b")
    barrier.wait(60)
    assert [queue.get(timeout=60) for _ in children] == [[], []]
    for child in children:
        child.join(60)
