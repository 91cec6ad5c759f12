"""Wordings without a goal are those of a log in which nobody asked for it."""

import numpy as np
import pandas as pd

from rewriter.model.fluency import FEATURES
from rewriter.offline.fit.examples import Wordings

ROWS = [
    ("en", "start the pasta timer", 1, "h", 'Start|name="pasta"'),
    ("en", "start the tea timer", 2, "h", 'Start|name="tea"'),
    ("en", "begin the tea timer", 2, "h", 'Start|name="tea"'),
    ("en", "stop the tea timer", 3, "h", 'Stop|name="tea"'),
    ("en", "what is the time", 4, "h", "Time"),
    ("de", "wie spät ist es", 5, "u", "wie spät ist es"),
]


def frame(rows):
    return pd.DataFrame(rows, columns=["locale", "query", "node", "kind", "state"])


def test_without_a_goal():
    for goal in (1, 2, 3, 4):
        less = Wordings(frame(ROWS)).without("en", goal)
        fresh = Wordings(frame([row for row in ROWS if row[2] != goal])).all["en"]
        assert less.texts == fresh.texts
        assert less.names == fresh.names
        for text in [*(row[1] for row in ROWS), "stop the pasta timer please"]:
            np.testing.assert_allclose(less.fluency(text), fresh.fluency(text), err_msg=f"{goal}: {text}")
            assert [less.weight(word) for word in text.split()] == [fresh.weight(word) for word in text.split()]


def test_a_name_of_two_goals_stays_known():
    wordings = Wordings(frame(ROWS))
    assert "tea" in wordings.without("en", 2).names
    assert "pasta" not in wordings.without("en", 1).names
    assert not wordings.without("en", 1).knows("pasta")
    assert wordings.without("en", 1).knows("tea")


def test_which_goals_are_heard():
    wordings = Wordings(frame(ROWS))
    assert wordings.heard("de", 5)
    assert not wordings.heard("en", 5)
    assert list(wordings.all) == ["de", "en"]
    assert wordings.without("de", 99).fluency("wie spät ist es") == wordings.all["de"].fluency("wie spät ist es")
    assert len(FEATURES) == len(wordings.all["de"].fluency("wie"))
