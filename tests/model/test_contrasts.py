"""Contrasts and synonyms against a plain count over all pairs of texts."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.contrasts import NOTHING, mine


def counted(texts, meanings, one, other):
    """Frames in which two words change what is meant, and in which they do not: every pair of texts is compared."""
    found = [0, 0]
    for (a, m), (b, n) in combinations(set(zip(map(tuple, texts), meanings, strict=True)), 2):
        if a == b:
            continue
        if len(a) == len(b):
            differ = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
        else:
            short, long = sorted((a, b), key=len)
            differ = [(x, NOTHING) for i, x in enumerate(long) if short and (*long[:i], *long[i + 1 :]) == short]
        if len(differ) == 1 and set(differ[0]) == {one, other}:
            found[m == n] += 1
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True).map(tuple), st.integers(0, 2)), max_size=8
    )
)
def test_counts_are_those_of_all_pairs(rows):
    rows = list(dict(rows).items())
    texts, meanings = [list(text) for text, _ in rows], [meaning for _, meaning in rows]
    found = mine(texts, meanings, 4)
    for one, other in combinations([NOTHING, 0, 1, 2, 3], 2):
        changes, keeps = counted(texts, meanings, one, other)
        expected = (changes + 1) / (changes + keeps + 2) if changes + keeps else 0.0
        assert found.p_change(np.array([one]), np.array([other]))[0] == expected


def test_a_word_weighs_the_share_of_its_frames_that_change_the_meaning():
    on, off, the, lamp, fan = range(5)
    texts = [(on, lamp), (off, lamp), (on, fan), (off, fan), (on, the, lamp), (off, the, fan)]
    found = mine(texts, [1, 2, 3, 4, 1, 4], 5)
    assert found.weight[on] > 0.7 > 0.5 > found.weight[the]
    assert found.weight[-1] == 0


def test_no_texts():
    assert mine([], [], 0).p_change(np.array([0]), np.array([1])).tolist() == [0.0]
