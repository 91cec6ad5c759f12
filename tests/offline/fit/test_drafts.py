"""Which restatements are real, in mixtures whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rewriter.offline.fit.drafts import p_real


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_finds_the_posterior_of_a_mixture(share):
    """Likeness is N(0, 1/2) of real votes and N(-3, 1) of stray ones, and the detector is calibrated but knows no more."""
    rng = np.random.default_rng(1)
    stray = rng.random(4000) < share
    alike = np.where(stray, rng.normal(-3, 1, 4000), rng.normal(0, 0.5, 4000))
    p = p_real(alike, np.full(4000, 1 - share), rng.normal(-3, 1, 4000))
    ratio = np.maximum(stats.norm.pdf(alike, 0, 0.5) / stats.norm.pdf(alike, -3, 1), 1.0)
    exact = 1 / (1 + share / (1 - share) / ratio)
    assert np.abs(p - exact).mean() < 0.03
    assert p[~stray].mean() > 0.95


def test_what_the_detector_doubts_stays_in_doubt_unless_the_texts_are_alike():
    rng = np.random.default_rng(3)
    alike = np.concatenate([np.zeros(300), rng.normal(-3, 1, 600)])
    p = p_real(alike, np.full(900, 1 / 3), rng.normal(-3, 1, 1000))
    assert p[:300].min() > 0.85
    assert p[alike < -1.5] == pytest.approx(1 / 3, abs=0.05)


def test_rises_with_likeness():
    rng = np.random.default_rng(2)
    alike = rng.normal(size=500)
    p = p_real(alike, np.full(500, 0.7), rng.normal(-1, 1, 500))
    assert np.all(np.diff(p[np.argsort(alike)]) >= 0)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.02, 1)), max_size=30), st.lists(st.floats(-5, 5), max_size=30))
def test_a_vote_is_at_least_as_real_as_the_detector_says(votes, unlike):
    alike, restates = np.array(votes, dtype=np.float64).reshape(-1, 2).T
    p = p_real(alike, restates, np.array(unlike))
    assert np.all((restates <= p + 1e-12) & (p <= 1))


def test_without_random_pairs_the_detector_decides():
    assert p_real(np.zeros(0), np.zeros(0), np.zeros(3)).tolist() == []
    assert p_real(np.zeros(2), np.array([1.0, 0.3]), np.zeros(0)).tolist() == [1.0, 0.3]
