"""What users may say: an oracle in plain Python, and what n adversarial can reach at most."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.offline.lifecycle.sequential_tests import RobustAggregation, log_e_drop, log_e_two_arms

words = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.floats(-3, 3), st.floats(0, 1)), min_size=1, max_size=14)


@given(words, st.integers(0, 3), st.floats(0.5, 8))
def test_equals_the_oracle(rows, n_adversarial, verdict):
    group, user, factor, user_weight = (np.array(column) for column in zip(*rows, strict=True))
    said = [defaultdict(float), defaultdict(float)]
    for g, u, f, v in rows:
        said[g][u] += f * v
    expected = []
    for of in said:
        most = max(math.log(2), 2 * verdict / max(len(of) - n_adversarial, 1))
        kept = sorted(of.values(), reverse=True)
        loud = sum(word > 0 for word in kept[:n_adversarial])
        expected.append(sum(min(word, most) for word in kept[loud:]))
    found = RobustAggregation(user, user_weight, np.array([n_adversarial] * 2), verdict).summed(group, factor[:, None])
    assert found[:, 0] == pytest.approx(expected, abs=1e-9)


@given(words, st.integers(0, 3), st.sets(st.integers(0, 4), max_size=3))
def test_whoever_lies_no_more_is_reached_than_by_the_honest(rows, extra, n_adversarial):
    """With room for as many n adversarial as there are, the sum is never above what the others say by themselves."""
    group, user, factor, user_weight = (np.array(column) for column in zip(*rows, strict=True))
    found = RobustAggregation(user, user_weight, np.array([len(n_adversarial) + extra] * 2), 4.0).summed(group, factor[:, None])[
        :, 0
    ]
    for g in (0, 1):
        honest = sum(f * v for of, u, f, v in rows if of == g and u not in n_adversarial)
        assert found[g] <= honest + 1e-9


def verdict(honest, fakes, days, *, rate, seed=0, test="drop"):
    """Days of a rule of some success under users who always reject it, or praise what was left alone; the log e-value."""
    rng = np.random.default_rng(seed)
    n, user = honest + fakes, np.tile(np.arange(honest + fakes), days)
    fake, day = user >= honest, np.repeat(np.arange(days), n)
    arm = (rng.random(n * days) < 0.5).astype(np.int64)
    well = rng.random(n * days) < np.where(arm == 1, rate, 0.25)
    by = RobustAggregation(user, np.ones(n * days), np.array([2]), math.log(1000) if test == "drop" else math.log(50))
    one = np.zeros(n * days, dtype=np.int64)
    if test == "drop":
        sent = np.where(fake, 0.0, rng.random(n * days) < rate)
        return log_e_drop(one, day, sent, np.array([0.8]), by=by)[0]
    return log_e_two_arms(one, arm, np.full(n * days, 0.5), np.where(fake, arm == 0, well) * 1.0, 1, better=False, by=by)[0]


@pytest.mark.parametrize("test", ["drop", "worse"])
@pytest.mark.parametrize("seed", range(3))
def test_ten_who_reject_do_not_outweigh_twenty_who_are_served_well(seed, test):
    sure = math.log(1000) if test == "drop" else math.log(50)
    assert max(verdict(20, 10, days, rate=0.9, seed=seed, test=test) for days in (1, 2, 4, 8, 16)) < sure


@pytest.mark.parametrize("seed", range(3))
def test_what_everybody_rejects_is_still_found(seed):
    assert verdict(20, 0, 4, rate=0.15, seed=seed) >= math.log(1000)
    assert verdict(3, 0, 12, rate=0.05, seed=seed) >= math.log(1000), "few who are served badly each day are heard as well"
    assert verdict(60, 0, 4, rate=0.0, seed=seed, test="worse") >= math.log(50)
