"""What may be sent, what is chosen, and the two kept on disk."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import ArtefactError
from rewriter.guardrail import Guardrail
from rewriter.model.decider import Calibration, Decider, Threshold, choose, may
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic

WORDING = Wording.of([
    ("turn off the lamp", {"lamp": "name"}),
    ("turn on the lamp", {"lamp": "name"}),
    ("set the lamp to fifty percent", {"lamp": "name"}),
    ("unlock the door", {}),
])  # fmt: skip


def allowed(hearings, text, after_failure):
    return may(hearings, text, Guardrail.open("en"), WORDING, after_failure=after_failure)


@pytest.mark.parametrize("after_failure", [False, True])
@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("turn on the lamp", "turn off the lamp"),
        ("set the lamp to fifteen percent", "set the lamp to fifty percent"),
        ("lock the door", "unlock the door"),
    ],
)
def test_polarity_and_numbers_never_cross(heard, text, after_failure):
    assert not allowed([heard], text, after_failure)


def test_what_the_recogniser_heard_besides_is_evidence_after_a_refusal_only():
    hearings = ["set the lamp to fifteen percent", "set the lamp to fifty percent"]
    assert allowed(hearings, "set the lamp to fifty percent", True)
    assert not allowed(hearings, "set the lamp to fifty percent", False)


def test_another_hearing_asks_for_nothing_destructive():
    assert not allowed(["look the door", "unlock the door"], "unlock the door", True)


def test_the_likeliest_that_is_allowed_among_the_first_five():
    p = [0.1, 0.9, 0.5, 0.4, 0.3, 0.2]
    assert choose(p, lambda i: i != 1) == 2
    assert choose(p, lambda i: i == 0) is None
    assert choose([], lambda i: True) is None


def test_what_is_saved_is_opened(tmp_path):
    rng = np.random.default_rng(0)
    ranker, risk = (Logistic(rng.normal(size=len(names)), -0.5) for names in (RANK, RISK))
    after = Threshold(0.5, 0.3, Calibration((0.1, 0.2), (0.3, 0.9), (0.4, 0.95)), least_prior=0.9)
    Decider(ranker, risk, Threshold(0.7), after, hears=True, channel="typed").save(tmp_path)
    again = Decider.open(tmp_path)
    assert (again.before, again.after, again.hears, again.channel) == (Threshold(0.7, math.inf), after, True, "typed")
    assert again.asks_prior
    rows = rng.normal(size=(9, len(RANK)))
    assert again.ranker.p(rows).tolist() == ranker.p(rows).tolist()
    (tmp_path / "decider.json").write_text((tmp_path / "decider.json").read_text().replace("[", "[1.0, ", 1))
    with pytest.raises(ArtefactError, match=r"decider\.json"):
        Decider.open(tmp_path)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    st.floats(-0.5, 1.5),
    st.integers(0, 7),
)
def test_one_score_is_read_from_the_curve_as_many_are(knots, score, place):
    """To the last digit, between the knots, on one of them, and where several knots have one score."""
    scores, p = (tuple(sorted(column)) for column in zip(*knots, strict=True))
    curve = Calibration(scores, p, p)
    for x in (score, scores[place % len(scores)]):
        assert curve.p_of(x) == curve.expected_of(x) == curve.all(np.array([x]))[0] == np.interp(x, scores, p)
