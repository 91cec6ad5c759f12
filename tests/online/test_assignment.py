"""What is drawn: in the right proportion, once a day and user, the same in every process, and told in the answer."""

import hashlib

import pytest
from published import publish

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.online.options import drawn

KEY = bytes(range(32))
TEXT, DAY = "turn of the lamp", 86_400.0


def test_the_draw_is_the_hash_that_the_docs_state():
    for user in ("ann", "ben", "cem", "dan", "eva"):
        digest = hashlib.blake2b(f"{user}\0{3}\0{TEXT}".encode(), digest_size=8, key=KEY, person=b"arm").digest()
        number = int.from_bytes(digest, "little") / 2**64
        assert drawn(number + 1e-9, user, TEXT, 3, KEY) == "rewrite"
        assert drawn(number - 1e-9, user, TEXT, 3, KEY) == "leave"


@pytest.mark.parametrize("share", [0.005, 0.5, 0.9])
def test_the_proportion(share):
    n = 20_000
    hits = sum(drawn(share, f"user{i % 200}", TEXT, i // 200, KEY) == "rewrite" for i in range(n))
    assert abs(hits / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_users_sources_and_days_are_drawn_apart():
    """Knowing one draw says nothing of another: half of all pairs agree."""
    for other in (("user{}", TEXT, 1), ("user{}", "another", 0), ("other{}", TEXT, 0)):
        pairs = [(drawn(0.5, f"user{i}", TEXT, 0, KEY), drawn(0.5, other[0].format(i), *other[1:], KEY)) for i in range(4_000)]
        assert abs(sum(a == b for a, b in pairs) / len(pairs) - 0.5) < 0.04


@pytest.fixture
def root(tmp_path):
    publish(tmp_path, {(None, "en", TEXT): "turn off the lamp", ("ann", "en", "own"): "mine"}, share=0.7)
    return tmp_path


def test_the_answer_tells_the_arm(root):
    rewriter, seen = Rewriter.open(root, now=lambda: 5 * DAY), set()
    key = bytes.fromhex(current(root).manifest.user_key)
    for i in range(40):
        answer = rewriter.rewrite(TEXT, user_id=f"user{i}")
        seen.add(answer.arm)
        if answer.arm == "rewrite":
            told = (answer.text, answer.applied, answer.layer, answer.reason, answer.propensity)
            assert told == ("turn off the lamp", True, "precomputed", "rule", 0.7)
        else:
            told = (answer.text, answer.applied, answer.layer, answer.reason, answer.score, answer.suggestion)
            assert told == (TEXT, False, None, "held_out", None, None)
            assert answer.propensity == pytest.approx(0.3)
        assert (answer.rule, answer.scope) == ("r0", "global")
        again = Rewriter.open(root, now=lambda: 5.99 * DAY).rewrite(TEXT.upper(), user_id=f"user{i}")
        assert again.arm == answer.arm
    assert seen == {"rewrite", "leave"}
    assert len(key) == 32


def test_a_user_is_drawn_anew_every_day(root):
    time = [0.0]
    rewriter = Rewriter.open(root, now=lambda: time[0])
    arms = []
    for day in range(200):
        time[0] = day * DAY
        arms.append(rewriter.rewrite(TEXT, user_id="ben").arm)
    assert 0.55 < arms.count("rewrite") / 200 < 0.85


def test_nobody_is_drawn_call_by_call(root):
    rewriter = Rewriter.open(root)
    arms = [rewriter.rewrite(TEXT).arm for _ in range(200)]
    assert 0.55 < arms.count("rewrite") / 200 < 0.85


def test_after_a_refusal_nothing_is_drawn(root):
    rewriter = Rewriter.open(root)
    answers = [rewriter.rewrite(TEXT, user_id=f"user{i}", after_failure=True) for i in range(30)]
    assert {(a.applied, a.arm, a.propensity) for a in answers} == {(True, None, None)}


def test_a_rule_that_is_sure_is_not_drawn(tmp_path):
    publish(tmp_path, {(None, "en", TEXT): "turn off the lamp"})
    answer = Rewriter.open(tmp_path).rewrite(TEXT, user_id="ann")
    assert (answer.applied, answer.arm, answer.propensity) == (True, None, None)


def test_an_undo_of_a_request_that_was_left_alone_says_nothing_of_the_rule(root):
    rewriter = Rewriter.open(root, now=lambda: 5 * DAY)
    for user in (f"user{i}" for i in range(30)):
        answer = rewriter.rewrite(TEXT, user_id=user)
        rewriter.feedback(answer.id, -1, user)
        assert rewriter.rewrite(TEXT, user_id=user).reason == ("undone_by_user" if answer.applied else "held_out")
