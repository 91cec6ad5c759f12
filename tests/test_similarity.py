"""Likeness of texts against hand-worked values and a reference in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel, Levenshtein

from rewriter.similarity import changes, contained, phonetic_key, phonetic_keys, sound_similarity, text_similarity

WORDS = st.text("abc é", max_size=8)


def common(one, other):
    """Length of the longest common subsequence, by definition."""
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + common(one[1:], other[1:])
    return max(common(one[1:], other), common(one, other[1:]))


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
def test_text_similarity_is_the_share_of_common_letters(pairs):
    found = text_similarity([a for a, _ in pairs], [b for _, b in pairs])
    expected = [2 * common(a, b) / (len(a) + len(b)) if a or b else 1.0 for a, b in pairs]
    assert found.shape == (len(pairs),)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("align", [Indel.opcodes, Levenshtein.opcodes])
@given(source=st.lists(st.sampled_from("abcd"), max_size=7), target=st.lists(st.sampled_from("abcd"), max_size=7))
def test_changes_are_the_steps_of_the_alignment(align, source, target):
    found = []
    for op in align(source, target):
        if op.tag != "equal":
            step = [op.src_start, op.src_end, op.dest_start, op.dest_end]
            touches = found and (found[-1][1], found[-1][3]) == (step[0], step[2])
            found[-1:] = [[found[-1][0], step[1], found[-1][2], step[3]]] if touches else [*found[-1:], step]
    assert [list(change) for change in changes(tuple(source), tuple(target), align)] == found


@pytest.mark.parametrize(
    ("text", "locale", "key"),
    [
        ("turn off the lamp", "en-US", "TRN OF 0 LMP"),
        ("turn of the lamp", "en-GB", "TRN OF 0 LMP"),
        ("21", "en", "21"),
        ("straße nass", "de", "strase nas"),
        ("müller", "de-AT", "muler"),
        ("çalış", "tr", "calis"),
        ("включи звук", "ru", "vklyuchi zvuk"),
        ("vkljuci zvuk", "ru", "vkljuci zvuk"),
        ("", "en", ""),
    ],
)
def test_phonetic_key(text, locale, key):
    assert phonetic_key(text, locale) == key
    assert phonetic_keys([text, "x", text], locale)[2] == key


def test_sound_similarity_hears():
    assert sound_similarity(["turn of the lamp", "turn on"], ["turn off the lamp", "turn off"]) == pytest.approx(
        [1.0, 1 - 2 / 12]
    )
    assert np.array_equal(sound_similarity(["müller"], ["muller"], "de"), [1.0])


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        ("play harry potter", "play the harry potter audiobook", True),
        ("turn on the kitchen light", "turn on the bedroom light", False),
        ("light kitchen", "kitchen light", False),
        ("lamp lamp", "the lamp", False),
        ("lamp", "lamps", False),
        ("lamp", "lamp", True),
        ("", "lamp", True),
    ],
)
def test_contained(one, other, holds):
    assert contained(one, other) is contained(other, one) is holds
