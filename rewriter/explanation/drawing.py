"""The picture of a rephrase graph: what people said, what they said next, and how each text ended.

A node is a ring around a number. The ring shows how the text ends at once: green works, red fails, grey is said again. The number
is the probability that a dialogue which starts at the source ends well at this node (S_ij). Larger nodes have more turns. An
arrow is as thick as it is probable. networkx places the nodes in columns, one for each step from the source, and draws arrows.
"""

import io
import math
import textwrap
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib as mpl
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Wedge

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
