"""The report: one HTML page that opens without a network, with everything that a demo or a benchmark found."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rewriter.evaluation.summary import Row, cells, ratio_text

STYLE: dict[Any, Any] = {"svg.hashsalt": "rewriter", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
_COLOURS = ("#767676", "#0072B2", "#D55E00")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report; cells are text."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a report: an <svg> element that we drew."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """What stands on the page, in order.

    Attributes:
        title: of the page.
        lead: a few sentences above everything.
        figures: headline figures: (figure, what it is).
        parts: tables and pictures.
    """

    title: str
    lead: str
    figures: Sequence[tuple[str, str]]
    parts: Sequence[Table | Picture]


def html(report: Report) -> str:
    """Return the page. All text is escaped; only the pictures, which are ours, are not.

    Example:
        >>> page = html(Report("A <b>", "", [], []))
        >>> "A &lt;b&gt;" in page
        True
    """
    template = resources.files("rewriter.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(template)
    return page.render(report=report, is_table=lambda part: isinstance(part, Table))


def figures_of(title: str, note: str, rows: Sequence[Row]) -> Table:
    """Return rows of figures as a table of the report."""
    columns, lines = cells(rows)
    return Table(title, note, columns, lines)


def by_day(rates: Mapping[str, Mapping[str, float]]) -> str:
    """Draw the defect rate by day, one line for each name, as an <svg> element.

    Args:
        rates: name -> ISO day -> defect rate, 0..1.
    """
    days = sorted({day for line in rates.values() for day in line})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for colour, (name, line) in zip(_COLOURS, rates.items(), strict=False):
            axes.plot([days.index(day) for day in line], list(line.values()), marker="o", color=colour, label=name, linewidth=2)
        axes.set_xticks(range(len(days)), [day[5:] for day in days], rotation=45 if len(days) > 12 else 0)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylabel("turns that fail")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E5E5E5")
        axes.legend(frameon=False)
        return svg(figure)


def ladder(rungs: Mapping[str, Sequence[Row]]) -> str:
    """Draw the share of defects fixed, rung by rung from above, with its interval and the win/loss ratio, as an <svg> element.

    Args:
        rungs: mode -> the rows of its rungs.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.8 + 0.5 * max(map(len, rungs.values()))), layout="constrained")
        panels = figure.subplots(1, len(rungs), sharex=True, sharey=True, squeeze=False)[0]
        panels[0].set_xlim(0, 1.6 * max(row.fixed.high for rows in rungs.values() for row in rows))
        for axes, (mode, rows) in zip(panels, rungs.items(), strict=True):
            _bars(axes, rows)
            axes.set_title(mode, loc="left", fontsize=10)
        panels[0].invert_yaxis()
        return svg(figure)


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    shares = [row.fixed for row in rows]
    reach = [[s.value - s.low for s in shares], [s.high - s.value for s in shares]]
    axes.barh(
        [row.name for row in rows], [s.value for s in shares], xerr=reach, color=_COLOURS[1], ecolor=_COLOURS[0], height=0.6
    )
    for place, row in enumerate(rows):
        told = f"{100 * row.fixed.value:.1f} %" + (f"\nwin/loss {ratio_text(row.win_loss)}" if row.wins else "")
        end = (max(row.fixed.high, 0.0), place)
        axes.annotate(told, end, xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def svg(figure: Figure) -> str:
    """Return a figure as one <svg> element, the same for the same figure."""
    out = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    page = out.getvalue()
    return page[page.index("<svg") :]
