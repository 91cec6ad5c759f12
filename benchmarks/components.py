"""What it costs to find the components of the chain in SQL, and to solve it in parts: seconds of the processor on DuckDB.

    python benchmarks/components.py [--states 1000000] [--parts 4] [--seeds 0 1 2] [--spark] [--out FILE]

The world is that of `chain.py`: 70 % of the states in many small components, the rest in a giant one. Both ways must find the
same components, and the same numbers to the last bit. A path whose nodes are numbered in a row, and one whose numbers are
shuffled, show how many rounds a long way takes. With --spark the world of the first seed is solved in parts on Spark, too, with
the master local[2]; seconds of the processor and memory are those of all its processes.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from chain import world, write
from scale import Meter
from scipy import sparse
from scipy.sparse import csgraph
from script import RESULTS, made_with, options, write_result

from rewriter.arrays import Ints
from rewriter.config import Chain
from rewriter.engines import DuckDB, Spark, glob, spark_session
from rewriter.offline.rules import chain, chain_parts
from rewriter.offline.rules.chain import Absorption
from rewriter.offline.rules.components import find_components


class Counted(DuckDB):
    """Counts the rounds that it runs."""

    rounds = 0

    def run(self, name: str, sql: str, by: str | None = None) -> Path:
        """Do what the Protocol says."""
        self.rounds += name.startswith("stars_")
        return super().run(name, sql, by)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds of the processor, and the result."""
    start = time.process_time()
    result = work()
    return round(time.process_time() - start, 2), result


def components(transitions: sparse.csr_array, folder: Path) -> dict[str, Any]:
    """Find the components by scipy and in SQL; both must agree."""
    n = transitions.shape[0]
    s_scipy, (number, label) = timed(lambda: csgraph.connected_components(transitions, connection="weak"))
    engine = Counted(folder / "work", threads=2)
    s_sql, stars = timed(lambda: find_components(engine, folder / "edges.parquet"))
    engine.close()
    rows = duckdb.read_parquet(glob(stars)).fetchnumpy()
    smallest: Ints = np.arange(n)
    smallest[rows["child"]] = rows["parent"]
    first = np.full(number, n)
    np.minimum.at(first, label, np.arange(n))
    assert np.array_equal(first[label], smallest)
    # the first of them only writes each edge once
    return {
        "components": number,
        "largest": int(np.bincount(label).max()),
        "rounds": engine.rounds - 1,
        "scipy": s_scipy,
        "sql": s_sql,
    }


def same(once: Absorption, dealt: Absorption) -> bool:
    """Whether two solutions agree to the last bit."""
    pairs = [(getattr(once, name), getattr(dealt, name)) for name in ("success", "absorbed", "bound")]
    return all(one.tobytes() == other.tobytes() for one, other in [*pairs, (once.scores.data, dealt.scores.data)])


def solved(nodes: Path, edges: Path, parts: int, work: Path) -> dict[str, Any]:
    """Solve the chain at once and in parts."""
    s_once, once = timed(lambda: chain.solve(*chain.load(nodes, edges), Chain()))
    engine = DuckDB(work, threads=2)
    s_parts, dealt = timed(lambda: chain_parts.solve_parts(engine, nodes, edges, Chain(), parts))
    engine.close()
    assert same(once, dealt)
    return {"at_once": s_once, "in_parts": s_parts}


def on_spark(states: int, parts: int, seed: int) -> dict[str, Any]:
    """Solve a chain in parts on Spark."""
    session = spark_session("local[2]")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write(world(states, seed), folder)
        tables = folder / "nodes.parquet", folder / "edges.parquet"
        engine = Spark(folder / "work", session)
        with Meter() as meter:
            dealt = chain_parts.solve_parts(engine, *tables, Chain(), parts)
        assert same(chain.solve(*chain.load(*tables), Chain()), dealt)
    session.stop()
    return {"seed": seed, "states": states, "cpu_seconds": round(meter.cpu_seconds, 1), "peak_gb": round(meter.peak, 2)}


def by_name(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the figures of each name, one for each row."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def main() -> None:
    """Measure, and write the result."""
    parser = options(__doc__, seeds=[0, 1, 2], out=RESULTS / "components.json")
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--spark", action="store_true", help="solve a world on Spark, too; needs Java 17")
    args = parser.parse_args()
    spark = on_spark(args.states, args.parts, args.seeds[0]) if args.spark else {}
    print(spark, flush=True)
    worlds, paths = [], []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as work:
            folder, counts = Path(work), world(args.states, seed)
            write(counts, folder)
            found: dict[str, Any] = {"seed": seed, "states": args.states, "edges": counts[0].nnz} | components(counts[0], folder)
            found |= solved(folder / "nodes.parquet", folder / "edges.parquet", args.parts, folder / "parts")
            worlds.append(found)
            print(found, flush=True)
    for shuffled in (False, True):
        rng, n = np.random.default_rng(0), args.states
        node = rng.permutation(n) if shuffled else np.arange(n)
        steps = sparse.csr_array(sparse.coo_array((np.ones(n - 1, dtype=np.int64), (node[:-1], node[1:])), shape=(n, n)))
        with tempfile.TemporaryDirectory() as work:
            write((steps, np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)), Path(work))
            paths.append({"shuffled": shuffled, "states": n} | components(steps, Path(work)))
            print(paths[-1])
    measured = {"parts": args.parts, "worlds": by_name(worlds), "paths": by_name(paths), "spark": spark}
    write_result(made_with(["duckdb", "scipy", "pyspark"]) | measured, args.out)


if __name__ == "__main__":
    main()
