import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.offline.fit.encoder import PhraseConfusions

WORDS = st.lists(st.sampled_from(["turn", "on", "off", "of", "the", "lamp", "light"]), min_size=1, max_size=6).map(" ".join)


def sure(pairs, text, seed=0):
    return PhraseConfusions(pairs).misheard(text, random.Random(seed), chance=1.0)


@pytest.mark.parametrize(
    ("pair", "text", "heard"),
    [
        (("turn of the lamp", "turn off the lamp"), "switch off the radio", "switch of the radio"),
        (("play the bee gees now", "play the beatles now"), "stop the beatles", "stop the bee gees"),
        (("play beatles", "play the beatles"), "the end", "end"),  # a word that was not heard
        (("turn the lamp on on", "turn the lamp on"), "on", "on"),  # a word that nobody said has no place to come from
        (("a b c d e", "v w x y z"), "v w x y z", "v w x y z"),  # a phrase of more than three words
        (("same", "same"), "same", "same"),
    ],
)
def test_one_pair(pair, text, heard):
    assert sure([pair], text) == heard


def test_the_longest_phrase_first():
    pairs = [("weather in paris", "weather in boston common"), ("weather in austin", "weather in boston")]
    assert sure(pairs, "fly to boston common") == "fly to paris"
    assert sure(pairs, "fly to boston") == "fly to austin"


def test_drawn_as_often_as_heard():
    pairs = [("turn of it", "turn off it")] * 9 + [("turn on it", "turn off it")]
    confusions, rng = PhraseConfusions(pairs), random.Random(1)
    counts = Counter(confusions.misheard("off", rng, chance=1.0) for _ in range(2000))
    assert set(counts) == {"of", "on"}
    assert counts["of"] / 2000 == pytest.approx(0.9, abs=0.03)


def test_no_chance_no_change():
    assert PhraseConfusions([("of", "off")]).misheard("turn off the lamp", random.Random(0), chance=0.0) == "turn off the lamp"


@given(st.lists(st.tuples(WORDS, WORDS), max_size=8), WORDS, st.integers(0, 9))
def test_nothing_is_heard_that_the_log_never_heard(pairs, text, seed):
    heard = sure(pairs, text, seed)
    assert set(heard.split()) <= set(text.split()) | {word for h, _ in pairs for word in h.split()}
