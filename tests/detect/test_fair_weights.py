"""In what detectors learn from, the k - 1 users with most rows weigh no more than the next one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.detect.boosting import LabelledRows, fair_weights


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 4))
def test_no_user_weighs_more_than_the_kth(users, k):
    weights, users = fair_weights(users, k), np.array(users)
    sizes = sorted((int((users == user).sum()) for user in set(users.tolist())), reverse=True)
    most = sizes[min(k, len(sizes)) - 1] if sizes else 0
    for user in set(users.tolist()):
        mine = weights[users == user]
        assert mine.sum() == pytest.approx(min(len(mine), most))
        assert len(set(mine.tolist())) == 1


def test_a_flood_of_fewer_than_k_accounts_moves_no_other_weight():
    honest = np.repeat([1, 2, 3], [4, 3, 2])
    attacked = fair_weights(np.concatenate([honest, np.repeat([8, 9], 1000)]), 3)
    assert attacked[:9].tolist() == fair_weights(honest, 1).tolist()
    assert attacked[9:].sum() == pytest.approx(2 * 4)


def test_soft_rows_have_two_labels_and_the_weight_that_is_given():
    rows = LabelledRows.of(np.array([0]), np.array([True])).with_soft(
        np.array([1, 2]), np.array([0.25, 1.0]), np.array([1.0, 0.5])
    )
    assert rows.row.tolist() == [0, 1, 2, 1, 2]
    assert rows.label.tolist() == [True, True, True, False, False]
    assert rows.weight.tolist() == [1.0, 0.25, 0.5, 0.75, 0.0]
