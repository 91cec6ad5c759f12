"""Bars and what they promise: by hand, and in a world whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.offline.bars import Evidence, label_noise, lowest, tail

SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


def evidence(rows, **rest):
    score, win = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return Evidence(score, win, 1 - win, np.zeros(len(win)), **rest)


def test_by_hand():
    rows = [(0.9, 1.0)] * 30 + [(0.5, 1.0)] * 30 + [(0.1, 0.0)] * 30
    found = lowest(evidence(rows), loss_share=0.05)
    assert (found.bar, found.win, found.loss, found.ratio) == (0.5, 60.0, 0.0, math.inf)
    assert lowest(evidence(rows), loss_share=0.4).bar == 0.1  # 31 of 91
    assert lowest(evidence(rows[:10]), loss_share=0.05).bar == math.inf  # ten wins do not show one loss in twenty


@settings(deadline=None)
@given(SHARES, st.floats(0.01, 0.5))
def test_the_budget_is_kept_by_all_that_passes(rows, share):
    of = evidence(rows)
    found = lowest(of, loss_share=share)
    passes = of.score >= found.bar
    if math.isfinite(found.bar):
        assert found.loss == pytest.approx(of.loss[passes].sum())
        assert of.loss[passes].sum() + 1 <= share * (passes.sum() + 1) + 1e-9
    for bar in of.score[of.score < found.bar]:
        lower = of.score >= bar
        assert of.loss[lower].sum() + 1 > share * (lower.sum() + 1) - 1e-9


def test_the_tail_of_what_is_broken_is_the_true_one():
    rng = np.random.default_rng(0)
    odds = rng.exponential(0.8, 4000) - 2.0
    scores = 1 / (1 + np.exp(-odds))
    bars = np.array([0.3, 0.5, 0.7])
    truth = 4000 / 20_000 * np.exp(-(np.log(bars / (1 - bars)) + 2.0) / 0.8)
    assert tail(scores, 20_000, bars).tolist() == pytest.approx(truth.tolist(), rel=0.15)
    assert tail(scores, 20_000, np.array([0.13]))[0] == (scores >= 0.13).sum() / 20_000  # counted where there are enough


def test_healthy_texts_have_a_budget_of_their_own():
    score = np.linspace(0.99, 0.01, 1000)
    broken = (np.arange(1000) % 10 == 9).astype(np.float64)
    of = Evidence(score, np.ones(1000), np.zeros(1000), broken, healthy=2000)
    found = lowest(of, loss_share=1.0, broken_share=0.002)
    assert tail(score[broken > 0], 2000, np.array([found.bar]))[0] <= 0.002
    assert tail(score[broken > 0], 2000, np.array([found.bar - 0.002]))[0] > 0.002
    few = Evidence(score, np.ones(1000), np.zeros(1000), 0 * broken, healthy=100)
    assert lowest(few, loss_share=1.0, broken_share=0.002).bar == math.inf  # a hundred cannot show two in a thousand


def test_wrong_labels_are_not_taken_for_losses():
    rng = np.random.default_rng(0)
    score = rng.random(5000)
    true = rng.random(5000) < np.where(score > 0.5, 0.99, 0.4)
    said = np.where(rng.random(5000) < 0.1, False, true).astype(np.float64)
    of = Evidence(score, said, 1 - said, np.zeros(5000))
    assert lowest(of, loss_share=0.05).bar == math.inf
    noise = label_noise(of, 0.05)
    assert 0.06 <= noise <= 0.1
    found = lowest(of, loss_share=0.05, noise=noise)
    assert 1 - true[score >= found.bar].mean() <= 0.05
    assert found.bar < 0.6


def test_no_noise_is_seen_in_few_texts():
    assert label_noise(evidence([(0.9, 0.0)] * 10), 0.05) == 0.0
