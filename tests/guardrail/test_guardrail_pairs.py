"""The pairs of texts on which the guardrail is measured: ours are complete, the unseen ones are made by their own rule."""

from collections import Counter
from itertools import combinations

import numpy as np
from guardrail_pairs import DANGEROUS, FRAME, HARMLESS, LANGUAGES, OURS, SPAN, Catalog, one_span_apart, read_ours, unseen
from hypothesis import given
from hypothesis import strategies as st

from rewriter.text import normalise


def test_ours_are_twenty_of_each_kind_in_each_language():
    pairs = read_ours(OURS)
    assert Counter((p.language, p.meaning) for p in pairs) == {
        (of, kind): 20 for of in LANGUAGES for kind in (DANGEROUS, HARMLESS)
    }
    assert len({(p.language, p.source, p.target) for p in pairs}) == len(pairs)
    assert all(p.source != p.target and normalise(p.source) == p.source for p in pairs)


def apart(one, other):
    """Whether a text becomes another if some words in a row are exchanged, by trying all places."""
    a, b = one.split(), other.split()
    places = [(i, n, m) for i in range(len(a) + 1) for n in range(SPAN + 1) for m in range(SPAN + 1)]
    return any(
        i + n <= len(a) and i + m <= len(b) and a[:i] == b[:i] and a[i + n :] == b[i + m :] and len(a) - n >= FRAME
        for i, n, m in places
    )


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(" ".join), max_size=8, unique=True))
def test_texts_one_span_apart_are_found(texts):
    assert one_span_apart(texts) == [two for two in combinations(sorted(texts), 2) if apart(*two)]


def test_no_target_of_an_unseen_pair_is_left_out():
    rng = np.random.default_rng(0)
    meaning = {
        f"turn {way} the {room} {thing}": f"{way}|{room}" for way in ("on", "off") for room in "abcdefgh" for thing in "xyz"
    }
    known = Catalog("en", meaning, frozenset())
    pairs = unseen(known, int(rng.integers(9)))
    assert {p.meaning for p in pairs} == {DANGEROUS, HARMLESS}
    assert {p.source for p in pairs}.isdisjoint(p.target for p in pairs)
    assert all((meaning[p.source] == meaning[p.target]) == (p.meaning == HARMLESS) for p in pairs)
    assert known.contrasts([p.source for p in pairs]).words != known.contrasts().words
