"""Bars and what they promise: by hand, and in a world whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rewriter.offline.fit.thresholds import HeldOut, label_noise, lowest

SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


def evidence(rows):
    score, win = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return HeldOut(score, win, 1 - win)


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


def test_no_bar_is_lower_than_the_least():
    rows = [(0.9, 1.0)] * 30 + [(0.5, 1.0)] * 30
    assert lowest(evidence(rows), loss_share=0.05, least=0.6).threshold == 0.9
    assert lowest(evidence(rows), loss_share=0.05, least=0.95).threshold == math.inf


def test_wrong_labels_are_not_taken_for_losses():
    rng = np.random.default_rng(0)
    score = rng.random(5000)
    true = rng.random(5000) < np.where(score > 0.5, 0.99, 0.4)
    said = np.where(rng.random(5000) < 0.1, False, true).astype(np.float64)
    of = HeldOut(score, said, 1 - said)
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
