"""Draws what scale.py, learn_cost.py, request_cost.py and daily.py measured against the size, both axes logarithmic.

    python benchmarks/sizes.py

Reads their result files and writes an SVG of the same name beside each. The scripts
call it when they have written a result. A grey line rises in proportion to the size.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from script import RESULTS

from rewriter.evaluation.charts import STYLE, save

Line = Sequence[tuple[float, float]]
"""Size and figure, by size."""
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito (2008)


def scale(result: Mapping[str, Any]) -> Figure:
    """Mining alone: seconds of the processor by engine."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in result["rows"]:
        lines.setdefault(row["engine"], []).append((row["turns"], row["cpu_seconds"]))
    return drawn(lines, "turns", "seconds of the processor", "Mining")


def learn_cost(result: Mapping[str, Any]) -> Figure:
    """The whole of `learn`: seconds of the processor by step."""
    sizes = [of for of in result.values() if isinstance(of, Mapping) and "steps" in of]
    lines = {"learn": [(of["turns"], of["cpu_seconds"]) for of in sizes]}
    steps = dict.fromkeys(step for of in sizes for step in of["steps"])
    for step in steps:
        lines[step] = [(of["turns"], of["steps"][step]["cpu_seconds"]) for of in sizes if step in of["steps"]]
    return drawn(lines, "turns", "seconds of the processor", "Learning, by step")


def request_cost(result: Mapping[str, Any]) -> Figure:
    """One request: its median time by its path through the layers."""
    sizes = {int(name.split()[0]): of["ways"] for name, of in result.items() if name.endswith("rows, static encoder")}
    ways = dict.fromkeys(way for of in sizes.values() for way in of)
    lines = {way: [(rows, of[way]["p50_us"]) for rows, of in sizes.items() if way in of] for way in ways}
    return drawn(lines, "queries", "median, microseconds of the processor", "A request", proportional=False)


def daily(result: Mapping[str, Any]) -> Figure:
    """A night of the exact layer, beside learning all the days before it."""
    rows = [row for row in result["rows"] if row["layer"] == "exact layer"]
    names = {"rebuild": "all days at once", "night": "a night", "warm night": "a second night in one process"}
    lines = {name: [(row["turns"], row[of]["seconds"]) for row in rows] for of, name in names.items()}
    return drawn(lines, "turns of the days before", "seconds of the processor", "Exact layer: a night of a year")


def drawn(lines: Mapping[str, Line], size: str, figure: str, title: str, *, proportional: bool = True) -> Figure:
    """Draw figures against sizes.

    Args:
        lines: name -> its points. What is 0 has no logarithm, and is left out.
        size: what the sizes count.
        figure: what is measured, with its unit.
        title: above the chart.
        proportional: whether a line is drawn that rises in proportion to the size, through the last point of the first line.
    """
    shown = {name: sorted(point for point in points if point[1] > 0) for name, points in lines.items()}
    shown = {name: points for name, points in shown.items() if points}
    with mpl.rc_context(STYLE):
        chart = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = chart.subplots()
        axes.set(xscale="log", yscale="log", xlabel=size, ylabel=figure, title=title)
        for i, (name, points) in enumerate(shown.items()):
            axes.plot(
                *zip(*points, strict=True), marker="os^Dv"[i // len(_COLOURS)], color=_COLOURS[i % len(_COLOURS)], label=name
            )
        if proportional and shown:
            points = next(iter(shown.values()))
            (first, _), (last, at) = points[0], points[-1]
            axes.plot([first, last], [at * first / last, at], color="#B5BCC4", linestyle="--", label="in proportion")
        axes.grid(color="#E5E5E5", which="major")
        chart.legend(loc="outside right upper", frameon=False, fontsize=8)
    return chart


FIGURES: Mapping[str, Callable[[Mapping[str, Any]], Figure]] = {
    "scale": scale,
    "learn_cost": learn_cost,
    "request_cost": request_cost,
    "daily": daily,
}
"""Name of a result file -> what draws it."""


def draw(path: Path) -> None:
    """Draw a result file beside it; a file of another name, of a trial, is not drawn."""
    if path.stem in FIGURES:
        save(FIGURES[path.stem](json.loads(path.read_text("utf-8"))), path.with_suffix(".svg"))


def main() -> None:
    """Draw all of them."""
    for name in FIGURES:
        draw(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
