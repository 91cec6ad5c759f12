import json

import faiss
import numpy as np
import pytest
from user_views import queries

from rewriter.errors import ArtefactError
from rewriter.model import index as index_module
from rewriter.model.encoder import unit_rows
from rewriter.model.index import GlobalIndex, build_index
from rewriter.model.query_store import QueryBook, write_book


class Given:
    """An encoder of texts that are row numbers of given vectors."""

    def __init__(self, vectors):
        self.vectors = vectors
        self.dim = vectors.shape[1]

    def encode(self, texts):
        return self.vectors[[int(text) for text in texts]]


def build(folder, vectors, locales=None, samples=None, **options):
    write_book(folder / "book", queries([str(i) for i in range(len(vectors))], locales), Given(vectors))
    book = QueryBook.open(folder / "book")
    build_index(folder / "index", book, vectors[:0] if samples is None else samples, **options)
    return book, GlobalIndex.open(folder / "index")


def clustered(n, dim=24, seed=0):
    """Unit vectors in clusters, as texts are, and requests near to them."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n // 20 + 1, dim))
    rows = centres[rng.integers(len(centres), size=n)] + 0.6 * rng.standard_normal((n, dim))
    asked = rows[rng.integers(n, size=200)] + 0.3 * rng.standard_normal((200, dim))
    return unit_rows(rows.astype(np.float32)), unit_rows(asked.astype(np.float32))


def nearest(book, asked, k, start=0, stop=None):
    products = asked @ book.vectors[start:stop].astype(np.float32).T
    return np.argsort(-products, axis=1, kind="stable")[:, :k] + start


def test_few_rows_are_all_compared(tmp_path):
    rows, asked = clustered(400)
    book, index = build(tmp_path, rows, samples=asked)
    assert index.measured["en"].kind == "exact"
    assert index.search(asked, "en", 12).tolist() == nearest(book, asked, 12).tolist()


def test_many_rows_are_found_in_lists_as_well_as_asked(tmp_path):
    rows, asked = clustered(3000)
    book, index = build(tmp_path, rows, samples=asked, exact_rows=500, recall=0.97)
    measured = index.measured["en"]
    found = index.search(asked, "en", 32)
    held = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(nearest(book, asked, 10).tolist(), found.tolist(), strict=True)])
    assert measured.kind == "lists"
    assert held >= 0.97
    assert measured.recall == pytest.approx(held, abs=1e-9)


def test_the_least_effort_that_reaches_the_recall_is_kept(tmp_path):
    rng = np.random.default_rng(1)
    rows, asked = (unit_rows(rng.standard_normal((n, 48), dtype=np.float32)) for n in (3000, 200))  # as hard as can be
    efforts = [
        build(tmp_path / str(r), rows, samples=asked, exact_rows=500, recall=r)[1].measured["en"].effort for r in (0.5, 1.0)
    ]
    assert 2 <= efforts[0] < efforts[1]


def test_without_samples_the_rows_themselves_are_asked(tmp_path):
    rows, _ = clustered(3000)
    _, index = build(tmp_path, rows, exact_rows=500)
    assert 0.95 <= index.measured["en"].recall <= 1


def test_a_locale_is_searched_alone(tmp_path):
    rows, asked = clustered(900)
    book, index = build(tmp_path, rows, ["de"] * 600 + ["en"] * 300, asked, exact_rows=400)
    assert {locale: (m.start, m.rows, m.kind) for locale, m in index.measured.items()} == {
        "de": (0, 600, "lists"),
        "en": (600, 300, "exact"),
    }
    assert index.search(asked, "en", 9).tolist() == nearest(book, asked, 9, 600).tolist()
    german = index.search(asked, "de", 9)
    assert (german < 600).all()
    assert (german >= 0).mean() > 0.99  # the few lists that are searched hold six rows each, and some fewer
    assert index.search(asked[:2], "fr", 3).tolist() == [[-1] * 3] * 2


def test_fewer_rows_than_asked_for(tmp_path):
    rows, asked = clustered(3)
    _, index = build(tmp_path, rows)
    assert [sorted(found) for found in index.search(asked[:2], "en", 5).tolist()] == [[-1, -1, 0, 1, 2]] * 2


def test_a_scattered_locale_is_refused(tmp_path):
    rows, _ = clustered(3)
    with pytest.raises(ValueError, match="locale 'de' do not lie side by side"):
        build(tmp_path, rows, ["de", "en", "de"])


def test_an_empty_book_has_no_index(tmp_path):
    _, index = build(tmp_path, np.zeros((0, 8), dtype=np.float32))
    assert index.search(np.ones((1, 8), dtype=np.float32), "en", 2).tolist() == [[-1, -1]]


def test_the_threads_of_faiss_are_left_as_they_were(tmp_path):
    rows, asked = clustered(50)
    _, index = build(tmp_path, rows)
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(3)
        index.search(asked[:1], "en", 5)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:40])])
@pytest.mark.parametrize("name", ["index.json", "0.faiss"])
def test_damage_is_named(tmp_path, name, damage):
    rows, _ = clustered(50)
    build(tmp_path, rows)
    damage(tmp_path / "index" / name)
    with pytest.raises(ArtefactError, match=r"index.* is (missing|damaged)"):
        GlobalIndex.open(tmp_path / "index")


def test_a_header_of_another_kind_is_refused(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"en": {"start": 0}}))
    with pytest.raises(ArtefactError, match=r"is (missing|damaged)"):
        GlobalIndex.open(tmp_path)


def test_the_truly_nearest_rows_are_found_a_chunk_at_a_time(tmp_path, monkeypatch):
    """Chunks of 7 rows, fewer than the ten that are wanted, give what comparing all rows at once gives, and the same lists."""
    rows, asked = clustered(3000)
    whole = build(tmp_path / "whole", rows, samples=asked, exact_rows=500)[1].search(asked, "en", 32)
    monkeypatch.setattr(index_module, "_CHUNK", 7)
    book, index = build(tmp_path / "chunks", rows, samples=asked, exact_rows=500)
    assert index.search(asked, "en", 32).tolist() == whole.tolist()
    assert index_module._nearest(book.vectors, asked).tolist() == nearest(book, asked, 10).tolist()
