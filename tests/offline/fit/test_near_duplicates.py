"""Which texts are near duplicates: by hand, and properties."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from rewriter.offline.fit.query_index import near_duplicates

TEXTS = st.lists(st.tuples(st.text("ab ", min_size=1, max_size=6), st.integers(1, 2), st.floats(1, 100)), max_size=8)


def frame(rows):
    found = pd.DataFrame(rows, columns=["query", "node", "success"])
    return found.assign(locale="en", well=found["success"])


def test_by_hand():
    rows = [
        ("what is the oven temperature", 1, 100.0),
        ("what is the one temperature", 1, 20.0),  # five times rarer
        ("what is the oven temperatures", 1, 21.0),  # not quite
        ("how hot is the oven", 1, 3.0),  # other words
        ("what is the open temperature", 2, 3.0),  # means something else
    ]
    assert near_duplicates(frame(rows)).tolist() == [False, True, False, False, False]
    assert near_duplicates(frame(rows[:1])).tolist() == [False]
    assert near_duplicates(frame([])).tolist() == []


@given(TEXTS)
def test_the_commonest_of_an_interpretation_is_no_echo(rows):
    found = frame(rows)
    marked = near_duplicates(found)
    for _, of in found.groupby("node"):
        assert not marked[of["success"].idxmax()]
