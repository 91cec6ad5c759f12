"""The chain against hand-worked cases, a dense inverse, path enumeration by networkx, and what must hold on any graph."""

import doctest
from fractions import Fraction
from pathlib import Path

import duckdb
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from rewriter.config import Chain
from rewriter.errors import EngineError
from rewriter.offline.rules import chain
from rewriter.offline.rules.chain import Absorption, load, solve

A, B, C = 0, 1, 2
EXACT = Chain(top=100)
SERIES = Chain(exact=1, top=100)


def solved(steps, success, failure, config=EXACT) -> Absorption:
    matrix = sparse.csr_array(np.asarray(steps, dtype=np.int64))
    return solve(matrix, np.asarray(success, dtype=np.int64), np.asarray(failure, dtype=np.int64), config)


def dense(steps, success, failure):
    """S = (I - Q)^-1 diag(R), self-loops and all; every state must have a way out."""
    total = np.maximum(steps.sum(axis=1) + success + failure, 1)
    return np.linalg.inv(np.eye(len(total)) - steps / total[:, None]) * (success / total)


def random_chain(rng: np.random.Generator, n: int, degree: int = 3):
    """One strongly cyclic component: a few steps of skewed mass from every state, and some way out everywhere."""
    steps = np.zeros((n, n), dtype=np.int64)
    row = np.repeat(np.arange(n), degree)
    np.add.at(steps, (row, rng.integers(n, size=row.size)), rng.integers(1, 400, size=row.size))
    steps[np.arange(n), (np.arange(n) + 1) % n] += 50
    return steps, rng.integers(0, 900, size=n), rng.integers(1, 400, size=n)


@st.composite
def chains(draw, least_failure: int = 0):
    n = draw(st.integers(1, 8))
    mass = st.one_of(st.just(0), st.integers(0, 30))
    steps = draw(arrays(np.int64, (n, n), elements=mass))
    success = draw(arrays(np.int64, n, elements=mass))
    return steps, success, draw(arrays(np.int64, n, elements=mass)) + least_failure


# Worked by hand.


def test_a_fails_then_b_works_half_the_time_else_c():
    a = solved([[0, 1000, 0], [0, 0, 500], [0, 0, 0]], [0, 500, 1000], [0, 0, 0])
    np.testing.assert_allclose(a.scores.toarray(), [[0, 0.5, 0.5], [0, 0.5, 0.5], [0, 0, 1]])
    assert a.success.tolist() == [0, 0.5, 1]
    assert a.absorbed.tolist() == [1, 1, 1]
    assert a.stay().tolist() == [0, 0.5, 1]
    assert a.bound.tolist() == [0, 0, 0]


def test_a_self_loop_is_visits_not_loss():
    # A: half again as A, a quarter works, a quarter becomes B; so N_AA = 2, S_AA = 2 * 1/4, N_AB = 2 * 1/4, S_AB = 1/2 * 2/5.
    a = solved([[500, 250], [0, 0]], [250, 400], [0, 600])
    np.testing.assert_allclose(a.scores.toarray(), [[0.5, 0.2], [0, 0.4]])
    np.testing.assert_allclose(a.absorbed, [0.7, 0.4])
    assert a.success.tolist() == [0.25, 0.4]


def test_two_states_said_again_as_each_other():
    # Each becomes the other half the time: N = 4/3 [[1, 1/2], [1/2, 1]]; A then works a quarter of the time, B never.
    a = solved([[0, 500], [500, 0]], [250, 0], [250, 500])
    np.testing.assert_allclose(a.scores.toarray(), [[1 / 3, 0], [1 / 6, 0]])


def test_no_exit_scores_nothing():
    # A and B only become each other, C half works and half falls into them: what never ends never succeeds.
    a = solved([[0, 10, 0], [10, 0, 0], [500, 0, 0]], [0, 0, 500], [0, 0, 0])
    assert a.scores.toarray().tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0.5]]
    assert a.absorbed.tolist() == [0, 0, 0.5]


def test_unreachable_success_and_rows_without_mass_score_nothing():
    # A fails and becomes B, which only fails; C has no mass at all; D works but nothing leads there.
    a = solved(np.diag([700, 0, 0], 1) * [[1], [0], [0], [0]], [0, 0, 0, 5], [300, 10, 0, 0])
    assert a.scores.toarray().tolist() == np.diag([0, 0, 0, 1]).tolist()
    assert a.success.tolist() == [0, 0, 0, 1]


def test_only_a_self_loop_is_no_exit():
    assert solved([[5]], [0], [0]).absorbed.tolist() == [0]


@pytest.mark.parametrize(("success", "failure", "score"), [(3, 1, 0.75), (0, 1, 0.0), (0, 0, 0.0), (1, 0, 1.0)])
def test_one_state(success, failure, score):
    a = solved([[0]], [success], [failure])
    assert (a.stay().tolist(), a.absorbed.tolist(), a.ranking(0)) == ([score], [score], [(0, score)])


def test_empty():
    a = solve(sparse.csr_array((0, 0), dtype=np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), EXACT)
    assert a.scores.shape == (0, 0)
    assert a.stay().size == a.absorbed.size == a.bound.size == 0


# Against independent solutions.


@given(chains(least_failure=1))
def test_equals_the_dense_inverse(case):
    expected = dense(*case)
    a = solved(*case)
    np.testing.assert_allclose(a.scores.toarray(), expected, atol=1e-12)
    np.testing.assert_allclose(a.absorbed, expected.sum(axis=1), atol=1e-12)


@given(chains())
def test_equals_path_enumeration_on_a_dag(case):
    steps, success, failure = case
    graph = nx.from_numpy_array(np.triu(steps, 1), create_using=nx.DiGraph)
    total = [int(np.triu(steps, 1)[i].sum() + success[i] + failure[i]) for i in graph]

    def probability(path):
        return np.prod([Fraction(int(steps[i, j]), total[i]) for i, j in nx.utils.pairwise(path)], initial=Fraction(1))

    a = solved(np.triu(steps, 1), success, failure)
    for i in graph:
        for j in graph:
            paths = nx.all_simple_paths(graph, i, j) if i != j else [[i]]
            works = Fraction(int(success[j]), max(total[j], 1))
            assert a.scores[i, j] == pytest.approx(float(sum(map(probability, paths)) * works), abs=1e-12)


@given(chains())
def test_something_is_scored_exactly_where_success_can_be_reached(case):
    steps, success, _ = case
    graph = nx.from_numpy_array(steps, create_using=nx.DiGraph)
    a = solved(*case)
    for i in graph:
        reached = {j for j in nx.descendants(graph, i) | {i} if success[j] > 0}
        row = a.scores[[i]].tocoo()
        assert set(row.col[row.data > 0].tolist()) == reached
        assert (a.absorbed[i] > 0) == bool(reached)


@given(chains())
def test_every_path_succeeds_fails_or_never_ends(case):
    steps, success, failure = case
    graph = nx.from_numpy_array(steps, create_using=nx.DiGraph)
    ends = success + failure > 0
    trapped = np.array([not any(ends[j] for j in nx.descendants(graph, i) | {i}) for i in graph])
    succeeds = solved(steps, success, failure).absorbed
    fails = solved(steps, failure, success).absorbed
    # A path that never ends is one that comes to a trapped state: give those, and only those, a way out to count it.
    never = solved(steps, trapped.astype(np.int64), success + failure).absorbed
    np.testing.assert_allclose(succeeds + fails + never, 1.0, atol=1e-9)


@given(chains())
def test_scores_of_a_row_sum_to_its_absorption(case):
    a = solved(*case)
    np.testing.assert_allclose(a.scores.sum(axis=1), a.absorbed, atol=1e-12)
    assert (a.scores.data >= 0).all()


@given(chains(), st.data())
def test_added_success_never_lowers_absorption(case, data):
    steps, success, failure = case
    more = success.copy()
    more[data.draw(st.integers(0, success.size - 1))] += data.draw(st.integers(1, 50))
    for config in (EXACT, SERIES):
        before, after = solved(steps, success, failure, config), solved(steps, more, failure, config)
        assert (after.absorbed + after.bound >= before.absorbed - 1e-9).all()


@given(chains())
def test_self_loops_change_no_score(case):
    steps, success, failure = case
    np.testing.assert_array_equal(
        solved(steps, success, failure).scores.toarray(),
        solved(steps - np.diag(np.diag(steps)), success, failure).scores.toarray(),
    )


# Components.


def test_components_are_solved_apart(monkeypatch):
    monkeypatch.setattr(chain, "_CELLS", 40)  # a batch holds only some components of a size
    rng = np.random.default_rng(1)
    parts = [random_chain(rng, n, degree=2) for n in (3, 1, 5, 3, 2, 3, 40, 3, 1, 5)]
    steps = sparse.csr_array(sparse.block_diag([p[0] for p in parts]))
    success, failure = (np.concatenate([p[k] for p in parts]) for k in (1, 2))
    shuffled = rng.permutation(success.size)
    a = solve(steps[shuffled][:, shuffled], success[shuffled], failure[shuffled], Chain(exact=10, hops=200, prune=0.0, top=100))
    expected = sparse.csr_array(sparse.block_diag([dense(*p) for p in parts]))[shuffled][:, shuffled]
    np.testing.assert_allclose(a.scores.toarray(), expected.toarray(), atol=1e-11)
    assert ((a.bound > 0).sum() == 40) and a.bound.max() < 1e-11


@pytest.mark.parametrize("exact", [1, 200])
def test_the_best_targets_and_the_state_itself_are_kept(exact):
    steps, success, failure = random_chain(np.random.default_rng(2), 120)
    success[:60] = 0
    expected = dense(steps, success, failure)
    a = solved(steps, success, failure, Chain(exact=exact, hops=200, prune=0.0, top=3))
    others = np.sort(np.where(np.eye(120, dtype=bool), -1, expected), axis=1)[:, ::-1]
    for i in range(120):
        ranking = a.ranking(i)
        assert i in dict(ranking)
        assert [s for j, s in ranking if j != i] == pytest.approx(others[i, :3].tolist())
        assert [s for _, s in ranking] == sorted((s for _, s in ranking), reverse=True)
    np.testing.assert_allclose(a.stay(), np.diag(expected), atol=1e-12)


@pytest.mark.parametrize(
    ("prune", "hops", "useful"), [(1e-3, 12, 0.1), (1e-5, 12, 0.02), (1e-5, 60, 0.005), (0.0, 3, 0.5), (0.0, 1, 1.0)]
)
def test_a_giant_component_keeps_its_bound(prune, hops, useful, monkeypatch):
    monkeypatch.setattr(chain, "_ROWS", 64)  # rows walk in more than one block
    case = random_chain(np.random.default_rng(3), 400)
    expected = dense(*case)
    a = solved(*case, Chain(exact=399, prune=prune, hops=hops, top=400))
    kept = a.scores.tocoo()
    missing = expected[kept.row, kept.col] - kept.data
    assert (missing >= -1e-12).all()
    assert (missing <= a.bound[kept.row] + 1e-12).all()
    assert (expected - a.scores.toarray() <= a.bound[:, None] + 1e-12).all()
    assert (np.abs(a.absorbed - expected.sum(axis=1)) <= a.bound + 1e-12).all()
    assert a.bound.max() <= useful


def test_hops_counts_the_terms_of_the_series():
    steps, success, failure = np.diag([500, 500], 1), np.array([0, 0, 1]), np.array([500, 500, 0])
    reached = [solved(steps, success, failure, Chain(exact=1, hops=hops)).scores[A, C] for hops in (1, 2, 3)]
    assert reached == [0, 0, 0.25]


def test_a_giant_that_hardly_ends_owns_up_to_it():
    # Nine in a ring, one way out in a hundred thousand: the series has seen next to nothing, and the bound says so.
    steps = np.roll(np.diag(np.full(9, 100_000)), 1, axis=1)
    success = np.eye(9, dtype=np.int64)[0]
    np.testing.assert_allclose(solved(steps, success, 0 * success).absorbed, 1.0)
    a = solved(steps, success, 0 * success, SERIES)
    assert (a.absorbed < 0.01).all()
    assert (a.absorbed + a.bound >= 1.0 - 1e-12).all()


@settings(max_examples=50)
@given(chains())
def test_series_and_inverse_agree_within_the_bound(case):
    exact, series = solved(*case), solved(*case, SERIES)
    assert (np.abs(exact.absorbed - series.absorbed) <= series.bound + 1e-9).all()
    assert (np.abs(exact.scores - series.scores).toarray() <= series.bound[:, None] + 1e-9).all()


@pytest.mark.parametrize("run", [lambda: doctest.testmod(chain), lambda: doctest.testfile("../../../docs/chain.md")])
def test_examples_run(run):
    assert run().failed == 0 < run().attempted


# Tables.


def write(folder: Path, nodes: str, edges: str) -> tuple[Path, Path]:
    named = {"nodes": f"SELECT * FROM (VALUES {nodes}) t(node, success, failure)"}
    named["edges"] = f"SELECT * FROM (VALUES {edges}) t(source, target, mass)"
    for name, sql in named.items():
        duckdb.sql(f"COPY (SELECT COLUMNS(*)::BIGINT FROM ({sql})) TO '{folder / name}.parquet'")
    return folder / "nodes.parquet", folder / "edges.parquet"


def test_load_reads_the_tables(tmp_path):
    transitions, success, failure = load(*write(tmp_path, "(2, 1000, 0), (0, 0, 7), (1, 500, 0)", "(1, 2, 500), (0, 1, 1000)"))
    assert transitions.dtype == np.int64
    assert transitions.toarray().tolist() == [[0, 1000, 0], [0, 0, 500], [0, 0, 0]]
    assert (success.tolist(), failure.tolist()) == ([0, 500, 1000], [7, 0, 0])
    assert solve(transitions, success, failure, EXACT).ranking(B) == [(B, 0.5), (C, 0.5)]


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ("(0, 1, 1), (0, 1, 1)", "(0, 0, 1)", "each node must be there once"),
        ("(0, 1, 1), (1, 1, 1)", "(0, 2, 1)", "edges must name nodes"),
        ("(0, 1, 1), (1, 1, 1)", "(-1, 0, 1)", "edges must name nodes"),
    ],
)
def test_load_refuses_broken_tables(tmp_path, nodes, edges, message):
    with pytest.raises(EngineError, match=message):
        load(*write(tmp_path, nodes, edges))


def test_load_names_what_it_cannot_read(tmp_path):
    with pytest.raises(EngineError, match="cannot read"):
        load(tmp_path / "no.parquet", tmp_path / "no.parquet")


def test_solve_refuses_masses_that_do_not_match():
    with pytest.raises(EngineError, match="do not match"):
        solved([[0]], [1, 2], [0, 0])
    with pytest.raises(EngineError, match="negative"):
        solved([[0]], [-1], [0])
