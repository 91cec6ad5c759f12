"""Columns on disk: what is read back is what plain lists and dictionaries say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.model.columns import HashedNumbers, HashIndex, TextColumn, mapped, save_texts, text_key

TEXTS = st.text(max_size=4) | st.sampled_from(["lamp", "lamp off", "\ud800"])
HASHES = st.sampled_from([0, 1, 2, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_text_comes_back(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    save_texts(folder, "texts", texts)
    column = TextColumn.open(folder, "texts")
    assert len(column) == len(texts)
    assert column.take(np.arange(len(texts))) == texts


@given(st.lists(HASHES, max_size=12))
def test_an_index_finds_every_place_of_a_hash_and_no_other(tmp_path_factory, hashes):
    index, order = HashIndex.sort(hashes)
    folder = tmp_path_factory.mktemp("index")
    index.save(folder, "keys")
    again = HashIndex.open(folder, "keys")
    assert len(again) == len(hashes)
    for key in (0, 1, 2, 3, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        expected = [place for place, held in enumerate(hashes) if held == key]
        assert order[again.find_all(key)].tolist() == expected
        place = again.find(key)
        assert (None if place is None else order[place]) == (expected[0] if expected else None)


@settings(deadline=None)
@given(numbers=st.dictionaries(TEXTS, st.floats(allow_nan=False)), others=st.lists(TEXTS))
def test_hashed_numbers_are_a_dictionary(tmp_path_factory, numbers, others):
    folder = tmp_path_factory.mktemp("numbers")
    HashedNumbers.of(numbers).save(folder, "odds")
    again = HashedNumbers.open(folder, "odds")
    assert len(again) == len(numbers)
    for text in [*numbers, *others]:
        assert again.get(text, 0.25) == numbers.get(text, 0.25)


def test_parts_of_a_key_do_not_run_together():
    assert text_key("ab", "c") != text_key("a", "bc") != text_key("abc")


def test_a_map_cannot_be_written(tmp_path):
    np.save(tmp_path / "n.npy", np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        mapped(tmp_path / "n.npy")[0] = 5


def test_a_header_that_another_thread_disturbs_is_parsed_again(tmp_path, monkeypatch):
    """What CPython 3.11 does when two threads parse: `ast` raises SystemError for a good header."""
    np.save(tmp_path / "n.npy", np.arange(3))
    load, failures = np.load, iter([SystemError("AST constructor recursion depth mismatch")] * 3)

    def disturbed(*args, **given):
        for failure in failures:
            raise failure
        return load(*args, **given)

    monkeypatch.setattr(np, "load", disturbed)
    assert mapped(tmp_path / "n.npy").tolist() == [0, 1, 2]
