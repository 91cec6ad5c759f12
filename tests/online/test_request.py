"""Every argument has a bound before anything of it is copied; what is within the bounds is read as it was given."""

import tracemalloc
from collections.abc import Mapping
from fractions import Fraction

import layered
import numpy as np
import pytest

from rewriter import Rewriter
from rewriter.codes import Reason
from rewriter.online.request import MAX_CONTEXT, MAX_HEARINGS, MAX_LOCALE, MAX_USER, Call, read_call, read_user

MB = 10**6


def call(utterance="Hello", user=None, locale=None, nbest=(), context=None, after=False):
    return read_call(utterance, user, locale, nbest, context, after, max_chars=500, key=bytes(16), hashed=True)


@pytest.fixture(scope="module")
def rewriter(tmp_path_factory):
    root = tmp_path_factory.mktemp("bounds") / "artefact"
    layered.publish(root, ["turn off the lamp"], [{"lamp": "name"}])
    return Rewriter.open(root)


class Endless(Mapping):
    """A context without end, all of whose keys are reserved."""

    def __getitem__(self, key):
        return key

    def __iter__(self):
        n = 0
        while True:
            n += 1
            yield f"state.{n}"

    def __len__(self):
        return 1


HUGE = [
    lambda i: {"utterance": f"{i}" * MB},
    lambda i: {"locale": f"en-{i}" + "x" * MB},
    lambda i: {"user_id": f"{i}" * MB},
    lambda i: {"user_id": 10**5_000 + i},
    lambda i: {"nbest": range(10**8)},
    lambda i: {"nbest": [f"{i}" * MB] * 10**5},
    lambda i: {"nbest": "turn " * MB},
    lambda i: {"context": {"previous_utterance": f"{i}" * MB, "state.x": "y" * MB, "z" * MB: 1, "hour": 10**5_000}},
    lambda i: {"context": dict.fromkeys(map(str, range(10**5)), "x" * 1_000)},
    lambda i: {"context": Endless()},
]


@pytest.mark.parametrize("given", HUGE, ids=range(len(HUGE)))
def test_nothing_huge_is_copied_or_kept(rewriter, given):
    requests = [{"utterance": "turn off the lamb", "after_failure": i % 2 == 0} | given(i) for i in range(4)]
    for request in requests:
        rewriter.rewrite(**request)  # what is loaded at the first request is no copy
    tracemalloc.start()
    answers = [rewriter.rewrite(**request) for request in requests]
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {answer.reason for answer in answers} <= {"too_long", "online", "unsure", "fluent", "blocked"}
    assert (kept < 200_000, peak < 500_000) == (True, True)


def test_the_bounds():
    assert [call("x" * n) == Reason.TOO_LONG for n in (500, 501)] == [False, True]
    assert [call(locale="x" * n) == Reason.TOO_LONG for n in (MAX_LOCALE, MAX_LOCALE + 1)] == [False, True]
    assert [read_user("x" * n) == Reason.TOO_LONG for n in (MAX_USER, MAX_USER + 1)] == [False, True]
    assert len(call(nbest=list("abcdefghijkl")).hearings()) == MAX_HEARINGS
    assert len(call(context={f"state.{n}": n for n in range(1_000)}).context) == MAX_CONTEXT


@pytest.mark.parametrize(
    ("given", "read"),
    [(None, ""), ("", ""), ("ann", "ann"), (5, "5"), (0, "0"), (-3, "-3"), (2**64, str(2**64)), (np.int64(7), "7")],
)
def test_users(given, read):
    assert read_user(given) == read


@pytest.mark.parametrize("given", [True, 0.5, b"ann", ["ann"], np.bool_(1), float("nan"), object()])
def test_what_is_no_user(given):
    assert read_user(given) is Reason.NOT_TEXT


def test_contexts_keep_scalars():
    scalars = {"hour": np.int64(7), "room": "Kitchen", "state.on": True, "share": Fraction(1, 2)}
    found = call(context={**scalars, "list": [1], 5: "x", "none": None})
    assert isinstance(found, Call)
    assert found.context == {"hour": 7.0, "room": "Kitchen", "state.on": True, "share": 0.5}


def test_one_hearing_may_be_given_as_a_text():
    assert call("turn of", nbest="turn off").hearings() == ["turn of", "turn off"]
    assert call("turn of", nbest=[None, 5, "Turn of!", "", "turn off"]).hearings() == ["turn of", "turn off"]
