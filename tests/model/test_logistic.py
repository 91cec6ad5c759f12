"""A fitted logistic regression: by hand, and a single row as one of many."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.model.logistic import Logistic

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3)


def test_by_hand():
    fitted = Logistic(np.array([2.0, -1.0]), 0.5)
    assert fitted.p(np.array([[1.0, 1.0], [0.0, 0.5]])) == pytest.approx([1 / (1 + math.exp(-1.5)), 0.5])


@given(weights=NUMBERS, bias=st.floats(-50, 50), row=NUMBERS)
def test_a_row_by_itself_is_a_row_among_many(weights, bias, row):
    fitted = Logistic(np.array(weights), bias)
    assert fitted.p_of(row) == pytest.approx(float(fitted.p(np.array([row, row]))[1]), rel=1e-6)


def test_nothing_overflows():
    fitted = Logistic(np.array([1e6]), 0.0)
    assert [fitted.p_of([sign]) for sign in (1.0, -1.0)] == pytest.approx([1, 0], abs=1e-12)
    assert fitted.p(np.array([[1.0], [-1.0]])) == pytest.approx([1, 0], abs=1e-12)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ValueError, match="2"):
        Logistic.from_dict(Logistic(np.array([1.0, 2.0]), 0.0).to_dict(), 3)
