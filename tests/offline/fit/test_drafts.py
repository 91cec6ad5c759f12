"""Which restatements are real, in mixtures whose truth is known."""

import numpy as np
import pytest

from rewriter.offline.fit.drafts import p_real


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_finds_the_share_of_a_mixture(share):
    rng = np.random.default_rng(1)
    stray = rng.random(4000) < share
    alike = np.where(stray, rng.normal(-3, 1, 4000), rng.normal(0, 0.5, 4000))
    p = p_real(alike, np.ones(4000), rng.normal(-3, 1, 4000))
    assert 1 - p.mean() == pytest.approx(share, abs=0.04)
    assert p[~stray].mean() > 0.95
    assert p[stray].mean() < 0.2


def test_rises_with_likeness():
    rng = np.random.default_rng(2)
    alike = rng.normal(size=500)
    p = p_real(alike, rng.random(500) + 0.1, rng.normal(-1, 1, 500))
    assert np.all(np.diff(p[np.argsort(alike)]) >= 0)


def test_without_votes_or_wishes_everything_is_real():
    assert p_real(np.zeros(0), np.zeros(0), np.zeros(3)).tolist() == []
    assert p_real(np.zeros(2), np.ones(2), np.zeros(0)).tolist() == [1.0, 1.0]
