"""The picture of curves: win/loss upwards on a logarithmic axis, defects fixed to the right, several systems in one."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from rewriter.evaluation.summary import Point

PUBLISHED = {"Alexa 2020: 11.8": 11.8, "Alexa 2022: 8.5": 8.5}
"""Win/loss ratios of a system in production: Ponnusamy et al. 2020 (arXiv 1911.02557) and a keynote of 2022."""

# Okabe and Ito's colours (2008), told apart by every kind of sight.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DECIDED, _BANDS = 10, 3
_INK, _FAINT = "#333333", "#767676"
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_STYLE: dict[Any, Any] = {"svg.hashsalt": "rewriter", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}


def draw(curves: Mapping[str, Sequence[Point]], *, operating: Mapping[str, float] | None = None, title: str = "") -> Figure:
    """Draw curves with the bands of their 95 % intervals; among more than three only the first has one, else it is all bands.

    A threshold without a loss has no finite ratio: it is drawn as a hollow triangle at its lower bound. Thresholds with
    fewer than 10 decided turns say nothing and are left out.

    Args:
        curves: name of a system -> its points; a system that decided nothing is left out.
        operating: name -> the threshold at which that system is run, marked by a large sign with its interval; where absent,
            its lowest.
        title: above the picture.
    """
    decided = {name: [p for p in points if _says(p)] for name, points in curves.items()}
    drawn = {name: sorted(points, key=lambda p: -p.threshold) for name, points in decided.items() if points}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.subplots()
        limits = _range([p for points in drawn.values() for p in points])
        _dress(axes, limits, title)
        for i, (name, points) in enumerate(drawn.items()):
            colour = _COLOURS[i % len(_COLOURS)]
            if i == 0 or len(drawn) <= _BANDS:
                _band(axes, points, colour, limits)
            _line(axes, name, points, colour)
            _run(axes, points, (operating or {}).get(name), colour, limits)
        _explain(figure, axes)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or PNG, by the suffix of `path`; the same figure always gives the same bytes."""
    with mpl.rc_context(_STYLE):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else {})


def _says(point: Point) -> bool:
    return point.wins + point.losses >= _DECIDED and math.isfinite(point.fixed.value)


def _band(axes: Axes, points: list[Point], colour: str, limits: tuple[float, float]) -> None:
    bounds = [_within(p, limits) for p in points]
    low, high = [b[0] for b in bounds], [b[1] for b in bounds]
    axes.fill_between([p.fixed.value for p in points], low, high, color=colour, alpha=0.12, linewidth=0)


def _line(axes: Axes, name: str, points: list[Point], colour: str) -> None:
    # A line between bounds would claim a ratio where none was seen, so the gaps stay open.
    heights = [p.win_loss.value if math.isfinite(p.win_loss.value) else math.nan for p in points]
    axes.plot([p.fixed.value for p in points], heights, color=colour, lw=1.6, marker=".", ms=4, label=name)
    lossless = [p for p in points if math.isinf(p.win_loss.value)]
    axes.plot([p.fixed.value for p in lossless], [_height(p) for p in lossless], "^", color=colour, ms=5, mfc="white")


def _run(axes: Axes, points: list[Point], threshold: float | None, colour: str, limits: tuple[float, float]) -> None:
    run = points[-1] if threshold is None else min(points, key=lambda p: abs(p.threshold - threshold))
    sign = "^" if math.isinf(run.win_loss.value) else "o"
    axes.plot([run.fixed.value] * 2, _within(run, limits), color=colour, lw=3, alpha=0.45, solid_capstyle="butt")
    axes.plot(run.fixed.value, _height(run), sign, color=colour, ms=9, mec="white")


def _within(point: Point, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the bounds of the ratio as far as they are in sight."""
    return max(point.win_loss.low, limits[0]), min(point.win_loss.high, limits[1])


def _height(point: Point) -> float:
    return point.win_loss.low if math.isinf(point.win_loss.value) else point.win_loss.value


def _range(points: list[Point]) -> tuple[float, float]:
    """Return the limits of the upright axis: whole ticks around all values, with the published ones always in sight."""
    heights = [_height(p) for p in points if _height(p) > 0] + [5.0, 20.0]
    low = max((t for t in _TICKS if t <= min(heights)), default=_TICKS[0])
    high = min((t for t in _TICKS if t >= 1.3 * max(heights)), default=_TICKS[-1])
    return low, high


def _dress(axes: Axes, limits: tuple[float, float], title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("defects fixed, less the healthy turns broken", color=_INK)
    axes.set_ylabel("win/loss ratio", color=_INK)
    axes.set_title(title, loc="left", color=_INK, fontsize=11)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    _publish(axes)


def _explain(figure: Figure, axes: Axes) -> None:
    """Name the systems and the signs, outside the axes."""
    systems, names = axes.get_legend_handles_labels()
    signs = [
        Line2D([], [], ls="", marker="o", ms=8, color=_FAINT, label="where it is run"),
        Line2D([], [], ls="", marker="^", ms=6, color=_FAINT, mfc="white", label="no loss: lower bound"),
    ]
    if systems:
        labels = [*names, *(str(sign.get_label()) for sign in signs)]
        figure.legend([*systems, *signs], labels, loc="outside right upper", frameon=False, labelcolor=_INK)


def _publish(axes: Axes) -> None:
    for name, ratio in PUBLISHED.items():
        axes.axhline(ratio, color=_FAINT, lw=1.0, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            name,
            (1.0, ratio),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=_FAINT,
            fontsize=8,
        )
