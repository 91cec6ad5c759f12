"""Outcomes as a Parquet table, for whoever wants to look at single turns."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from rewriter.evaluate.outcomes import Outcomes, Texts, losses, ties, unknowns, wins
from rewriter.tables import OUTCOMES


def write_outcomes(outcomes: Outcomes, path: Path, *, turn_ids: Sequence[str] | None = None) -> None:
    """Write one row per judged turn, in the layout of `tables.OUTCOMES`, for the owner's eyes only: it holds what people said.

    Args:
        outcomes: the judged turns.
        path: the Parquet file.
        turn_ids: their names; None for their numbers.
    """
    names = [str(i) for i in range(len(outcomes))] if turn_ids is None else list(turn_ids)
    columns = {"turn_id": names, "user_id": outcomes.user, "verdict": verdicts(outcomes)}
    rest = {name: getattr(outcomes, name) for name in OUTCOMES.names if name not in columns}
    frame = pd.DataFrame(columns | rest)
    select = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in OUTCOMES.columns)
    with duckdb.connect() as con:
        con.register("frame", frame)
        con.execute(f"COPY (SELECT {select} FROM frame) TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
    path.chmod(0o600)


def verdicts(outcomes: Outcomes) -> Texts:
    """Return ``win``, ``loss``, ``tie`` or ``unknown`` for each rewritten turn, empty for those left alone, (n,)."""
    kinds = [wins(outcomes), losses(outcomes), ties(outcomes), unknowns(outcomes)]
    return np.select(kinds, ["win", "loss", "tie", "unknown"], "").astype(object)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
