"""The sequential tests: exact expectations, an oracle in plain Python, and how often they are wrong however often one looks."""

import math
from collections import defaultdict
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.offline.lifecycle.sequential_tests import _GRID, log_e_drop, log_e_two_arms

rates = st.floats(0.0, 1.0)
shares = st.floats(0.01, 0.99)


def one(arm, share, outcome, better):
    values = np.array([outcome], dtype=float), np.array([share], dtype=float)
    return math.exp(log_e_two_arms(np.zeros(1, dtype=np.int64), np.array([arm]), values[1], values[0], 1, better=better)[0])


@given(rates, rates, shares, st.booleans())
def test_one_observation_expects_at_most_one_where_the_hypothesis_holds(spoken, sent, share, better):
    """Summed over both arms and both outcomes; exactly 1 where the arms are alike."""
    expected = sum(
        (share if arm else 1 - share) * (rate if y else 1 - rate) * one(arm, share, y, better)
        for (arm, rate), y in product(((0, spoken), (1, sent)), (0, 1))
    )
    if spoken == sent:
        assert expected == pytest.approx(1.0)
    elif (sent < spoken) == better:
        assert expected <= 1.0 + 1e-9
    else:
        assert expected >= 1.0 - 1e-9


@given(rates, shares, st.booleans(), st.sampled_from([0, 1]))
def test_fractions_count_in_proportion(outcome, share, better, arm):
    mixed = outcome * one(arm, share, 1.0, better) + (1 - outcome) * one(arm, share, 0.0, better)
    assert one(arm, share, outcome, better) == pytest.approx(mixed)


def test_what_is_not_drawn_teaches_nothing():
    for arm, share in ((1, 1.0), (0, 0.0)):
        assert [one(arm, share, y, better) for y in (0.0, 1.0) for better in (True, False)] == pytest.approx([1.0] * 4)


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), shares, rates), max_size=12)


@given(ROWS, st.booleans())
def test_equals_the_oracle(rows, better):
    expected = []
    for group in range(3):
        products = []
        for low, high in combinations(_GRID, 2):
            q = (low, high) if better else (high, low)
            e = 1.0
            for g, arm, share, y in rows:
                if g == group:
                    mix = share * q[1] + (1 - share) * q[0]
                    e *= y * q[arm] / mix + (1 - y) * (1 - q[arm]) / (1 - mix)
            products.append(e)
        expected.append(math.log(sum(products) / len(products)))
    group, arm, share, y = (np.array([row[i] for row in rows]) for i in range(4))
    found = log_e_two_arms(group.astype(np.int64), arm.astype(np.int64), share.astype(float), y.astype(float), 3, better=better)
    assert found == pytest.approx(expected, abs=1e-9)


KNOWN = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=2)


@given(ROWS, st.booleans(), KNOWN)
def test_what_was_known_before_says_where_to_look_first(rows, better, known):
    """Half of the weight of each alternative is what it says of the trials before, of which twenty count at most."""
    trials, well = np.array([[a + b for a, b in known]], dtype=float), np.array([[a for a, _ in known]], dtype=float)
    likely, products = [], []
    for low, high in combinations(_GRID, 2):
        q = (low, high) if better else (high, low)
        less = [min(1.0, 20 / max(a + b, 1)) for a, b in known]
        likely.append(math.prod((rate**a * (1 - rate) ** b) ** c for rate, (a, b), c in zip(q, known, less, strict=True)))
        e = 1.0
        for _, arm, share, y in rows:
            mix = share * q[1] + (1 - share) * q[0]
            e *= y * q[arm] / mix + (1 - y) * (1 - q[arm]) / (1 - mix)
        products.append(e)
    weight = [0.5 * of / sum(likely) + 0.5 / len(likely) for of in likely]
    assert sum(weight) == pytest.approx(1.0)  # so that it stays an e-process
    expected = math.log(sum(w * e for w, e in zip(weight, products, strict=True)))
    _, arm, share, y = (np.array([row[i] for row in rows]) for i in range(4))
    columns = np.zeros(len(rows), dtype=np.int64), arm.astype(np.int64), share.astype(float), y.astype(float)
    assert log_e_two_arms(*columns, 1, better=better, known=(trials, well))[0] == pytest.approx(expected, abs=1e-9)


def crossings(rate_spoken, rate_sent, share, *, better, alpha=0.02, n=400, runs=600, seed=0):
    """Share of runs in which the test ever says yes, looked at after every observation."""
    rng = np.random.default_rng(seed)
    hits = 0
    group = np.arange(n)
    for _ in range(runs):
        arm = (rng.random(n) < share).astype(np.int64)
        y = (rng.random(n) < np.where(arm, rate_sent, rate_spoken)).astype(float)
        hits += _ever(group, arm, np.full(n, share), y, better=better) >= -math.log(alpha)
    return hits / runs


def _ever(group, arm, share, y, *, better):
    """Return the largest log e-value over all prefixes: the alternatives one by one, added up along time."""
    low, high = np.array(list(combinations(_GRID, 2))).T
    a, b = (high, low) if better else (low, high)
    mix = share[:, None] * a + (1 - share[:, None]) * b
    rate = np.where(arm[:, None] == 1, a, b)
    factor = np.log(y[:, None] * rate / mix + (1 - y[:, None]) * (1 - rate) / (1 - mix))
    path = np.logaddexp.reduce(np.cumsum(factor, axis=0), axis=1) - math.log(len(low))
    last = log_e_two_arms(np.zeros_like(group), arm, share, y, 1, better=better)[0]
    assert path[-1] == pytest.approx(last)
    return path.max()


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.9, 0.9), (0.1, 0.1)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_it_is_rarely_wrong_however_often_one_looks(rates, share):
    for better in (True, False):
        assert crossings(*rates, share, better=better) <= 0.02 + 3 * math.sqrt(0.02 * 0.98 / 600)


def test_it_finds_what_is_there():
    assert crossings(0.25, 0.9, 0.5, better=True, n=80, runs=200) > 0.95
    assert crossings(0.8, 0.3, 0.5, better=False, n=120, runs=200) > 0.95


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), rates), max_size=12), st.floats(0.05, 0.95), st.floats(0.05, 0.95)
)
def test_the_detector_equals_the_oracle(rows, one_level, other):
    expected, newest = [], {g: max(day for of, day, _ in rows if of == g) for g, _, _ in rows}
    oldest = max((newest[g] - day for g, day, _ in rows), default=0)
    for group, m in enumerate((one_level, other)):
        days = defaultdict(list)
        for g, day, y in rows:
            if g == group:
                days[day].append(y)
        totals = []
        for depth in (0.2, 0.5, 0.8):
            total, q, back, last = 0.0, m * depth, 1, max(days, default=0)
            while days and back <= 2 * (oldest + 1):
                since = [y for day, found in days.items() if day > last - back for y in found]
                total += math.prod(y * q / m + (1 - y) * (1 - q) / (1 - m) for y in since)
                back *= 2
            totals.append(total)
        expected.append(math.log(sum(totals) / 3) if days else -math.inf)
    group, day, y = (np.array([row[i] for row in rows]) for i in range(3))
    levels = np.array([one_level, other])
    found = log_e_drop(group.astype(np.int64), day.astype(np.int64), y.astype(float), levels)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_drop_is_found_soon_and_no_drop_rarely():
    """A thousand days without one, at the very level: at most an alarm or so; a real one is found within days."""
    rng = np.random.default_rng(1)
    alarms, level, n = 0, np.array([0.6]), 10
    for _ in range(40):
        y = (rng.random(25 * n) < 0.6).astype(float)
        alarms += log_e_drop(np.zeros(25 * n, dtype=np.int64), np.repeat(np.arange(25), n), y, level)[0] >= math.log(1000)
    assert alarms <= 3  # a thousand days
    y = np.concatenate([rng.random(60 * n) < 0.9, rng.random(4 * n) < 0.3]).astype(float)
    day = np.repeat(np.arange(64), n)
    assert log_e_drop(np.zeros(64 * n, dtype=np.int64), day, y, level)[0] >= math.log(1000)
    assert log_e_drop(np.zeros(60 * n, dtype=np.int64), day[: 60 * n], y[: 60 * n], level)[0] < 0
