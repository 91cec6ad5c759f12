"""Calibration and thresholds: by hand, and where the truth is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rewriter.model.decider import Calibration
from rewriter.offline.fit.thresholds import HeldOut, by_prior, calibrate, label_noise, lowest

SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


def evidence(rows):
    score, win = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return HeldOut(score, win, 1 - win, np.zeros(len(score)))


def test_by_hand():
    rows = [(0.9, 1.0)] * 30 + [(0.5, 1.0)] * 30 + [(0.1, 0.0)] * 30
    found = lowest(evidence(rows), loss_share=0.05)
    assert (found.threshold, found.win, found.loss, found.ratio) == (0.5, 60.0, 0.0, math.inf)
    assert lowest(evidence(rows), loss_share=0.4).threshold == 0.1  # 31 of 91
    assert lowest(evidence(rows[:10]), loss_share=0.05).threshold == math.inf  # ten wins do not show one loss in twenty


@settings(deadline=None)
@given(SHARES, st.floats(0.01, 0.5))
def test_the_budget_is_kept_by_all_that_passes(rows, share):
    of = evidence(rows)
    found = lowest(of, loss_share=share)
    passes = of.score >= found.threshold
    if math.isfinite(found.threshold):
        assert found.loss == pytest.approx(of.loss[passes].sum())
        assert of.loss[passes].sum() + 1 <= share * (passes.sum() + 1) + 1e-9
    for threshold in of.score[of.score < found.threshold]:
        lower = of.score >= threshold
        assert of.loss[lower].sum() + 1 > share * (lower.sum() + 1) - 1e-9


def test_no_threshold_is_lower_than_the_least():
    rows = [(0.9, 1.0)] * 30 + [(0.5, 1.0)] * 30
    assert lowest(evidence(rows), loss_share=0.05, least=0.6).threshold == 0.9
    assert lowest(evidence(rows), loss_share=0.05, least=0.95).threshold == math.inf


def test_wrong_labels_are_not_taken_for_losses():
    rng = np.random.default_rng(0)
    score = rng.random(5000)
    true = rng.random(5000) < np.where(score > 0.5, 0.99, 0.4)
    said = np.where(rng.random(5000) < 0.1, False, true).astype(np.float64)
    of = HeldOut(score, said, 1 - said, np.zeros(5000))
    assert lowest(of, loss_share=0.05).threshold == math.inf
    noise = label_noise(of, less=0.0125)
    assert 0.06 <= noise <= 0.1
    found = lowest(of, loss_share=0.05, noise=noise)
    assert 1 - true[score >= found.threshold].mean() <= 0.05
    assert found.threshold < 0.6


def test_no_noise_is_seen_in_few_texts():
    assert label_noise(evidence([(0.9, 0.0)] * 10), less=0.0125) == 0.0


def test_few_texts_excuse_less_than_many():
    def lower(n):
        of = evidence([(0.9, 0.9)] * n)
        return label_noise(of, less=0.0, quantile=0.25)

    assert lower(200) < lower(1000) < lower(100_000) <= 0.1
    assert lower(200) == pytest.approx(stats.beta.ppf(0.25, 4.5, 36.5))
    assert lower(100_000) == pytest.approx(0.1, abs=0.002)


def test_many_easy_wins_do_not_pay_for_unlikely_rewrites():
    rows = [(0.9, 1.0)] * 900 + [(0.1, 1.0)] * 5 + [(0.1, 0.0)] * 35
    of = evidence(rows)
    assert lowest(of, loss_share=0.05).threshold == 0.1  # the budget alone sends what loses seven times in eight
    of = of.calibrated(calibrate(of))
    assert lowest(of, loss_share=0.05, least=0.5).threshold > 0.99
    assert of.score[-1] == pytest.approx(5 / 40, abs=0.05)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), max_size=60), st.floats(0, 0.3))
def test_a_calibration_rises_and_decides_on_less_than_it_expects(rows, noise):
    score, win, tie = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    of = HeldOut(score, win * (1 - tie), (1 - win) * (1 - tie), tie)
    curve = calibrate(of, noise=noise)
    assert list(curve.p) == sorted(curve.p)
    assert list(curve.score) == sorted(curve.score)
    p = curve.all(np.linspace(0, 1, 11))
    assert np.all(np.diff(p) >= 0)
    if (of.win + of.loss).any():  # ties alone show nothing
        assert 0 <= p.min() <= p.max() < 1
        assert curve.p_of(0.5) == p[5]
        expected = [curve.expected_of(x) for x in np.linspace(0, 1, 11)]
        assert expected == sorted(expected)
        assert np.all(p <= np.array(expected) + 1e-9)


@pytest.mark.parametrize(
    "truth", [lambda s: s**3, lambda s: 0.5 + s / 2.1, lambda s: 0.1 + 0.0 * s, lambda s: np.where(s > 0.7, 0.97, 0.3)]
)
def test_calibrated_scores_are_the_true_probabilities(truth):
    rng = np.random.default_rng(0)
    score = rng.random(6000)
    win = (rng.random(6000) < truth(score)).astype(np.float64)
    of = evidence(np.column_stack([score, win])[:3000])
    curve = calibrate(of)
    p = curve.all(score[3000:])
    assert abs(p.mean() - win[3000:].mean()) < 0.03
    expected = np.array([curve.expected_of(x) for x in score[3000:]])
    assert abs(expected.mean() - win[3000:].mean()) < 0.03
    assert np.all(expected > p)
    for low, high in pairwise(np.linspace(0, 1, 6)):
        band = (p >= low) & (p < high)
        if band.sum() > 100:
            assert abs(p[band].mean() - win[3000:][band].mean()) < 0.08


def test_the_expected_p_is_what_comes_true_and_the_bound_is_below_it():
    away = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score, fresh = rng.beta(2, 1, 300), rng.beta(2, 1, 500)
        curve = calibrate(evidence(np.column_stack([score, rng.random(300) < _truth(score)])))
        sent = fresh[curve.all(fresh) >= 0.65]
        expected = np.array([curve.expected_of(x) for x in sent])
        away.append([(_truth(sent) - curve.all(sent)).mean(), (_truth(sent) - expected).mean()])
    bound, told = np.mean(away, axis=0)
    assert 0.02 < bound < 0.05
    assert abs(told) < 0.02


def _truth(score):
    return 1 / (1 + np.exp(1.5 - 6 * score))


def test_the_prior_stands_in_as_twenty_rewrites_of_which_one_is_lost():
    rows = [(0.95, 1.0)] * 6 + [(0.95, 0.0)] + [(0.85, 0.0)] * 9
    sure, unsure = np.full(16, 0.95), np.full(16, 0.85)
    none, calibration = by_prior(evidence([]), np.zeros(0), loss_share=0.05)
    assert (none.threshold, none.least_prior, none.win, none.loss) == (0.9, 0.9, 19.0, 1.0)
    assert calibration == Calibration()
    assert by_prior(evidence(rows), sure, loss_share=0.05)[0].threshold == math.inf  # 2 of 27
    kept, _ = by_prior(evidence(rows), sure, loss_share=0.05, noise=0.1)  # one in seven, less a tenth: 1.33 of 27
    assert (kept.threshold, kept.loss) == (0.9, pytest.approx(1 + (1 - 0.7) / 0.9))
    assert by_prior(evidence(rows), unsure, loss_share=0.05)[0] == none  # what the prior does not send shows nothing
    assert by_prior(evidence(rows), sure, loss_share=0.1)[0].threshold == math.inf  # at .8 the other nine losses pass, too
    assert by_prior(evidence([]), np.zeros(0), loss_share=0.04)[0].threshold == math.inf  # the prior itself promises no less


def test_twenty_texts_on_which_the_prior_agrees_set_the_threshold_by_themselves():
    """The ranker of a small log gives .5 and .3 where 40 of 40 and 10 of 40 are right: .5 is enough, though it is below .9."""
    rows = [(0.5, 1.0)] * 40 + [(0.3, 1.0)] * 10 + [(0.3, 0.0)] * 30 + [(0.4, 0.0)] * 50
    p = np.array([0.95] * 80 + [0.5] * 50)
    found, calibration = by_prior(evidence(rows), p, loss_share=0.05)
    assert (found.win, found.loss, found.least_prior) == (59.0, 1.0, 0.9)
    assert found.threshold == calibration.p_of(0.5)
    assert calibration.p_of(0.3) < 0.65 < calibration.p_of(0.5)
    few, calibration = by_prior(evidence(rows[:19]), p[:19], loss_share=0.05)  # 19 show too little
    assert (few.threshold, few.win, calibration) == (0.9, 19.0, Calibration())
    assert by_prior(evidence(rows), p, loss_share=0.04)[0].win == 59.0  # 1 of 60
    assert not by_prior(evidence(rows), p, loss_share=0.01)[0].keeps_budget()


def test_a_product_of_two_probabilities_needs_the_square():
    assert by_prior(evidence([]), np.zeros(0), loss_share=0.05, factors=2)[0].threshold == pytest.approx(0.81)
    assert by_prior(evidence([]), np.zeros(0), loss_share=0.2, least=0.65, factors=2)[0].threshold == 0.65


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), max_size=80), st.floats(0.05, 0.25), st.floats(0, 0.7)
)
def test_what_the_prior_promises_keeps_the_budget(rows, share, least):
    of, p = evidence([row[:2] for row in rows]), np.array([row[2] for row in rows])
    found, calibration = by_prior(of, p, loss_share=share, least=least)
    if found.keeps_budget():
        passes = (calibration.all(of.score) >= found.threshold) & (p >= found.least_prior)
        assert found.loss == pytest.approx(of.loss[passes].sum() + 1)
        assert found.win == pytest.approx(of.win[passes].sum() + 19)
        assert found.loss <= share * (found.win + found.loss) + 1e-9
        assert found.threshold >= least
