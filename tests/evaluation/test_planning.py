"""The planner against published sizes, and the intraclass correlation by hand."""

import numpy as np
import pytest

from rewriter.evaluation.experiment import alike_within, plan


@pytest.mark.parametrize(
    ("base", "change", "requests"),
    [(0.15, -0.3, 862), (0.15, -0.13, 4977), (0.15, -0.04, 54676), (0.3, -0.3, 367), (0.3, -0.13, 2082), (0.3, -0.04, 22626)],
)
def test_sizes(base, change, requests):
    assert plan(base, change).requests == requests


def test_a_size_known_from_textbooks():
    """.60 against .70 with alpha .05 and power .8, without the continuity correction."""
    assert plan(0.6, 1 / 6).requests == 356


def test_who_speaks_much_counts_less():
    alone, many = plan(0.15, -0.13), plan(0.15, -0.13, per_cluster=41, alike=0.05)
    assert many.requests == alone.requests
    assert many.design_effect == pytest.approx(3.0)
    assert many.clusters == int(np.ceil(3 * 4977 / 41))
    assert alone.clusters == alone.requests


@pytest.mark.parametrize(("base", "change"), [(0.0, -0.1), (0.5, 1.0), (0.5, 0.0), (0.2, -1.0)])
def test_impossible_plans(base, change):
    with pytest.raises(ValueError, match="both rates must lie between 0 and 1"):
        plan(base, change)


def test_intraclass_correlation_by_hand():
    """Clusters 0 0 1 | 1 1 1: between 1/6 · 4 / 1 = 2/3, within 2/3 / 4 = 1/6, size 3."""
    y, cluster = np.array([0, 0, 1, 1, 1, 1.0]), np.array([7, 7, 7, 9, 9, 9])
    assert alike_within(y, cluster) == pytest.approx((2 / 3 - 1 / 6) / (2 / 3 + 2 / 6))
    assert alike_within(np.array([0, 1, 0, 1.0]), np.array([0, 0, 1, 1])) == 0.0
    assert alike_within(np.array([0, 1.0]), np.array([0, 1])) == 0.0
    assert alike_within(np.ones(4), np.array([0, 0, 1, 1])) == 0.0
