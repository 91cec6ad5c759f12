"""The bounded logistic regression: scikit-learn's where no bound holds, and never against its signs."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from rewriter.model.logistic import fit_logistic

PENALTY = 100.0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, 1.0]
Y = (RNG.random(400) < 1 / (1 + np.exp(-((X[:, 0] - 5) - 0.2 * X[:, 1])))).astype(np.float64)
W = RNG.integers(1, 4, 400).astype(np.float64)


def test_is_scikit_learns_without_bounds():
    scaled = StandardScaler().fit_transform(X)
    reference = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=5000).fit(scaled, Y, sample_weight=W)
    ours = fit_logistic(X, Y, W, penalty=3.0)
    assert ours.p(X).tolist() == pytest.approx(reference.predict_proba(scaled)[:, 1].tolist(), abs=1e-4)


def test_weights_keep_their_signs():
    free, bound = fit_logistic(X, Y, W, penalty=PENALTY), fit_logistic(X, Y, W, penalty=PENALTY, signs=[-1, 1, 0])
    assert free.weights[0] > 0 > free.weights[1]
    assert bound.weights[:2].tolist() == [0.0, 0.0]


def test_a_target_between_is_a_row_of_each_kind():
    soft = fit_logistic(X, np.full(400, 0.25), W, penalty=PENALTY)
    split = fit_logistic(np.vstack([X, X]), np.repeat([1.0, 0.0], 400), np.concatenate([W * 0.25, W * 0.75]), penalty=PENALTY)
    assert soft.p(X).tolist() == pytest.approx(split.p(X).tolist(), abs=1e-4)


def test_a_column_without_variance_does_no_harm():
    wider = np.column_stack([X, np.ones(400)])
    plain = fit_logistic(X, Y, W, penalty=PENALTY).p(X)
    assert fit_logistic(wider, Y, W, penalty=PENALTY).p(wider).tolist() == pytest.approx(plain.tolist(), abs=1e-4)


def test_a_column_that_differs_by_rounding_only_tells_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    still = 1.791759469228055 + np.where(np.arange(200) % 2, 1e-16, -1e-16) * np.array([2.0])
    y = (x[:, 0] > 0).astype(float)
    found = fit_logistic(np.column_stack([x, still]), y, penalty=PENALTY)
    assert abs(found.weights[1]) < 1e-6


def test_where_rows_tell_little_every_column_pulls_its_way():
    drawn = fit_logistic(X, Y, 1e-6 * W, penalty=PENALTY, signs=[1, -1, 0], pull=0.1)
    assert (drawn.weights * X.std(axis=0)).tolist() == pytest.approx([0.1, -0.1, 0.0], abs=1e-4)


def test_where_rows_tell_much_the_pull_is_lost():
    drawn, free = (fit_logistic(X, Y, 1e6 * W, penalty=PENALTY, signs=[1, -1, 0], pull=pull) for pull in (0.1, 0.0))
    assert drawn.weights.tolist() == pytest.approx(free.weights.tolist(), abs=1e-3)
