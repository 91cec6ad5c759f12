"""JSON lines and CSV as Parquet. DuckDB reads them; rows it cannot read are told apart in Python, one by one.

From a file to a `Relation`: which of its columns are which of ours, or one clear line on what is missing.
"""

import csv
import difflib
import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb

from rewriter.errors import LogError
from rewriter.offline.logs.contract import CONTRACT, REQUIRED, TEXTS, Cell, Relation, identifier, literal, nested, quoted
from rewriter.offline.logs.files import Source, first_line, open_text, packed

_BOM = b"\xef\xbb\xbf"
_RECORD_LINES = 100  # a quote that is never closed must not swallow the rest of the file
_DELIMITERS = ",;\t|"
_IS_ROW = "coalesce(json_type(json) = 'OBJECT', false)"
_KEYS_FROM = 1_000  # lines that are looked at for the names that a file has

Hash = Callable[[str], str]


class Broken(NamedTuple):
    """A row that is no row."""

    row: int
    reason: str
    content: str


def json_lines(con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str], work: Path, hashed: Hash) -> Relation:
    """Stage a file of JSON lines.

    Args:
        con: where it is read.
        source: the file.
        names: ours -> theirs, every column that may be there.
        work: folder of the staged Parquet; `source.checksum` names the files in it.
        hashed: user id -> its keyed hash, for the content of broken lines.
    """
    path = _without_bom(source, work)
    staged = work / f"{source.checksum}.parquet"
    lines = f"(SELECT json FROM read_ndjson_objects({literal(path)}, ignore_errors = true, {_compression(path)}))"
    lines_read = _extract(con, lines, names, staged)
    count = ", ".join(f"COUNT({ours})" for ours in names)
    found = con.execute(f"SELECT {count}, COUNT(*) FILTER (NOT is_row) FROM read_parquet({literal(staged)})").fetchall()[0]
    present = {ours for ours, n in zip(names, found[:-1], strict=True) if n}
    columns: tuple[str, ...] = ()
    mapped = {ours for ours, theirs in names.items() if ours != theirs}
    if not present.issuperset({*REQUIRED, "slots", *mapped}):  # a name may be there without a value
        keys = f"SELECT unnest(json_keys(json)) AS name FROM (SELECT json FROM {lines} WHERE {_IS_ROW} LIMIT {_KEYS_FROM})"
        columns = tuple(name for (name,) in con.execute(f"SELECT DISTINCT name FROM ({keys}) ORDER BY name").fetchall())
        present |= {ours for ours, theirs in names.items() if theirs in columns}
    broken = work / f"{source.checksum}.broken.jsonl" if found[-1] else None
    if broken:
        rows = con.execute(f"SELECT row FROM read_parquet({literal(staged)}) WHERE NOT is_row ORDER BY row").fetchnumpy()["row"]
        _keep(_broken_lines(path, rows.tolist(), _json_hider(names["user_id"], hashed)), broken)
    return Relation(
        staged, {ours: Cell(ours, "VARCHAR") for ours in names if ours in present}, columns, lines_read, broken=broken
    )


def _extract(con: duckdb.DuckDBPyConnection, lines: str, names: Mapping[str, str], target: Path) -> int:
    """Write every cell as text, what is wrong with its type, and whether the line is an object at all; return the lines."""
    pointers = ", ".join(quoted("/" + theirs.replace("~", "~0").replace("/", "~1")) for theirs in names.values())
    place = {ours: i for i, ours in enumerate(names, start=1)}
    cells = ", ".join(f"v[{i}] ->> '$' AS {ours}" for ours, i in place.items())
    nested = " ".join(f"WHEN json_type(v[{place[t]}]) IN ('ARRAY', 'OBJECT') THEN 'wrong type in {t}'" for t in TEXTS)
    values = f"SELECT json_extract(json, [{pointers}]) AS v, {_IS_ROW} AS is_row FROM {lines}"
    query = f"SELECT row_number() OVER () AS row, {cells}, CASE {nested} END AS wrong, is_row FROM ({values})"
    copied = con.execute(f"COPY ({query}) TO {quoted(str(target))} (FORMAT parquet)").fetchall()
    return int(copied[0][0])


def _json_hider(user: str, hashed: Hash) -> Callable[[str], str]:
    pair = re.compile(rf'("{re.escape(user)}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}]+)')
    return lambda line: pair.sub(lambda m: m[1] + json.dumps(hashed(m[2].strip('"'))), line)


def _without_bom(source: Source, work: Path) -> Path:
    """DuckDB takes the mark that Windows programs write before the first line for a part of it."""
    with open_text(source.path) as file:
        if file.read(len(_BOM)) != _BOM:
            return source.path
        copy = work / f"{source.checksum}.jsonl"
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        return copy


def _broken_lines(path: Path, rows: list[int], hide: Callable[[str], str]) -> Iterator[Broken]:
    wanted = iter(rows)
    next_row = next(wanted, None)
    with open_text(path) as file:
        for row, line in enumerate((line for line in file if line.strip(b" \t\r\n")), start=1):
            if row == next_row:
                reason, text = _decoded(line)
                yield Broken(row, reason, hide(text))
                next_row = next(wanted, None)


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return why a row is broken and its readable text."""
    try:
        return "broken line", raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        return "not UTF-8", raw.decode("utf-8", "replace").rstrip("\r\n")


def _keep(broken: Iterable[Broken], path: Path) -> int:
    """Write broken rows and return how many they are."""
    with path.open("w", encoding="utf-8") as file:
        return sum(file.write(json.dumps(row._asdict()) + "\n") > 0 for row in broken)


def comma_separated(
    con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str], work: Path, hashed: Hash
) -> Relation:
    """Stage a CSV file: first line the names; comma, semicolon, tab or threshold between; quotes doubled inside quotes.

    Args:
        con: where it is read.
        source: the file.
        names: ours -> theirs, every column that may be there.
        work: folder of the staged Parquet; `source.checksum` names the files in it.
        hashed: user id -> its keyed hash, for the content of broken lines.

    Raises:
        LogError: the header cannot be read.
    """
    header, delimiter = _header(source)
    found = {ours: header.index(theirs) for ours, theirs in names.items() if theirs in header}
    staged = work / f"{source.checksum}.parquet"
    cells = {ours: Cell(ours, "VARCHAR") for ours in found}
    try:
        rows = _stage(con, source.path, ["row_number() OVER () AS row", *_columns(found, 0)], delimiter, len(header), staged)
        return Relation(staged, cells, tuple(header), rows)
    except duckdb.Error:
        mended, broken = work / f"{source.checksum}.csv", work / f"{source.checksum}.broken.jsonl"
        hide = _csv_hider(found.get("user_id"), delimiter, hashed)
        lost = _keep(_mend(source.path, mended, delimiter, len(header), hide), broken)
        rows = _stage(con, mended, ["CAST(c0 AS BIGINT) AS row", *_columns(found, 1)], ",", len(header) + 1, staged)
        return Relation(staged, cells, tuple(header), rows + lost, broken=broken)


def _header(source: Source) -> tuple[list[str], str]:
    with open_text(source.path) as file:
        try:
            line = file.readline().removeprefix(_BOM).decode("utf-8")
        except UnicodeDecodeError as error:
            raise LogError(f"{source.shown} is not UTF-8: convert it first (iconv -f … -t utf-8)") from error
    split = {d: [name.strip() for name in _parse([line], d) or [line]] for d in _DELIMITERS}
    delimiter = max(split, key=lambda d: len(split[d]))
    return split[delimiter], delimiter


def _columns(found: Mapping[str, int], shift: int) -> list[str]:
    return [f"c{place + shift} AS {ours}" for ours, place in found.items()]


def _stage(con: duckdb.DuckDBPyConnection, path: Path, select: list[str], delimiter: str, width: int, target: Path) -> int:
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width))
    table = (
        f"read_csv({literal(path)}, auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"',"
        f" strict_mode = true, {_compression(path)}, columns = {{{columns}}})"
    )
    query = f"SELECT {', '.join(select)}, CAST(NULL AS VARCHAR) AS wrong, true AS is_row FROM {table}"
    copied = con.execute(f"COPY ({query}) TO {quoted(str(target))} (FORMAT parquet)").fetchall()
    return int(copied[0][0])


def _compression(path: Path) -> str:
    return f"compression = '{'gzip' if packed(path) else 'uncompressed'}'"


def _csv_hider(place: int | None, delimiter: str, hashed: Hash) -> Callable[[str], str]:
    def hide(line: str) -> str:
        fields = line.split(delimiter)
        if place is not None and place < len(fields):
            fields[place] = hashed(fields[place].strip('"'))
        return delimiter.join(fields)

    return hide


def _mend(path: Path, mended: Path, delimiter: str, width: int, hide: Callable[[str], str]) -> Iterator[Broken]:
    """Write the good records with their numbers to `mended`, and give the broken ones."""
    with open_text(path) as file, mended.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(range(width + 1))
        file.readline()
        for row, (fields, raw) in enumerate(_records(file, delimiter, width), start=1):
            reason, text = _decoded(raw)
            if fields is None or reason == "not UTF-8":
                yield Broken(row, reason, hide(text))
            else:
                writer.writerow([row, *fields])


def _records(lines: Iterator[bytes], delimiter: str, width: int) -> Iterator[tuple[list[str] | None, bytes]]:
    """Cut lines into records; of one that cannot be read only the first line is lost, and reading goes on after it."""
    waiting: deque[bytes] = deque()
    while True:
        taken: list[bytes] = []
        fields = _parse(_decoding(waiting, lines, taken), delimiter)
        if not taken:
            return
        if fields == []:  # a blank line
            continue
        if fields is None or len(fields) != width:
            waiting.extendleft(reversed(taken[1:]))
            yield None, taken[0]
        else:
            yield fields, b"".join(taken)


def _decoding(waiting: deque[bytes], lines: Iterator[bytes], taken: list[bytes]) -> Iterator[str]:
    while len(taken) < _RECORD_LINES:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        taken.append(line)
        yield line.decode("utf-8", "replace")


def _parse(lines: Iterable[str], delimiter: str) -> list[str] | None:
    """The next record of strict CSV, None where it is none."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None


_OFTEN = {
    "user_id": ("user", "uid", "userid", "speaker", "caller", "customer_id", "household"),
    "timestamp": ("time", "ts", "date", "datetime", "created_at"),
    "utterance": ("text", "query", "transcript", "message", "asr", "heard"),
}
"""What others call the required columns."""
_VIRTUAL = {"file_index", "file_row_number"}


def names_in(mapping: Mapping[str, str]) -> dict[str, str]:
    """Every column of the contract -> the name to look for in the files."""
    for ours in mapping:
        if ours not in CONTRACT:
            near = difflib.get_close_matches(ours, CONTRACT, n=1) or sorted(CONTRACT)
            raise LogError(f"the log has no column {ours} to map to; did you mean {near[0]}?")
    return {name: mapping.get(name, name) for name in CONTRACT}


def relation(con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str], work: Path, hashed: Hash) -> Relation:
    """Open one file of the log.

    Args:
        con: where it is read.
        source: the file.
        names: ours -> the name to look for.
        work: folder for what has to be written on the way.
        hashed: user id -> its keyed hash.

    Raises:
        LogError: the file is damaged, or has no column for one that is required.
    """
    match source.format:
        case "parquet":
            opened = _parquet(con, source, names)
        case "jsonl":
            opened = json_lines(con, source, names, work, hashed)
        case "csv":
            opened = comma_separated(con, source, names, work, hashed)
    for column in REQUIRED:
        if column not in opened.cells and (opened.cells or opened.columns):
            raise LogError(_missing(column, names[column], source, opened.columns))
    return opened


def _parquet(con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str]) -> Relation:
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(source.path)})").fetchall()
        rows = con.execute(f"SELECT COUNT(*) FROM read_parquet({literal(source.path)})").fetchall()[0][0]
    except duckdb.Error as error:
        raise LogError(f"{source.shown} is not a Parquet file that can be read: {first_line(error)}") from error
    types = {row[0]: row[1] for row in described}
    if taken := _VIRTUAL & types.keys():
        raise LogError(f"{source.shown}: DuckDB keeps the column name {min(taken)} for itself; read the file with --sql instead")
    cells = {ours: Cell(identifier(theirs), types[theirs]) for ours, theirs in names.items() if theirs in types}
    for ours, cell in cells.items():
        if nested(cell.type) and CONTRACT[ours] not in ("list", "object", "slots"):
            raise LogError(f"{source.shown}: column {names[ours]} is {cell.type}, and {ours} is one value a row")
    return Relation(source.path, cells, tuple(types), rows, staged=False)


def _missing(ours: str, theirs: str, source: Source, columns: tuple[str, ...]) -> str:
    likely = [c for c in columns if c.lower() in (theirs, *_OFTEN[ours])]
    near = likely or difflib.get_close_matches(theirs, columns, n=1, cutoff=0.0)
    cure = f"say --map {ours}={near[0]} if that is it" if near else "the file names no columns"
    return f"{source.shown} has no column {theirs} (it has {', '.join(columns[:20])}); {cure}"


def require_mapped(mapping: Mapping[str, str], relations: list[Relation]) -> None:
    """Raise a LogError where a column that was mapped by name is in no file."""
    for ours, theirs in mapping.items():
        if relations and not any(ours in relation.cells for relation in relations):
            columns = sorted({column for relation in relations for column in relation.columns})
            near = difflib.get_close_matches(theirs, columns, n=1)
            raise LogError(f"--map {ours}={theirs}: no file has a column {theirs}{f'; did you mean {near[0]}?' if near else ''}")
