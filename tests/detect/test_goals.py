"""Which turns are one goal, and what of it was reached."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.detect.rephrase import exclusive, segment


def test_candidates_share_what_nearer_ones_leave():
    p = exclusive(np.array([0, 0, 0, 5, 5]), np.array([0.2, 0.5, 1.0, 1.0, 0.9]))
    assert p.tolist() == pytest.approx([0.2, 0.4, 0.4, 1.0, 0.0])


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), max_size=20))
def test_a_turn_is_restated_once_at_the_most(drawn):
    drawn.sort(key=lambda pair: pair[0])
    source, p = (np.array([pair[k] for pair in drawn], dtype=np.float64) for k in (0, 1))
    found = exclusive(source, p)
    for turn in set(source):
        none = np.prod(1 - p[source == turn])
        assert found[source == turn].sum() == pytest.approx(1 - none)


def test_a_repaired_misunderstanding_is_no_failed_goal():
    """0 fails and is said again twice, 2 fails too, 4 works; 1 and 3 are other goals in between; 5 fails and is given up."""
    source, target = np.array([0, 0, 2, 2]), np.array([1, 2, 3, 4])
    defect = np.array([0.9, 0.1, 0.8, 0.2, 0.1, 0.95])
    goals = segment(source, target, np.array([0.1, 0.9, 0.3, 0.8]), defect)
    assert goals.goal.tolist() == [0, 1, 0, 2, 0, 3]
    assert goals.last.tolist() == [4, 1, 4, 3, 4, 5]
    assert goals.success.tolist() == pytest.approx([0.9, 0.9, 0.9, 0.8, 0.9, 0.05])
    assert goals.repaired.tolist() == [4, -1, 4, -1, -1, -1]


def test_two_likely_candidates_are_no_certainty():
    goals = segment(np.array([0, 0]), np.array([1, 2]), np.array([0.5, 0.9]), np.array([0.9, 0.1, 0.1]))
    assert goals.goal.tolist() == [0, 1, 2]


def test_no_turns():
    empty = np.zeros(0, dtype=np.int64)
    assert segment(empty, empty, np.zeros(0), np.zeros(0)).goal.tolist() == []
