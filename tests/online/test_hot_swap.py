import itertools
import logging
import multiprocessing
import threading
import time

import pytest
from published import publish

import rewriter.online.rewriter as module
from rewriter.online.rewriter import Rewriter

SENTENCES = [f"sentence {n}" for n in range(30)]


def version(tag):
    return {(None, "en", s): f"{s} {tag}" for s in SENTENCES} | {("ann", "en", SENTENCES[0]): f"hers {tag}"}


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_new_version_is_seen_after_a_second(tmp_path, clock):
    first = publish(tmp_path, version("a"))
    rewriter = Rewriter.open(tmp_path)
    second = publish(tmp_path, version("b"))
    clock.now += 0.99
    assert rewriter.rewrite("sentence 1").artefact == first
    clock.now += 0.01
    answer = rewriter.rewrite("sentence 1")
    assert (answer.text, answer.artefact) == ("sentence 1 b", second)
    assert rewriter.rewrite_batch(["sentence 1"])[0].artefact == second


def test_going_back_is_seen_too(tmp_path, clock):
    first = publish(tmp_path, version("a"))
    publish(tmp_path, version("b"))
    rewriter = Rewriter.open(tmp_path)
    (tmp_path / "CURRENT").write_text(first + "\n")
    clock.now += 1
    assert rewriter.rewrite_batch(["sentence 1"])[0].text == "sentence 1 a"


def test_it_looks_at_most_once_a_second(tmp_path, clock, monkeypatch):
    publish(tmp_path, version("a"))
    rewriter, looks = Rewriter.open(tmp_path), []
    seen = module.current_id
    monkeypatch.setattr(module, "current_id", lambda root: looks.append(clock.now) or seen(root))
    for _ in range(500):
        clock.now += 0.01
        rewriter.rewrite("sentence 1")
    assert len(looks) in (4, 5)


@pytest.mark.parametrize("damage", ["cut", "missing", "pointer", "no pointer", "manifest"])
def test_a_damaged_version_is_not_taken_and_told_once(tmp_path, clock, caplog, damage):
    publish(tmp_path, version("a"))
    rewriter = Rewriter.open(tmp_path)
    new = publish(tmp_path, version("b"))
    book = tmp_path / "versions" / new / "rules" / "global.mdb"
    target = {
        "pointer": tmp_path / "CURRENT",
        "no pointer": tmp_path / "CURRENT",
        "manifest": book.parent.parent / "manifest.json",
    }
    target = target.get(damage, book)
    whole = target.read_bytes()
    if damage in ("missing", "no pointer"):
        target.unlink()
    else:
        target.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            clock.now += 1
            assert rewriter.rewrite("sentence 1").text == "sentence 1 a"
    assert len(caplog.records) == 1
    assert str(target) in caplog.text
    target.write_bytes(whole)  # the copy is completed
    clock.now += 1
    assert rewriter.rewrite("sentence 1").text == "sentence 1 b"


def test_the_folder_may_vanish(tmp_path, clock):
    publish(tmp_path / "art", version("a"))
    rewriter = Rewriter.open(tmp_path / "art")
    (tmp_path / "art").rename(tmp_path / "elsewhere")
    clock.now += 1
    assert rewriter.rewrite("sentence 1").text == "sentence 1 a"


@pytest.mark.slow
def test_calls_in_flight_are_answered_by_one_version(tmp_path, monkeypatch):
    """Threads call while versions come and go as fast as they can: nothing fails, nothing is mixed up."""
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)
    tags = {publish(tmp_path, version("v0"), keep=1): "v0"}
    rewriter, answers, stop = Rewriter.open(tmp_path), [], threading.Event()

    def call():
        mine = []
        for n in itertools.count():
            said, user = SENTENCES[n % len(SENTENCES)], ("ann", "bob")[n % 2]
            mine.append((said, user, rewriter.rewrite(said, user_id=user)))
            if n % 50 == 0:
                mine.append((SENTENCES[3], None, Rewriter.open(tmp_path).rewrite(SENTENCES[3])))
            if stop.is_set():
                break
        answers.extend(mine)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(1, 31):
        tags[publish(tmp_path, version(f"v{n}"), keep=1)] = f"v{n}"
    stop.set()
    for thread in threads:
        thread.join()
    for said, user, answer in answers:
        own = user == "ann" and said == SENTENCES[0]
        assert answer.text == (f"hers {tags[answer.artefact]}" if own else f"{said} {tags[answer.artefact]}"), answer
    assert len({answer.artefact for _, _, answer in answers}) > 5
    assert len(answers) > 500
    assert rewriter.rewrite(SENTENCES[1]).text == f"{SENTENCES[1]} v30"


def _serve(root, barrier, queue, rewriter):
    rewriter = rewriter or Rewriter.open(root)
    wrong = [s for s in SENTENCES * 20 if rewriter.rewrite(s).text != f"{s} a"]
    barrier.wait(30)
    barrier.wait(30)  # a new version has been published
    time.sleep(1.05)
    wrong += [s for s in SENTENCES * 20 if rewriter.rewrite(s).text != f"{s} b"]
    queue.put((wrong, rewriter.rewrite(SENTENCES[0], user_id="ann").text))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_many_processes_read_one_copy(tmp_path, start):
    publish(tmp_path, version("a"))
    context = multiprocessing.get_context(start)
    opened = Rewriter.open(tmp_path) if start == "fork" else None
    barrier, queue = context.Barrier(4), context.Queue()
    children = [context.Process(target=_serve, args=(tmp_path, barrier, queue, opened), daemon=True) for _ in range(3)]
    for child in children:
        child.start()
    barrier.wait(30)
    publish(tmp_path, version("b"))
    barrier.wait(30)
    found = [queue.get(timeout=30) for _ in children]
    for child in children:
        child.join(30)
    assert found == [([], "hers b")] * 3
