"""All charts of evaluations and reports, drawn with matplotlib.

`draw` shows win/loss ratios against defects fixed. `rates`, `ratios` and `stages` show figures over days, `by_day` plain rates
over days, and `ladder` the defects that each layer fixes. The same data always give the same bytes.

A chart of a page is drawn twice, for a wide and for a narrow window; the style of the page shows the one that fits.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.summary import Point, Row, ratio_text

PUBLISHED: Final = {"Alexa 2020: 11.8": 11.8, "Alexa 2022: 8.5": 8.5}
"""Win/loss ratios of a system in production: Ponnusamy et al. 2020 (arXiv 1911.02557) and a keynote of 2022."""

STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "rewriter",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
}
"""matplotlib settings of every chart: ids are reproducible, and text stays text instead of outlines."""

# The palette of Okabe and Ito (2008), whose colours can be distinguished with any kind of colour vision.
_BLUE, _ORANGE, _GREEN, _PINK, _YELLOW, _SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
_SYSTEMS = (_BLUE, _ORANGE, _GREEN, _PINK, _YELLOW, _SKY, "#000000")
_ARMS = (_BLUE, _ORANGE, _GREEN, "#767676")
_COLOURS = {"live": _BLUE, "canary": _SKY, "probation": _YELLOW, "shadow": "#B5BCC4", "retired": _ORANGE}
"""Stage of a rule -> colour, in the order in which the bars are stacked."""
_INK, _FAINT, _GRID = "#333333", "#767676", "#E5E5E5"

_DECIDED = 10
"""A threshold with fewer wins and losses than this is not drawn: its ratio would be noise."""
_BANDS = 3
"""With more systems than this, only the first one has an interval band, so that the lines stay visible."""
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_LABELS = {False: 12, True: 5}
"""Largest number of labels on the axis of days, in a wide and in a narrow chart."""
_WIDTH = {False: 8.6, True: 3.75}
"""Width in inches of a wide and of a narrow chart. The narrow one fits a window of 400 pixels without being shrunk."""
_ENDLESS = 4.0
"""An interval without an upper bound is drawn up to this multiple of the visible range."""


def draw(
    curves: Mapping[str, Sequence[Point]],
    *,
    operating: Mapping[str, float] | None = None,
    title: str = "",
    narrow: bool = False,
) -> Figure:
    """Draw win/loss ratios (logarithmic) against defects fixed, one curve for each system, with 95 % intervals as bands.

    A threshold without a loss has no finite ratio. It is drawn as a hollow triangle at its lower bound. A threshold with fewer
    than 10 wins and losses is left out. With more than three systems only the first one has a band.

    Args:
        curves: name of a system -> its points; a system without wins and losses is left out.
        operating: name -> the threshold at which that system serves, marked by a large sign with its interval; its lowest
            threshold if absent.
        title: above the chart.
        narrow: whether it is drawn for a narrow window, with the legend above.
    """
    decided = {name: [p for p in points if _is_decided(p)] for name, points in curves.items()}
    drawn = {name: sorted(points, key=lambda p: -p.threshold) for name, points in decided.items() if points}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH[narrow], 4.8), layout="constrained")
        axes = figure.subplots()
        limits = _range([p for points in drawn.values() for p in points])
        _dress(axes, limits, title, narrow)
        for i, (name, points) in enumerate(drawn.items()):
            colour = _SYSTEMS[i % len(_SYSTEMS)]
            if i == 0 or len(drawn) <= _BANDS:
                _band(axes, points, colour, limits)
            _line(axes, name, points, colour)
            _mark(axes, points, (operating or {}).get(name), colour, limits)
        _explain_signs(figure, axes, narrow)
    return figure


def curves(points: Mapping[str, Sequence[Point]]) -> str:
    """Draw the curves of `draw` for a page, in both widths."""
    return _both(partial(draw, points))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG or PNG, by the suffix of `path`."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else {})


def _both(drawn: Callable[..., Figure]) -> str:
    """Return one element with a chart for wide windows and the same chart for narrow ones.

    Args:
        drawn: takes ``narrow`` and returns the figure.
    """
    wide, narrow = (svg(drawn(narrow=narrow), salt) for narrow, salt in ((False, "wide"), (True, "narrow")))
    return f'<div><div class="on-wide">{wide}</div><div class="on-narrow">{narrow}</div></div>'


def svg(figure: Figure, salt: str = "chart") -> str:
    """Return a figure as one <svg> element; `salt` keeps the ids of two charts on a page apart."""
    out = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    page = out.getvalue()
    return page[page.index("<svg") :]


def _is_decided(point: Point) -> bool:
    return point.wins + point.losses >= _DECIDED and math.isfinite(point.fixed.value)


def _band(axes: Axes, points: list[Point], colour: str, limits: tuple[float, float]) -> None:
    bounds = [_clipped(p, limits) for p in points]
    low, high = [b[0] for b in bounds], [b[1] for b in bounds]
    axes.fill_between([p.fixed.value for p in points], low, high, color=colour, alpha=0.12, linewidth=0)


def _line(axes: Axes, name: str, points: list[Point], colour: str) -> None:
    # A line between two lower bounds would claim a ratio that was not observed, so the gaps stay open.
    heights = [p.win_loss.value if math.isfinite(p.win_loss.value) else math.nan for p in points]
    axes.plot([p.fixed.value for p in points], heights, color=colour, lw=1.6, marker=".", ms=4, label=name)
    lossless = [p for p in points if math.isinf(p.win_loss.value)]
    axes.plot([p.fixed.value for p in lossless], [_height(p) for p in lossless], "^", color=colour, ms=5, mfc="white")


def _mark(axes: Axes, points: list[Point], threshold: float | None, colour: str, limits: tuple[float, float]) -> None:
    """Mark the threshold at which a system serves."""
    run = points[-1] if threshold is None else min(points, key=lambda p: abs(p.threshold - threshold))
    sign = "^" if math.isinf(run.win_loss.value) else "o"
    axes.plot([run.fixed.value] * 2, _clipped(run, limits), color=colour, lw=3, alpha=0.45, solid_capstyle="butt")
    axes.plot(run.fixed.value, _height(run), sign, color=colour, ms=9, mec="white")


def _clipped(point: Point, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the bounds of the ratio, clipped to the visible range."""
    return max(point.win_loss.low, limits[0]), min(point.win_loss.high, limits[1])


def _height(point: Point) -> float:
    return point.win_loss.low if math.isinf(point.win_loss.value) else point.win_loss.value


def _range(points: list[Point]) -> tuple[float, float]:
    """Return the limits of the vertical axis: ticks that enclose all values and the published ratios."""
    heights = [_height(p) for p in points if _height(p) > 0] + [5.0, 20.0]
    low = max((t for t in _TICKS if t <= min(heights)), default=_TICKS[0])
    high = min((t for t in _TICKS if t >= 1.3 * max(heights)), default=_TICKS[-1])
    return low, high


def _dress(axes: Axes, limits: tuple[float, float], title: str, narrow: bool) -> None:
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    _plain_numbers(axes)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("defects fixed, minus healthy turns broken", color=_INK)
    axes.set_ylabel("win/loss ratio", color=_INK)
    axes.set_title(title, loc="left", color=_INK, fontsize=11)
    _light_grid(axes)
    place: dict[str, Any] = {"xytext": (-2, 2), "ha": "right", "va": "bottom"} if narrow else {"xytext": (4, 0), "va": "center"}
    for name, ratio in PUBLISHED.items():
        axes.axhline(ratio, color=_FAINT, lw=1.0, ls=(0, (4, 3)), zorder=1)
        axes.annotate(name, (1.0, ratio), xycoords=("axes fraction", "data"), textcoords="offset points", color=_FAINT,
                      fontsize=8, **place)  # fmt: skip


def _explain_signs(figure: Figure, axes: Axes, narrow: bool) -> None:
    """Add a legend of systems and markers outside the axes."""
    systems, names = axes.get_legend_handles_labels()
    signs = [
        Line2D([], [], ls="", marker="o", ms=8, color=_FAINT, label="threshold in use"),
        Line2D([], [], ls="", marker="^", ms=6, color=_FAINT, mfc="white", label="no loss: lower bound"),
    ]
    if systems:
        labels = [*names, *(str(sign.get_label()) for sign in signs)]
        _legend(figure, narrow, [*systems, *signs], labels)


def _legend(figure: Figure, narrow: bool, *entries: Any) -> None:  # noqa: ANN401 - as `Figure.legend` takes them
    """Put the legend beside a wide chart, and above a narrow one."""
    place: dict[str, Any] = {"loc": "outside upper left", "ncols": 2} if narrow else {"loc": "outside right upper", "ncols": 1}
    figure.legend(*entries, frameon=False, labelcolor=_INK, **place)


def rates(starts: Sequence[str], lines: Mapping[str, Mapping[int, Interval]], what: str) -> str:
    """Draw rates with their 95 % intervals over periods, one line for each name, in both widths.

    Args:
        starts: label of each period.
        lines: name -> number of the period -> rate, 0..1.
        what: label of the vertical axis.
    """
    return _both(partial(_rates, starts, lines, what))


def _rates(starts: Sequence[str], lines: Mapping[str, Mapping[int, Interval]], what: str, *, narrow: bool) -> Figure:
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts, narrow)
        for colour, (name, line) in zip(_ARMS, lines.items(), strict=False):
            values = list(line.values())
            axes.vlines(list(line), [v.low for v in values], [v.high for v in values], color=colour, lw=2.5, alpha=0.3)
            whole = [line[place].value if place in line else math.nan for place in range(len(starts))]  # a gap stays a gap
            axes.plot(whole, marker="o", ms=4, color=colour, label=name, linewidth=1.6)
        axes.set_ylim(0, min(1.0, 1.25 * max((v.value for line in lines.values() for v in line.values()), default=1.0)))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _end(figure, axes, what, narrow)


def stages(starts: Sequence[str], rules: Mapping[str, Mapping[int, int]], what: str) -> str:
    """Draw the number of rules in each stage over periods, as stacked bars, in both widths.

    Args:
        starts: label of each period.
        rules: stage -> number of the period -> rules.
        what: label of the vertical axis.
    """
    return _both(partial(_stages, starts, rules, what))


def _stages(starts: Sequence[str], rules: Mapping[str, Mapping[int, int]], what: str, *, narrow: bool) -> Figure:
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts, narrow)
        bottom = np.zeros(len(starts))
        for stage, colour in _COLOURS.items():
            heights = np.array([rules.get(stage, {}).get(place, 0) for place in range(len(starts))], dtype=np.float64)
            if heights.any():
                axes.bar(range(len(starts)), heights, bottom=bottom, color=colour, width=0.8, label=stage)
                bottom += heights
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return _end(figure, axes, what, narrow)


def ratios(starts: Sequence[str], line: Mapping[int, Interval]) -> str:
    """Draw win/loss ratios with their 95 % intervals over periods on a logarithmic axis, in both widths.

    A ratio without a loss is drawn as a hollow triangle at its lower bound.

    Args:
        starts: label of each period.
        line: number of the period -> ratio.
    """
    return _both(partial(_ratios, starts, line))


def _ratios(starts: Sequence[str], line: Mapping[int, Interval], *, narrow: bool) -> Figure:
    with mpl.rc_context(STYLE):
        figure, axes = _begin(starts, narrow)
        finite = [x for v in line.values() for x in (v.low, v.value) if math.isfinite(x) and x > 0]
        low, high = min([*finite, 1.0]) / 1.5, max([*finite, 10.0]) * 1.5
        for place, ratio in line.items():
            top = ratio.high if math.isfinite(ratio.high) else high * _ENDLESS
            axes.plot([place] * 2, [max(ratio.low, low / _ENDLESS), top], color=_BLUE, lw=2.5, alpha=0.35)
            endless = math.isinf(ratio.value)
            axes.plot(place, ratio.low if endless else ratio.value, "^" if endless else "o", color=_BLUE, ms=6,
                      mfc="none" if endless else _BLUE)  # fmt: skip
        axes.axhline(1.0, color=_ORANGE, lw=1, ls=(0, (4, 3)))
        axes.annotate("as many losses as wins", (0.0, 1.0), xycoords=("axes fraction", "data"), xytext=(4, 4),
                      textcoords="offset points", color=_ORANGE, fontsize=8)  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        _plain_numbers(axes)
        return _end(figure, axes, "wins for each loss", narrow)


def by_day(lines: Mapping[str, Mapping[str, float]]) -> str:
    """Draw the defect rate by day, one line for each name, in both widths.

    Args:
        lines: name -> ISO day -> defect rate, 0..1.
    """
    return _both(partial(_by_day, lines))


def _by_day(lines: Mapping[str, Mapping[str, float]], *, narrow: bool) -> Figure:
    days = sorted({day for line in lines.values() for day in line})
    with mpl.rc_context(STYLE):
        figure, axes = _begin([day[5:] for day in days], narrow)
        for colour, (name, line) in zip((_FAINT, _BLUE, _ORANGE), lines.items(), strict=False):
            axes.plot([days.index(day) for day in line], list(line.values()), marker="o", color=colour, label=name, linewidth=2)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return _end(figure, axes, "turns that fail", narrow)


def ladder(rungs: Mapping[str, Sequence[Row]]) -> str:
    """Draw the share of defects fixed as layers are added, with its interval and the win/loss ratio, in both widths.

    Args:
        rungs: mode -> the rows of its layers, in the order in which they are added.
    """
    return _both(partial(_ladder, rungs))


def _ladder(rungs: Mapping[str, Sequence[Row]], *, narrow: bool) -> Figure:
    down, across = (len(rungs), 1) if narrow else (1, len(rungs))
    with mpl.rc_context(STYLE):
        height = 0.8 + 0.5 * max(map(len, rungs.values()))
        figure = Figure(figsize=(_WIDTH[narrow], down * height), layout="constrained")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        panels[0].set_xlim(0, 1.6 * max(row.fixed.high for rows in rungs.values() for row in rows))
        for axes, (mode, rows) in zip(panels, rungs.items(), strict=True):
            _bars(axes, rows)
            axes.set_title(mode, loc="left", fontsize=10)
        panels[0].invert_yaxis()
        return figure


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    shares = [row.fixed for row in rows]
    reach = [[s.value - s.low for s in shares], [s.high - s.value for s in shares]]
    axes.barh([row.name for row in rows], [s.value for s in shares], xerr=reach, color=_BLUE, ecolor=_FAINT, height=0.6)
    for place, row in enumerate(rows):
        text = f"{100 * row.fixed.value:.1f} %" + (f"\nwin/loss {ratio_text(row.win_loss)}" if row.wins else "")
        end = (max(row.fixed.high, 0.0), place)
        axes.annotate(text, end, xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _begin(starts: Sequence[str], narrow: bool) -> tuple[Figure, Axes]:
    """Return a low chart with an axis of periods."""
    figure = Figure(figsize=(_WIDTH[narrow], 3.2), layout="constrained")
    axes: Any = figure.subplots()
    step = max(1, math.ceil(len(starts) / _LABELS[narrow]))
    axes.set_xticks(range(0, len(starts), step), starts[::step])
    axes.set_xlim(-0.6, len(starts) - 0.4)
    return figure, axes


def _end(figure: Figure, axes: Axes, what: str, narrow: bool) -> Figure:
    """Label the axes, and add the legend."""
    axes.set_ylabel(what, color=_INK)
    axes.set_xlabel("day (UTC)", color=_INK)
    _light_grid(axes)
    if axes.get_legend_handles_labels()[0]:
        _legend(figure, narrow)
    return figure


def _light_grid(axes: Axes) -> None:
    """Keep a light horizontal grid and the lower edge, nothing else."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)


def _plain_numbers(axes: Axes) -> None:
    """Label a logarithmic axis with 0.5, 1, 2 and not with powers of ten."""
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
