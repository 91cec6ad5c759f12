"""`GlobalIndex`: the rows of the global book nearest to a vector, by inner product, one FAISS index for each locale."""

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.artefact.disk import in_memory
from rewriter.errors import reading_artefact
from rewriter.model.encoder import Vectors
from rewriter.model.query_store import QueryBook

Halves = npt.NDArray[np.float16]
"""Rows of a book, in half precision, mostly on disk."""
_HEADER = "index.json"
_INNER = faiss.METRIC_INNER_PRODUCT
_CHUNK = 1 << 16  # rows that are in memory at once
_TOP = 10  # recall is measured on the ten nearest rows
_SAMPLES = 500  # number of requests on which recall is measured; its standard error is then about 0.3 % at 0.95 (5,000 rows)
_LISTS = 4  # number of lists = 4 sqrt(rows), as FAISS advises
_TRAINING_ROWS = 64  # number of rows per list from which its centre is learned; FAISS asks for at least 39
_MOST_LISTS = 256  # lists that a search looks at, at most


@dataclass(frozen=True, slots=True)
class Measured:
    """The index of one locale, and its measured recall.

    Attributes:
        start: first row of the locale in the book.
        rows: how many there are.
        kind: ``exact`` or ``lists``.
        effort: lists that a search looks at; 0 for an exact index.
        recall: share of the ten truly nearest rows that are among the `pool` rows found, on sample requests.
    """

    start: int
    rows: int
    kind: str = "exact"
    effort: int = 0
    recall: float = 1.0


class GlobalIndex:
    """The index of one artefact version, read from memory maps; safe to use from many threads.

    Attributes:
        measured: locale -> its index and recall.
    """

    __slots__ = ("_indexes", "measured")

    def __init__(self, folder: Path) -> None:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        self.measured = {locale: Measured(**entry) for locale, entry in header.items()}
        # Of FAISS's two kinds of mapping this one maps flat codes and lists; the older one starts threads at every search.
        paths = [folder / f"{number}.faiss" for number in range(len(header))]
        maps = [faiss.read_index(str(path), 0 if in_memory(path) else faiss.IO_FLAG_MMAP_IFC) for path in paths]
        self._indexes = dict(zip(header, maps, strict=True))

    @classmethod
    def open(cls, folder: Path) -> "GlobalIndex":
        """Map what `build_index` wrote.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        with reading_artefact(folder):
            return cls(folder)

    def search(self, queries: Vectors, locale: str, k: int) -> Ints:
        """Return the rows of the book that are nearest to each query, best first, (n, k) int64; -1 where there are fewer.

        Args:
            queries: (n, dim) float32.
            locale: of the rows that are searched; an unknown locale has none.
            k: rows per query.
        """
        index = self._indexes.get(locale)
        if index is None:
            return np.full((len(queries), k), -1, dtype=np.int64)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # starting a team takes longer than a search; the setting is local to the thread
        try:
            _, rows = index.search(queries, k)
        finally:
            faiss.omp_set_num_threads(threads)
        start = self.measured[locale].start
        return np.where(rows < 0, -1, rows + start) if start else rows


def build_index(
    folder: Path, book: QueryBook, samples: Vectors, *, pool: int = 32, exact_rows: int = 20_000, recall: float = 0.95
) -> None:
    """Build and write an index for the rows of each locale. In memory are the index and a bounded number of rows.

    Up to `exact_rows`, a search compares all rows, in half precision. Above, 8-bit vectors are put into lists around learned
    centres (an inverted file, Sivic and Zisserman 2003), and a search looks at the fewest lists that reach the recall.

    Args:
        folder: where the files go; created if it is missing.
        book: the global book, with the rows of each locale side by side.
        samples: vectors of typical requests, (m, dim) float32; mined sources are best. If there are none, rows of the book are
            used, which are easier to find.
        pool: rows that a search asks for.
        exact_rows: most rows that are compared one by one.
        recall: least share of the ten nearest rows that must be among the pool, 0..1.

    Raises:
        ValueError: the rows of a locale do not lie side by side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = {}
    for number, locale in enumerate(book.locales):
        places = np.flatnonzero(book.locale_ids == number)
        start, rows = int(places[0]), len(places)
        if int(places[-1]) - start + 1 != rows:
            raise ValueError(f"the rows of locale {locale!r} do not lie side by side; sort the queries by locale")
        vectors = book.vectors[start : start + rows]
        if rows <= exact_rows:
            index, measured = _filled(faiss.index_factory(vectors.shape[1], "SQfp16", _INNER), vectors), Measured(start, rows)
        else:
            asked = (samples if len(samples) else _floats(vectors[:: max(1, rows // _SAMPLES)]))[:_SAMPLES]
            index = _filled(_trained(vectors), vectors)
            effort, found = _tuned(index, asked, _nearest(vectors, asked), pool, recall)
            measured = Measured(start, rows, "lists", effort, found)
        faiss.write_index(index, str(folder / f"{number}.faiss"))
        header[locale] = asdict(measured)
    (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")


def _floats(halves: Halves) -> Vectors:
    return halves.astype(np.float32)


def _chunks(vectors: Halves) -> Iterator[tuple[int, Vectors]]:
    """Yield some rows at a time, and the number of the first, so that all of them are never in memory at once."""
    for start in range(0, len(vectors), _CHUNK):
        yield start, _floats(vectors[start : start + _CHUNK])


def _filled(index: Any, vectors: Halves) -> Any:  # noqa: ANN401 - faiss has no type hints
    """Add all rows to an index, and return it."""
    for _, chunk in _chunks(vectors):
        index.add(chunk)
    return index


def _trained(vectors: Halves) -> Any:  # noqa: ANN401 - faiss has no type hints
    """Return an index whose centres and ranges are learned from a bounded number of rows, drawn at random."""
    lists = int(_LISTS * len(vectors) ** 0.5)
    drawn = np.random.default_rng(0).permutation(len(vectors))[: _TRAINING_ROWS * lists]
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{lists},SQ8", _INNER)
    index.train(_floats(vectors[np.sort(drawn)]))
    return index


def _nearest(vectors: Halves, asked: Vectors) -> Ints:
    """Return the rows that are truly nearest to each of n requests, (n, `_TOP`) int64, by comparing all of them."""
    heap = faiss.ResultHeap(len(asked), _TOP, keep_max=True)
    for start, chunk in _chunks(vectors):
        products, rows = faiss.knn(asked, chunk, min(_TOP, len(chunk)), metric=_INNER)
        heap.add_result(products, rows + start)
    heap.finalize()
    nearest: Ints = heap.I
    return nearest


def _tuned(index: faiss.IndexIVF, asked: Vectors, nearest: Ints, pool: int, recall: float) -> tuple[int, float]:
    """Set the least effort that reaches the recall, and return it with the recall that it reaches."""

    def reached(effort: int) -> float:
        index.nprobe = effort
        _, found = index.search(asked, pool)
        return float((nearest[:, :, None] == found[:, None, :]).any(axis=2).mean())

    efforts = range(2, max(2, min(_MOST_LISTS, index.nlist)) + 1)
    place = bisect_left(efforts, recall, key=reached)  # the more lists, the higher the recall
    index.nprobe = efforts[min(place, len(efforts) - 1)]
    return index.nprobe, reached(index.nprobe)
