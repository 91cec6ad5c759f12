"""The rule: what it says of stories that people know, that each cue pulls the right way, and its numbers by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.model.detector import CueWeights, RuleDetector
from rewriter.similarity import contained, sound_similarity, text_similarity

NAN = math.nan
QUIET, BARGED, FAILED = 50, 700, 1000
PLAIN = {
    "ahead": 1,
    "gap_ms": 6_000,
    "source_friction": QUIET,
    "source_failed": 0.0,
    "source_engaged": NAN,
    "target_failed": 0.0,
    "barge_in": 0,
    "same_hypothesis": 0.0,
    "same_response": 0.0,
}
HONEST = {"source_friction": FAILED, "source_failed": 1.0, "same_hypothesis": NAN}
INTERRUPTED = {"source_friction": BARGED, "barge_in": 1}


def p(source, target, **cues):
    near = {
        "text_similarity": round(1000 * text_similarity([source], [target])[0]),
        "sound_similarity": round(1000 * sound_similarity([source], [target])[0]),
        "contained": int(contained(source, target)),
    }
    values = PLAIN | near | cues
    return int(RuleDetector().score({name: np.array([values[name]]) for name in RuleDetector().columns})[0])


@pytest.mark.parametrize(
    ("source", "target", "cues", "low", "high"),
    [
        # An honest failure, and soon after something else: a garble said again, the same again, the same goal in other words.
        ("turn of the limp", "turn off the lamp", HONEST, 800, 1000),
        ("turn of the limp", "turn of the limp", HONEST, 800, 1000),
        ("it's too dark in here", "turn on the lights", HONEST, 100, 500),
        ("it's too dark in here", "turn on the lights", HONEST | {"gap_ms": 60_000}, 0, 100),
        ("it's too dark in here", "turn on the lights", HONEST | {"ahead": 3}, 0, 120),
        # A success, and soon after something else: a new goal, however near.
        ("turn on the lights", "what is the weather", {}, 0, 0),
        ("turn on the kitchen light", "turn on the bedroom light", {}, 0, 150),
        ("turn on the kitchen light", "turn on the bedroom light", {"source_engaged": 1000.0, "source_friction": 0}, 0, 30),
        # Understood wrongly without a word: interrupted, or quickly said in more words.
        ("play harry potter", "play the harry potter audiobook", {}, 200, 600),
        ("play harry potter", "play the harry potter audiobook", INTERRUPTED, 700, 1000),
        ("play harry potter", "play the harry potter audiobook", {"gap_ms": 50_000}, 0, 100),
        ("turn of the lamp", "turn off the lamp", {}, 200, 600),
        # Asked for twice, done twice.
        ("next", "next", {"same_hypothesis": 1.0}, 0, 0),
        ("next", "next", INTERRUPTED | {"same_hypothesis": 1.0}, 0, 30),
        ("louder", "turn it up", {"same_hypothesis": 1.0}, 0, 0),
        # Tried again, and failed again.
        ("turn of the limp", "turn off the limp", HONEST | {"target_failed": 1.0}, 100, 500),
    ],
)
def test_stories(source, target, cues, low, high):
    assert low <= p(source, target, **cues) <= high


def test_by_hand():
    cues = HONEST | {"gap_ms": 10_000, "text_similarity": 650, "sound_similarity": 900, "contained": 0, "same_response": 1.0}
    odds = -4.5 + 3.5 - 0.5 + 6 * (0.9 - 0.4) - 0.5
    assert p("", "", **cues) == round(1000 / (1 + math.exp(-odds)))
    silent = {"text_similarity": 800, "sound_similarity": 400, "contained": 1, "ahead": 2, "source_engaged": 250.0}
    odds = -4.5 + 3.5 * 0.05 - 2 * 0.25 - 0.3 - 0.7 + 6 * (0.8 - 0.4) + 1.5
    assert p("", "", **silent) == round(1000 / (1 + math.exp(-odds)))


def test_more_by_hand():
    both = INTERRUPTED | {"gap_ms": 0, "same_hypothesis": 1.0, "text_similarity": 1000, "sound_similarity": 1000, "contained": 0}
    odds = -4.5 + 3.5 * 0.7 + 1 + 6 * (1 - 0.4) - 2.5
    assert p("", "", **both | {"target_failed": 1.0}) == round(1000 / (1 + math.exp(-(odds - 3))))
    assert p("", "", **both | {"source_failed": 1.0}) == round(1000 / (1 + math.exp(-odds)))
    unknown = {"source_failed": NAN, "target_failed": NAN}
    assert p("", "", **both | unknown) == p("", "", **both) == 0
    assert round(1000 / (1 + math.exp(-(odds - 8)))) < CueWeights().least


CUES = st.fixed_dictionaries(
    {
        "ahead": st.integers(1, 3),
        "gap_ms": st.integers(0, 60_000),
        "source_friction": st.integers(0, 1000),
        "source_failed": st.sampled_from([0.0, 1.0, NAN]),
        "source_engaged": st.sampled_from([0.0, 400.0, 1000.0, NAN]),
        "target_failed": st.sampled_from([0.0, 1.0, NAN]),
        "barge_in": st.integers(0, 1),
        "same_hypothesis": st.sampled_from([0.0, 1.0, NAN]),
        "same_response": st.sampled_from([0.0, 1.0, NAN]),
        "text_similarity": st.integers(0, 1000),
        "sound_similarity": st.integers(0, 1000),
        "contained": st.integers(0, 1),
    }
)


@given(
    CUES,
    st.sampled_from(
        [
            {"gap_ms": 0},
            {"ahead": 1},
            {"source_friction": 1000},
            {"source_friction": 1000, "source_failed": 1.0},
            {"source_engaged": NAN},
            {"barge_in": 1},
            {"text_similarity": 1000},
            {"sound_similarity": 1000},
            {"contained": 1},
            {"same_response": 0.0},
            {"target_failed": 0.0, "same_hypothesis": 0.0},
            {"same_hypothesis": NAN},
        ]
    ),
)
def test_each_cue_pulls_one_way(cues, stronger):
    one, other = p("", "", **cues), p("", "", **cues | stronger)
    assert 0 <= one <= other <= 1000


def test_chance_is_cut_off():
    found = RuleDetector(CueWeights(bias=0.0, alike=0.0, friction=0.0, gap=-1.0)).score(
        {name: np.array([PLAIN.get(name, 0)] * 2) for name in RuleDetector().columns} | {"gap_ms": np.array([3_400, 3_600])}
    )
    assert found.tolist() == [32, 0]
    assert found.dtype == np.int64


def test_no_candidates():
    assert RuleDetector().score({name: np.zeros(0) for name in RuleDetector().columns}).shape == (0,)
