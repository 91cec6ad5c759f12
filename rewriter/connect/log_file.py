"""`write`: turns that were read from a host's log become a log of the contract, and a report of them."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rewriter.artefact.disk import explained, sync
from rewriter.engines import quoted
from rewriter.errors import LogError

_TEXTS = (
    "user_id", "timestamp", "utterance", "turn_id", "session_id", "locale", "hypothesis", "status", "response", "sent",
    "rewrite_id", "rule", "layer", "scope", "arm",
)  # fmt: skip
_COLUMNS = dict.fromkeys(_TEXTS, "VARCHAR") | {"propensity": "DOUBLE", "nlu_confidence": "DOUBLE", "nbest": "VARCHAR[]"}


@dataclass(frozen=True, slots=True)
class TurnsReport:
    """What was read from the log of a host.

    Attributes:
        out: the log that was written.
        turns: rows of it.
        users: people in it.
        failed: turns that the host did not understand.
        unknown: turns of which that is not known.
        left_out: rows of the host that could not be used, by what they lack.
    """

    out: Path
    turns: int
    users: int
    failed: int
    unknown: int
    left_out: Mapping[str, int]

    def lines(self) -> list[str]:
        """Return it line by line, to be printed."""
        known = self.turns - self.failed - self.unknown
        return [
            f"{self.turns:,} turns of {self.users:,} users in {self.out}",
            f"not understood {self.failed:,}, understood {known:,}, not known {self.unknown:,}",
            *(f"{n:,} left out: {why}" for why, n in self.left_out.items() if n),
        ]


def write(rows: Iterable[Mapping[str, Any]], out: str | Path, left_out: Mapping[str, int]) -> TurnsReport:
    """Write turns as Parquet, in the order of time, readable by the owner only.

    Args:
        rows: columns of docs/log.md; what is not there is no value.
        out: the file.
        left_out: what to say of rows that are not among them; may still change while `rows` are read.

    Raises:
        LogError: the name is none of a Parquet file, or there is no row.
        ArtefactError: the disk refuses.
    """
    target = Path(out)
    if target.suffix != ".parquet":
        raise LogError(f"the log is written as Parquet: name it *.parquet, for example log.parquet, not {target}")
    with explained(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".rewriter-") as work:
        lines, new = Path(work) / "rows.jsonl", Path(work) / "log.parquet"
        with lines.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        with duckdb.connect() as con:
            columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
            source = f"read_json({quoted(str(lines))}, format='newline_delimited', columns={{{columns}}})"
            con.execute(f"CREATE TEMP TABLE turns AS FROM {source}")
            counted = con.execute(
                "SELECT count(*), count(DISTINCT user_id), count(*) FILTER (status = 'failed'), count(*) FILTER (status IS NULL)"
                " FROM turns"
            ).fetchone() or (0, 0, 0, 0)
            if not counted[0]:
                raise LogError("; ".join(["no turn was found", *(f"{n:,} left out: {why}" for why, n in left_out.items() if n)]))
            con.execute(f"COPY (FROM turns ORDER BY timestamp, turn_id) TO {quoted(str(new))} (FORMAT parquet)")
        new.chmod(0o600)
        sync(new)
        new.replace(target)
    turns, users, failed, unknown = map(int, counted)
    return TurnsReport(target, turns, users, failed, unknown, left_out)
