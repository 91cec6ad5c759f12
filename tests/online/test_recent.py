"""A request that is asked again is decided as it was, by nothing that belongs to one user, and within a bounded memory."""

import os
import random
import threading
from dataclasses import replace

import layered
import pytest

from rewriter.codes import Reason
from rewriter.online import layer
from rewriter.online.rewriter import Rewriter
from rewriter.recent import Recent

TEXTS = ["turn off the lamp", "turn on the lamp", "play some jazz"]
NAMES = [{"lamp": "name"}, {"lamp": "name"}, {}]
GARBLE, MEANT = "turn off the lamb", "turn off the lamp"
OWN, OWN_GARBLE = "put on my silly playlist", "put on my silly plailist"


@pytest.fixture
def root(tmp_path):
    layered.publish(tmp_path, TEXTS, NAMES, private=[("ann", OWN)])
    return tmp_path


def told(answer):
    return replace(answer, id="")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("text", [GARBLE, "turn on the lamp", "lamp turn the on", OWN_GARBLE, "zzz", "play sum jazz"])
@pytest.mark.parametrize("user", [None, "bob", "ann"])
def test_the_second_answer_is_the_first(root, text, user, after):
    kept, new = Rewriter.open(root), Rewriter.open(root)
    first = told(kept.rewrite(text, user_id=user, after_failure=after))
    for other in (None, "ann", "bob"):
        kept.rewrite(text, user_id=other, after_failure=after)
    assert told(kept.rewrite(text, user_id=user, after_failure=after)) == first
    assert told(new.rewrite(text, user_id=user, after_failure=after)) == first


def test_what_one_user_alone_says_is_found_for_nobody_else(root):
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite(OWN_GARBLE, user_id="ann").text == OWN
    for user in (None, "bob"):
        answer = rewriter.rewrite(OWN_GARBLE, user_id=user)
        assert answer.text == OWN_GARBLE
        assert OWN not in [candidate.text for candidate in answer.candidates]
    assert rewriter.rewrite(OWN_GARBLE, user_id="ann").text == OWN


def test_the_parser_is_asked_every_time(root):
    understood = {MEANT}
    rewriter = Rewriter.open(root, understands=lambda text: text in understood)
    assert rewriter.rewrite(GARBLE).text == MEANT
    understood.clear()
    assert rewriter.rewrite(GARBLE).reason in (Reason.BLOCKED, Reason.UNSURE)
    understood.add(MEANT)
    assert rewriter.rewrite(GARBLE).text == MEANT


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_asked_before_the_answer_is_that_of_a_layer_that_remembers_nothing(root, seed):
    """Users, hearings, refusals, blocks, undos and a parser that changes its mind, in any order."""
    draw, understood = random.Random(seed), set(TEXTS)
    heard = [*TEXTS, GARBLE, OWN, OWN_GARBLE, "lamp turn the on", "play sum jazz", "turn of the lamb", "zzz"]
    kept = Rewriter.open(root, understands=understood.__contains__ if seed % 2 else None)
    undoable = []
    for _ in range(150):
        given = {
            "user_id": draw.choice([None, "ann", "bob", "eve"]),
            "locale": draw.choice([None, "en", "en-GB", "de"]),
            "nbest": draw.sample(heard, draw.choice([0, 0, 1, 2])),
            "after_failure": draw.random() < 0.5,
        }
        text = draw.choice(heard)
        answer = kept.rewrite(text, **given)
        new = Rewriter.open(root, understands=understood.__contains__ if seed % 2 else None)
        assert told(new.rewrite(text, **given)) == told(answer), (text, given)
        if answer.applied and given["user_id"]:
            undoable.append((answer.id, given["user_id"]))
        step = draw.random()
        if step < 0.1:
            understood ^= {draw.choice(TEXTS)}
        elif step < 0.15 and undoable:
            rewrite_id, user = draw.choice(undoable)
            kept.feedback(rewrite_id, draw.choice([-1, 0]), user)
        elif step < 0.2:
            source = draw.choice(["", GARBLE, "turn of the lamb"])
            with (root / "review.csv").open("a", encoding="utf-8") as review:
                review.write(f"block,,{source},{draw.choice(TEXTS)},\n")


def test_what_was_too_late_is_decided_when_there_is_time(root):
    serving = Rewriter.open(root)._serving
    request = layer.LayerRequest([GARBLE], "en", "", after_failure=False)
    late = serving.online_layer.decide(request, late=lambda: True, sendable=None)
    assert late.reason is Reason.DEADLINE
    assert serving.online_layer.decide(request, late=lambda: False, sendable=None).text == MEANT


def test_a_new_version_decides_anew(root):
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite(GARBLE).text == MEANT
    layered.publish(root, TEXTS[1:], NAMES[1:])
    rewriter._next_look = 0.0
    answer = rewriter.rewrite(GARBLE)
    assert answer.text == GARBLE
    assert MEANT not in [candidate.text for candidate in answer.candidates]


def test_at_most_twice_its_size_is_kept_and_what_is_asked_for_stays():
    recent = Recent(10)
    for i in range(1000):
        recent.put(i, i)
        assert recent.get(0) == 0
        assert recent.get(i) == i
    assert len(recent._younger) + len(recent._older) <= 20
    assert recent.get(500) is None


def test_many_threads_find_what_they_put():
    recent, wrong = Recent(8), []

    def work(offset):
        for i in range(3000):
            key = (i * 7 + offset) % 40
            found = recent.get(key)
            if found not in (None, key):
                wrong.append((key, found))
            recent.put(key, key)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(recent._younger) <= 8 + len(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_answers_the_same(root):
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite(GARBLE).text == MEANT
    child = os.fork()
    if not child:
        os._exit(0 if rewriter.rewrite(GARBLE).text == MEANT else 1)
    assert os.waitpid(child, 0)[1] == 0
