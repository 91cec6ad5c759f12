"""WordRisk against plain loops over turns: odds, users, and what is left when texts are taken out."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewriter.detect.word_risk import WordRisk

WORDS = ["turn", "of", "off", "lamp", "glow"]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
TURN = st.tuples(TEXT, st.integers(0, 4), st.sampled_from([0.0, 0.25, 1.0]))


def word_risk(turns, k):
    """Of (text, user, defect), one turn each."""
    said, user, bad = zip(*turns, strict=True) if turns else ((), (), ())
    texts = np.array([*said, None], dtype=object)[:-1]
    return WordRisk(texts, np.array(user, dtype=np.int64), np.array(bad, dtype=np.float64), np.ones(len(turns)), k)


def odds(turns, mean):
    """Log-odds of a defect, two turns of the mean added."""
    p = (sum(weight * bad for *_, bad, weight in turns) + 2 * mean) / (sum(weight for *_, weight in turns) + 2)
    return 9.2 * (1 if p else -1) if p in (0, 1) else min(max(math.log(p / (1 - p)), -9.2), 9.2)


def oracle(turns, k, left_out=()):
    """The log-odds of texts and words, each by a loop over the turns that are not left out; the mean by one over all.

    More than five turns of a user and a text together weigh five.
    """
    said = Counter((text, user) for text, user, _ in turns)
    turns = [(text, user, bad, min(1.0, 5 / said[text, user])) for text, user, bad in turns]
    mean = sum(bad * weight for *_, bad, weight in turns) / sum(weight for *_, weight in turns) if turns else 0.5
    of = {"text": defaultdict(list), "word": defaultdict(list)}
    for turn in turns:
        if turn[0] not in left_out:
            of["text"][turn[0]].append(turn)
            for word in set(turn[0].split()):
                of["word"][word].append(turn)
    enough = {
        kind: {key: odds(own, mean) for key, own in by.items() if len({u for _, u, *_ in own}) >= k} for kind, by in of.items()
    }
    return enough["text"], enough["word"], odds([], mean)


@given(turns=st.lists(TURN, max_size=30), k=st.integers(1, 3))
@example(turns=[("turn", 0, 0.0)] * 5 + [("turn", 0, 0.25), ("turn of", 0, 0.0), ("turn", 1, 1.0)], k=1)
def test_odds_of_texts_and_words(turns, k):
    found = word_risk(turns, k).risk()
    texts, words, mean = oracle(turns, k)
    assert found.texts == pytest.approx(texts, abs=0.00051)
    assert found.words == pytest.approx(words, abs=0.00051)
    assert found.mean == pytest.approx(mean)


@given(turns=st.lists(TURN, max_size=30), k=st.integers(1, 3), gone=st.sets(TEXT, max_size=4))
@example(turns=[("turn", 0, 0.0)] * 5 + [("turn", 0, 0.25), ("turn of", 0, 0.0), ("turn", 1, 1.0)], k=1, gone={"turn of"})
def test_what_is_taken_out_leaves_what_had_been_known_without_it(turns, k, gone):
    found = word_risk(turns, k).without(gone)
    held = {word for text in gone for word in text.split()}
    words = {word: value for word, value in oracle(turns, k, gone)[1].items() if word in held}
    assert (dict(found.texts), set(found.words)) == ({}, set(words))
    assert found.words == pytest.approx(words, abs=0.00051)
    assert found.mean == pytest.approx(oracle(turns, k)[2])


def test_the_share_of_a_text():
    seen = word_risk([("lamp of", 0, 1.0), ("lamp of", 1, 0.25), ("lamp off", 0, 0.0)], 3)
    assert (seen.p("lamp of"), seen.p("lamp off"), seen.p("glow")) == (0.625, 0.0, None)


def test_turns_add_up_by_user():
    said = np.array(["lamp of", "lamp of"], dtype=object)
    whole = WordRisk(said, np.array([7, 7]), np.array([1.5, 0.5]), np.array([3.0, 1.0]), 1)
    assert whole.p("lamp of") == 0.5
    assert set(whole.risk().words) == {"lamp", "of"}
    assert WordRisk(said, np.array([7, 7]), np.array([1.5, 0.5]), np.array([3.0, 1.0]), 2).risk().words == {}


def test_a_user_counts_for_five_turns_of_a_text_at_most():
    said, user = np.array(["lamp"] * 3, dtype=object), np.array([0, 1, 2])
    quiet, loud = (WordRisk(said, user, np.array([0.0, 0.0, n]), np.array([5.0, 5.0, n]), 1) for n in (5.0, 5_000.0))
    assert quiet.p("lamp") == loud.p("lamp") == 1 / 3
    assert quiet.risk().words == loud.risk().words
    assert quiet.risk().mean == loud.risk().mean
