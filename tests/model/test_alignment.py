"""Words that explain words: costs worked by hand, and what must hold of any two texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.alignment import NOTHING, align, alike
from rewriter.similarity import changes

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


def cheapest(left, right):
    """All ways over a stretch, one by one: what each costs, and the words that its last step goes over."""
    if not left and not right:
        return 0.0, 0, 0
    ways = []
    if left:
        ways.append((cheapest(left[:-1], right)[0] + 0.5 * WEIGHT[left[-1]], 1, 0))
    if right:
        ways.append((cheapest(left, right[:-1])[0] + 0.8 * WEIGHT[right[-1]], 0, 1))
    if left and right:
        here, there, unlike = WEIGHT[left[-1]], WEIGHT[right[-1]], 1 - alike(left[-1], right[-1])
        ways.append((cheapest(left[:-1], right[:-1])[0] + 1.3 * unlike * max(there, 0.5 * here), 1, 1))
        if unlike and left[1:]:
            joined = 1 - alike(left[-2] + left[-1], right[-1])
            ways.append((cheapest(left[:-2], right[:-1])[0] + 1.5 * joined * there + 0.2, 2, 1))
        if unlike and right[1:]:
            torn = 1 - alike(left[-1], right[-2] + right[-1])
            ways.append((cheapest(left[:-1], right[:-2])[0] + 1.5 * torn * (there + WEIGHT[right[-2]]) + 0.2, 1, 2))
    return min(ways)


WEIGHT = {"turn": 0.5, "of": 0.25, "off": 1.5, "on": 1.25, "the": 0.125, "lamp": 3.0, "lam": 6.0, "turnoff": 7.0, "radio": 4.0}


@settings(deadline=None)
@given(WORDS, WORDS)
def test_the_way_is_the_cheapest_of_all(heard, meant):
    """The sums over the steps of that way, in which missing, extra and swapped words are told apart."""
    cost = missing = extra = swaps = replaced = 0
    for start, end, new_start, new_end in changes(tuple(heard), tuple(meant)):
        left, right = heard[start:end], meant[new_start:new_end]
        cost += cheapest(left, right)[0]
        while left or right:
            _, back, along = cheapest(left, right)
            gone, come = left[len(left) - back :], right[len(right) - along :]
            missing += 0 if back else WEIGHT[come[0]]
            extra += 0 if along else WEIGHT[gone[0]]
            if back and along:
                swaps += back == along and gone[0] != "lam"
                replaced += (1 - alike("".join(gone), "".join(come))) * sum(WEIGHT[word] for word in come)
            left, right = left[: len(left) - back], right[: len(right) - along]
    way = align(" ".join(heard), " ".join(meant), WEIGHT.__getitem__, lambda word: word != "lam")
    assert (way.cost, way.missing, way.extra, way.replaced, way.swaps) == pytest.approx((cost, missing, extra, replaced, swaps))


def test_the_first_letters_of_a_word_count_and_only_they_are_kept():
    """Made-up words of hundreds of letters fill no memory."""
    aligned = align("a" * 500 + " lamp", "a" * 64 + " lamp", lambda word: 1.0, lambda word: True)
    assert aligned.cost == 0.0
    assert align("a" * 63, "a" * 64, lambda word: 1.0, lambda word: True).cost > 0.0
