"""Pictures of what became of a loop: rates with their intervals, where rules stand, and win/loss ratios, from day to day."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.report import STYLE, svg

# Okabe and Ito's colours (2008), told apart by every kind of sight.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#767676")
_STATES = {"live": "#0072B2", "canary": "#56B4E9", "probation": "#E69F00", "shadow": "#B5BCC4", "retired": "#D55E00"}
"""The lives of a rule, in the order in which they are piled up."""
_INK, _GRID = "#333333", "#E5E5E5"
_LABELS = 12  # at most, on the axis of days
_ENDLESS = 4.0  # times what is in sight: so far up is an interval without an end drawn


def rates(starts: Sequence[str], lines: Mapping[str, Mapping[int, Interval]], what: str) -> str:
    """Draw shares with their 95 % intervals, one line for each name, as an <svg> element.

    Args:
        starts: what stands under each place of the axis.
        lines: name -> place -> share, 0..1.
        what: the shares are of.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts)
        for colour, (name, line) in zip(_COLOURS, lines.items(), strict=False):
            values = list(line.values())
            axes.vlines(list(line), [v.low for v in values], [v.high for v in values], color=colour, lw=2.5, alpha=0.3)
            whole = [line[place].value if place in line else math.nan for place in range(len(starts))]  # a gap stays a gap
            axes.plot(whole, marker="o", ms=4, color=colour, label=name, linewidth=1.6)
        axes.set_ylim(0, min(1.0, 1.25 * max((v.value for line in lines.values() for v in line.values()), default=1.0)))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _end(figure, axes, what)


def standing(starts: Sequence[str], rules: Mapping[str, Mapping[int, int]], what: str) -> str:
    """Draw how many rules stand where, piled up, as an <svg> element.

    Args:
        starts: what stands under each place of the axis.
        rules: life -> place -> rules.
        what: is counted.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts)
        bottom = np.zeros(len(starts))
        for life, colour in _STATES.items():
            heights = np.array([rules.get(life, {}).get(place, 0) for place in range(len(starts))], dtype=np.float64)
            if heights.any():
                axes.bar(range(len(starts)), heights, bottom=bottom, color=colour, width=0.8, label=life)
                bottom += heights
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return _end(figure, axes, what)


def ratios(starts: Sequence[str], line: Mapping[int, Interval]) -> str:
    """Draw win/loss ratios with their 95 % intervals on a logarithmic axis, as an <svg> element.

    A ratio without a loss is drawn as a hollow triangle at its lower bound.

    Args:
        starts: what stands under each place of the axis.
        line: place -> ratio.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts)
        finite = [x for v in line.values() for x in (v.low, v.value) if math.isfinite(x) and x > 0]
        low, high = min([*finite, 1.0]) / 1.5, max([*finite, 10.0]) * 1.5
        for place, ratio in line.items():
            top = ratio.high if math.isfinite(ratio.high) else high * _ENDLESS
            axes.plot([place] * 2, [max(ratio.low, low / _ENDLESS), top], color=_COLOURS[0], lw=2.5, alpha=0.35)
            endless = math.isinf(ratio.value)
            axes.plot(place, ratio.low if endless else ratio.value, "^" if endless else "o", color=_COLOURS[0], ms=6,
                      mfc="none" if endless else _COLOURS[0])  # fmt: skip
        axes.axhline(1.0, color=_COLOURS[1], lw=1, ls=(0, (4, 3)))
        axes.annotate("as many losses as wins", (0.0, 1.0), xycoords=("axes fraction", "data"), xytext=(4, 4),
                      textcoords="offset points", color=_COLOURS[1], fontsize=8)  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        return _end(figure, axes, "wins for each loss")


def _begin(starts: Sequence[str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    axes: Any = figure.subplots()
    step = max(1, math.ceil(len(starts) / _LABELS))
    axes.set_xticks(range(0, len(starts), step), starts[::step])
    axes.set_xlim(-0.6, len(starts) - 0.4)
    return figure, axes


def _end(figure: Figure, axes: Axes, what: str) -> str:
    axes.set_ylabel(what, color=_INK)
    axes.set_xlabel("day (UTC)", color=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", frameon=False, labelcolor=_INK)
    return svg(figure)
