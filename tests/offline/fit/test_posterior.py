"""The update of weights against a general minimiser and numeric derivatives."""

import numpy as np
import pytest
from scipy.optimize import minimize

from rewriter.offline.fit.prior_update import WeightBelief, update_weights


def example(seed, m=60, f=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, f))
    y = (rng.random(m) < 1 / (1 + np.exp(-(x @ rng.normal(size=f) + 0.3)))).astype(float)
    root = rng.normal(size=(f + 1, f + 1))
    return WeightBelief(rng.normal(size=f + 1), root @ root.T / 4 + 0.1 * np.eye(f + 1)), x, y, rng.random(m) * 2


def loss(w, prior, x, y, weight):
    away, odds = w - prior.mean, x @ w[:-1] + w[-1]
    return away @ np.linalg.solve(prior.covariance, away) / 2 + weight @ (np.logaddexp(0, odds) - y * odds)


@pytest.mark.parametrize("seed", range(5))
def test_the_mode_is_that_of_a_general_minimiser(seed):
    prior, x, y, weight = example(seed)
    found = update_weights(prior, x, y, weight)
    exact = minimize(loss, prior.mean, args=(prior, x, y, weight), method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(found.mean, exact, atol=1e-5)


def test_the_covariance_is_the_inverse_of_the_second_derivative():
    prior, x, y, weight = example(7)
    found = update_weights(prior, x, y, weight)
    step, n = 1e-4, len(prior.mean)
    unit = np.eye(n) * step
    second = np.array([
        [
            (
                loss(found.mean + a + b, prior, x, y, weight) - loss(found.mean + a - b, prior, x, y, weight)
                - loss(found.mean - a + b, prior, x, y, weight) + loss(found.mean - a - b, prior, x, y, weight)
            ) / (4 * step**2)
            for b in unit
        ]
        for a in unit
    ])  # fmt: skip
    assert np.allclose(np.linalg.inv(found.covariance), second, rtol=1e-3, atol=1e-3)


def test_without_examples_the_prior_stays():
    prior, x, *_ = example(1)
    found = update_weights(prior, x[:0], np.zeros(0), np.zeros(0))
    assert np.allclose(found.mean, prior.mean)
    assert np.allclose(found.covariance, prior.covariance)


def test_many_examples_outweigh_the_prior_and_few_do_not():
    prior = WeightBelief(np.array([2.0, 0.0]), 0.25 * np.eye(2))
    x = np.array([[1.0], [-1.0]])
    y = np.array([0.0, 1.0])
    few, many = (update_weights(prior, x, y, np.full(2, n)).mean[0] for n in (0.1, 1000))
    assert few > 1.5
    assert many < -2


def test_separable_examples_and_huge_columns_end():
    found = update_weights(
        WeightBelief(np.zeros(2), 1e6 * np.eye(2)), np.array([[1e4], [-1e4]]), np.array([1.0, 0.0]), np.ones(2)
    )
    assert np.isfinite(found.mean).all()


def test_two_updates_are_nearly_one():
    prior, x, y, weight = example(3, m=400)
    once = update_weights(prior, x, y, weight)
    twice = update_weights(update_weights(prior, x[:200], y[:200], weight[:200]), x[200:], y[200:], weight[200:])
    assert np.allclose(once.mean, twice.mean, atol=0.15)


def test_shapes_and_covariances_are_checked():
    prior, x, y, weight = example(0)
    with pytest.raises(ValueError, match="columns for"):
        update_weights(prior, x[:, :2], y, weight)
    with pytest.raises(ValueError, match="positive definite"):
        update_weights(WeightBelief(prior.mean, -np.eye(4)), x, y, weight)
