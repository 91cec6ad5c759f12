"""Solves a chain that is too large for one process: in parts, where the engine runs them.

No step leaves a component, so each component is solved by itself (`chain`). They are found in SQL (`components`) and dealt into
parts of about `STATES` states, each of one component at the least. A part with a giant component is dealt again, into shares of
its states: each state is solved by itself, but all need the steps of the whole component. A share is solved by the same function
that solves a small chain at once, and gives the same numbers to the last bit: the states of a component keep their order.

On one machine scipy finds the components in a twentieth of the time that SQL takes (`benchmarks/components.py`), and the whole
chain is solved at once.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from scipy import sparse

from rewriter.config import Chain
from rewriter.engines import DUCKDB, Engine, EngineChoice, connect, count_rows, save
from rewriter.offline.rules import chain
from rewriter.offline.rules.chain import Absorption, Share
from rewriter.offline.rules.components import find_components, sql

AT_ONCE: Final = 2_000_000
"""States of a chain that one process solves, with any engine: about 2 GB, and 11 s of the processor for a million. In parts Spark
takes ten times as many seconds (`benchmarks/components.py`), so they are for a chain that is too large."""

STATES: Final = 250_000
"""States that are solved by one call; they take about as many kilobytes meanwhile."""

Part = tuple[str, Path, Path, Share]
"""Its name, Parquet of its rows and of its steps, and which of its states are solved."""


def solve(choice: EngineChoice, work: Path, nodes: Path, edges: Path, config: Chain) -> Absorption:
    """Solve the chain of the tables NODES and EDGES: in parts, if it is large and there are several machines.

    Args:
        choice: the engine of the job.
        work: folder for the tables of the parts, which all machines see.
        nodes: Parquet of `tables.NODES`.
        edges: Parquet of `tables.EDGES`.
        config: as of `chain.solve`.

    Raises:
        EngineError: as `chain.load`, or a step of the engine failed.
    """
    if choice.engine == DUCKDB or (states := count_rows(nodes)) <= AT_ONCE or not count_rows(edges):
        return chain.solve(*chain.load(nodes, edges), config)
    with choice.opened(work) as engine:
        return solve_parts(engine, nodes, edges, config, 1 + states // STATES)


def solve_parts(engine: Engine, nodes: Path, edges: Path, config: Chain, parts: int) -> Absorption:
    """Solve the chain in some parts. The result has no S_ii of numbers that no node has.

    Args:
        engine: finds the components and solves the parts.
        nodes: as of `solve`.
        edges: as of `solve`.
        config: as of `solve`.
        parts: how many.
    """
    find_components(engine, edges)
    engine.read("nodes", nodes)
    rows, steps = (engine.run(name, sql(name).format(parts=parts), by="part") for name in ("component_nodes", "component_edges"))
    none = engine.work / "no_steps.parquet"  # of a part in which nothing was restated
    with connect(edges=edges) as con:
        save(con, "SELECT source, target, mass FROM edges LIMIT 0", none)
    dealt: list[Part] = []
    for of in sorted(rows.glob("part=*")):
        shares, within = 1 + count_rows(of) // STATES, steps / of.name
        dealt += [
            (f"{of.name}-{number}", of, within if within.exists() else none, Share(number, shares)) for number in range(shares)
        ]
    states, scores = (_emptied(engine.work / name) for name in ("solved_states", "solved_scores"))
    engine.each("solved", partial(_solve_part, config, states, scores), dealt)
    return _joined(states, scores)


def _solve_part(config: Chain, states: Path, scores: Path, part: Part) -> None:
    """Solve a share of a part, and write its states and the entries of S that are kept."""
    name, rows, steps, share = part
    node, counts = chain.load_part(rows, steps)
    found = chain.solve(*counts, config, share)
    kept, here = found.scores.tocoo(), ~np.isnan(found.absorbed)
    columns = {"node": node, "success": found.success, "absorbed": found.absorbed, "bound": found.bound}
    with connect() as con:
        con.register("states", {name: values[here] for name, values in columns.items()})
        con.register("scores", {"source": node[kept.row], "target": node[kept.col], "score": kept.data})
        save(con, "SELECT * FROM states", states / f"{name}.parquet")
        save(con, "SELECT * FROM scores", scores / f"{name}.parquet")


def _joined(states: Path, scores: Path) -> Absorption:
    with connect(states=states, scores=scores) as con:
        found = con.execute("SELECT node, success, absorbed, bound FROM states").fetchnumpy()
        kept = con.execute("SELECT source, target, score FROM scores").fetchnumpy()
    node = found["node"]
    n = int(node.max(initial=-1)) + 1
    success, absorbed, bound = np.zeros(n), np.zeros(n), np.zeros(n)
    success[node], absorbed[node], bound[node] = found["success"], found["absorbed"], found["bound"]
    pairs = (kept["score"], (kept["source"], kept["target"]))
    return Absorption(success, absorbed, sparse.csr_array(sparse.coo_array(pairs, shape=(n, n))), bound)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
