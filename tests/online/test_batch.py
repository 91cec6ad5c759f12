"""A batch is answered as its requests one by one, whatever is in it, and its candidates are measured in one go."""

from dataclasses import replace

import layered
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.decider import Threshold
from rewriter.online.layer import OnlineLayer
from rewriter.online.rewriter import Rewriter

ROOMS = ["kitchen", "bedroom", "hall", "cellar", "attic"]
TEXTS = [f"turn {way} the {what} in the {room}" for way in ("on", "off") for what in ("lamp", "fan") for room in ROOMS]
NAMES = [{"lamp": "name", "fan": "name"}] * len(TEXTS)
PRIVATE = [("ann", "call aunt zoe"), ("bob", "play my mix"), ("ann", "turn on the lamb in the shed")]
HEARD = [
    "turn off the lamb in the kitchen", "turn of the lamp", "turn on the van in the hole", "torn on lamp in the add tick",
    "call ant zoe", "play my mics", "xyz", "movie time", *TEXTS[:4],
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("artefact")
    layered.publish(
        root, TEXTS, NAMES, Threshold(0.15, 0.1), Threshold(0.6, 0.3), private=PRIVATE, shares={"online-before-global": 0.5}
    )
    Rewriter.open(root).teach("movie time", "turn off the lamp in the hall", user_id="ann")
    return root


def understands(text):
    return "cellar" not in text


CALL = st.tuples(
    st.sampled_from([*HEARD, "", "a" * 5000, None, 7]),
    st.sampled_from([None, "ann", "bob", 5, 0.5, "u" * 5000]),
    st.sampled_from([None, "en", "en-US", "de", 3]),
    st.sampled_from([(), ["turn on the fan in the hall"], [None, "turn of the lamb"], 5]),
    st.sampled_from([None, {"room": "kitchen"}, {1: object()}]),
    st.booleans(),
    st.sampled_from([None, "home", 0.5]),
)
COLUMNS = ("user_ids", "locales", "nbest", "context", "after_failure", "household_ids")
NAMED = ("user_id", "locale", "nbest", "context", "after_failure", "household_id")


def compared(answers):
    """Without what is drawn anew for each answer: a request of nobody is drawn by the id of its decision."""
    return [replace(answer, id="", ask=False) for answer in answers]


@settings(max_examples=60, deadline=None)
@given(st.lists(CALL, max_size=40), st.sampled_from([None, understands]), st.sampled_from([None, 10_000]))
def test_a_batch_is_its_requests_one_by_one(root, calls, parser, deadline_ms):
    single, batch = (
        Rewriter.open(root, understands=parser, deadline_ms=deadline_ms, now=lambda: 1.7e9, version=None) for _ in range(2)
    )
    calls = [(text, user if user is not None else "carl", *rest) for text, user, *rest in calls]
    alone = [single.rewrite(text, **dict(zip(NAMED, given, strict=True))) for text, *given in calls]
    texts, *columns = zip(*calls, strict=True) if calls else [[]] * 7
    together = batch.rewrite_batch(texts, **dict(zip(COLUMNS, columns, strict=True)))
    assert compared(together) == compared(alone)


def test_it_is_measured_in_one_go_and_each_text_of_nobody_once(root, monkeypatch):
    asked, score = [], OnlineLayer._score

    def counted(layer, requests, late):
        asked.append([request.hearings[0] for request in requests])
        return score(layer, requests, late)

    monkeypatch.setattr(OnlineLayer, "_score", counted)
    said = ["xyz", "turn off the lamb in the kitchen", TEXTS[0], "xyz", "turn of the lamp"]
    Rewriter.open(root).rewrite_batch(said)
    assert asked == [["xyz", "turn off the lamb in the kitchen"]]  # the others are healthy, heard before, and known to a rule


def test_a_request_that_fails_leaves_the_others_alone(root, monkeypatch, caplog):
    score = OnlineLayer._score

    def failing(layer, requests, late):
        if any("xyz" in request.hearings for request in requests):
            raise ValueError("xyz")
        return score(layer, requests, late)

    monkeypatch.setattr(OnlineLayer, "_score", failing)
    answers = Rewriter.open(root).rewrite_batch(["turn off the lamb in the kitchen", "xyz"], after_failure=True)
    assert [answer.reason for answer in answers] == ["online", "error"]
    assert "one by one" in caplog.text


def test_a_deadline_is_that_of_each_request(root, monkeypatch):
    monkeypatch.setattr(OnlineLayer, "score_all", None)
    answers = Rewriter.open(root, deadline_ms=10_000).rewrite_batch(HEARD[:2], after_failure=True)
    assert [answer.reason for answer in answers] == ["online", "rule"]
