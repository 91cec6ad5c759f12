"""Small artefacts for the tests of retrieval."""

import numpy as np

from rewriter.model.encoder import StaticEncoder, random_table
from rewriter.model.habits import UserCounts, write_habits
from rewriter.model.index import build_index
from rewriter.model.query_store import Queries, QueryBook, write_book

ENCODER = StaticEncoder(random_table(dim=96, seed=7))


def user(n):
    """A keyed hash; neighbours share all but the last digits, so that a comparison of a part of it would mix them up."""
    return f"{n:032x}"


def queries(texts, locales=None, numbers=None):
    n = np.arange(len(texts)) if numbers is None else np.asarray(numbers)
    return Queries(list(texts), list(locales or ["en"] * len(texts)), n + 100, n + 1, 1000 * n, n + 3, n + 20_000)


def working(texts):
    """Queries that nearly always worked, each an interpretation of its own."""
    n, one = np.arange(len(texts)), np.ones(len(texts), dtype=np.int64)
    return Queries(list(texts), ["en"] * len(texts), n, 9 * one, 9000 * one, 5 * one, 20_000 * one)


def shelve(folder, texts, *, said=(), private=(), locales=None, everybody=None):
    """Write an artefact: `said` holds (user, row, turns, last day), `private` (user, text) or (user, text, locale)."""
    ENCODER.save(folder / "encoder")
    write_book(folder / "book", everybody or queries(texts, locales), ENCODER)
    build_index(folder / "index", QueryBook.open(folder / "book"), ENCODER.encode([]))
    columns = [np.array([row[i] for row in said], dtype=np.int64) for i in (1, 2, 3)]
    mine = queries([p[1] for p in private], [p[2] if len(p) > 2 else "en" for p in private])
    write_habits(
        folder / "habits", UserCounts([s[0] for s in said], *columns), [p[0] for p in private], mine, len(texts), ENCODER
    )
    return folder
