import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from user_views import ENCODER, queries

from rewriter.errors import ArtefactError
from rewriter.model import query_store
from rewriter.model.query_store import Queries, QueryBook, write_book
from rewriter.similarity import phonetic_key

ROWS = [("turn on the lamp", "en"), ("stop", "en"), ("spiel musik", "de"), ("mach das licht an", "de"), ("", "de")]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    write_book(folder, queries([t for t, _ in ROWS], [locale for _, locale in ROWS]), ENCODER)
    return QueryBook.open(folder)


def test_columns_come_back(book):
    n = np.arange(5)
    everything = np.arange(5)
    assert len(book) == 5
    assert book.texts(everything) == [text for text, _ in ROWS]
    assert book.sounds(everything) == [phonetic_key(text, locale) for text, locale in ROWS]
    assert [book.locale(row) for row in range(5)] == [locale for _, locale in ROWS]
    assert book.texts(np.array([4, 0, 0])) == ["", "turn on the lamp", "turn on the lamp"]
    for name, expected in zip(
        ("interpretations", "turns", "success", "users", "last_day"), (n + 100, n + 1, 1000 * n, n + 3, n + 20_000), strict=True
    ):
        assert getattr(book, name).tolist() == expected.tolist()
    assert book.vectors == pytest.approx(ENCODER.encode([text for text, _ in ROWS]), abs=1e-3)


def test_which_rows_speak_a_locale(book):
    rows = np.array([0, 2, 4])
    assert book.speaks(rows, "de").tolist() == [False, True, True]
    assert book.speaks(rows, "fr").tolist() == [False, False, False]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "", "é", "ab"]), st.sampled_from(["en", "de"])), max_size=12))
def test_a_text_is_found_word_by_word(tmp_path_factory, held):
    held = sorted(held, key=lambda row: row[1])
    folder = tmp_path_factory.mktemp("exact")
    write_book(folder, queries([text for text, _ in held], [locale for _, locale in held]), ENCODER)
    book = QueryBook.open(folder)
    for key in {*held, ("a", "en"), ("ab", "fr"), ("never", "de")}:
        assert book.rows_of(*key).tolist() == [row for row, other in enumerate(held) if other == key]


def test_how_much_of_all_wishes_an_interpretation_is(tmp_path):
    one = np.ones(5, dtype=np.int64)
    rows = Queries(
        list("abcde"), ["en", "en", "en", "de", "de"], np.array([7, 9, 7, 3, 4]), one, 1000 * np.arange(1, 6), one, one
    )
    write_book(tmp_path, rows, ENCODER)
    found = QueryBook.open(tmp_path).goal_prior(np.array([9, 7, 7, 4, 8, 10, 0]))
    assert found == pytest.approx([2 / 6, 4 / 6, 4 / 6, 5 / 9, 0, 0, 0])


def test_arrays_cannot_be_written(book):
    with pytest.raises(ValueError, match="read-only"):
        book.turns[0] = 5


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_kept_rows_are_a_book_of_their_own(book, tmp_path_factory, kept):
    folder = tmp_path_factory.mktemp("kept")
    book.keep(np.array(kept), folder)
    left, rows = QueryBook.open(folder), np.flatnonzero(kept)
    everything = np.arange(len(left))
    assert left.texts(everything) == book.texts(rows)
    assert left.sounds(everything) == book.sounds(rows)
    assert [left.locale(i) for i in everything] == [book.locale(i) for i in rows]
    assert left.turns.tolist() == book.turns[rows].tolist()
    assert left.vectors.tolist() == book.vectors[rows].tolist()


def test_no_rows(tmp_path):
    write_book(tmp_path, queries([]), ENCODER)
    assert len(QueryBook.open(tmp_path)) == 0


def test_more_texts_than_one_batch(tmp_path, monkeypatch):
    monkeypatch.setattr("rewriter.model.query_store._BATCH", 2)
    texts = ["one", "two", "three", "four", "five"]
    write_book(tmp_path, queries(texts), ENCODER)
    assert QueryBook.open(tmp_path).vectors == pytest.approx(ENCODER.encode(texts), abs=1e-3)


def test_columns_of_different_length_are_refused(tmp_path):
    one, two = np.ones(1, dtype=np.int64), np.ones(2, dtype=np.int64)
    with pytest.raises(ValueError, match="column success has 2 rows, texts has 1"):
        write_book(tmp_path, Queries(["stop"], ["en"], one, one, two, one, one), ENCODER)


@pytest.mark.parametrize("name", ["book.json", "texts.npy", "texts_starts.npy", "sounds.npy", "vectors.npy", "turns.npy"])
def test_a_missing_file_is_named(tmp_path, name):
    write_book(tmp_path, queries(["stop"]), ENCODER)
    (tmp_path / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        QueryBook.open(tmp_path)


@pytest.mark.parametrize("same", [False, True])
def test_a_text_is_held_where_rows_are_found(tmp_path, monkeypatch, same):
    """Also where all texts share one hash: the text itself is compared."""
    if same:
        monkeypatch.setattr(query_store, "text_key", lambda *parts: 1 << 63)
    write_book(tmp_path, queries(["play", "stop", "play", "spiel"], ["en", "en", "de", "de"]), ENCODER)
    book = QueryBook.open(tmp_path)
    asked = [(text, locale) for text in ("play", "stop", "spiel", "jazz", "") for locale in ("en", "de", "fr")]
    assert [book.holds(*each) for each in asked] == [len(book.rows_of(*each)) > 0 for each in asked]
    assert book.holds("play", "de")
    assert not book.holds("jazz", "de")
