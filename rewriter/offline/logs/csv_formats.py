"""Stage CSV files as Parquet. DuckDB reads them; Python looks only at the first rows, and at rows that DuckDB cannot read."""

import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import Cell, Relation, literal
from rewriter.offline.logs.files import Source, open_text
from rewriter.offline.logs.layout import Layout
from rewriter.offline.logs.paths import Steps, Tree, place, steps, tree_of
from rewriter.offline.logs.text_formats import (
    BOM,
    FIRST,
    Broken,
    Hash,
    Hide,
    compression,
    decoded,
    is_dotted,
    keep_broken,
    split_name,
    whole,
)

_RECORD_LINES = 100  # most lines of one CSV record: a quote that is never closed must not swallow the rest of the file
_DELIMITERS = ",;\t|"


def comma_separated(con: duckdb.DuckDBPyConnection, source: Source, layout: Layout, work: Path, hashed: Hash) -> Relation:
    """Stage a CSV file: first line the names; comma, semicolon, tab or bar between; quotes doubled inside quotes.

    Args:
        con: where it is read.
        source: the file.
        layout: how its turns lie in it.
        work: folder of the staged Parquet; `source.checksum` names the files in it.
        hashed: user id -> its keyed hash, for the content of broken lines.

    Raises:
        LogError: the header cannot be read, or names a column of the contract twice.
    """
    header, delimiter = csv_header(source)
    names = layout.wanted()
    if twice := [theirs for theirs in names.values() if header.count(theirs) > 1]:
        raise LogError(f"{source.shown} names the column {twice[0]} twice; keep one of them, or give one another name")
    tree = tree_of(first_csv(source)) if is_dotted(names.values()) else tree_of([dict.fromkeys(header, "")])
    found = {ours: path for ours, theirs in names.items() if (path := _csv_path(ours, theirs, tree))}
    user = found.get("user_id", [()])[0][:1]
    staged = work / f"{source.checksum}.parquet"
    cells = {ours: Cell(ours, "VARCHAR") for ours in found}

    def select(row: str, shift: int) -> list[str]:
        extra = [f"{row} AS record", "0 AS place", "'' AS part"] if layout.is_folded else []
        return [f"{row} AS row", *extra, *_columns(found, header, shift)]

    try:
        rows = _stage(con, source.path, select("row_number() OVER ()", 0), delimiter, len(header), staged)
        return Relation(staged, cells, tuple(header), rows, units=rows)
    except duckdb.Error:
        mended, broken = work / f"{source.checksum}.csv", work / f"{source.checksum}.broken.jsonl"
        hide = _csv_hider(header.index(user[0][1]) if user else None, delimiter, hashed)
        lost = keep_broken(_mend(source.path, mended, delimiter, len(header), hide), broken)
        rows = _stage(con, mended, select("CAST(c0 AS BIGINT)", 1), ",", len(header) + 1, staged)
        return Relation(staged, cells, tuple(header), rows + lost, broken=broken, units=rows + lost)


def _csv_path(ours: str, theirs: str, tree: Tree) -> list[Steps]:
    """Return the paths of a column; none where a part of it is not there."""
    found = [steps(part, tree) for part in split_name(ours, theirs, tree)]
    return [whole(ours, path, tree) for path in found if path] if all(found) else []


def first_csv(source: Source) -> list[dict[str, Any]]:
    """Return the first records of a CSV file that can be read."""
    header, delimiter = csv_header(source)
    rows = (fields for _, fields, _ in csv_rows(source.path, delimiter, len(header)) if fields is not None)
    return [dict(zip(header, fields, strict=True)) for fields in itertools.islice(rows, FIRST)]


def csv_header(source: Source) -> tuple[list[str], str]:
    """Return the names in the first line of a CSV file, and its delimiter."""
    with open_text(source.path) as file:
        try:
            line = file.readline().removeprefix(BOM).decode("utf-8")
        except UnicodeDecodeError as error:
            raise LogError(f"{source.shown} is not UTF-8: convert it first (iconv -f latin1 -t utf-8)") from error
    split = {d: [name.strip() for name in _parse([line], d) or [line]] for d in _DELIMITERS}
    delimiter = max(split, key=lambda d: len(split[d]))
    return split[delimiter], delimiter


def _columns(found: Mapping[str, list[Steps]], header: list[str], shift: int) -> list[str]:
    """Return SQL for each column: a field, or what stands in the JSON of a field, or several joined by a blank."""
    columns = []
    for ours, paths in found.items():
        refs = []
        for path in paths:
            ref = f"c{header.index(path[0][1]) + shift}"
            refs.append(ref if len(path) == 1 else place(f"TRY_CAST({ref} AS JSON)", path[2:]).text())
        joined = refs[0] if len(refs) == 1 else f"nullif(trim(concat_ws(' ', {', '.join(refs)})), '')"
        columns.append(f"{joined} AS {ours}")
    return columns


def _stage(con: duckdb.DuckDBPyConnection, path: Path, select: list[str], delimiter: str, width: int, target: Path) -> int:
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width))
    table = (
        f"read_csv({literal(path)}, auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"',"
        f" strict_mode = true, {compression(path)}, columns = {{{columns}}})"
    )
    query = f"SELECT {', '.join(select)}, CAST(NULL AS VARCHAR) AS wrong, true AS is_row FROM {table}"
    copied = con.execute(f"COPY ({query}) TO {quoted(str(target))} (FORMAT parquet)").fetchall()
    return int(copied[0][0])


def _csv_hider(place: int | None, delimiter: str, hashed: Hash) -> Hide:
    def hide(line: str) -> tuple[str, str]:
        fields = line.split(delimiter)
        if place is None or place >= len(fields):
            return line, ""
        fields[place] = hashed(fields[place].strip('"'))
        return delimiter.join(fields), fields[place]

    return hide


def _mend(path: Path, mended: Path, delimiter: str, width: int, hide: Hide) -> Iterator[Broken]:
    """Write the good records with their numbers to `mended`, and yield the broken ones."""
    with mended.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(range(width + 1))
        for row, fields, raw in csv_rows(path, delimiter, width):
            reason, text = decoded(raw)
            if row and (fields is None or reason == "not UTF-8"):
                yield Broken(row, reason, *hide(text))
            elif row:
                writer.writerow([row, *(fields or ())])


def csv_rows(path: Path, delimiter: str, width: int) -> Iterator[tuple[int, list[str] | None, bytes]]:
    """Yield every record of a CSV file: its row number, its fields and its bytes.

    The number is 0 for the header and for blank lines. The fields are None for a record that cannot be read: only its first line
    is lost, and reading goes on with the next line.

    Args:
        path: the file, which may be a .gz.
        delimiter: between the fields.
        width: number of fields of a record.
    """
    pushed_back: deque[bytes] = deque()
    row = 0
    with open_text(path) as lines:
        yield 0, None, lines.readline()
        while True:
            taken: list[bytes] = []
            fields = _parse(_decoding(pushed_back, lines, taken), delimiter)
            if not taken:
                return
            if fields == []:
                yield 0, None, b"".join(taken)
                continue
            row += 1
            if fields is None or len(fields) != width:
                pushed_back.extendleft(reversed(taken[1:]))
                yield row, None, taken[0]
            else:
                yield row, fields, b"".join(taken)


def _decoding(pushed_back: deque[bytes], lines: Iterator[bytes], taken: list[bytes]) -> Iterator[str]:
    while len(taken) < _RECORD_LINES:
        line = pushed_back.popleft() if pushed_back else next(lines, None)
        if line is None:
            return
        taken.append(line)
        yield line.decode("utf-8", "replace")


def _parse(lines: Iterable[str], delimiter: str) -> list[str] | None:
    """Return the next record of strict CSV; None if it is broken."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None
