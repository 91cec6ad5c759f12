"""The picture of a rephrase graph: what people said, what they said next, and how each ended.

A state is a ring: green the share that works at once, red the share that fails, grey the share that is said again; the number in
it is the probability that what starts at the source ends well there. The busier, the larger. An arrow is as thick as it is
probable.
"""

import io
import math
import textwrap
import unicodedata
import warnings
from collections import defaultdict
from typing import Any, NamedTuple

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, Wedge
from matplotlib.path import Path as MplPath

# Okabe and Ito's colours (2008), told apart by every kind of sight.
_WORKS, _FAILS, _AGAIN = "#009E73", "#D55E00", "#C9CED6"
_INK = "#22272E"
_STEPS = LinearSegmentedColormap.from_list("steps", ["#C3C9D1", "#7D8792", "#4A525C"])
_STYLE: dict[Any, Any] = {"svg.hashsalt": "rewriter", "svg.fonttype": "none", "font.family": "sans-serif"}

# One unit of the axes is an inch of `figsize`; nodes are so far apart that labels of this width and height cannot meet.
_ACROSS, _DOWN, _SIDE, _TOP, _BOTTOM, _LEAST_WIDTH = 2.5, 1.4, 1.3, 0.5, 1.2, 5.4
_CHARS, _LINES = 24, 2
_SMALL, _LARGE, _HOLE, _CLEAR = 0.26, 0.38, 0.68, 0.06
_LABELLED = 0.05
"""Arrows less probable than this bear no figure."""


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
    layers = _layers(graph)
    most = max(len(layer) for layer in layers)
    return max(2 * _SIDE + _ACROSS * (len(layers) - 1), _LEAST_WIDTH), _TOP + _DOWN * (most - 1) + _BOTTOM


def svg(graph: nx.DiGraph) -> str:
    """Return the picture as one <svg> element, the same for the same graph; its words stay words, in the reader's own font."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's font may well have the letters that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=figsize(graph))
        draw(graph, figure.add_axes((0, 0, 1, 1)))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    page = out.getvalue()
    return page[page.index("<svg") :]


def draw(graph: nx.DiGraph, ax: Axes) -> None:
    """Draw what `rephrase_graph` returns, the source to the left, one column for each step.

    Args:
        graph: nodes with text, hop, turns, success, failure and score; edges with p; source and best of the graph.
        ax: axes of the size that `figsize` says, or of that shape.
    """
    width, height = figsize(graph)
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    rings = _rings(graph, width, height)
    for i, j, p in sorted(graph.edges(data="p"), key=lambda edge: edge[2]):
        if i != j:
            _arrow(ax, rings[i], rings[j], p, answered=graph.has_edge(j, i))
    for node, ring in rings.items():
        _ring(ax, ring, graph.nodes[node], best=node == graph.graph["best"])
        _name(ax, ring, graph.nodes[node]["text"], source=node == graph.graph["source"])
    _legend(ax)


def _layers(graph: nx.DiGraph) -> list[list[int]]:
    """Return the nodes by hop; within a hop each stands, as far as it can, level with those before it that lead to it."""
    by_hop: dict[int, list[int]] = defaultdict(list)
    for node, hop in graph.nodes(data="hop"):
        by_hop[hop].append(node)
    layers: list[list[int]] = []
    level: dict[int, float] = {}
    for _, layer in sorted(by_hop.items()):
        ordered = sorted(layer, key=lambda node: (_level(graph, level, node), -graph.nodes[node].get("score", 0.0)))
        level |= {node: k - (len(ordered) - 1) / 2 for k, node in enumerate(ordered)}
        layers.append(ordered)
    return layers


def _level(graph: nx.DiGraph, level: dict[int, float], node: int) -> float:
    """Return the mean level of those that lead to a node, weighted by how probably they do."""
    before = [(level[i], p) for i, _, p in graph.in_edges(node, data="p") if i in level]
    return float(sum(y * p for y, p in before) / (sum(p for _, p in before) or 1.0))


def _rings(graph: nx.DiGraph, width: float, height: float) -> dict[int, _Ring]:
    """Place the layers from left to right, each centred; the area of a ring grows with the turns."""
    layers = _layers(graph)
    busiest = max(1, *(turns for _, turns in graph.nodes(data="turns")))
    left = (width - _ACROSS * (len(layers) - 1)) / 2
    middle = (height + _BOTTOM - _TOP) / 2
    return {
        node: _Ring(
            left + _ACROSS * k,
            middle - _DOWN * (row - (len(layer) - 1) / 2),
            _SMALL + (_LARGE - _SMALL) * math.sqrt(graph.nodes[node]["turns"] / busiest),
        )
        for k, layer in enumerate(layers)
        for row, node in enumerate(layer)
    }


def _control(start: _Ring, end: _Ring, *, answered: bool) -> tuple[float, float]:
    """Return the point towards which an arrow bends.

    Within a column it runs around the names, up on the right and down on the left; back, or where another arrow answers it, it
    leaves the straight line, so that the two keep apart.
    """
    across, up = end.x - start.x, end.y - start.y
    if not across:
        return start.x + math.copysign(0.8 + 0.25 * abs(up), up), start.y + up / 2
    bend = 0.3 if across < 0 else 0.15 * answered
    return start.x + across / 2 + bend * up, start.y + up / 2 - bend * across


def _arrow(ax: Axes, start: _Ring, end: _Ring, p: float, *, answered: bool) -> None:
    """Draw one step as a quadratic curve from rim to rim, with its probability."""
    control = np.array(_control(start, end, answered=answered))
    rims = []
    for ring in (start, end):
        towards = control - (ring.x, ring.y)
        rims.append((ring.x, ring.y) + towards / np.linalg.norm(towards) * (ring.radius + _CLEAR))
    arrow = FancyArrowPatch(
        path=MplPath([rims[0], control, rims[1]], [MplPath.MOVETO, MplPath.CURVE3, MplPath.CURVE3]),
        arrowstyle="-|>,head_width=0.25,head_length=0.5",
        mutation_scale=10,
        linewidth=0.8 + 3.5 * p,
        color=_STEPS(p),
        zorder=1,
    )
    ax.add_patch(arrow)
    if p >= _LABELLED:
        t = 0.42  # under a half, so that the figures of crossing arrows keep apart
        x, y = (1 - t) ** 2 * rims[0] + 2 * t * (1 - t) * control + t**2 * rims[1]
        box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
        ax.text(x, y, f"{p:.0%}", ha="center", va="center", fontsize=7.5, color=_INK, bbox=box, zorder=2)


def _ring(ax: Axes, ring: _Ring, node: dict[str, Any], *, best: bool) -> None:
    """Draw how requests in a state end at once, clockwise from the top, around the score of its place."""
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
    """Write the text of a state under its ring."""
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
    """Say what the colours and figures mean, in one line at the foot."""
    colours = {"works": _WORKS, "fails": _FAILS, "said again": _AGAIN}
    signs = [Line2D([], [], linestyle="", marker="o", markersize=8, color=colour) for colour in colours.values()]
    signs.append(
        Line2D([], [], linestyle="", marker="o", markersize=8, markerfacecolor="none", color=_WORKS, markeredgewidth=1.6)
    )
    signs.append(Line2D([], [], linestyle=""))
    texts = [*colours, "the best", "%: ends well here"]
    ax.legend(signs, texts, loc="lower center", ncols=5, frameon=False, fontsize=8, handletextpad=0.1, columnspacing=1.2)
