"""The exact search: the same as looking at every phrase in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from rewriter.errors import ArtefactError
from rewriter.model.phrasebook import Phrasebook, Phrases
from rewriter.model.similarity import phonetic_key

TEXTS = ["turn off the lamp", "turn on the lamp", "play some jazz", "stop", "what is the time"]
BOOK = Phrasebook({"en": Phrases(TEXTS, np.arange(5), np.arange(5.0), np.linspace(0.5, 0.9, 5))})


@settings(deadline=None)
@given(st.lists(st.sampled_from([*TEXTS, "turn of the lamb", "wattis the time", "jazz"]), min_size=1, max_size=3, unique=True))
def test_finds_what_looking_at_every_phrase_finds(hearings):
    def alike(text):
        return max(
            0.97**place
            * (
                Indel.normalized_similarity(hearing, text)
                + Indel.normalized_similarity(phonetic_key(hearing), phonetic_key(text))
            )
            / 2
            for place, hearing in enumerate(hearings)
        )

    found = BOOK.find(hearings, "en", k=3)
    expected = sorted(map(alike, TEXTS), reverse=True)[:3]
    assert found.similarity.tolist() == pytest.approx(expected, abs=1e-6)
    for text, number, turns, similarity in zip(found.texts, found.interpretations, found.turns, found.similarity, strict=True):
        assert text == TEXTS[number]
        assert turns == number
        assert similarity == pytest.approx(alike(text), abs=1e-6)


def test_another_locale_has_nothing():
    assert len(BOOK.find(["stop"], "de")) == 0


def test_what_is_saved_is_opened(tmp_path):
    BOOK.save(tmp_path)
    again = Phrasebook.open(tmp_path)
    one, other = BOOK.find(["turn of the lamb"], "en"), again.find(["turn of the lamb"], "en")
    assert one.texts == other.texts
    for column, again_column in zip(one[1:], other[1:], strict=True):
        assert column.tolist() == pytest.approx(again_column.tolist())
    (tmp_path / "phrases.json").write_text('{"en": 3}')
    with pytest.raises(ArtefactError, match=r"phrases\.json"):
        Phrasebook.open(tmp_path)


def test_rows_are_kept_in_order():
    pool = BOOK.find(["turn off the lamp"], "en", k=5)
    kept = pool.keep(np.array([text != "turn off the lamp" for text in pool.texts]), 2)
    assert kept.texts == [text for text in pool.texts if text != "turn off the lamp"][:2]
    assert len(kept) == len(kept.turns) == len(kept.own_turns) == 2
