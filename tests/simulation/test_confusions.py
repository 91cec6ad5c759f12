"""Confusions: what is written instead of a word, decided by uniform numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.simulation.channels import ErrorRates, Rates, common_words, word_class
from rewriter.simulation.textchannel import CLOSE, EDGE, Confusions, closeness

PHRASES = ["turn on the lamp", "turn off the lamp", "turn on the light", "set a timer for fifteen minutes", "play fifty songs"]
ALIKE = ErrorRates(substituted=0.6, deleted=0.3, split=0.1, hazard=1.0)
BASE = Rates.from_json()
RATES = replace(BASE, classes=dict.fromkeys(BASE.classes, ALIKE), fluent=0.5, close=0.5, known=(0.5, 0.5), sharpness=1.0)
CONFUSIONS = Confusions(PHRASES, ["of", "limp", "damp", "oft", "seven"], RATES)
DELETED, SPLIT, SUBSTITUTED = 0.1, 0.35, 0.9  # the first uniform number, for these kinds of error
YES, NO = 0.0, 0.99


def test_the_kind_of_error_goes_by_its_rates():
    assert CONFUSIONS.draw("lamp", "the", EDGE, (0.2999, NO, NO, NO, 0)) == ""
    assert CONFUSIONS.draw("fifteen", "for", "minutes", (SPLIT, NO, NO, NO, 0)).replace(" ", "") == "fifteen"
    assert CONFUSIONS.draw("lamp", "the", EDGE, (0.4001, NO, NO, NO, 0)) not in ("", "lamp")


def test_a_fluent_substitute_stands_between_its_neighbours():
    assert CONFUSIONS.draw("on", "turn", "the", (SUBSTITUTED, YES, NO, NO, 0.5)) == "off"
    assert CONFUSIONS.draw("lamp", "the", EDGE, (SUBSTITUTED, YES, NO, NO, 0.5)) == "light"


def test_where_nothing_is_fluent_any_word_may_come():
    assert CONFUSIONS.draw("a", "set", "timer", (SUBSTITUTED, YES, NO, YES, 0.5)) in {w for p in PHRASES for w in p.split()} - {
        "a"
    }


def test_close_words_inside_and_outside_the_domain():
    assert CONFUSIONS.draw("fifteen", "for", "minutes", (SUBSTITUTED, NO, YES, YES, 0.0)) == "fifty"
    assert CONFUSIONS.draw("lamp", "the", EDGE, (SUBSTITUTED, NO, YES, NO, 0.0)) in ("limp", "damp")


def test_far_words_are_not_close():
    word = CONFUSIONS.draw("lamp", "the", EDGE, (SUBSTITUTED, NO, NO, YES, 0.3))
    assert closeness("lamp", [word])[0] < CLOSE


def test_a_split_prefers_halves_that_are_words():
    confusions = Confusions(["turn on the bed room lamp"], ["bath"], RATES)
    assert confusions.draw("bedroom", "the", "lamp", (SPLIT, NO, NO, NO, 0.7)) == "bed room"


@given(
    st.sampled_from(
        ["turn", "on", "the", "lamp", "set", "a", "timer", "for", "fifteen", "minutes", "play", "fifty", "songs", "unheard"]
    ),
    st.tuples(*[st.floats(0, 1, exclude_max=True)] * 5),
)
def test_an_error_is_an_error(word, u):
    assert CONFUSIONS.draw(word, "the", EDGE, u) != word


def test_closer_words_are_likelier():
    offers = [CONFUSIONS.draw("lamp", "x", "y", (SUBSTITUTED, NO, YES, NO, i / 1000)) for i in range(1000)]
    share = {w: offers.count(w) / 1000 for w in set(offers)}
    scores = dict(zip(("limp", "damp"), closeness("lamp", ["limp", "damp"]), strict=True))
    assert share == {w: pytest.approx(s / sum(scores.values()), abs=0.002) for w, s in scores.items()}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("the", "function/short"),
        ("lamp", "common/medium"),
        ("thermostat", "common/long"),
        ("xyz", "rare/short"),
        ("heather", "rare/long"),
    ],
)
def test_word_classes(word, kind):
    assert word_class(word) == kind


def test_the_word_lists_are_apart_and_normal():
    words = common_words()
    assert not words["function"] & words["common"]
    assert all(w.isascii() and w.isalpha() and w.islower() for w in words["function"] | words["common"])


def test_the_rates_of_the_package_are_shares():
    for rates in BASE.classes.values():
        assert 0 < rates.total < 0.5 < 1 + rates.hazard
    shares = (BASE.fluent, BASE.close, *BASE.known, BASE.speaker_habit, BASE.shared_habit, BASE.nbest_truth, BASE.inserted)
    assert all(0 < share < 1 for share in shares)
