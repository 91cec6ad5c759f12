"""What is not solved again is what solving again would give, and only what a day touched is solved again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from rewriter.config import Chain
from rewriter.offline.rules import chain as module
from rewriter.offline.rules.chain import Before, read, resolve, solve, write

CONFIG = Chain(exact=4, hops=60, prune=0.0, top=50)


def chain(n, edges, success, failure):
    steps = np.zeros((n, n), dtype=np.int64)
    for source, target, mass in edges:
        steps[source % n, target % n] += mass
    return sparse.csr_array(steps), np.array(success[:n], dtype=np.int64), np.array(failure[:n], dtype=np.int64)


def same(one, other):
    for name in ("success", "absorbed", "bound"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)
    assert one.scores.toarray() == pytest.approx(other.scores.toarray(), abs=1e-12)


EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(1, 900)), max_size=14)
MASS = st.lists(st.integers(0, 900), min_size=12, max_size=12)


@given(n=st.integers(1, 8), more=st.integers(0, 4), edges=EDGES, new=EDGES, lost=st.integers(0, 14), masses=st.tuples(MASS, MASS))
def test_a_day_more_is_as_if_all_were_solved_again(n, more, edges, new, lost, masses):
    yesterday = chain(n, edges, *masses)
    today = chain(n + more, [(s % n, t % n, m) for s, t, m in edges[lost:]] + new, *masses)
    found = resolve(*today, CONFIG, Before(*yesterday, solve(*yesterday, CONFIG)))
    same(found, solve(*today, CONFIG))


def test_only_the_components_that_a_day_touched_are_solved(monkeypatch, tmp_path):
    """Three pairs: in the second one turn is new, a fourth pair comes in, the first and third stand as they stood."""
    success, failure = [0, 900, 0, 900, 0, 900, 0, 900], [100, 0, 100, 0, 100, 0, 100, 0]
    pairs = [(0, 1, 500), (2, 3, 500), (4, 5, 500)]
    yesterday, today = chain(6, pairs, success, failure), chain(8, [*pairs, (2, 3, 20), (6, 7, 500)], success, failure)
    before = Before(*yesterday, solve(*yesterday, CONFIG))
    asked = []
    monkeypatch.setattr(module, "solve", lambda *args: asked.append(args[1].size) or solve(*args))
    same(resolve(*today, CONFIG, before), solve(*today, CONFIG))
    same(resolve(*today, CONFIG, None), solve(*today, CONFIG))
    assert asked == [4, 8]


def test_what_was_solved_with_other_settings_is_not_kept(tmp_path, monkeypatch):
    counts = chain(2, [(0, 1, 500)], [0, 900], [100, 0])
    solved = solve(*counts, CONFIG)
    write(solved, CONFIG, tmp_path)
    monkeypatch.setattr(module, "load", lambda nodes, edges: counts)
    same(read(tmp_path, CONFIG).solved, solved)
    assert read(tmp_path, Chain()) is None
    assert read(tmp_path / "nowhere", CONFIG) is None
