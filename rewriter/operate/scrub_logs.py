"""Take one person out of logs and decision logs. Rows are found by the reader that `learn` uses; other bytes stay."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rewriter.artefact.disk import explained, sync
from rewriter.engines import first_line, quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import literal
from rewriter.offline.logs.csv_formats import csv_header, csv_rows
from rewriter.offline.logs.files import checksum, find, open_text, packed
from rewriter.offline.logs.json_formats import json_rows, list_spans
from rewriter.offline.logs.reader import UserRows, rows_of_user


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A log without a person, beside the one that it will replace.

    Attributes:
        path: the log, with links followed.
        new: the file that will replace it.
        before: checksum of the content of `path`, as `learn` records it.
        after: the same of `new`.
        rows: how many rows are left out.
        is_empty: whether no row is left. Such a file is removed, for an empty file is no log.
    """

    path: Path
    new: Path
    before: str
    after: str
    rows: int
    is_empty: bool

    def apply(self) -> None:
        """Put the new file in the place of the old one, or remove both if no row is left."""
        with explained(self.path):
            if self.is_empty:
                self.path.unlink(missing_ok=True)
                self.new.unlink(missing_ok=True)
            else:
                self.new.replace(self.path)
            sync(self.path.parent)


def logs_without(user_id: str, sources: Iterable[str | Path], mapping: Mapping[str, str]) -> list[Rewritten]:
    """Write each log that holds a person anew, beside the old one.

    Args:
        user_id: as the log gives it.
        sources: files, folders and globs of logs, in any form that `learn` reads.
        mapping: contract column -> column of the log, where they differ.

    Raises:
        LogError: a file cannot be read, has no column for the user, or cannot be rewritten without a change to other rows.
    """
    given = list(sources)
    found: list[Rewritten] = []
    try:
        for path in dict.fromkeys(path.resolve() for path in (find(given) if given else [])):
            with open_text(path) as file:
                if not file.read(1):
                    continue
            of_user = rows_of_user(user_id, path, mapping)
            if of_user.rows:
                found.append(_rewritten(path, of_user))
    except BaseException:
        discard(found)
        raise
    return found


def discard(rewritten: Iterable[Rewritten]) -> None:
    """Remove the new files of logs that will not be replaced."""
    for each in rewritten:
        each.new.unlink(missing_ok=True)


def _rewritten(path: Path, of_user: UserRows) -> Rewritten:
    new = path.with_name(f".without-{path.name}")
    try:
        if of_user.source.format == "parquet":
            _parquet_without(path, new, of_user.rows)
        else:
            _lines_without(path, new, of_user)
        new.chmod(path.stat().st_mode & 0o777)
        sync(new)
        return Rewritten(path, new, of_user.source.checksum, checksum(new), len(of_user.rows), len(of_user.rows) == of_user.count)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise LogError(f"cannot write {new}: {error}; nothing was changed") from error
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _lines_without(path: Path, new: Path, of_user: UserRows) -> None:
    """Copy all bytes of a text file but those of some rows."""
    if of_user.source.format == "text":
        raise LogError(
            f"cannot take rows out of {path}: it is a transcript, whose lines belong together; write it as JSON lines, one"
            " object a line, or delete the file; nothing was changed"
        )
    if of_user.source.format == "json":
        _list_without(path, new, of_user)
        return
    last = 0
    with gzip.open(new, "wb") if packed(path) else new.open("wb") as out:
        for row, raw in _rows(of_user, path):
            last = max(last, row)
            if row not in of_user.rows:
                out.write(raw)
    if last != of_user.count:
        raise LogError(
            f"cannot rewrite {path}: its {of_user.count:,} rows do not lie one after the other ({last:,} were found);"
            " write it again as JSON lines, one object a line; nothing was changed"
        )


def _list_without(path: Path, new: Path, of_user: UserRows) -> None:
    """Copy all bytes of a JSON list but those of some elements, and of the commas between."""
    with open_text(path) as file:
        data = file.read()
    spans = list_spans(data)
    if len(spans) != of_user.count:
        raise LogError(
            f"cannot take rows out of {path}: it is one JSON object, whose parts belong together; write it as JSON lines, one"
            " object a line; nothing was changed"
        )
    kept = [span for row, span in enumerate(spans, start=1) if row not in of_user.rows]
    with gzip.open(new, "wb") if packed(path) else new.open("wb") as out:
        out.write(data[: spans[0].start])
        for n, span in enumerate(kept):
            out.write(data[span.before if n else span.start : span.end])
        out.write(data[spans[-1].end :])


def _rows(of_user: UserRows, path: Path) -> Iterator[tuple[int, bytes]]:
    if of_user.source.format == "jsonl":
        return json_rows(path)
    header, delimiter = csv_header(of_user.source)
    return ((row, raw) for row, _, raw in csv_rows(path, delimiter, len(header)))


def _parquet_without(path: Path, new: Path, rows: frozenset[int]) -> None:
    """Write the other rows of a Parquet file, with the same columns of the same types."""
    read = f"read_parquet({literal(path)}, file_row_number = true)"
    try:
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("CREATE TEMP TABLE gone AS SELECT unnest(?::BIGINT[]) - 1 AS row", [sorted(rows)])
            kept = f"FROM {read} WHERE file_row_number NOT IN (FROM gone) ORDER BY file_row_number"
            con.execute(
                f"COPY (SELECT * EXCLUDE (file_row_number) {kept}) TO {quoted(str(new))} (FORMAT parquet, COMPRESSION zstd)"
            )
            types = [con.execute(f"DESCRIBE FROM read_parquet({literal(each)})").fetchall() for each in (path, new)]
    except duckdb.Error as error:
        raise LogError(f"cannot rewrite {path}: {first_line(error)}; nothing was changed") from error
    if changed := [f"{a[0]} ({a[1]}, not {b[1]})" for a, b in zip(*types, strict=True) if a[:2] != b[:2]]:
        raise LogError(f"cannot rewrite {path}: columns would change their type: {', '.join(changed)}; nothing was changed")


def lines_without(path: Path, needle: str) -> int:
    """Take the lines that hold a text out of a file, in one step on the disk; return how many.

    Args:
        path: the file, which may be a .gz; no process may write to it meanwhile.
        needle: such as a keyed hash: torn lines are left out, too, if they hold it.

    Raises:
        ArtefactError: the disk refuses.
    """
    with explained(path):
        with open_text(path) as file:
            lines = list(file)
        kept = [line for line in lines if needle.encode() not in line]
        if len(kept) < len(lines):
            new = path.with_name(f".without-{path.name}")
            with gzip.open(new, "wb") if packed(path) else new.open("wb") as out:
                out.writelines(kept)
            new.chmod(path.stat().st_mode & 0o777)
            sync(new)
            new.replace(path)
            sync(path.parent)
        return len(lines) - len(kept)
