"""`rewrite()` never raises, whatever it is called with: 100,000 odd calls, a million with REWRITER_FUZZ=1000000."""

import os
import random

import pytest

from rewriter import Rewrite, Rewriter

CALLS = int(os.environ.get("REWRITER_FUZZ", "100000"))
PARTS = [
    *("turn of the lamp", "turn off the lamp", "play my mess", "lamp", "off", "fifteen", "12,5", " ", "", "\n", "\0", "\ud800"),
    *("İ", "ß", "שלום", "你好", "e\u0301", "\u202e", "👩‍👩‍👧", "'; DROP TABLE rules; --", "%s", "{0}", "../..", "a" * 600),
]
ODD = [None, 0, -1, 5, 1.5, float("nan"), True, b"bytes", [], {}, (), object(), "", "ann", "\ud800", "x" * 5_000, 10**30]


def text(draw):
    return "".join(draw.choices(PARTS, k=draw.randrange(4)))


def call(draw):
    """Arguments of one call: mostly as documented, each now and then of any other kind."""
    context = {draw.choice(["room", "hour", "previous_utterance", "state.mode", "x", ""]): text(draw) for _ in range(2)}
    given = {
        "user_id": draw.choice([None, "ann", "ben", 7, text(draw)]),
        "locale": draw.choice([None, "en", "en-US", "tr", text(draw)]),
        "nbest": [text(draw) for _ in range(draw.randrange(3))],
        "context": draw.choice([None, context]),
        "after_failure": draw.random() < 0.5,
    }
    for name in given:
        if draw.random() < 0.05:
            given[name] = draw.choice(ODD)
    return draw.choice(ODD) if draw.random() < 0.02 else text(draw), given


@pytest.mark.slow
def test_no_call_raises(small, record_property):
    record_property("odd calls of rewrite()", CALLS)
    rewriter, draw, reasons = Rewriter.open(small), random.Random(0), set()
    for n in range(CALLS):
        said, given = call(draw)
        try:
            answer = rewriter.rewrite(said, **given)
        except Exception as error:  # noqa: BLE001 - the subject of the test
            pytest.fail(f"call {n}: rewrite({said!r}, **{given!r}) raised {error!r}")
        assert isinstance(answer, Rewrite)
        assert answer.applied or answer.text is said or answer.text == said, (said, given, answer)
        reasons.add(str(answer.reason))
    assert {"rule", "healthy"} <= reasons, "the calls reach the rules"
    assert reasons & {"online", "unsure", "blocked", "no_candidate", "off"}, "the calls reach the online layer"
