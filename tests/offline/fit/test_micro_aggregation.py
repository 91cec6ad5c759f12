"""Groups of enough users: by hand, as properties, and what is learned from averages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rewriter.model.logistic import fit_logistic
from rewriter.offline.fit.drafts import averaged, micro_groups

ROWS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float64, (n, 3), elements=st.floats(-5, 5)), arrays.arrays(np.int64, n, elements=st.integers(0, 8))
    )
)


@given(ROWS, st.integers(1, 5))
def test_every_row_is_in_one_group_of_enough_users(rows, k):
    columns, users = rows
    groups = micro_groups(columns, users, k)
    assert all(len(set(users[group].tolist())) >= k for group in groups)
    together = sorted(np.concatenate(groups).tolist()) if groups else []
    assert together == (list(range(len(users))) if len(set(users.tolist())) >= k else [])


def test_rows_that_are_alike_come_together():
    columns = np.array([[0.0, 0.0], [9.0, 0.0], [0.1, 0.0], [9.1, 0.0], [0.2, 0.0], [9.2, 0.0]])
    groups = {tuple(sorted(group.tolist())) for group in micro_groups(columns, np.arange(6), 3)}
    assert groups == {(0, 2, 4), (1, 3, 5)}


@given(ROWS, st.integers(2, 4))
def test_averages_by_hand(rows, k):
    columns, users = rows
    weight = np.arange(1.0, len(users) + 1)
    of_columns, of_target, of_weight = averaged(columns, np.ones(len(users)), weight, users, k)
    scale = columns.std(axis=0)
    groups = micro_groups(columns / np.where(scale > 0, scale, 1.0), users, k)
    assert of_target.tolist() == pytest.approx([1.0] * len(groups))
    for group, got, total in zip(groups, of_columns, of_weight, strict=True):
        mine = [group[users[group] == user] for user in set(users[group].tolist())]
        assert total == pytest.approx(sum(weight[rows].mean() for rows in mine))
        expected = sum((weight[rows] @ columns[rows]) / len(rows) for rows in mine) / total
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_rows_of_enough_users_stay_as_they_are_and_a_lone_user_counts_for_nothing():
    columns = np.array([[1.0], [2.0], [3.0], [50.0]])
    target, weight = np.array([1.0, 1.0, 0.0, 0.0]), np.ones(4)
    rows = averaged(columns, target, weight, np.array([-1, 7, 7, -1]), 2)
    assert [of.tolist() for of in rows] == [[[1.0], [50.0]], [1.0, 0.0], [1.0, 1.0]]


def test_a_flood_of_one_user_changes_little():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(600, 2))
    target = (columns[:, 0] + rng.normal(scale=0.5, size=600) > 0).astype(float)
    users = rng.integers(0, 100, 600)
    lies = rng.normal(size=(3000, 2))
    flooded_rows = averaged(
        np.concatenate([columns, lies]),
        np.concatenate([target, (lies[:, 0] < 0).astype(float)]),
        np.ones(3600),
        np.concatenate([users, np.full(3000, 100)]),
        3,
    )
    honest = fit_logistic(*averaged(columns, target, np.ones(600), users, 3), penalty=100.0)
    flooded = fit_logistic(*flooded_rows, penalty=100.0)
    assert honest.weights[0] > 0.9
    assert flooded.weights[0] > 0.5
