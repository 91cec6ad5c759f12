"""Who is asked "did I get that right?": mostly where the answer would teach, within what a user bears, not about what is sure."""

import hashlib
import threading

import layered
import numpy as np
import pytest

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk
from rewriter.online.options import Questions, p_asked
from rewriter.text import hash_user

BY_TEXT = Logistic(np.array([1.0, *[0.0] * (len(COLUMNS) - 2), -3.0]), 0.0)
RISK = Risk(
    {"half and half": 0.0, "always wrong": 9.0}, {}, -9.0, BY_TEXT, rate=2.0, a_day=1
)  # 1 or more at P = .5, .1 where sure
DAY = 86_400.0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One rule and a lamp, and a student that a teacher had."""
    root = tmp_path_factory.mktemp("asking") / "artefact"
    layered.publish(root, ["turn off the lamp", "turn on the lamp"], [{"lamp": "name"}] * 2, student=RISK)
    return root


@pytest.fixture
def asking(root):
    return Rewriter.open(root, now=lambda: 3 * DAY)


def test_the_unsure_are_asked_about(asking):
    assert all(asking.rewrite("Half and half!", user_id=f"user {i}").ask for i in range(50))
    for said in ("turn of the lamp", ""):
        assert not any(asking.rewrite(said, user_id=f"user {i}").ask for i in range(50))


def test_the_sure_are_asked_about_as_rarely_as_the_hash_draws(asking, root):
    key = bytes.fromhex(current(root).manifest.user_key)
    for text, odds in (("always wrong", 9.0), ("never heard", -9.0)):
        p = 1 / (1 + np.exp(-odds))
        share = 2 * (np.sqrt(p * (1 - p)) + 0.05)
        wanted = []
        for i in range(200):
            unit = f"{hash_user(f'user {i}', key)}\0{3}\0{text}"
            number = hashlib.blake2b(unit.encode(), digest_size=8, key=key, person=b"ask").digest()
            wanted.append(int.from_bytes(number, "little") / 2**64 < share)
        fresh = Rewriter.open(root, now=lambda: 3 * DAY)
        assert [fresh.rewrite(text, user_id=f"user {i}").ask for i in range(200)] == wanted
        assert 10 < sum(wanted) < 50


def test_nobody_is_asked_more_often_in_a_day_than_she_bears(root):
    clock = [3 * DAY]
    asking = Rewriter.open(root, now=lambda: clock[0])
    assert [asking.rewrite("half and half", user_id="ann").ask for _ in range(3)] == [True, False, False]
    assert asking.rewrite("half and half", user_id="ben").ask
    clock[0] += DAY
    assert asking.rewrite("half and half", user_id="ann").ask
    assert [asking.rewrite("half and half").ask for _ in range(3)] == [True, True, True]  # nobody in particular


def test_a_budget_of_none():
    assert not Questions().spend("ann", 1, 0)
    assert not Questions().spend("", 1, 0)


def test_many_threads_share_a_budget():
    questions, given = Questions(), []

    def ask():
        given.extend(questions.spend("ann", 1, 5) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(given), len(given)) == (5, 400)


def test_not_after_a_refusal_and_hardly_when_the_words_are_repeated(asking):
    assert not asking.rewrite("half and half", user_id="ann", after_failure=True).ask
    assert p_asked(RISK, ["half and half"], {}) == 1.0
    again = p_asked(RISK, ["half and half"], {"previous_utterance": "Half and half"})
    p = 1 / (1 + np.exp(3.0))
    assert again == pytest.approx(2 * (np.sqrt(p * (1 - p)) + 0.05))
    assert p_asked(RISK, ["half and half"], {"previous_utterance": 7}) == 1.0


def test_nothing_odd_is_asked_about(asking):
    for odd, reason in ((None, "not_text"), (7, "not_text"), ("x" * 10_000, "too_long"), ("!", "empty")):
        answer = asking.rewrite(odd)
        assert (answer.text, answer.reason, answer.ask) == (odd, reason, False)


def test_without_a_teacher_nobody_is_asked(lamp):
    student = Risk.open(current(lamp[0]).folder / "online")
    assert (student.rate, student.words["lamb"] > student.mean > student.words["off"]) == (0.0, True)
    assert not any(Rewriter.open(lamp[0]).rewrite("half and half", user_id=f"user {i}").ask for i in range(50))
