"""What it costs to find the components of the chain in SQL, and to solve it in parts: seconds of the processor on DuckDB.

    python benchmarks/components.py [--states 1000000] [--parts 4] [--seeds 0 1 2] [--out FILE]

The world is that of `chain.py`: 70 % of the states in many small components, the rest in a giant one. Both ways must find the
same components, and the same numbers to the last bit. A path whose nodes are numbered in a row, and one whose numbers are
shuffled, show how many rounds a long way takes.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from chain import world, write
from scipy import sparse
from scipy.sparse import csgraph
from script import RESULTS, made_with, options, write_result

from rewriter.arrays import Ints
from rewriter.config import Chain
from rewriter.engines import DuckDB, glob
from rewriter.offline.rules import chain, chain_parts
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


def solved(nodes: Path, edges: Path, parts: int, work: Path) -> dict[str, Any]:
    """Solve the chain at once and in parts; both must agree to the last bit."""
    s_once, once = timed(lambda: chain.solve(*chain.load(nodes, edges), Chain()))
    engine = DuckDB(work, threads=2)
    s_parts, dealt = timed(lambda: chain_parts.solve_parts(engine, nodes, edges, Chain(), parts))
    engine.close()
    assert all(getattr(once, name).tobytes() == getattr(dealt, name).tobytes() for name in ("success", "absorbed", "bound"))
    assert once.scores.data.tobytes() == dealt.scores.data.tobytes()
    return {"at_once": s_once, "in_parts": s_parts}


def by_name(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the figures of each name, one for each row."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def main() -> None:
    """Measure, and write the result."""
    parser = options(__doc__, seeds=[0, 1, 2], out=RESULTS / "components.json")
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=4)
    args = parser.parse_args()
    worlds, paths = [], []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as work:
            folder, counts = Path(work), world(args.states, seed)
            write(counts, folder)
            found = {"seed": seed, "states": args.states, "edges": counts[0].nnz} | components(counts[0], folder)
            found |= solved(folder / "nodes.parquet", folder / "edges.parquet", args.parts, folder / "parts")
            worlds.append(found)
            print(found)
    for shuffled in (False, True):
        rng, n = np.random.default_rng(0), args.states
        node = rng.permutation(n) if shuffled else np.arange(n)
        steps = sparse.csr_array(sparse.coo_array((np.ones(n - 1, dtype=np.int64), (node[:-1], node[1:])), shape=(n, n)))
        with tempfile.TemporaryDirectory() as work:
            write((steps, np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)), Path(work))
            paths.append({"shuffled": shuffled, "states": n} | components(steps, Path(work)))
            print(paths[-1])
    write_result(
        made_with(["duckdb", "scipy"]) | {"parts": args.parts, "worlds": by_name(worlds), "paths": by_name(paths)}, args.out
    )


if __name__ == "__main__":
    main()
