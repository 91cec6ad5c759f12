"""Figures as Markdown: numbers with as many digits as they are worth, intervals, tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.summary import ratio_text

Figures = Mapping[str, Any]
"""What a JSON object holds."""


def number(value: Any) -> str:
    """Write a number with three digits at least; text, lists of numbers and intervals too; a dash for what is undefined.

    Example:
        >>> number(12345), number([1, 0.12345]), number({"value": 0.5, "low": 0.25, "high": 1.0})
        ('12,345', '1 / 0.123', '0.500 (0.250–1.00)')
    """
    match value:
        case None:
            return "–"
        case float() if math.isnan(value):
            return "–"
        case float():
            return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case {"value": mean, "low": low, "high": high}:
            return f"{number(mean)} ({number(low)}–{'∞' if high is None else number(high)})"
        case [*several]:
            return " / ".join(number(v) for v in several)
        case _:
            return str(value)


def percent(part: Any) -> str:
    """Write a share in percent, with its interval where it has one.

    Example:
        >>> percent(0.1234), percent({"value": 0.1, "low": 0.05, "high": 0.2})
        ('12.3 %', '10.0 % (5.0–20.0)')
    """
    match part:
        case {"value": float() as value, "low": float() as low, "high": float() as high}:
            return f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        case {"share": value, "low": low, "high": high}:
            return percent({"value": value, "low": low, "high": high})
        case int() | float() if not math.isnan(part):
            return f"{100 * part:.1f} %"
        case _:
            return "–"


def per_1000(rate: Figures) -> str:
    """Write a rate in thousandths with its interval."""
    return "–" if rate["value"] is None else f"{rate['value']:.1f} ({rate['low']:.1f}–{rate['high']:.1f})"


def ratio(row: Figures, name: str = "win_loss") -> str:
    """Write a win/loss ratio of a row of figures. In JSON null is infinite or undefined; the number of wins decides which.

    Example:
        >>> ratio({"wins": 46, "win_loss": {"value": None, "low": 12.0, "high": None}})
        'no loss (≥ 12)'
    """
    found = row[name]
    nothing = math.inf if row["wins"] else math.nan
    value, high = (nothing if found[side] is None else found[side] for side in ("value", "high"))
    return ratio_text(Interval(value, found["low"] or 0.0, high))


def mean(values: Iterable[float]) -> float:
    """Return the mean."""
    found = list(values)
    return sum(found) / len(found)


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right.

    Example:
        >>> print(grid(["a", "b"], [["x", "1"]]))
        | a | b |
        |---|---:|
        | x | 1 |
    """
    lines = [columns, *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([text[0], "|---" + "|---:" * (len(columns) - 1) + "|", *text[1:]])


def outline(result: Figures, leave_out: frozenset[str] = frozenset()) -> str:
    """Return every figure of a result under the path of its name: what is shown of a file that has no table of its own.

    Example:
        >>> print(outline({"p50": {"hit": 1.25, "miss": 2}}))
        | figure | value |
        |---|---:|
        | p50, hit | 1.25 |
        | p50, miss | 2 |
    """
    kept = {name: value for name, value in result.items() if name not in leave_out}
    return grid(["figure", "value"], [[path, number(value)] for path, value in _leaves(kept, "")])


def _leaves(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    match value:
        case {"value": _, "low": _, "high": _}:
            yield path, value
        case {}:
            for name, inner in value.items():
                yield from _leaves(inner, f"{path}, {name}" if path else name)
        case [dict(), *_]:
            for place, inner in enumerate(value):
                yield from _leaves(inner, f"{path} {place}")
        case _:
            yield path, value
