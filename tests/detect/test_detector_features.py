"""Every cue of a pair of turns, worked out by hand."""

import json
import math

import numpy as np
import pytest
from logs_by_hand import listed, turn

from rewriter.detect.features import NAMES, Cues
from rewriter.detect.turns import Likeness, Turns
from rewriter.detect.weak_labels import Items

THAI, BOTH = "inform|food=thai", "inform+request|food=thai|request.phone="


@pytest.fixture
def cues(tmp_path):
    """A function from turns to the cues of two of them, by name."""

    def measure(turns, source, target, ignore_nbest=None, **given):
        tables = listed(turns, tmp_path)
        read = Turns.read(tables)
        rows = {turn_id: np.array([row]) for row, turn_id in enumerate(read.turn_id)}
        one, other = rows[source], rows[target]
        columns = {"gap_ms": np.array([5000]), "ahead": np.array([1]), "barge_in": np.array([0])}
        columns |= Likeness(tables.texts).measure(read["said"][one], read["said"][other])
        found = Cues(read, Items.of(read)).measure(one, other, columns | given, ignore_nbest)
        return dict(zip(NAMES, found[0].tolist(), strict=True))

    return measure


def test_a_pair_by_hand(cues):
    turns = [
        turn("ann", 0, "hello", "hello", response="what food?"),
        turn("ann", 4, "tie food", None, response="what food?", nbest=json.dumps(["tie food", "thai food", "die food"])),
        turn("ann", 9, "thai food and the phone number", BOTH, response="ok, thai", feedback=1),
        turn("ben", 0, "thai food and the phone number", None, response="sorry"),
    ]
    found = cues(turns, "ann-000004", "ann-000009")
    alike = 2 * 8 / (8 + 30)  # "t", "i", "e", " ", "food" less what is out of order: Indel counts the common letters
    assert found == pytest.approx(
        {
            "gap_ms": 5000,
            "ahead": 1,
            "barge_in": 0,
            "text_similarity": found["text_similarity"],
            "sound_similarity": found["sound_similarity"],
            "contained": 0,
            "source_friction": 1000,
            "target_friction": 50,  # feedback is a label, and no cue
            "source_failed": 1,
            "target_failed": 0,
            "source_engaged": math.nan,
            "source_words": 2,
            "target_words": 6,
            "same_response": 0,
            "same_prompt": 1,
            "source_unheeded": 1,
            "target_unheeded": 0,
            "same_hypothesis": math.nan,
            "source_items": 0,
            "target_items": 4,
            "items_new": 4,
            "items_gone": 0,
            "slots_new": 2,
            "slots_common": 0,
            "target_rate": 0.5,  # it works for one of its two users: (1 + 1/2) / (2 + 1)
            # One turn follows "what food?" beside it, with no slots: (0 + 2 / 4) / (1 + 2) against 1 of 4 turns.
            "target_answers": math.log((2 / 4) / 3 / (1 / 4)),
            "heard_alike": 2 * 9 / (9 + 30),  # "thai food" is all there
            "value_alike": found["value_alike"],
            "value_heard": 1.0,  # "thai" is heard
        },
        nan_ok=True,
    )
    assert found["text_similarity"] <= 1000 * alike + 1
    assert found["value_alike"] < 1.0


def test_what_both_gave(cues):
    turns = [turn("ann", 0, "thai food", THAI, response="a"), turn("ann", 5, "thai food and phone", BOTH, response="a")]
    found = cues(turns, "ann-000000", "ann-000005")
    names = ("same_hypothesis", "same_response", "source_items", "target_items", "items_new", "items_gone", "slots_new")
    assert [found[name] for name in names] == [0, 1, 2, 4, 2, 0, 1]
    assert (found["slots_common"], found["contained"]) == (1, 1)
    assert math.isnan(found["same_prompt"])  # nothing had been said before the first


def test_who_is_deaf_to_the_other_hearings_compares_the_texts_alone(cues):
    turns = [
        turn("ann", 0, "tie food", None, nbest=json.dumps(["tie food", "thai food"])),
        turn("ann", 9, "thai food", THAI),
    ]
    heard, ignore_nbest = (cues(turns, "ann-000000", "ann-000009", np.array([is_deaf])) for is_deaf in (False, True))
    assert heard["heard_alike"] == heard["value_heard"] == 1.0
    assert ignore_nbest["heard_alike"] == pytest.approx(ignore_nbest["text_similarity"] / 1000, abs=1e-3)
    assert ignore_nbest["value_heard"] == ignore_nbest["value_alike"] < 1.0
    assert {name for name in NAMES if heard[name] != ignore_nbest[name] and not math.isnan(heard[name])} == {
        "heard_alike",
        "value_heard",
    }
