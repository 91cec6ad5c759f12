"""Off-policy estimates against hand-worked figures, and against the truth over every way the arms could have been drawn."""

import itertools

import numpy as np
import pytest

from rewriter.evaluation.compare import METHODS, Logged, Release, differences, estimates


def logged(rewritten, p, y, cluster=None, source=None):
    n = len(y)
    return Logged(
        cluster=np.arange(n) if cluster is None else np.array(cluster),
        source=np.zeros(n, dtype=np.int64) if source is None else np.array(source),
        rewritten=np.array(rewritten, dtype=bool),
        p=np.array(p, dtype=np.float64),
        y=np.array(y, dtype=np.float64),
    )


def release(share, supported=None):
    return Release(np.array(share, dtype=np.float64), np.ones(len(share), bool) if supported is None else np.array(supported))


LOG = logged([1, 1, 0, 0], [0.5, 0.5, 0.5, 1.0], [1, 0, 0, 1])


def test_by_hand():
    """Weights of a release that always rewrites the first three: 2, 2, 0, and 1 for the last, which it leaves alone."""
    found = estimates(LOG, release([1, 1, 1, 0]))
    assert found["IPS"].value == pytest.approx((2 * 1 + 2 * 0 + 0 + 1) / 4)
    assert found["SNIPS"].value == pytest.approx((2 * 1 + 2 * 0 + 0 + 1) / 5)


def test_a_release_that_draws_itself():
    """Rewriting with .25 what was rewritten with .5: weights .5, .5, 1.5, 1."""
    found = estimates(LOG, release([0.25, 0.25, 0.25, 0]))
    assert found["IPS"].value == pytest.approx((0.5 * 1 + 0 + 0 + 1) / 4)
    assert found["SNIPS"].value == pytest.approx(1.5 / 3.5)


def test_the_logging_release_itself_is_the_mean_of_the_log():
    found = estimates(LOG, release([0.5, 0.5, 0.5, 0]))
    assert found["IPS"].value == found["SNIPS"].value == pytest.approx(0.5)


def test_what_is_not_supported_is_left_out():
    found = estimates(LOG, release([1, 1, 1, 1], [True, True, True, False]))
    assert found["IPS"].value == pytest.approx(2 / 3)
    assert release([1, 1, 1, 1], [True, True, True, False]).unsupported == 0.25


ENDS = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0.5, 1], [0, 1]])
"""How each of six requests ends if it is left alone, and if it is rewritten."""
DRAWN = np.array([0.5, 0.9, 0.2, 0.5, 0.7, 0.1])
CLUSTER, SOURCE = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 0, 1])
A, B = np.array([1, 0, 1, 0, 1, 1.0]), np.array([0, 0.5, 1, 0, 1, 0.0])


def worth(share):
    return float(np.mean(share * ENDS[:, 1] + (1 - share) * ENDS[:, 0]))


def every_log():
    """Each way the arms may fall, and its probability."""
    for arms in itertools.product((0, 1), repeat=6):
        done = np.array(arms)
        p = np.where(done, DRAWN, 1 - DRAWN)
        yield logged(done, p, ENDS[np.arange(6), done], CLUSTER, SOURCE), float(p.prod())


@pytest.mark.parametrize("method", ["IPS", "DR"])
def test_over_every_draw_the_mean_is_the_truth(method):
    parts = [(probability, log) for log, probability in every_log()]
    assert sum(probability for probability, _ in parts) == pytest.approx(1)
    for share in (A, B):
        mean = sum(probability * estimates(log, release(share))[method].value for probability, log in parts)
        assert mean == pytest.approx(worth(share))
    mean = sum(probability * differences(log, release(A), release(B))[method].value for probability, log in parts)
    assert mean == pytest.approx(worth(B) - worth(A))


def test_two_releases_that_do_the_same_differ_by_nothing():
    for found in differences(LOG, release([1, 1, 1, 0]), release([1, 1, 1, 0])).values():
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_many_requests_come_near_the_truth_and_dr_nearest():
    """A thousand sources whose rewriting is all good or all bad: what was learned of a source takes most of the chance out."""
    rng = np.random.default_rng(0)
    n, sources = 20_000, 1000
    source = rng.integers(sources, size=n)
    good = np.column_stack([rng.random(sources) < 0.3, rng.random(sources) < 0.8]).astype(float)
    done = (rng.random(n) < 0.3).astype(int)
    log = logged(done, np.where(done, 0.3, 0.7), good[source, done], rng.integers(400, size=n), source)
    share = (np.arange(sources) % 2).astype(float)[source]
    truth = float(np.mean(np.where(share == 1, good[source, 1], good[source, 0])))
    found = estimates(log, release(share))
    width = {name: found[name].high - found[name].low for name in METHODS}
    assert all(found[name].low <= truth <= found[name].high for name in METHODS)
    assert width["DR"] < 0.7 * width["SNIPS"] < 0.7 * width["IPS"]
