"""A chain that is solved in parts has the numbers of one that is solved at once."""

import duckdb
import numpy as np
import pytest
from scipy import sparse

from rewriter.config import Chain
from rewriter.engines import DuckDB, EngineChoice
from rewriter.offline.rules import chain, chain_parts

SETTINGS = Chain(exact=6, top=3)
"""Most components of the world are solved by the series."""


def write(folder, sizes, seed):
    """Write nodes and edges: components of some sizes, their nodes mixed and with gaps, some of them without a way to success."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    name = rng.choice(3 * n, n, replace=False).astype(np.int64)
    source, target, start = [], [], 0
    for size in sizes:
        ends = start + rng.integers(0, size, (2, 3 * size if size > 1 else 0))
        source.append(np.append(ends[0], np.arange(start, start + size - 1)))
        target.append(np.append(ends[1], np.arange(start + 1, start + size)))
        start += size
    source, target = np.concatenate(source), np.concatenate(target)
    pairs = np.unique(np.stack([source, target]), axis=1)
    frames = {
        "nodes": {"node": name, "success": rng.integers(0, 900, n) * (rng.random(n) < 0.5), "failure": rng.integers(0, 900, n)},
        "edges": {"source": name[pairs[0]], "target": name[pairs[1]], "mass": rng.integers(1, 900, pairs.shape[1])},
    }
    for table, columns in frames.items():
        with duckdb.connect() as con:
            con.register("columns", columns)
            con.execute(f"COPY (SELECT * FROM columns ORDER BY RANDOM()) TO '{folder / table}.parquet'")
    return folder / "nodes.parquet", folder / "edges.parquet"


@pytest.fixture
def duck(tmp_path):
    engine = DuckDB(tmp_path / "work", threads=2)
    yield engine
    engine.close()


def without_zeros(scores):
    kept = sparse.coo_array(scores)
    some = kept.data > 0
    return sparse.csr_array(sparse.coo_array((kept.data[some], (kept.row[some], kept.col[some])), shape=kept.shape))


@pytest.mark.parametrize(("parts", "states"), [(1, 1000), (1, 10), (2, 50), (7, 1000), (7, 100), (1000, 1000)])
def test_parts_give_the_same_numbers_to_the_last_bit(duck, tmp_path, monkeypatch, parts, states):
    monkeypatch.setattr(chain, "_ROWS", 32)  # the giant is walked in ten blocks
    monkeypatch.setattr(chain_parts, "STATES", states)
    tables = write(tmp_path, (1, 1, 1, 2, 3, 3, 5, 6, 7, 40, 40, 300), seed=parts)
    at_once = chain.solve(*chain.load(*tables), SETTINGS)
    in_parts = chain_parts.solve_parts(duck, *tables, SETTINGS, parts)
    for name in ("success", "absorbed", "bound"):
        assert getattr(in_parts, name).tobytes() == getattr(at_once, name).tobytes(), name
    one, other = without_zeros(at_once.scores), without_zeros(in_parts.scores)
    assert one.nnz > 500
    assert (one.data.tobytes(), one.indices.tolist(), one.indptr.tolist()) == (
        other.data.tobytes(),
        other.indices.tolist(),
        other.indptr.tolist(),
    )


class Several:
    """A choice of an engine with several machines, which runs on this one."""

    engine = "spark"
    opened = EngineChoice().opened


def test_one_machine_solves_it_at_once_and_several_a_large_one_in_parts(tmp_path, monkeypatch):
    tables = write(tmp_path, (2, 3, 5), seed=1)
    asked, real = [], chain_parts.solve_parts
    monkeypatch.setattr(chain_parts, "solve_parts", lambda *given: asked.append(given[-1]) or real(*given))
    monkeypatch.setattr(chain_parts, "STATES", 4)
    for most, choice, parts in ((9, EngineChoice(), []), (10, Several, []), (9, Several, [3])):
        monkeypatch.setattr(chain_parts, "AT_ONCE", most)
        found = chain_parts.solve(choice, tmp_path / "work", *tables, SETTINGS)
        assert found.absorbed.tolist() == chain.solve(*chain.load(*tables), SETTINGS).absorbed.tolist()
        assert asked == parts


def test_a_chain_without_steps_is_solved_at_once(tmp_path, monkeypatch):
    tables = write(tmp_path, (1, 1, 1), seed=1)
    monkeypatch.setattr(chain_parts, "AT_ONCE", 1)
    assert chain_parts.solve(Several, tmp_path / "work", *tables, SETTINGS).scores.nnz >= 3
