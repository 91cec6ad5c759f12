"""The maths of launch against hand-worked figures, brute force and full resampling of a small component."""

from itertools import combinations

import numpy as np
import pytest
from hand_pairs import pairs_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from rewriter.config import Chain
from rewriter.offline.rules import chain, priors
from rewriter.offline.rules.priors import THETA


def around_of(m, honest=1.0, understood=1.0, acts=1.0):
    return priors.Surroundings(np.full(m, honest), np.full(m, understood), np.full(m, acts))


def test_outcome_by_hand():
    win, loss = priors.outcome(np.array([0.75]), np.array([0.6]), around_of(1, honest=0.5, understood=0.9, acts=0.8))
    assert win[0] == pytest.approx(0.75 * 0.6 * 0.9)
    assert loss[0] == pytest.approx(0.25 + 0.75 * 0.4 * 0.5 * 0.8)


def believed(rows, near, **kwargs):
    pairs = pairs_of(rows, **kwargs)
    near = np.tile(near, (len(pairs), 1))
    return priors.believe(priors.fit_priors(pairs, near, np.full((20, 2), 0.2), seed=0), pairs, near, np.arange(len(pairs)))


def test_more_agreement_is_more_gain():
    beliefs = believed([(i, 50 + i, 1 + 2 * i, 1.0) for i in range(5)], [0.9, 0.9])
    around = around_of(5)
    gain = priors.p_gain(beliefs, around)
    assert (np.diff(beliefs.p_goal()) > 0).all()
    assert gain[-1] > 0.95
    assert (np.diff(gain) > 0).all()


def test_success_as_spoken_is_a_loss():
    beliefs = believed([(0, 50, 8.0, 1.0), (1, 51, 8.0, 1.0)], [0.9, 0.9], ok=[0.0, 7.5])
    win, loss = priors.expected(beliefs, around_of(2))
    gain = priors.p_gain(beliefs, around_of(2))
    assert gain[0] > 0.95
    assert gain[1] < 0.05
    assert loss[1] > win[1]


def draws(beliefs, n):
    """P(i fails) and P(goal is j | i fails), drawn n times for each rule, (n, m) each."""
    rng = np.random.default_rng(0)
    cells = [rng.choice(1 + len(THETA), n, p=row / row.sum()) for row in beliefs.goal]
    fails = [rng.beta(bad, ok, n) for ok, bad in zip(*beliefs.ok, strict=True)]
    return np.array(fails).T, np.append(0.0, THETA)[np.array(cells)].T


def test_expectations_and_p_gain_are_means_of_draws():
    beliefs = believed([(0, 50, 3.0, 1.0), (0, 51, 2.0, 1.0), (1, 52, 6.0, 1.0)], [0.7, 0.7], ok=[1.0, 1.0, 0.5])
    around = around_of(3, honest=0.7, acts=0.9)
    win, loss = priors.outcome(*draws(beliefs, 40_000), around)
    assert np.array(priors.expected(beliefs, around)) == pytest.approx(np.array([win.mean(axis=0), loss.mean(axis=0)]), abs=0.01)
    assert priors.p_gain(beliefs, around) == pytest.approx((win > loss).mean(axis=0), abs=0.01)


def test_p_gain_of_a_rule_is_the_same_beside_other_rules():
    beliefs = believed([(i, 50 + i, 1 + 2 * i, 1.0) for i in range(5)], [0.9, 0.9])
    alone = [priors.p_gain(beliefs.take(np.array([i])), around_of(1))[0] for i in range(5)]
    assert priors.p_gain(beliefs, around_of(5)).tolist() == alone


def test_holding_what_lies_downstream_agrees_with_resampling_everything():
    """i -> k -> j with k on the way: every row of the component is redrawn from its counts, and S solved anew each time."""
    rng = np.random.default_rng(3)
    counts = np.array([[0, 12, 6, 0, 2], [0, 0, 300, 0, 40], [0, 0, 0, 900, 60]])  # rows i, k, j: to i, k, j, success, failure

    def s_ij(rows):
        transitions = sparse.csr_array(np.vstack([rows[:, :3]]))
        solved = chain.solve(transitions, rows[:, 3].copy(), rows[:, 4].copy(), Chain())
        return solved.scores[0, 2], solved

    scale = 1_000
    _, solved = s_ij(counts * scale)
    held, full = [], []
    for _ in range(600):
        drawn = np.array([rng.dirichlet(row + 1e-9) for row in counts])
        first = drawn[0]
        held.append(first[1] * solved.scores[1, 2] + first[2] * solved.scores[2, 2])
        full.append(s_ij(np.round(drawn * 10**6).astype(np.int64))[0])
    around = around_of(1)
    gains = []
    for goal in (np.array(held), np.array(full)):
        win, loss = priors.outcome(np.full(len(goal), 0.9), goal, around)
        gains.append(float(np.mean(win > loss)))
    assert np.mean(held) == pytest.approx(np.mean(full), abs=0.01)
    assert gains[0] == pytest.approx(gains[1], abs=0.03)
    assert 0.5 < gains[0] < 1.0


RULES = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 100), st.integers(0, 100)), min_size=1, max_size=7)


@given(RULES, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_set_keeps_its_budget_and_every_free_rule_is_in(rules, share):
    traffic, win, loss = (np.array(column, dtype=float) for column in zip(*rules, strict=True))
    kept = priors.within_budget(traffic, win, loss, share)
    assert (traffic * loss)[kept].sum() <= share * (traffic * (win + loss))[kept].sum() + 1e-6
    assert kept[loss <= share * (win + loss) - 1e-9].all()


@given(st.lists(st.integers(0, 30).map(lambda x: x / 100), min_size=1, max_size=8))
def test_with_equal_wins_no_larger_set_keeps_the_budget(losses):
    loss, share = np.array(losses), 0.05
    win = np.full(len(loss), 0.9)
    kept = priors.within_budget(np.ones(len(loss)), win, loss, share)
    for size in range(int(kept.sum()) + 1, len(loss) + 1):
        for chosen in map(list, combinations(range(len(loss)), size)):
            assert loss[chosen].sum() > share * (win[chosen] + loss[chosen]).sum() - 1e-9


def test_prior_recovers_the_truth_and_keeps_its_start_when_there_is_nothing():
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, 20_000).astype(float)
    successes = rng.binomial(trials.astype(int), rng.beta(0.4, 1.5, len(trials))).astype(float)
    fitted = priors.fit_beta(successes, trials, start=(0.5, 0.5))
    assert (fitted.a, fitted.b) == (pytest.approx(0.4, rel=0.1), pytest.approx(1.5, rel=0.1))
    empty = priors.fit_beta(np.zeros(0), np.zeros(0), start=(0.5, 0.5))
    assert (round(empty.a, 9), round(empty.b, 9), empty.fitted_on) == (0.5, 0.5, 0)


def test_the_grid_holds_rates():
    assert ((THETA > 0) & (THETA < 1)).all()
    assert (np.diff(THETA) > 0).all()
