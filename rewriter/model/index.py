"""`GlobalIndex`: nearest rows of the global book, by inner product, one FAISS index for each locale."""

import json
from pathlib import Path

import faiss
import numpy as np

from rewriter.errors import ArtefactError
from rewriter.model.encoder import Vectors
from rewriter.model.querybook import Ints, QueryBook

_HEADER = "index.json"


class GlobalIndex:
    """The index of one artefact version, read from memory maps.

    Args:
        folder: what `build_index` wrote.
    """

    __slots__ = ("_indexes", "_starts")

    def __init__(self, folder: Path) -> None:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        self._starts = {locale: int(entry["start"]) for locale, entry in header.items()}
        self._indexes = {locale: _read(folder / entry["file"]) for locale, entry in header.items()}

    @classmethod
    def open(cls, folder: Path) -> "GlobalIndex":
        """Map what `build_index` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        try:
            return cls(folder)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise ArtefactError(f"cannot read {folder}: {error}; copy the artefact again or go back a version") from error

    def search(self, queries: Vectors, locale: str, k: int) -> Ints:
        """Return the rows of the book that are nearest to each query, best first, (n, k); -1 where there are fewer.

        Args:
            queries: (n, dim) float32.
            locale: whose rows are searched; an unknown one has none.
            k: how many.
        """
        index = self._indexes.get(locale)
        if index is None:
            return np.full((len(queries), k), -1, dtype=np.int64)
        _, rows = index.search(queries, k)
        return np.where(rows < 0, -1, rows + self._starts[locale])


def build_index(folder: Path, book: QueryBook) -> None:
    """Build an index for the rows of each locale and write them.

    Args:
        folder: where the files go; made if it is missing.
        book: the global book, the rows of a locale side by side.

    Raises:
        ValueError: the rows of a locale do not lie side by side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = {}
    for number, locale in enumerate(book.locales):
        rows = np.flatnonzero(book.locale_ids == number)
        start, stop = int(rows[0]), int(rows[-1]) + 1
        if stop - start != len(rows):
            raise ValueError(f"the rows of locale {locale!r} do not lie side by side; sort the queries by locale")
        index = faiss.IndexScalarQuantizer(book.vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index.add(book.vectors[start:stop].astype(np.float32))
        header[locale] = {"start": start, "file": f"{number}.faiss"}
        faiss.write_index(index, str(folder / f"{number}.faiss"))
    (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")


def _read(path: Path) -> faiss.Index:
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
