"""Words that explain words: costs worked by hand, and what must hold of any two texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.alignment import NOTHING, align, alike

WORDS = st.lists(st.sampled_from(["turn", "of", "off", "on", "the", "lamp", "lam", "turnoff", "radio"]), min_size=1, max_size=6)


def plain(heard, meant, knows=lambda word: word != "lam"):
    return align(heard, meant, lambda word: 2.0, knows)


def test_equal_texts_cost_nothing():
    assert plain("turn off the lamp", "turn off the lamp") == NOTHING


def test_a_missing_word_by_hand():
    way = plain("turn the lamp", "turn off the lamp")
    assert way.cost == pytest.approx(0.8 * 2)
    assert (way.missing, way.most_missing, way.extra, way.replaced, way.swaps) == (2.0, 2.0, 0.0, 0.0, 0)


def test_an_extra_word_counts_most_where_it_is_known():
    known, unknown = plain("turn off the radio lamp", "turn off the lamp"), plain("turn off the lam lamp", "turn off the lamp")
    assert known.cost == unknown.cost == pytest.approx(0.5 * 2)
    assert (known.most_extra, unknown.most_extra) == (2.0, 0.0)


def test_a_replaced_word_by_hand():
    way = plain("turn off the lam", "turn off the lamp")
    unlike = 1 - (0.4 * 6 / 7 + 0.6 * 4 / 5)  # lam, lamp: 3 of 4 letters; LM, LMP: 2 of 3 sounds
    assert alike("lam", "lamp") == pytest.approx(1 - unlike)
    assert way.cost == pytest.approx(1.3 * unlike * 2)
    assert (way.replaced, way.worst, way.swaps) == (pytest.approx(unlike * 2), pytest.approx(unlike * 2), 0)


def test_a_known_word_for_a_known_word_is_a_swap():
    assert plain("turn of the lamp", "turn off the lamp").swaps == 1


def test_words_run_together_cost_only_the_splice():
    assert plain("turnoff the lamp", "turn off the lamp").cost == pytest.approx(0.2)
    assert plain("turn off the lamp", "turnoff the lamp").cost == pytest.approx(0.2)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_no_way_is_dearer_than_dropping_one_text_and_adding_the_other(heard, meant):
    way = plain(" ".join(heard), " ".join(meant))
    assert 0 <= way.cost <= 2 * (0.5 * len(heard) + 0.8 * len(meant)) + 1e-9
    assert way.worst <= way.replaced + 1e-9
    assert way.most_missing <= way.missing
    assert (way.cost == 0) == (heard == meant)
