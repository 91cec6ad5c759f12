"""Figures of judged turns: a table with a row for all turns and for each layer, scope and slice; the curve over thresholds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.outcomes import (
    Outcomes,
    at,
    broken,
    broken_per_1000,
    defects,
    fixed,
    losses,
    only,
    ties,
    trigger_rate,
    unknowns,
    where,
    win_loss,
    wins,
)


@dataclass(frozen=True, slots=True)
class Point:
    """Figures at one threshold: rewrites with a lower score are left alone."""

    threshold: float
    rewritten: int
    wins: int
    losses: int
    fixed: Interval
    win_loss: Interval


def curve(outcomes: Outcomes, *, points: int = 25, seed: int = 0) -> list[Point]:
    """Return figures over thresholds, from the surest rewrites only to all of them.

    Args:
        outcomes: the judged turns.
        points: largest number of thresholds; they are quantiles of the scores.
        seed: of the bootstrap by user.

    Returns:
        One Point for each threshold, the highest first; empty if nothing was rewritten.
    """
    scores = outcomes.score[outcomes.applied]
    if not len(scores):
        return []
    thresholds = np.unique(np.quantile(scores, np.linspace(0, 1, points), method="inverted_cdf"))
    return [_point(at(outcomes, t), float(t), seed) for t in thresholds[::-1]]


def _point(outcomes: Outcomes, threshold: float, seed: int) -> Point:
    return Point(
        threshold=threshold,
        rewritten=int(outcomes.applied.sum()),
        wins=int(wins(outcomes).sum()),
        losses=int(losses(outcomes).sum()),
        fixed=fixed(outcomes, seed=seed),
        win_loss=win_loss(outcomes, seed=seed),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of some turns.

    Attributes:
        name: the turns, or the rewrites, that the row is about.
        turns: number of turns.
        defects: turns that fail as spoken.
        wins: rewrites that are wins.
        losses: rewrites that are losses.
        ties: rewrites that are neither.
        unknown: rewrites with an unknown outcome (replay only).
        broken: healthy turns that fail rewritten; a part of the losses.
        win_loss: wins / losses.
        win_loss_worst: the same with unknown outcomes counted as losses.
        trigger_rate: share of turns rewritten.
        fixed: (wins - broken) / defects.
        broken_seen: broken in 1,000 healthy turns whose text the log held as healthy.
        broken_unseen: broken in 1,000 other healthy turns.
        p50_us: median latency of the rewriter, in microseconds.
        p99_us: 99th percentile of the same.
    """

    name: str
    turns: int
    defects: int
    wins: int
    losses: int
    ties: int
    unknown: int
    broken: int
    win_loss: Interval
    win_loss_worst: Interval
    trigger_rate: Interval
    fixed: Interval
    broken_seen: Interval
    broken_unseen: Interval
    p50_us: float
    p99_us: float


def row(name: str, outcomes: Outcomes, *, seed: int = 0) -> Row:
    """Return the figures of `outcomes`; `seed` is that of the bootstrap by user."""
    asked = outcomes.latency_us[~np.isnan(outcomes.latency_us)]
    p50, p99 = np.percentile(asked, [50, 99]) if len(asked) else (float("nan"), float("nan"))
    return Row(
        name=name,
        turns=len(outcomes),
        defects=int(defects(outcomes).sum()),
        wins=int(wins(outcomes).sum()),
        losses=int(losses(outcomes).sum()),
        ties=int(ties(outcomes).sum()),
        unknown=int(unknowns(outcomes).sum()),
        broken=int(broken(outcomes).sum()),
        win_loss=win_loss(outcomes, seed=seed),
        win_loss_worst=win_loss(outcomes, unknown_is_loss=True, seed=seed),
        trigger_rate=trigger_rate(outcomes, seed=seed),
        fixed=fixed(outcomes, seed=seed),
        broken_seen=broken_per_1000(outcomes, seen=True, seed=seed),
        broken_unseen=broken_per_1000(outcomes, seen=False, seed=seed),
        p50_us=float(p50),
        p99_us=float(p99),
    )


def summary(outcomes: Outcomes, *, seed: int = 0) -> list[Row]:
    """Return the row of all turns, then one for each layer, scope and slice.

    A layer or scope is judged on all turns, as if only its own rewrites had been made, so the shares fixed add up. A slice is
    judged on its own turns.
    """
    rows = [row("all", outcomes, seed=seed)]
    for kind, names in (("layer", outcomes.layer), ("scope", outcomes.scope)):
        present = sorted({str(n) for n in names} - {""})
        rows += [row(f"{kind} {name}", only(outcomes, names == name), seed=seed) for name in present]
    return rows + [row(name, where(outcomes, flags), seed=seed) for name, flags in outcomes.slices.items()]


def plain(figures: Row | Point) -> dict[str, Any]:
    """Return figures for JSON: infinite and undefined values become None. The counts beside them show which of the two it is."""
    return {name: _plain(value) for name, value in asdict(figures).items()}


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table.

    Example:
        >>> table([]).split("|")[2].strip()
        'turns'
    """
    columns, lines = cells(rows)
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(_line(line, widths) for line in lines)


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the figures of each row as text. Columns of replay appear only if an outcome is unknown."""
    replayed = any(r.unknown for r in rows)
    columns = [c for c in _COLUMNS if replayed or c not in _OF_REPLAY]
    return columns, [[_COLUMNS[c](r) for c in columns] for r in rows]


def brief(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the most important columns of `cells`, as many as fit a terminal of 80 columns.

    All rows of a replay describe the same turns, so `asked` reports their number once.
    """
    columns = _BRIEF_REPLAY if any(r.unknown for r in rows) else _BRIEF
    return list(columns), [[figure(r) for figure in columns.values()] for r in rows]


def losses_first(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the columns of a replay that show whether rewriting is worth it, the losses first."""
    return list(_LOSSES_FIRST), [[figure(r) for figure in _LOSSES_FIRST.values()] for r in rows]


def asked(everything: Row) -> str:
    """Return a sentence with the number of turns, of defects, and the latency of the rewriter.

    Example:
        >>> never = Interval(float("nan"), 0.0, 1.0)
        >>> asked(Row("all", 1200, 80, *[0] * 5, *[never] * 6, 3.0, 9.4))
        '1,200 turns, 80 of which fail as spoken; rewriting took at most 3 µs for half of them, and 9 µs for 99 %'
    """
    took = f"at most {_micros(everything.p50_us)} for half of them, and {_micros(everything.p99_us)} for 99 %"
    return f"{everything.turns:,} turns, {everything.defects:,} of which fail as spoken; rewriting took {took}"


def ratio_text(ratio: Interval) -> str:
    """Format a win/loss ratio; without a loss the lower bound is shown.

    Example:
        >>> ratio_text(Interval(float("inf"), 12.5, float("inf")))
        'no loss (≥ 12)'
    """
    if math.isnan(ratio.value):
        return "–"
    if math.isinf(ratio.value):
        return f"no loss (≥ {_short(ratio.low, math.floor)})"
    return f"{_short(ratio.value)} ({_short(ratio.low)}–{_short(ratio.high)})"


def _line(cells: Sequence[str], widths: list[int]) -> str:
    padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "| " + " | ".join(padded) + " |"


def _short(x: float, whole: Callable[[float], int] = round) -> str:
    """Format with two or three digits."""
    if math.isinf(x):
        return "∞"
    return f"{whole(x):,}" if x >= 9.95 else f"{x:.1f}"


def _percent(share: Interval, *, bounds: bool = False) -> str:
    if math.isnan(share.value):
        return "–"
    inner = f" ({100 * share.low:.1f}–{100 * share.high:.1f})" if bounds else ""
    return f"{100 * share.value:.1f} %{inner}"


def _per_1000(rate: Interval) -> str:
    return "–" if math.isnan(rate.value) else f"{rate.value:.1f} ({rate.low:.1f}–{rate.high:.1f})"


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a Row
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _micros(us: float) -> str:
    return "–" if math.isnan(us) else f"{us:,.0f} µs"


_OF_REPLAY = ("unknown", "win/loss at worst")
_COLUMNS: dict[str, Callable[[Row], str]] = {
    "": lambda r: r.name,
    "turns": lambda r: f"{r.turns:,}",
    "defects": lambda r: f"{r.defects:,}",
    "rewritten": lambda r: _percent(r.trigger_rate),
    "win": lambda r: f"{r.wins:,}",
    "loss": lambda r: f"{r.losses:,}",
    "unknown": lambda r: f"{r.unknown:,}",
    "win/loss": lambda r: ratio_text(r.win_loss),
    "win/loss at worst": lambda r: ratio_text(r.win_loss_worst),
    "fixed": lambda r: _percent(r.fixed, bounds=True),
    "broken ‰, seen": lambda r: _per_1000(r.broken_seen),
    "broken ‰, unseen": lambda r: _per_1000(r.broken_unseen),
    "p50": lambda r: _micros(r.p50_us),
    "p99": lambda r: _micros(r.p99_us),
}
_EFFECT: dict[str, Callable[[Row], str]] = {
    "fixed": lambda r: _percent(r.fixed),
    "broken ‰": lambda r: "–" if math.isnan(r.broken_unseen.value) else f"{r.broken_unseen.value:.1f}",
}
_BRIEF = {
    **{name: _COLUMNS[name] for name in ("", "turns", "defects", "win", "loss", "win/loss")},
    **_EFFECT,
}
_BRIEF_REPLAY = {
    **{name: _COLUMNS[name] for name in ("", "win", "loss", "unknown", "win/loss")},
    "at worst": lambda r: "–" if math.isnan(r.win_loss_worst.value) else _short(r.win_loss_worst.value),
    **_EFFECT,
}
_LOSSES_FIRST = {
    **{name: _COLUMNS[name] for name in ("", "loss", "win", "win/loss", "unknown")},
    "at worst": _BRIEF_REPLAY["at worst"],
    "fixed": _EFFECT["fixed"],
}
