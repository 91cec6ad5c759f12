"""The model of stray votes: against plain numerical integration, against a world with known truth, and by its properties."""

import math

import numpy as np
import pytest
from hand_pairs import pairs_of
from scipy import integrate
from scipy.stats import beta

from rewriter.offline.rules import priors
from rewriter.offline.rules.priors import THETA, Agreement

MODEL = Agreement(weights=np.array([-4.0, 5.0, 3.0]), stray=0.2, a=2.0, b=0.8, fitted_on=0)
NEAR = np.array([[0.9, 0.9], [0.4, 0.3], [0.8, 0.9]])


def mean_by_integration(model, agreed, chance, near, others):
    """E[theta] of one pair, written from the docstring: `others` are (votes, likeness) of the source's other goals."""
    stray = model.stray

    def likelihood(theta):
        value = ((1 - stray) * theta + stray * chance) ** agreed
        for votes, likeness in others:
            value *= ((1 - stray) * (1 - theta) + stray / likeness) ** votes
        return value

    own = math.exp(model.weights[0] + near @ model.weights[1:])
    real = (1 - stray) * own / ((1 - stray) * own + stray)

    def joint(theta):
        return (0.95 * beta.pdf(theta, model.a, model.b) + 0.05) * likelihood(theta)

    mass, _ = integrate.quad(joint, 0, 1, limit=200)
    first, _ = integrate.quad(lambda t: t * joint(t), 0, 1, limit=200)
    return real * first / (real * mass + (1 - real) * likelihood(0.0))


@pytest.mark.parametrize(("votes", "strayed", "alike"), [(4.0, 1.0, 0.0), (1.0, 0.0, 2.0), (2.5, 0.5, 1.5), (1.0, 0.0, 0.0)])
def test_posterior_mean_equals_numerical_integration(votes, strayed, alike):
    pairs = pairs_of([(0, 1, votes, 1.0), (0, 2, strayed, min(strayed, 1.0)), (0, 3, alike, min(alike, 1.0)), (9, 1, 3.0, 1.0)])
    near = np.vstack([NEAR, NEAR[:1]])
    posterior = MODEL.posterior(pairs, near, np.array([0]))
    likeness = np.exp(MODEL.log_likeness(near))
    expected = mean_by_integration(MODEL, votes - 1.0, pairs.chance[0], near[0], [(strayed, likeness[1]), (alike, likeness[2])])
    assert posterior.sum() == pytest.approx(1.0)
    assert float(posterior[0, 1:] @ THETA) == pytest.approx(expected, abs=0.005)


def test_a_vote_for_something_unlike_counts_less_against():
    pairs = pairs_of([(0, 1, 4.0, 1.0), (0, 2, 1.0, 1.0), (5, 1, 4.0, 1.0), (5, 3, 1.0, 1.0)])
    near = np.array([[0.9, 0.9], [0.2, 0.2], [0.9, 0.9], [0.9, 0.9]])
    means = MODEL.posterior(pairs, near, np.array([0, 2]))[:, 1:] @ THETA
    assert means[0] > means[1] + 0.02


def test_agreement_raises_and_popularity_excuses():
    near = np.tile([0.3, 0.3], (5, 1))
    rows = [(0, 1, 1.0, 1.0), (1, 2, 2.0, 1.0), (2, 3, 4.0, 1.0), (3, 4, 2.0, 1.0), (7, 4, 40.0, 1.0)]
    means = MODEL.posterior(pairs_of(rows), near, np.arange(4))[:, 1:] @ THETA
    assert means[0] < means[1] < means[2]
    assert means[3] < means[1]  # everybody wishes goal 4, so two who go there may both have strayed


def world(rng, sources=1500, goals=200, stray=0.15):
    """Votes with known truth: theta is 1 for seven sources in ten, else uniform; strays go anywhere, unlike."""
    rows, near, truth = [], [], []
    popularity = rng.dirichlet(np.ones(goals))
    for source in range(sources):
        theta = 1.0 if rng.random() < 0.7 else rng.random()
        main, other = rng.choice(goals, 2, replace=False)
        cast = {}
        for _ in range(rng.integers(2, 14)):
            if rng.random() < stray:
                goal, alike = int(rng.choice(goals, p=popularity)), False
            else:
                goal, alike = (int(main), True) if rng.random() < theta else (int(other), True)
            seen = cast.setdefault(goal, [0, alike])
            seen[0] += 1
            seen[1] |= alike
        for goal, (votes, alike) in cast.items():
            rows.append((source, goal + sources, votes, 1.0))
            near.append(rng.beta(8, 3, 2) if alike else rng.beta(3, 8, 2))
            truth.append(theta if goal == main else (1 - theta) if goal == other else 0.0)
    return pairs_of(rows), np.array(near), np.array(truth)


def test_a_known_world_is_recovered_and_calibrated():
    pairs, near, truth = world(np.random.default_rng(5))
    model = priors.fit_agreement(pairs, near, np.random.default_rng(6).beta(3, 8, (5000, 2)), seed=0)
    assert model.stray == pytest.approx(0.15, abs=0.04)
    launchable = np.flatnonzero(pairs.votes >= 3)
    mean = model.posterior(pairs, near, launchable)[:, 1:] @ THETA
    for low, high, within in ((0.3, 0.6, 0.1), (0.6, 0.9, 0.1), (0.9, 1.0, 0.03)):  # rules are launched from the last
        of = (mean >= low) & (mean < high)
        assert of.sum() > 50
        assert truth[launchable][of].mean() == pytest.approx(mean[of].mean(), abs=within)


def test_nothing_to_fit_keeps_the_defaults():
    model = priors.fit_agreement(pairs_of([(0, 1, 1.0, 1.0)]), np.array([[0.5, 0.5]]), np.zeros((0, 2)), seed=0)
    assert (round(model.stray, 6), round(model.a, 6), round(model.b, 6), model.fitted_on) == (0.2, 4.0, 0.5, 0)
