"""The rephrase graph around a text and its picture: what people said, what they said next, and how each text ended.

A node is a ring around a number. The ring shows how the text ends at once: green works, red fails, grey is said again. The number
is the probability that a dialogue which starts at the source ends well at this node (S_ij). Larger nodes have more turns. An
arrow is as thick as it is probable. networkx places the nodes in columns, one for each step from the source, and draws arrows.

`rephrase_graph` takes the part of the Markov chain around one text, as a networkx graph.
"""

import io
import math
import textwrap
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import matplotlib as mpl
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Wedge

from rewriter.engines import connect, glob
from rewriter.errors import EngineError
from rewriter.offline.rules.chain import Absorption
from rewriter.text import unspaced

# The palette of Okabe and Ito (2008), which people with any kind of colour vision can tell apart.
_WORKS, _FAILS, _AGAIN = "#009E73", "#D55E00", "#C9CED6"
_INK = "#22272E"
_STEPS = LinearSegmentedColormap.from_list("steps", ["#C3C9D1", "#7D8792", "#4A525C"])
_STYLE: dict[Any, Any] = {"svg.hashsalt": "rewriter", "svg.fonttype": "none", "font.family": "sans-serif"}

# One unit of the axes is an inch of `figsize`. Nodes are so far apart that labels of this width and height cannot overlap.
_ACROSS, _DOWN, _SIDE, _TOP, _BOTTOM, _LEAST_WIDTH = 2.5, 1.4, 1.3, 0.5, 1.2, 5.4
_CHARS, _LINES = 24, 2
_SMALL, _LARGE, _HOLE, _CLEAR = 0.26, 0.38, 0.68, 0.06
_LABEL_AT = 0.42
"""Where on an arrow its number stands, 0 at the start: under a half, so that the numbers of crossing arrows keep apart."""
_LABELLED = 0.05
"""An arrow with a lower probability has no number."""


class _Ring(NamedTuple):
    """Where a node stands, in inches."""

    x: float
    y: float
    radius: float


def figsize(graph: nx.DiGraph) -> tuple[float, float]:
    """Return the width and height in inches at which `draw` leaves room for every label.

    Example:
        >>> graph = nx.DiGraph()
        >>> graph.add_node(0, hop=0)
        >>> figsize(graph)
        (5.4, 1.7)
    """
    columns = Counter(hop for _, hop in graph.nodes(data="hop"))
    width, height = 2 * _SIDE + _ACROSS * (len(columns) - 1), _TOP + _DOWN * (max(columns.values()) - 1) + _BOTTOM
    return max(width, _LEAST_WIDTH), height


def svg(graph: nx.DiGraph) -> str:
    """Return the picture as one <svg> element, the same for the same graph. Words stay words, in the font of the reader."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The font of the reader may have letters that the font of matplotlib lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=figsize(graph))
        draw(graph, figure.add_axes((0, 0, 1, 1)))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    page = out.getvalue()
    return page[page.index("<svg") :]


def draw(graph: nx.DiGraph, ax: Axes) -> None:
    """Draw a graph from `rephrase_graph`, with the source at the left and one column for each step.

    Args:
        graph: nodes with text, hop, turns, success, failure and score; edges with p; source and best of the graph.
        ax: axes of the size that `figsize` says, or of that shape.
    """
    width, height = figsize(graph)
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    rings = _rings(graph, width, height)
    _arrows(ax, graph, rings)
    for node, ring in rings.items():
        _ring(ax, ring, graph.nodes[node], best=node == graph.graph["best"])
        _name(ax, ring, graph.nodes[node]["text"], source=node == graph.graph["source"])
    _legend(ax)


def _rings(graph: nx.DiGraph, width: float, height: float) -> dict[int, _Ring]:
    """Place the nodes in centred columns, within a column by score; the area of a ring grows with the turns."""
    columns: dict[int, list[int]] = defaultdict(list)
    for node, attributes in sorted(graph.nodes(data=True), key=lambda item: item[1].get("score", 0.0)):
        columns[attributes["hop"]].append(node)
    layout = nx.multipartite_layout(graph, subset_key=columns)
    xs, ys = ([float(at[axis]) for at in layout.values()] for axis in (0, 1))
    # The layout is a grid scaled to the unit square: undo the scale, so that columns and rows stand at whole numbers.
    step = (max(xs) - min(xs)) / max(len(columns) - 1, 1) or (max(ys) - min(ys)) / max(len(graph) - 1, 1) or 1.0
    middle, centre = (height + _BOTTOM - _TOP) / 2, (max(xs) + min(xs)) / 2
    busiest = max(1, *(turns for _, turns in graph.nodes(data="turns")))
    return {
        node: _Ring(
            width / 2 + _ACROSS * (float(x) - centre) / step,
            middle + _DOWN * float(y) / step,
            _SMALL + (_LARGE - _SMALL) * math.sqrt(graph.nodes[node]["turns"] / busiest),
        )
        for node, (x, y) in layout.items()
    }


def _arrows(ax: Axes, graph: nx.DiGraph, rings: Mapping[int, _Ring]) -> None:
    """Draw each step from rim to rim, the probable ones on top, with its probability."""
    at = {node: (ring.x, ring.y) for node, ring in rings.items()}
    diameters = [(2 * (rings[node].radius + _CLEAR) * 72) ** 2 for node in graph]  # in points, squared, as networkx wants it
    bends = defaultdict(list)
    for i, j, p in sorted(graph.edges(data="p"), key=lambda edge: edge[2]):
        if i != j:
            bends[_bend(rings[i], rings[j], answered=graph.has_edge(j, i))].append((i, j, p))
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    for bend, steps in bends.items():
        style = f"arc3,rad={bend}"
        nx.draw_networkx_edges(
            graph, at, [(i, j) for i, j, _ in steps], ax=ax, node_size=diameters, nodelist=list(graph), connectionstyle=style,
            width=[0.8 + 3.5 * p for *_, p in steps], edge_color=[_STEPS(p) for *_, p in steps], arrowstyle="-|>",
            hide_ticks=False,
        )  # fmt: skip
        labels = {(i, j): f"{p:.0%}" for i, j, p in steps if p >= _LABELLED}
        nx.draw_networkx_edge_labels(
            graph, at, labels, ax=ax, label_pos=_LABEL_AT, connectionstyle=style, rotate=False, font_size=7.5, font_color=_INK,
            bbox=box, node_size=diameters, nodelist=list(graph), hide_ticks=False,
        )  # fmt: skip


def _bend(start: _Ring, end: _Ring, *, answered: bool) -> float:
    """Return the curvature of an arrow (`rad` of matplotlib's arc3): 0 is straight.

    An arrow within a column runs around the names. An arrow that leads back, or that another one answers, is curved so that the
    two stay apart.
    """
    if math.isclose(start.x, end.x):
        return 0.6
    return 0.3 if end.x < start.x else 0.15 * answered


def _ring(ax: Axes, ring: _Ring, node: dict[str, Any], *, best: bool) -> None:
    """Draw how a text ends at once, clockwise from the top, around its score."""
    ax.add_patch(Circle((ring.x, ring.y), ring.radius, facecolor="white", edgecolor="none", zorder=3))
    start = 90.0
    for share, colour in (
        (node["success"], _WORKS),
        (node["failure"], _FAILS),
        (max(1.0 - node["success"] - node["failure"], 0.0), _AGAIN),
    ):
        end = start - 360.0 * share
        thick = ring.radius * (1 - _HOLE)
        ax.add_patch(Wedge((ring.x, ring.y), ring.radius, end, start, width=thick, facecolor=colour, linewidth=0, zorder=3))
        start = end
    if best:
        ax.add_patch(Circle((ring.x, ring.y), ring.radius + 0.05, fill=False, edgecolor=_WORKS, linewidth=1.6, zorder=3))
    ax.text(ring.x, ring.y, f"{node['score']:.0%}", ha="center", va="center", fontsize=8, fontweight="bold", color=_INK, zorder=4)


def _name(ax: Axes, ring: _Ring, text: str, *, source: bool) -> None:
    """Write the text under its ring."""
    text = unspaced(text)
    wide = any(unicodedata.east_asian_width(char) in "WF" for char in text)
    lines = textwrap.wrap(text, _CHARS // 2 if wide else _CHARS, max_lines=_LINES, placeholder=" …")
    weight = "bold" if source else "normal"
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    ax.text(
        ring.x,
        ring.y - ring.radius - 0.1,
        "\n".join(lines),
        ha="center",
        va="top",
        fontsize=9,
        fontweight=weight,
        color=_INK,
        bbox=box,
        parse_math=False,
        zorder=4,
    )


def _legend(ax: Axes) -> None:
    """Explain colours and numbers in one line at the foot."""
    colours = {"works": _WORKS, "fails": _FAILS, "said again": _AGAIN}
    signs = [Line2D([], [], linestyle="", marker="o", markersize=8, color=colour) for colour in colours.values()]
    signs.append(
        Line2D([], [], linestyle="", marker="o", markersize=8, markerfacecolor="none", color=_WORKS, markeredgewidth=1.6)
    )
    signs.append(Line2D([], [], linestyle=""))
    texts = [*colours, "the best", "%: ends well here"]
    ax.legend(signs, texts, loc="lower center", ncols=5, frameon=False, fontsize=8, handletextpad=0.1, columnspacing=1.2)


RARE = -1
"""Number of the node that stands for all texts of too few users."""

_STATE_ROWS = """
SELECT node, state, locale, kind, success, failure, turns, users FROM read_parquet($nodes)
WHERE node IN (SELECT UNNEST($wanted::BIGINT[]))
"""
_STEP_ROWS = """
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
    for source, target, mass, users in con.execute(_STEP_ROWS, {"edges": glob(edges), "wanted": list(wanted)}).fetchall():
        steps[source][target] = (mass, users)
    rows = con.execute(_STATE_ROWS, {"nodes": glob(nodes), "wanted": list(wanted)}).fetchall()
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
