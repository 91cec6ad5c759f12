"""The components that SQL finds are those of scipy and of networkx, and long paths take few rounds."""

import doctest

import duckdb
import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse import csgraph

from rewriter.engines import DuckDB, Spark, glob, spark_session
from rewriter.offline.rules import components
from rewriter.offline.rules.components import find_components

NODES = 40


@pytest.fixture
def duck(tmp_path):
    engine = DuckDB(tmp_path / "work", threads=1)
    yield engine
    engine.close()


def write(engine, edges):
    path = engine.work / "given.parquet"
    source, target = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    with duckdb.connect() as con:
        con.register("given", {"source": source, "target": target})
        con.execute(f"COPY given TO '{path}'")
    return path


def smallest(engine, edges, n):
    """The smallest node of the component of each of n nodes, by the stars."""
    with duckdb.connect() as con:
        stars = con.execute(f"SELECT child, parent FROM read_parquet('{glob(find_components(engine, write(engine, edges)))}')")
        rows = stars.fetchall()
    assert len(dict(rows)) == len(rows), "each child has one parent"
    return [dict(rows).get(node, node) for node in range(n)]


def by_scipy(edges, n):
    source, target = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    _, label = csgraph.connected_components(
        sparse.coo_array((np.ones(len(source)), (source, target)), shape=(n, n)), connection="weak"
    )
    first = np.full(label.max(initial=0) + 1, n)
    np.minimum.at(first, label, np.arange(n))
    return first[label].tolist()


def rounds(monkeypatch, engine):
    """Count the rounds that the engine runs from now on."""
    ran, real = [], engine.run
    monkeypatch.setattr(
        engine, "run", lambda name, sql, by=None: (name != "unsettled" and ran.append(name)) or real(name, sql, by)
    )
    return ran


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=60))
def test_equal_to_scipy_and_networkx(duck, edges):
    found = smallest(duck, edges, NODES)
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(NODES))
    of = {node: min(component) for component in nx.connected_components(graph) for node in component}
    assert found == by_scipy(edges, NODES) == [of[node] for node in range(NODES)]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("n", [2, 100, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_long_path_takes_few_rounds(duck, monkeypatch, n, shuffled):
    name = np.random.default_rng(n).permutation(n) if shuffled else np.arange(n)
    ran = rounds(monkeypatch, duck)
    assert smallest(duck, np.stack([name[:-1], name[1:]], axis=1), n) == [0] * n
    assert len(ran) <= 2 + np.log2(n)


@pytest.mark.slow
def test_a_star_of_many_and_a_giant_beside_pairs(duck, monkeypatch):
    rng, n = np.random.default_rng(5), 30_000
    star = np.stack([rng.permutation(10_000), np.full(10_000, 9_999)], axis=1)
    giant = rng.integers(10_000, 20_000, (30_000, 2))
    pairs = np.arange(20_000, 30_000).reshape(-1, 2)
    edges = rng.permutation(np.concatenate([star, giant, pairs]))
    ran = rounds(monkeypatch, duck)
    assert smallest(duck, edges, n) == by_scipy(edges, n)
    assert len(ran) <= 8


@pytest.mark.slow
@pytest.mark.spark
def test_on_spark(tmp_path):
    pytest.importorskip("pyspark", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    session = spark_session("local[2]")
    try:
        engine = Spark(tmp_path / "work", session)
        edges = np.random.default_rng(3).integers(0, 300, (250, 2))
        assert smallest(engine, edges, 300) == by_scipy(edges, 300)
        assert smallest(engine, [], 300) == list(range(300))
        engine.close()
    finally:
        session.stop()


def test_examples_run():
    assert doctest.testmod(components).failed == 0
