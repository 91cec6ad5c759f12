"""Outcomes written out by hand."""

import numpy as np

from rewriter.evaluation.outcomes import Outcomes


def make(rows, **slices):
    """Outcomes from (user, as_spoken, rewritten, applied[, score[, layer[, scope[, seen]]]])."""
    filled = [(*row, *(0.5, "precomputed", "global", False)[len(row) - 4 :]) for row in rows]
    user, spoken, rewritten, applied, score, layer, scope, seen = zip(*filled, strict=True) if rows else ((),) * 8
    applied = np.array(applied, dtype=bool)
    source = texts(f"text {i}" for i in range(len(rows)))
    return Outcomes(
        user=texts(user),
        source=source,
        sent=np.where(applied, "sent", source),
        goal=texts("goal" for _ in rows),
        as_spoken=texts(spoken),
        rewritten=texts(rewritten),
        applied=applied,
        score=np.where(applied, np.array(score, dtype=float), np.nan),
        layer=np.where(applied, texts(layer), ""),
        scope=np.where(applied, texts(scope), ""),
        seen=np.array(seen, dtype=bool),
        latency_us=np.arange(len(rows), dtype=float),
        slices={name: np.array(flags, dtype=bool) for name, flags in slices.items()},
    )


def texts(values):
    return np.array(list(values), dtype=object)
