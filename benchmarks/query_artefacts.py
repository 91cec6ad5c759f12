"""Builds artefacts that hold only queries, and measures how well a retriever finds what was meant."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from spoken import SpokenRecording

from rewriter.arrays import Floats
from rewriter.model.encoder import Encoder
from rewriter.model.habits import UserCounts, UserView, write_habits
from rewriter.model.index import GlobalIndex, build_index
from rewriter.model.query_store import Queries, QueryBook, write_book
from rewriter.model.retrieve import Mix, Retriever

NOTHING = np.zeros(0, dtype=np.int64)


def columns(texts: Sequence[str], interpretations: Sequence[int]) -> Queries:
    """Return queries with these texts and interpretations; the other columns have no meaning."""
    ones = np.ones(len(texts), dtype=np.int64)
    return Queries(texts, ["en"] * len(texts), np.array(interpretations, dtype=np.int64), ones, ones, ones, ones)


@contextmanager
def as_user_view(encoder: Encoder, queries: dict[str, str], mix: Mix) -> Iterator[tuple[Retriever, dict[str, int]]]:
    """A retriever over queries, and the number of each goal, for as long as the block runs."""
    goals = {goal: i for i, goal in enumerate(sorted(set(queries.values())))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_book(folder / "book", columns(list(queries), [goals[goal] for goal in queries.values()]), encoder)
        build_index(folder / "index", QueryBook.open(folder / "book"), np.zeros((0, encoder.dim), dtype=np.float32))
        write_habits(folder / "habits", UserCounts([], NOTHING, NOTHING, NOTHING), [], columns([], []), len(queries), encoder)
        yield Retriever(encoder, UserView.open(folder), GlobalIndex.open(folder / "index"), mix), goals


def ranks(
    retriever: Retriever, goals: dict[str, int], probes: Sequence[SpokenRecording], *, hearings: int = 1, k: int = 10
) -> Floats:
    """The rank at which each probe's goal first comes, (n,); infinite where it is not among the k most alike."""
    found = []
    for probe in probes:
        hits = retriever.retrieve(probe.hearings[:hearings], "en", k=k).interpretations == goals[probe.goal]
        found.append(1.0 + hits.argmax() if hits.any() else np.inf)
    return np.array(found)


def recall(ranked: Floats, clusters: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Recall at 1 and at 10 with 95 % intervals, by a bootstrap over what was said."""
    names = sorted(set(clusters))
    place = np.searchsorted(names, clusters)
    totals = np.bincount(place, minlength=len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=1000)
    figures: dict[str, Any] = {"probes": len(ranked)}
    for k in (1, 10):
        hits = np.bincount(place, weights=ranked <= k, minlength=len(names))
        low, high = np.percentile((drawn @ hits) / (drawn @ totals), [2.5, 97.5])
        figures[f"recall_{k}"] = {
            "value": round(float(hits.sum() / len(ranked)), 4),
            "low": round(low, 4),
            "high": round(high, 4),
        }
    return figures


def one_text_us(encoder: Encoder, texts: Sequence[str]) -> float:
    """Return the median processor time of this thread to encode one text, in microseconds, of up to 300 one after the other."""
    spent = []
    for text in [*texts[:20], *texts[:300]]:
        begin = time.thread_time_ns()
        encoder.encode([text])
        spent.append(time.thread_time_ns() - begin)
    return statistics.median(spent[20:]) / 1e3
