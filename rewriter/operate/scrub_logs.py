"""Files outside of the versions without one person: logs, decision logs, what users said of rewrites."""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rewriter.errors import LogError
from rewriter.offline.logs.files import checksum, ending, find, open_text, packed


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A log without a person, beside the one that it will replace.

    Attributes:
        path: the log.
        new: the file that will replace it.
        checksum: of the new content, as `learn` records it.
        rows: how many rows are left out.
    """

    path: Path
    new: Path
    checksum: str
    rows: int


def logs_without(user_id: str, sources: Iterable[str | Path], column: str) -> list[Rewritten]:
    """Write each log that holds a person anew, beside the old one.

    Args:
        user_id: as the log gives it.
        sources: files, folders and globs: .jsonl, .csv, both also .gz, .parquet.
        column: that holds the user ids.

    Raises:
        LogError: a file cannot be read, is of another kind, or has no such column.
    """
    writers: dict[str, Callable[[Path, Path, str, str], int]] = {".jsonl": _lines, ".csv": _table, ".parquet": _table}
    paths = find(sources) if sources else []
    if other := next((path for path in paths if ending(path) not in writers), None):
        raise LogError(f"cannot take anybody out of {other}: convert it to {', '.join(writers)}")
    found: list[Rewritten] = []
    try:
        for path in paths:
            new = path.with_name(f".without-{path.name}")
            rows = writers[ending(path)](path, new, column, user_id)
            if rows:
                new.chmod(path.stat().st_mode & 0o777)
                found.append(Rewritten(path, new, checksum(new), rows))
            else:
                new.unlink()
    except BaseException:
        discard(found)
        raise
    return found


def discard(rewritten: Iterable[Rewritten]) -> None:
    """Remove the new files of logs that will not be replaced."""
    for each in rewritten:
        each.new.unlink(missing_ok=True)


def lines_without(path: Path, field: str, value: str) -> int:
    """Take the JSON lines out of a file in which a field has a value, in one step on the disk; return how many."""
    new = path.with_name(f".without-{path.name}")
    rows = _lines(path, new, field, value)
    if not rows:
        new.unlink()
        return 0
    new.chmod(path.stat().st_mode & 0o777)
    new.replace(path)
    return rows


def _lines(path: Path, new: Path, field: str, value: str) -> int:
    """Copy the other lines as they are, torn ones too."""
    left_out = 0
    with open_text(path) as old, gzip.open(new, "wb") if packed(path) else new.open("wb") as out:
        for raw in old:
            if _is(raw, field, value):
                left_out += 1
            else:
                out.write(raw)
    return left_out


def _is(raw: bytes, field: str, value: str) -> bool:
    try:
        row = json.loads(raw)
    except ValueError:
        return False
    return isinstance(row, dict) and str(row.get(field)) == value


def _table(path: Path, new: Path, column: str, value: str) -> int:
    with duckdb.connect() as con:
        text = ending(path) == ".csv"
        read = con.read_csv(str(path), all_varchar=True, header=True) if text else con.read_parquet(str(path))
        if column not in read.columns:
            raise LogError(f"{path} has no column {column}; name it with --map user_id=…")
        read.create_view("found")
        quoted = '"' + column.replace('"', '""') + '"'
        kept = con.sql(f"SELECT * FROM found WHERE CAST({quoted} AS VARCHAR) IS DISTINCT FROM $1", params=[value])
        if text:
            kept.write_csv(str(new), header=True, compression="gzip" if packed(path) else "none")
        else:
            kept.write_parquet(str(new), compression="zstd")
        return len(read) - len(kept)
