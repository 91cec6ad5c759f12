"""Folds keep users apart, and what says nothing is left out."""

import numpy as np
import pytest

from rewriter.detect.boosting import FOLDS, Forest, LabelledRows, fold_of, log_odds


def test_no_user_is_scored_by_a_model_that_saw_her():
    """Each fold has a label of its own, told by a column; the other folds know nothing of it, so nobody can tell."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 30)
    own = rng.random(40)[users] + 0.0 * users
    label = rng.random(40)[users] < 0.5
    columns = np.column_stack([own, np.full(len(users), 7.0), np.full(len(users), np.nan)]).astype(np.float32)
    forest = Forest.fit(columns, LabelledRows.of(np.arange(len(users)), label), fold_of(users), seed=0)
    p = forest.p(columns, fold_of(users))
    assert abs(np.corrcoef(p, label)[0, 1]) < 0.5
    other = forest.p(columns, fold_of(users + 1))  # by a model that did see them
    assert np.corrcoef(other, label)[0, 1] > 0.8
    assert len(forest.models) == FOLDS


def test_soft_examples_are_both():
    soft = LabelledRows.of(np.array([4]), np.array([True])).with_soft(np.array([7, 8]), np.array([0.25, 1.0]), np.ones(2))
    assert soft.row.tolist() == [4, 7, 8, 7, 8]
    assert soft.label.tolist() == [True, True, True, False, False]
    assert soft.weight.tolist() == [1.0, 0.25, 1.0, 0.75, 0.0]


def test_one_kind_alone_teaches_nothing():
    forest = Forest.fit(
        np.ones((5, 1), np.float32), LabelledRows.of(np.arange(5), np.ones(5, bool)), np.arange(5) % FOLDS, seed=0
    )
    assert forest.p(np.ones((5, 1), np.float32), np.arange(5) % FOLDS).tolist() == [0.0] * 5


def test_log_odds_are_bounded():
    assert log_odds(np.array([0.0, 0.5, 1.0])) == pytest.approx([-9.2, 0.0, 9.2])


def test_a_column_that_only_the_held_out_users_know_is_borne():
    fold = np.arange(160) // 2 % FOLDS
    label = np.arange(160) % 2 == 0
    rare = np.where(fold == 0, np.arange(160.0), np.nan)
    columns = np.column_stack([rare, label]).astype(np.float32)
    p = Forest.fit(columns, LabelledRows.of(np.arange(160), label), fold, seed=0).p(columns, fold)
    assert p[label].min() > 0.7 > 0.3 > p[~label].max()
