"""`Turn`: one row of a simulated log; `write_log` writes rows to a file."""

import csv
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rewriter.errors import LogError

Status = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn in the columns of the log contract, with two columns of truth, which learning does not read.

    Attributes:
        turn_id: identifies the turn.
        user_id: id of the user.
        ts_ms: time, epoch milliseconds UTC; the column ``timestamp`` of a file.
        locale: BCP 47.
        utterance: the text heard.
        hypothesis: hypothesis of the assistant for the text sent; None if it refused.
        status: the verdict of the assistant.
        response: the answer of the assistant.
        barge_in: whether this utterance interrupted the answer to the turn before.
        feedback: explicit feedback on this turn, -1 or 1; None for none.
        asr_confidence: confidence of the recogniser in the utterance, 0..1.
        nbest: all hearings, best first.
        device_id: id of the device.
        device_type: type of the device.
        context: JSON object of scalars: ``hour`` and ``room``.
        sent: the text sent instead of the utterance; None if it was not rewritten.
        rewrite_id: id of the decision of the rewriter; None without a rewriter, as are the next five.
        rule: of the decision.
        layer: of the decision.
        scope: of the decision.
        arm: of the decision.
        propensity: of the decision, 0..1.
        goal: truth: the goal of the user; empty for a stop phrase that the assistant does not know.
        said: truth: the phrase as said.
    """

    turn_id: str
    user_id: str
    ts_ms: int
    locale: str
    utterance: str
    hypothesis: str | None
    status: Status
    response: str
    barge_in: bool
    feedback: int | None
    asr_confidence: float
    nbest: tuple[str, ...]
    device_id: str
    device_type: str
    context: str
    sent: str | None
    rewrite_id: str | None
    rule: str | None
    layer: str | None
    scope: str | None
    arm: str | None
    propensity: float | None
    goal: str
    said: str


_NAMES = tuple("timestamp" if f.name == "ts_ms" else f.name for f in fields(Turn))
_TYPES = {
    "timestamp": "TIMESTAMP",
    "barge_in": "BOOLEAN",
    "feedback": "BIGINT",
    "asr_confidence": "DOUBLE",
    "propensity": "DOUBLE",
}
_TYPES |= {"nbest": "VARCHAR[]"}


def write_log(turns: Iterable[Turn], path: Path) -> int:
    """Write turns as a log.

    Args:
        turns: in the order of the rows.
        path: ends in ``.parquet``, ``.jsonl`` or ``.csv``; in CSV the n-best list is JSON text. An existing file is replaced.

    Returns:
        The number of rows.

    Raises:
        LogError: the name of the file has another ending, or it cannot be written.
    """
    writers = {".parquet": _write_parquet, ".jsonl": _write_jsonl, ".csv": _write_csv}
    if path.suffix not in writers:
        raise LogError(f"cannot write {path}: a log ends in {', '.join(writers)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return writers[path.suffix](turns, path)
    except OSError as error:
        raise LogError(f"cannot write {path}: {error}") from error


def _rows(turns: Iterable[Turn]) -> Iterator[list[Any]]:
    for turn in turns:
        row = [getattr(turn, f.name) for f in fields(Turn)]
        row[2] = datetime.fromtimestamp(turn.ts_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        yield row


def _write_jsonl(turns: Iterable[Turn], path: Path) -> int:
    with path.open("w", encoding="utf-8") as file:
        lines = (json.dumps(dict(zip(_NAMES, row, strict=True)), ensure_ascii=False) for row in _rows(turns))
        return sum(file.write(line + "\n") > 0 for line in lines)


def _write_csv(turns: Iterable[Turn], path: Path) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_NAMES)
        plain = ([json.dumps(v, ensure_ascii=False) if isinstance(v, tuple) else v for v in row] for row in _rows(turns))
        return sum(writer.writerow(row) > 0 for row in plain)


def _write_parquet(turns: Iterable[Turn], path: Path) -> int:
    import duckdb  # noqa: PLC0415 - the other formats need none

    columns = {name: _TYPES.get(name, "VARCHAR") for name in _NAMES}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "turns.jsonl"
        n = _write_jsonl(turns, lines)
        with duckdb.connect() as con:
            con.execute("SET threads = 1")  # the same rows give the same file
            rows = con.read_json(str(lines), format="newline_delimited", columns=columns)
            rows.write_parquet(str(path), compression="zstd")
    return n
