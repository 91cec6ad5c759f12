"""Stage JSON lines and CSV as Parquet. DuckDB reads them; Python looks only at the rows that DuckDB cannot read."""

import csv
import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb

from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import REQUIRED, TEXTS, Cell, Relation, literal
from rewriter.offline.logs.files import Source, open_text, packed

_BOM = b"\xef\xbb\xbf"
_RECORD_LINES = 100  # most lines of one CSV record: a quote that is never closed must not swallow the rest of the file
_DELIMITERS = ",;\t|"
_IS_OBJECT = "coalesce(json_type(json) = 'OBJECT', false)"
_IS_ROW = f"{_IS_OBJECT} AND len(json_keys(json)) = len(list_distinct(json_keys(json)))"
"""A row is an object that gives no key twice. Readers differ in which of two values they take, and two users may be named."""
_KEYS_FROM = 1_000  # lines in which the names of a file are looked for

Hash = Callable[[str], str]
Hide = Callable[[str], tuple[str, str]]
"""A broken line -> the line with the hash of its user in place of the user, and that hash; it is empty if no user can be told."""


class Broken(NamedTuple):
    """A row that cannot be read: its number, the reason, its text without the user, and the hash of the user, or nothing."""

    row: int
    reason: str
    content: str
    user: str


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
        keys = f"SELECT unnest(json_keys(json)) AS name FROM (SELECT json FROM {lines} WHERE {_IS_OBJECT} LIMIT {_KEYS_FROM})"
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
    texts = [name for name in TEXTS if name in place]
    nested = " ".join(f"WHEN json_type(v[{place[t]}]) IN ('ARRAY', 'OBJECT') THEN 'wrong type in {t}'" for t in texts)
    values = f"SELECT json_extract(json, [{pointers}]) AS v, {_IS_ROW} AS is_row FROM {lines}"
    wrong = f"CASE {nested} END" if nested else "CAST(NULL AS VARCHAR)"
    query = f"SELECT row_number() OVER () AS row, {cells}, {wrong} AS wrong, is_row FROM ({values})"
    copied = con.execute(f"COPY ({query}) TO {quoted(str(target))} (FORMAT parquet)").fetchall()
    return int(copied[0][0])


def _json_hider(user: str, hashed: Hash) -> Hide:
    pair = re.compile(rf'("{re.escape(user)}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}]+)')

    def hide(line: str) -> tuple[str, str]:
        if pairs := _twice(line):
            users = [hashed(value if isinstance(value, str) else json.dumps(value)) for key, value in pairs if key == user]
            left = iter(users)
            kept = (f"{json.dumps(key)}: {json.dumps(next(left) if key == user else value)}" for key, value in pairs)
            return f"{{{', '.join(kept)}}}", next(iter(users), "")
        found = pair.search(line)
        if not found:
            return line, ""
        return pair.sub(lambda m: m[1] + json.dumps(hashed(_unquoted(m[2]))), line), hashed(_unquoted(found[2]))

    return hide


def _twice(line: str) -> list[tuple[str, object]]:
    """Return the keys and values of a JSON object that gives a key twice; nothing of any other line."""
    last: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> dict[str, object]:
        last[:] = pairs  # the outermost object comes last
        return dict(pairs)

    try:
        found = json.loads(line, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return []
    return last if isinstance(found, dict) and len(found) < len(last) else []


def _unquoted(value: str) -> str:
    """Return the text of a JSON value that may be torn."""
    try:
        text = json.loads(value) if value.startswith('"') else value
    except ValueError:
        text = value.strip('"')
    return str(text)


def _without_bom(source: Source, work: Path) -> Path:
    """Return the file without its byte order mark, which DuckDB would take for a part of the first line."""
    with open_text(source.path) as file:
        if file.read(len(_BOM)) != _BOM:
            return source.path
        copy = work / f"{source.checksum}.jsonl"
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
        return copy


def json_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield every line of a file of JSON lines and its row number, which is 0 for a blank line."""
    row = 0
    with open_text(path) as file:
        for number, line in enumerate(file):
            blank = not (line.removeprefix(_BOM) if number == 0 else line).strip(b" \t\r\n")
            row += not blank
            yield 0 if blank else row, line


def _broken_lines(path: Path, rows: list[int], hide: Hide) -> Iterator[Broken]:
    wanted = set(rows)
    for row, line in json_rows(path):
        if row in wanted:
            reason, text = _decoded(line)
            yield Broken(row, reason, *hide(text))


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return the reason why a row is broken, and its readable text."""
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
        return "key given twice" if _twice(text.removeprefix("\ufeff")) else "broken line", text
    except UnicodeDecodeError:
        return "not UTF-8", raw.decode("utf-8", "replace").rstrip("\r\n")


def _keep(broken: Iterable[Broken], path: Path) -> int:
    """Write broken rows and return how many they are."""
    with path.open("w", encoding="utf-8") as file:
        return sum(file.write(json.dumps(row._asdict()) + "\n") > 0 for row in broken)


def comma_separated(
    con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str], work: Path, hashed: Hash
) -> Relation:
    """Stage a CSV file: first line the names; comma, semicolon, tab or bar between; quotes doubled inside quotes.

    Args:
        con: where it is read.
        source: the file.
        names: ours -> theirs, every column that may be there.
        work: folder of the staged Parquet; `source.checksum` names the files in it.
        hashed: user id -> its keyed hash, for the content of broken lines.

    Raises:
        LogError: the header cannot be read, or names a column of the contract twice.
    """
    header, delimiter = csv_header(source)
    if twice := [theirs for theirs in names.values() if header.count(theirs) > 1]:
        raise LogError(f"{source.shown} names the column {twice[0]} twice; keep one of them, or give one another name")
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


def csv_header(source: Source) -> tuple[list[str], str]:
    """Return the names in the first line of a CSV file, and its delimiter."""
    with open_text(source.path) as file:
        try:
            line = file.readline().removeprefix(_BOM).decode("utf-8")
        except UnicodeDecodeError as error:
            raise LogError(f"{source.shown} is not UTF-8: convert it first (iconv -f latin1 -t utf-8)") from error
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
            reason, text = _decoded(raw)
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
