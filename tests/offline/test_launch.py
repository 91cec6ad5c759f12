"""The maths of launch against hand-worked figures, brute force and full resampling."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.offline import launch, prior
from rewriter.offline.evidence import Pairs


def pairs_of(agreed, asked, ok, said_by, source=None):
    m = len(agreed)
    zeros, ones = np.zeros(m, dtype=np.int64), np.ones(m)
    return Pairs(
        source=np.arange(m) if source is None else np.asarray(source),
        target=np.arange(m) + m,
        rank=zeros,
        users=np.asarray(said_by),
        said_by=np.asarray(said_by),
        turns=ones,
        first_day=zeros,
        last_day=zeros,
        score=ones,
        stay=np.zeros(m),
        agreed=np.asarray(agreed, dtype=float),
        asked=np.asarray(asked, dtype=float),
        ok=np.asarray(ok, dtype=float),
    )


def around_of(m, near=0.9, honest=1.0):
    return launch.Surroundings(np.full((m, 2), near), np.full(m, honest), np.ones(m), np.ones(m))


def test_outcome_by_hand():
    around = launch.Surroundings(np.ones((1, 2)), np.array([0.5]), np.array([0.9]), np.array([0.8]))
    win, loss = launch.outcome(np.array([0.75]), np.array([0.6]), around)
    assert win[0] == pytest.approx(0.75 * 0.6 * 0.9)
    assert loss[0] == pytest.approx(0.25 + 0.75 * 0.4 * 0.5 * 0.8)


def test_more_agreement_is_more_gain():
    asked = np.full(5, 8.0)
    posterior = launch.weigh(pairs_of([0, 2, 4, 6, 8], asked, np.zeros(5), [9] * 5), around_of(5), draws=400, seed=1)
    assert (np.diff(posterior.p_goal) > 0).all()
    assert (np.diff(posterior.p_gain) >= 0).all()
    assert posterior.p_gain[-1] > 0.95
    assert posterior.p_gain[0] < 0.05


def test_success_as_spoken_is_a_loss():
    posterior = launch.weigh(pairs_of([8, 8], [8, 8], [0, 9], [9, 9]), around_of(2), draws=400, seed=1)
    assert posterior.p_gain[0] > 0.95
    assert posterior.p_gain[1] < 0.05
    assert posterior.loss[1] > posterior.win[1]


def test_the_posterior_is_the_beta_binomial():
    """Same prior and counts, written out: mean = (prior · strength + agreed) / (strength + asked)."""
    posterior = launch.weigh(pairs_of([3, 5], [4, 5], [1, 0], [6, 6]), around_of(2), draws=50, seed=0)
    mean = posterior.goal_prior.mean(np.full((2, 2), 0.9))
    strength = posterior.goal_prior.strength
    assert posterior.p_goal == pytest.approx((mean * strength + [3, 5]) / (strength + np.array([4, 5])))


def test_held_downstream_agrees_with_full_resampling():
    """A small component a -> b -> c: resampling every row gives the same P(gain > 0) as holding what lies downstream of a."""
    rng = np.random.default_rng(3)
    draws, flat = 4000, prior.BetaRegression(np.zeros(3), 2.0, 0)
    n_a, to_b, n_b, good_b = 30, 24, 400, 360
    q_ab = rng.beta(to_b + 1, n_a - to_b + 1, draws)  # of the votes of a
    r_b = rng.beta(good_b + 1, n_b - good_b + 1, draws)  # of b's many turns
    held = q_ab * good_b / n_b
    full = q_ab * r_b
    around = around_of(1)
    verdicts = []
    for goal in (held, full):
        win, loss = launch.outcome(np.full(draws, 0.95), goal, around)
        verdicts.append(float(np.mean(win > loss)))
    assert verdicts[0] == pytest.approx(verdicts[1], abs=0.02)
    assert flat.strength == 2.0


RULES = st.lists(
    st.tuples(st.integers(1, 50), st.integers(1, 100), st.integers(0, 100)).map(lambda t: (t[0], t[1] / 100, t[2] / 100)),
    min_size=1,
    max_size=7,
)


@given(RULES, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_set_keeps_its_budget_and_none_fits_beside_it_that_is_cheaper(rules, share):
    traffic, win, loss = (np.array(column, dtype=float) for column in zip(*rules, strict=True))
    kept = launch.within_budget(traffic, win, loss, share)
    total_loss, total = (traffic * loss)[kept].sum(), (traffic * (win + loss))[kept].sum()
    assert total_loss <= share * total + 1e-9
    # every free rule is in
    free = loss <= share * (win + loss) - 1e-12
    assert kept[free].all()


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 30)), min_size=1, max_size=8))
def test_equal_traffic_and_wins_give_the_largest_set(rules):
    """With equal traffic and wins, growing from the cheapest is optimal: compare with all subsets."""
    loss = np.array([r[1] / 100 for r in rules])
    m, share = len(rules), 0.05
    win, traffic = np.full(m, 0.9), np.ones(m)
    best = 0
    for size in range(m, 0, -1):
        if any(loss[list(c)].sum() <= share * (win[list(c)].sum() + loss[list(c)].sum()) + 1e-12 for c in combinations(range(m), size)):
            best = size
            break
    kept = int(launch.within_budget(traffic, win, loss, share).sum())
    assert kept >= best - 0  # the greedy set is never smaller than the best subset here


def test_prior_recovers_the_truth_and_keeps_its_start_when_there_is_nothing():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(20_000, 2))
    mean, strength = 1 / (1 + np.exp(-(-3 + 5 * x[:, 0] + x[:, 1]))), 3.0
    trials = rng.integers(1, 6, len(x)).astype(float)
    rate = rng.beta(mean * strength, (1 - mean) * strength)
    successes = rng.binomial(trials.astype(int), rate).astype(float)
    fitted = prior.fit(successes, trials, x, start=np.array([-3.0, 4.0, 2.0]), strength=2.0)
    assert fitted.weights == pytest.approx([-3, 5, 1], abs=0.25)
    assert fitted.strength == pytest.approx(3.0, rel=0.15)
    empty = prior.fit(np.zeros(0), np.zeros(0), np.zeros((0, 2)), start=np.array([-3.0, 4.0, 2.0]), strength=2.0)
    assert empty.weights.tolist() == [-3.0, 4.0, 2.0]
    assert (empty.strength, empty.fitted_on) == (2.0, 0)
