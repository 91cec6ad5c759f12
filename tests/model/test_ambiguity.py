"""What a text means to whom: Bayes' rule worked out by hand, and the file that serves it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import ArtefactError
from rewriter.model.ambiguity import Ambiguity, Meanings, ambiguous_texts, liking_of, posterior, write_ambiguity
from rewriter.model.encoder import StaticEncoder, random_table
from rewriter.model.habits import UserCounts, UserView, write_habits
from rewriter.model.query_store import Queries, write_book

ANN, BOB, EVE = "a" * 32, "b" * 32, "e" * 32
SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5)


def test_by_hand():
    """Half of all goal priors are each of two; ann has 30 of her 30 turns of the second: (30 + 10) / 50 against 10 / 50."""
    liking, stranger = liking_of(np.array([0.0, 30.0]), np.array(30.0), np.array([0.5, 0.5]))
    assert np.exp(liking).tolist() == pytest.approx([0.2 / 0.5, 0.8 / 0.5])
    assert float(stranger) == pytest.approx(math.log(20 / 50))
    p = posterior(np.array([0.6, 0.3]), liking, stranger, 1.0)
    weights = [0.6 * 0.4, 0.3 * 1.6, 0.1 * 0.4]
    assert p.tolist() == pytest.approx([weight / sum(weights) for weight in weights[:2]])


@given(SHARES, st.floats(0.0, 1.0), st.floats(0, 100))
def test_probabilities_that_trust_nothing_are_the_shares(shares, trust, turns):
    share = np.array(shares) / max(sum(shares), 1.0)
    own = turns * np.arange(len(share))
    liking, stranger = liking_of(own, own.sum(), np.full(len(share), 0.1))
    p = posterior(share, liking, stranger, trust)
    assert (p >= 0).all()
    assert p.sum() <= 1 + 1e-9
    assert posterior(share, liking, stranger, 0.0).tolist() == pytest.approx((share / max(share.sum(), 1.0)).tolist(), abs=1e-9)


@given(st.floats(0, 50), st.floats(0.1, 50))
def test_what_is_wanted_more_is_meant_more(turns, more):
    def of(own):
        own = np.array([5.0, own])
        return posterior(np.array([0.5, 0.4]), *liking_of(own, np.array(100.0), np.array([0.2, 0.2])), 0.8)[1]

    assert of(turns + more) > of(turns)


@pytest.fixture
def user_view(tmp_path):
    encoder, places = StaticEncoder(random_table(64, seed=0)), np.arange(4)
    texts, locales = ["play dancing queen", "play dancing shoes", "spiel musik", "play jazz"], ["en", "en", "de", "en"]
    one = np.ones(4, dtype=np.int64)
    write_book(tmp_path / "book", Queries(texts, locales, places, 9 * one, 8000 * one, 4 * one, one), encoder)
    said = UserCounts([ANN, BOB, BOB], np.array([1, 0, 3]), np.array([30, 30, 2]), np.array([1, 1, 1]))
    empty = Queries([], [], *(one[:0] for _ in range(5)))
    write_habits(tmp_path / "habits", said, [], empty, 4, encoder)
    meanings = [Meanings("en", "play dancing", [0, 1], [0.6, 0.3], 0.9), Meanings("de", "spiel", [2, 2], [0.5, 0.5], 1.0)]
    write_ambiguity(tmp_path / "ambiguity", meanings, trust=1.0, threshold=0.7)
    return UserView.open(tmp_path)


def test_only_ones_own_habits_speak(user_view, tmp_path):
    ambiguity = Ambiguity.open(tmp_path / "ambiguity", user_view)
    ann, bob = (ambiguity.of("play dancing", "en", user) for user in (ANN, BOB))
    assert (ann.texts[0], bob.texts[0]) == ("play dancing shoes", "play dancing queen")
    assert ann.fails == 0.9
    goal_prior = user_view.book.goal_prior(np.array([0, 1]))
    expected = posterior(np.array([0.6, 0.3]), *liking_of(np.array([0.0, 30.0]), np.array(30.0), goal_prior), 1.0)
    assert ann.p == pytest.approx(sorted(expected, reverse=True))
    assert ambiguity.of("play dancing", "en", EVE) is None
    assert ambiguity.of("play dancing", "en", "") is None


def test_other_texts_and_locales_have_one_meaning(user_view, tmp_path):
    ambiguity = Ambiguity.open(tmp_path / "ambiguity", user_view)
    assert ambiguity.of("play dancing queen", "en", ANN) is None
    assert ambiguity.of("play dancing", "de", ANN) is None
    assert ambiguity.of("spiel", "de", ANN) is None  # she has no habit in German


def test_no_file_and_a_bad_one(user_view, tmp_path):
    assert Ambiguity.open(tmp_path / "nothing", user_view) is None
    assert ambiguous_texts(tmp_path / "nothing") == []
    assert sorted(ambiguous_texts(tmp_path / "ambiguity")) == ["play dancing", "spiel"]
    (tmp_path / "ambiguity" / "rows.npy").write_bytes(b"no array")
    with pytest.raises(ArtefactError, match=r"is (missing|damaged)"):
        Ambiguity.open(tmp_path / "ambiguity", user_view)
