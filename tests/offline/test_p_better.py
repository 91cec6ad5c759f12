"""P(Y > X) against Monte Carlo of the definition and against exact integrals."""

import numpy as np
import pytest

from rewriter.offline.trials import _EDGES, log_density, p_better


def test_the_density_is_that_of_the_gammas():
    """X = U/(U+W), Y = V/(V+W): the mass of sixteen boxes, by 400,000 draws."""
    rng = np.random.default_rng(0)
    u, v, w = rng.gamma(1.0, size=(3, 400_000))
    evidence_starts = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    drawn, _, _ = np.histogram2d(u / (u + w), v / (v + w), bins=[evidence_starts, evidence_starts])
    fine = (np.arange(800) + 0.5) / 800
    mass = np.exp(log_density(fine[:, None], fine[None, :])) / 800**2
    summed = mass.reshape(4, 200, 4, 200).sum(axis=(1, 3))
    assert summed.sum() == pytest.approx(1.0, abs=2e-3)
    assert drawn / 400_000 == pytest.approx(summed, abs=3e-3)


def arrays(*values):
    return [np.array([value], dtype=float) for value in values]


def test_without_evidence_nothing_is_better():
    assert p_better(*arrays(0, 0, 0, 0))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("seen", [(5, 0, 1, 0), (5, 2, 6, 4), (0, 0, 3, 3), (20, 16, 10, 3), (7.5, 1.25, 4.0, 3.5)])
def test_against_weighted_draws_of_the_prior(seen):
    n, s, m, t = seen
    rng = np.random.default_rng(1)
    u, v, w = rng.gamma(1.0, size=(3, 1_500_000))
    x, y = u / (u + w), v / (v + w)
    weight = x**s * (1 - x) ** (n - s) * y**t * (1 - y) ** (m - t)
    assert p_better(*arrays(n, s, m, t))[0] == pytest.approx((weight * (y > x)).sum() / weight.sum(), abs=0.01)


def test_it_is_symmetric_and_grows_with_success():
    one, other = p_better(*arrays(8, 2, 9, 7))[0], p_better(*arrays(9, 7, 8, 2))[0]
    assert one + other == pytest.approx(1.0)
    ok = np.arange(11.0)
    grown = p_better(np.full(11, 10.0), np.full(11, 5.0), np.full(11, 10.0), ok)
    assert (np.diff(grown) > 0).all()


def test_many_pairs_are_as_one_by_one():
    rng = np.random.default_rng(2)
    n, m = rng.integers(0, 40, (2, 600)).astype(float)
    s, t = n * rng.random(600), m * rng.random(600)
    together = p_better(n, s, m, t)
    for i in (0, 255, 256, 599):
        assert together[i] == p_better(*arrays(n[i], s[i], m[i], t[i]))[0]
    assert p_better(*(np.zeros(0) for _ in range(4))).shape == (0,)
    assert len(_EDGES) == 65
