import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.evaluation.intervals import Interval, net_share, odds, per_user, share

Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(k: int, n: int) -> tuple[float, float]:
    p = k / n
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return middle - half, middle + half


def every_resample(hits: list[int], trials: list[int]) -> tuple[float, float]:
    """The bootstrap without chance: all len(hits) ** len(hits) ways to draw the users again."""
    shares = [
        sum(hits[u] for u in draw) / sum(trials[u] for u in draw)
        for draw in itertools.product(range(len(hits)), repeat=len(hits))
    ]
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize(
    ("hits", "trials"),
    [
        ([10, 0, 40, 80, 3], [12, 30, 41, 90, 60]),  # users differ: the bootstrap is the wider on both sides
        ([200, 20, 5, 390, 0], [210, 200, 40, 400, 7]),
    ],
)
def test_a_share_is_bounded_by_every_way_to_draw_the_users_again(hits, trials):
    exact = every_resample(hits, trials)
    assert exact[0] < wilson(sum(hits), sum(trials))[0], "the example must be one where the bootstrap decides"
    assert exact[1] > wilson(sum(hits), sum(trials))[1]
    found = share(np.array(hits), np.array(trials))
    assert found.value == sum(hits) / sum(trials)
    assert found.low == pytest.approx(exact[0], abs=0.02)
    assert found.high == pytest.approx(exact[1], abs=0.02)


@pytest.mark.parametrize(("hits", "trials"), [([3] * 8, [3] * 8), ([0] * 5, [7] * 5), ([9], [10]), ([2, 2, 2], [4, 4, 4])])
def test_where_resamples_all_look_the_same_wilson_decides(hits, trials):
    found = share(np.array(hits), np.array(trials))
    low, high = wilson(sum(hits), sum(trials))
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_a_win_loss_ratio_without_a_loss_says_at_least_what():
    ratio = odds(share(np.array([4, 6]), np.array([4, 6])))
    # Wilson's bound for n of n is n / (n + z²), whose odds are n / z².
    assert ratio.value == math.inf
    assert ratio.high == math.inf
    assert ratio.low == pytest.approx(10 / Z**2)


def test_nothing_decided_says_nothing():
    nothing = share(np.array([0, 0]), np.array([0, 0]))
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    ratio = odds(nothing)
    assert math.isnan(ratio.value)
    assert (ratio.low, ratio.high) == (0.0, math.inf)


def newcombe(wins, defects, harms, healthy):
    """The interval of wins / defects - harms / healthy x healthy / defects, worked from the two Wilson intervals."""
    scale = healthy / defects
    p, (p_low, p_high) = wins / defects, wilson(wins, defects)
    q, (q_low, q_high) = harms / healthy, wilson(harms, healthy)
    low = math.sqrt((p - p_low) ** 2 + (scale * (q_high - q)) ** 2)
    high = math.sqrt((p_high - p) ** 2 + (scale * (q - q_low)) ** 2)
    return p - scale * q - low, p - scale * q + high


@pytest.mark.parametrize(
    ("wins", "harms"),
    [([3, 3, 3, 3], [0, 0, 0, 0]), ([0, 0, 0, 0], [2, 2, 2, 2]), ([4, 4, 4, 4], [1, 1, 1, 1]), ([0, 0, 0, 0], [0, 0, 0, 0])],
)
def test_where_users_are_alike_a_net_share_is_bounded_by_newcombe(wins, harms):
    found = net_share(np.array(wins), np.array([5] * 4), np.array(harms), np.array([30] * 4))
    low, high = newcombe(sum(wins), 20, sum(harms), 120)
    assert found.value == pytest.approx((sum(wins) - sum(harms)) / 20)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_where_users_differ_a_net_share_is_bounded_by_every_draw():
    wins, defects, harms = [1, 40, 5, 38, 20, 11], [50, 41, 52, 60, 47, 39], [31, 0, 26, 0, 1, 12]
    found = net_share(np.array(wins), np.array(defects), np.array(harms), np.array([200] * 6))
    low, high = every_resample([w - h for w, h in zip(wins, harms, strict=True)], defects)
    assert low < newcombe(sum(wins), 289, sum(harms), 1200)[0], "the example must be one where the bootstrap decides"
    assert found.value == (115 - 70) / 289
    assert (found.low, found.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_a_net_share_of_one_user_and_of_nothing():
    alone = net_share(np.array([1]), np.array([10]), np.array([5]), np.array([10]))
    assert alone.value == -0.4
    assert -1 < alone.low < -0.4 < alone.high < 0.1
    without_chances = net_share(np.array([1]), np.array([10]), np.array([0]), np.array([0]))
    assert (without_chances.low, without_chances.high) == tuple(map(pytest.approx, wilson(1, 10)))
    nothing = net_share(np.array([0]), np.array([0]), np.array([0]), np.array([9]))
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (-math.inf, 1.0)


def test_users_with_nothing_to_say_change_nothing():
    hits, trials = np.array([5, 1, 7, 2]), np.array([6, 4, 8, 9])
    padded = share(np.append(hits, [0] * 50), np.append(trials, [0] * 50))
    assert padded == share(hits, trials)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_bounds_enclose_the_value(pairs):
    hits = np.array([w for w, _ in pairs])
    trials = hits + np.array([rest for _, rest in pairs])
    found = share(hits, trials)
    assert 0 <= found.low <= found.high <= 1
    if trials.sum():
        assert found.low - 1e-12 <= found.value <= found.high + 1e-12
        assert odds(found).low <= odds(found).value <= odds(found).high


def test_a_user_is_drawn_with_all_turns_or_not_at_all():
    """Two users, one all hits and one all misses: draws can only hold 0, half or all of the turns, whatever their number."""
    few, many = share(np.array([5, 0]), np.array([5, 5])), share(np.array([500, 0]), np.array([500, 500]))
    assert (many.low, many.high) == (0.0, 1.0)
    assert (few.low, few.high) == (0.0, 1.0)


def test_turns_are_counted_for_each_user():
    users, mask = np.array([0, 1, 1, 2, 0]), np.array([True, True, True, False, False])
    assert per_user(users, mask, 4).tolist() == [1, 2, 0, 0]


def test_odds_are_share_over_rest():
    assert odds(Interval(0.75, 0.5, 0.8)) == Interval(3.0, 1.0, 4.0)
