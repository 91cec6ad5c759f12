"""What the texts of one user show about words, against a plain count over all pairs of texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.guardrail.contrasts import Counts, WordContrasts
from rewriter.model.channel import channel_of
from rewriter.model.contrasts import mine_words
from rewriter.model.own_texts import OwnPairs, OwnTexts, SharedTexts, frames_of_words
from rewriter.model.pair_features import PAIR, PairIndex

WORDS = ("call", "zoe", "kim", "now")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
BOOKS = st.dictionaries(TEXTS, st.integers(0, 2), max_size=8)
SPANS = st.one_of(st.just(""), st.sampled_from(WORDS), st.sampled_from(["call zoe", "kim now"]))


def oracle(own, shared, one, other, *, longer_is_own=False):
    """Count pairs of texts of which the second is the first with one stretch exchanged, at least one of them the user's."""
    counts = [0, 0]
    for source, meant in {**shared, **own}.items():
        words, span = source.split(), one.split()
        for i in range(len(words) - len(span) + 1):
            if words[i : i + len(span)] == span:
                target = " ".join([*words[:i], *other.split(), *words[i + len(span) :]])
                meaning = {**shared, **own}.get(target)
                if meaning is not None and (source in own or (target in own and not longer_is_own)):
                    counts[meaning == meant] += 1
    return Counts(*counts)


@given(own=BOOKS, shared=BOOKS, one=SPANS, other=SPANS)
@settings(max_examples=300, deadline=None)
def test_counts_of_a_pair(own, shared, one, other):
    shared = {text: meant for text, meant in shared.items() if text not in own}
    words = {word for text in shared for word in text.split()}
    found = OwnPairs(own, shared, words.__contains__).counts
    if one and other and one != other:
        assert found(one, other) == found(other, one) == oracle(own, shared, one, other)
    elif one:  # against nothing, pairs count whose longer text is the user's
        assert found(one, "") == found("", one) == oracle(own, shared, one, "", longer_is_own=True)


@given(own=BOOKS)
@settings(max_examples=200, deadline=None)
def test_frames_of_words_are_those_of_the_pairs(own):
    """The frames of a word are the sum over all pairs with it, as the miner of contrasts counts them."""
    mined = mine_words(["en"] * len(own), list(own), list(own.values())).get("en", WordContrasts()).words
    expected = {word: [0, 0] for text in own for word in text.split()}
    for pair, counts in mined.items():
        for word in pair if not any(" " in part for part in pair) else ():
            if word:
                expected[word] = [expected[word][side] + counts[side] for side in (0, 1)]
    assert {word: list(counts) for word, counts in frames_of_words(own).items()} == expected


@pytest.mark.parametrize("kind", ["spoken", "typed"])
def test_columns_are_those_of_an_index_of_all_texts(kind):
    """Where no text of the user is in a frame with everybody's, all columns are the same."""
    shared = ["turn on the lamp", "turn off the lamp", "set a timer"]
    own = ["call zoe", "call kim", "message zoe", "ring zoe"]
    meant, mine = np.arange(3), np.array([3, 4, 5, 3])
    channel = channel_of(kind, "en", [0.1, 3.0, 5.0, 4.0, 4.0, 2.0, 2.0][: 5 if kind == "spoken" else 7])
    index, yes = PairIndex(shared, meant, channel, share=np.full(3, 1 / 3), complete=True), np.ones(3, dtype=bool)
    texts = OwnTexts(SharedTexts.of(index, yes, 3.0), own, mine, np.ones(4, dtype=bool), np.ones(4))
    share = np.array([1, 1, 1, 2, 1, 1, 2]) / 7
    every = PairIndex([*shared, *own], np.concatenate([meant, mine]), channel, share=share, complete=True)
    for heard in ("call so", "turn the lamp", "message kim", "quite another thing"):
        for rows in (np.arange(7), np.array([1, 2, 4]), np.array([3, 6]), np.array([0])):
            turns = np.arange(len(rows), dtype=np.float64)
            found, expected = (each.measure(index.asked(heard), rows, turns) for each in (texts, every))
            assert found.shape == (len(rows), len(PAIR))
            assert found == pytest.approx(expected), (heard, rows)
