"""The circumstances that the turns of a log tell of, for the SQL that counts in them."""

import json
from pathlib import Path

import pandas as pd

from rewriter.database import connect, save
from rewriter.model.context import circumstances
from rewriter.tables import CIRCUMSTANCES

_DISTINCT = "SELECT DISTINCT COALESCE(context, '') AS context, COALESCE(device_type, '') AS device_type FROM turns"


def write_circumstances(turns: Path, out: Path) -> Path:
    """Write `tables.CIRCUMSTANCES`: each context and device of a log with what it says; return `out`.

    Args:
        turns: Parquet of `tables.TURNS`.
        out: Parquet file to write.
    """
    with connect(turns=turns) as con:
        pairs: list[tuple[str, str]] = con.execute(_DISTINCT).fetchall()
        rows = [(context, device, said) for context, device in pairs for said in circumstances(_context(context, device))]
        con.register("said", pd.DataFrame(rows, columns=list(CIRCUMSTANCES.names), dtype=str))
        save(con, "SELECT * FROM said ORDER BY ALL", out)
    return out


def _context(text: str, device: str) -> dict[str, object]:
    context = json.loads(text) if text else {}
    return {**context, "device_type": device} if isinstance(context, dict) else {"device_type": device}
