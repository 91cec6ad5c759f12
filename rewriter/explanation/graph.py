"""The part of the Markov chain around one text, as a networkx graph, for `rewriter explain --graph` and the report."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import networkx as nx

from rewriter.engines.duckdb import connect, glob
from rewriter.errors import EngineError
from rewriter.offline.rules.chain import Absorption

RARE = -1
"""Number of the node that stands for all texts of too few users."""

_STATES = """
SELECT node, state, locale, kind, success, failure, turns, users FROM read_parquet($nodes)
WHERE node IN (SELECT UNNEST($wanted::BIGINT[]))
"""
_STEPS = """
SELECT source, target, mass, users FROM read_parquet($edges)
WHERE source IN (SELECT UNNEST($wanted::BIGINT[])) ORDER BY source, target
"""


def rephrase_graph(
    nodes: Path, edges: Path, absorption: Absorption, source: int, *, hops: int = 3, least: float = 0.02, min_users: int = 3
) -> nx.DiGraph:
    """Return the texts that users reach when they restate `source`, and the steps between them.

    A state is in the graph if a path from `source` reaches it within `hops` steps with a probability of at least `least`. Texts
    of fewer than `min_users` people are left out: their states become one node, `RARE`, which holds the sums of their masses,
    and `source` itself stays a node but loses its text.

    Args:
        nodes: the table NODES.
        edges: the table EDGES.
        absorption: the solved chain of these tables.
        source: number of a node.
        hops: number of steps to follow.
        least: smallest probability that is shown, 0..1.
        min_users: k; 1 hides nothing.

    Returns:
        A graph of node numbers with
        graph attributes source and best (where the state with the highest score is, of those shown);
        node attributes text, locale, kind, hop (steps from the source), turns, users (of `RARE`: those of its commonest text),
        success and failure (probabilities 0..1 at once; the rest is said again), absorbed (B_i, it ends well from here; of `RARE`
        the mean by mass) and score (S_ij, what starts at the source ends well here);
        edge attributes p (probability 0..1), mass (thousandths of a turn) and users.

    Raises:
        EngineError: there is no such node, or a table cannot be read.

    Example:
        >>> graph = rephrase_graph(nodes, edges, solve(*load(nodes, edges), Chain()), 17)  # doctest: +SKIP
        >>> graph.nodes[17]["text"], graph[17][4]["p"]  # doctest: +SKIP
        ('turn of the lamp', 0.75)
    """
    if not 0 <= source < absorption.success.size:
        raise EngineError(f"graph: there is no node {source}, only 0..{absorption.success.size - 1}")
    try:
        with connect() as con:
            states, hop = _around(lambda wanted: _read(con, nodes, edges, wanted), source, hops, least)
    except duckdb.Error as error:
        raise EngineError(f"graph: cannot read nodes or edges: {str(error).splitlines()[0]}") from error
    place = {i: RARE if states[i].users < min_users and i != source else i for i in hop}
    members: dict[int, list[int]] = defaultdict(list)
    for i, node in place.items():
        members[node].append(i)
    score = dict(absorption.ranking(source))
    graph = nx.DiGraph(source=source)
    for node, some in members.items():
        joint = _join([states[i] for i in some], place, min_users)
        graph.add_node(
            node,
            **joint.attributes(),
            hop=min(hop[i] for i in some),
            absorbed=sum(states[i].total * float(absorption.absorbed[i]) for i in some) / joint.total,
            score=sum(score.get(i, 0.0) for i in some),
        )
        steps = {j: step for j, step in joint.steps.items() if j in members}
        graph.add_edges_from(
            (node, j, {"p": mass / joint.total, "mass": mass, "users": users}) for j, (mass, users) in steps.items()
        )
    graph.graph["best"] = place[max(place, key=lambda i: score.get(i, 0.0))]
    return graph


@dataclass(frozen=True, slots=True)
class _State:
    """One row of NODES with its steps: target -> (mass, users)."""

    text: str
    locale: str
    kind: str
    success: int
    failure: int
    turns: int
    users: int
    steps: dict[int, tuple[int, int]]

    @property
    def total(self) -> int:
        """T_i, but at least 1: a row without mass has no probabilities, only zeros."""
        return max(self.success + self.failure + sum(mass for mass, _ in self.steps.values()), 1)

    def attributes(self) -> dict[str, Any]:
        """Return what a node of the graph says of itself, success and failure as probabilities."""
        known = {name: getattr(self, name) for name in ("text", "locale", "kind", "turns", "users")}
        return known | {"success": self.success / self.total, "failure": self.failure / self.total}


def _around(
    read: Callable[[Collection[int]], dict[int, _State]], source: int, hops: int, least: float
) -> tuple[dict[int, _State], dict[int, int]]:
    """Follow all paths from the source, hop by hop; return the states met and the hop at which each is first met."""
    states: dict[int, _State] = {}
    hop, standing = {source: 0}, {source: 1.0}
    for step in range(1, hops + 1):
        states |= read(standing.keys() - states.keys())
        onward: dict[int, float] = defaultdict(float)
        for i, p in standing.items():
            for j, (mass, _) in states[i].steps.items():
                onward[j] += p * mass / states[i].total
        standing = {j: p for j, p in onward.items() if p >= least}
        hop |= {j: step for j in standing if j not in hop}
    return states | read(hop.keys() - states.keys()), hop


def _read(con: duckdb.DuckDBPyConnection, nodes: Path, edges: Path, wanted: Collection[int]) -> dict[int, _State]:
    """Read some states with all their steps."""
    steps: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for source, target, mass, users in con.execute(_STEPS, {"edges": glob(edges), "wanted": list(wanted)}).fetchall():
        steps[source][target] = (mass, users)
    rows = con.execute(_STATES, {"nodes": glob(nodes), "wanted": list(wanted)}).fetchall()
    return {
        node: _State(text, locale, kind, success, failure, turns, users, steps[node])
        for node, text, locale, kind, success, failure, turns, users in rows
    }


def _join(some: list[_State], place: dict[int, int], min_users: int) -> _State:
    """Return the state that stands for some: one alone, or all that are rare; its steps lead to where `place` puts their ends."""
    rare = sum(state.users < min_users for state in some)
    steps: dict[int, tuple[int, int]] = {}
    for state in some:
        for j, (mass, users) in state.steps.items():
            more, most = steps.get(place.get(j, j), (0, 0))
            steps[place.get(j, j)] = (mass + more, max(users, most))
    return _State(
        text=f"({rare} rare text{'s' if rare > 1 else ''})" if rare else some[0].text,
        locale=some[0].locale,
        kind=some[0].kind,
        success=sum(state.success for state in some),
        failure=sum(state.failure for state in some),
        turns=sum(state.turns for state in some),
        users=max(state.users for state in some),
        steps=steps,
    )
