"""Who says a text and what she was led to: drawn among those who were led somewhere, votes for what nobody knows left out."""

from dataclasses import replace
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from rewriter.model.retrieve import Pool
from rewriter.offline.fit.drafts import without_own_votes
from rewriter.offline.fit.examples import NOBODY, LabelledText, Speaker, UserVotes, new_goal_share, vote_noise
from rewriter.offline.rules.votes import Votes

GARBLE, LAMP, JAZZ, NOISE = 0, 1, 2, 3
"""Nodes: a text that fails, two that work, and one that nobody else ever said."""
ANN, BEN, CEM = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def user_votes(tmp_path):
    return user_votes_of(tmp_path, np.array([[0, 3.0, 1.0, 0], [0, 0, 0, 2.0]]))  # ann: lamp 3, jazz 1; ben: what nobody knows


def user_votes_of(tmp_path, goals):
    said = pd.DataFrame({"node": [GARBLE] * 3 + [NOISE], "user_no": [0, 1, 2, 2], "turns": [4, 2, 1, 1]})
    said = said.assign(first_day=0, last_day=1, mass=0, success=0)
    nodes = pd.DataFrame({"node": [GARBLE, NOISE], "state": ["garble", "noise"]})
    users = pd.DataFrame({"user_no": [0, 1, 2], "user_id": [ANN, BEN, CEM]})
    with duckdb.cursor() as con:
        for name, frame in (("user_nodes", said), ("users", users), ("left_out", users[:0]), ("nodes", nodes)):
            con.register(name, frame)
            con.table(name).write_parquet(str(tmp_path / f"{name}.parquet"))
    files = {name: tmp_path / f"{name}.parquet" for name in ("user_nodes", "users", "left_out", "nodes")}
    mined = SimpleNamespace(**files, named=lambda *names: {name: files[name] for name in names})
    goals, ones = sparse.csr_array(goals), np.ones(2)
    votes = Votes(np.zeros(2, dtype=np.int64), np.arange(2), ones, ones, goals, goals, ones, np.arange(2), np.arange(2), ones > 0)
    return UserVotes(mined, votes, pd.DataFrame({"node": [LAMP]}), pd.DataFrame({"user_id": [ANN], "node": [JAZZ]}))


def test_the_one_who_was_led_somewhere_speaks(user_votes):
    found = user_votes.speakers({GARBLE, NOISE})
    assert found[GARBLE] == [Speaker(ANN, 4.0, {LAMP: 0.75, JAZZ: 0.25})]  # jazz is no query of everybody's, but her own
    assert found[NOISE] == [Speaker(CEM, 1.0, {})]


def test_a_vote_weighs_as_much_as_the_restatement_is_likely(tmp_path):
    """Ann's next request is with P = .2 a restatement; Ben restated three turns, each with P = .5: at least one of them is."""
    votes = user_votes_of(tmp_path, np.array([[0, 0.15, 0.05, 0], [0, 1.5, 0, 0]]))
    ann, ben = votes.speakers({GARBLE})[GARBLE]
    assert (ann.user, ben.user) == (ANN, BEN) or (ann.user, ben.user) == (BEN, ANN)
    goals = {of.user: of.goals for of in (ann, ben)}
    assert goals[ANN] == pytest.approx({LAMP: 0.15, JAZZ: 0.05})
    assert goals[BEN] == {LAMP: 1.0}
    assert votes.p_unseen_goal == pytest.approx((0.05 + 5) / (1.2 + 20))


def test_users_who_perhaps_restated_nothing_say_little_of_wrong_votes():
    """Ten pairs agree surely. Ten more disagree, but by requests that are restatements with P = .1, one pair counts .01."""
    row = LabelledText("en", ("lamb on",), {LAMP: 1.0}, LAMP, False, 1.0, 2, ANN, 1.0, 0.5, False, 0)
    sure = [replace(row, hearings=(f"lamb {i}",)) for i in range(10) for _ in range(2)]
    faint = [replace(row, hearings=(f"jam {i}",), goals={goal: 0.1}) for i in range(10) for goal in (LAMP, JAZZ)]
    expected = 1 - np.sqrt(1 - stats.beta.ppf(0.5, 0.1 + 0.5, 10 + 0.5))
    assert vote_noise(sure + faint, 0.5) == pytest.approx(expected)
    assert vote_noise(sure + faint, 0.5, all_sure=True) == pytest.approx(1 - np.sqrt(0.5), abs=1e-3)
    assert vote_noise(sure + [replace(of, goals=dict.fromkeys(of.goals, 1.0)) for of in faint], 0.5) > 5 * expected


def test_nobody_says_what_is_not_in_the_log(user_votes):
    assert user_votes.speakers({JAZZ}) == {}
    assert NOBODY.user == ""


def test_how_strange_the_goals_are(user_votes):
    """Ann's vote is by a quarter for none of everybody's queries, and Ben's wholly; five of twenty are taken for granted."""
    assert user_votes.p_unseen_goal == pytest.approx((1.25 + 5) / (2 + 20))


def test_what_a_text_led_to_is_no_habit():
    one = np.ones(4)
    pool = Pool(
        ["the lamp", "jazz", "my secret", "another"],
        interpretations=np.array([LAMP, JAZZ, LAMP, 9]),
        turns=one,
        share=one,
        similarity=one,
        goal_prior=one,
        own_turns=np.array([5.0, 2.0, 1.0, 0.0]),
        own_age=np.array([1.0, 2.0, 3.0, 0.0]),
        own_all=np.full(4, 8.0),
        private=np.array([False, False, True, False]),
    )
    text = LabelledText("en", ["a lamb"], {LAMP: 1.0}, LAMP, False, 1.0, 1, ANN, 2.0, 1.0, False, 0)
    less = without_own_votes(pool, text)
    assert less.texts == ["the lamp", "jazz", "another"]  # the secret worked once, and this text may have led there
    assert less.own_turns.tolist() == [3.0, 2.0, 0.0]
    assert less.own_age.tolist() == [1.0, 2.0, 0.0]
    assert less.own_all.tolist() == [6.0, 6.0, 6.0]


def test_who_says_most_new_texts_weighs_no_more_than_the_next_user_and_moves_no_week():
    """Ann and Ben said a new text with an old goal each, and an account ninety with new goals, some on a day of its own."""
    old = pd.DataFrame({"node": range(100), "first_day": 0, "rate": 1.0, "source": range(100)})
    new = pd.DataFrame({"node": [0, 1], "first_day": 20, "rate": 1.0, "source": [200, 201]})
    flood = pd.DataFrame({"node": range(500, 590), "first_day": [20] * 80 + [60] * 10, "rate": 1.0, "source": range(300, 390)})
    said = [(200, ANN), (201, BEN), *((source, CEM) for source in flood["source"])]
    spoken = pd.DataFrame(said, columns=["node", "user_no"]).assign(today=20)
    assert new_goal_share(pd.concat([old, new]), spoken[:2], 2) == 5 / 22
    assert new_goal_share(pd.concat([old, new, flood]), spoken, 2) == pytest.approx((1 + 5) / (3 + 20))
    assert new_goal_share(pd.concat([old, new, flood])) > 0.3
