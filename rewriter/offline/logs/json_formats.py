"""Stage records that are JSON as Parquet: JSON lines, one JSON value, a transcript, or Parquet with nested columns.

DuckDB reads them; Python looks only at the first records, and at rows that DuckDB cannot read.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs import transcript
from rewriter.offline.logs.contract import REQUIRED, TEXTS, Cell, Relation, literal
from rewriter.offline.logs.files import Source, open_text
from rewriter.offline.logs.layout import ROLE, Layout
from rewriter.offline.logs.paths import Step, Steps, Tree, level_of, levels, place, steps, tree_of
from rewriter.offline.logs.text_formats import (
    BOM,
    FIRST,
    Broken,
    Hash,
    Hide,
    compression,
    decoded,
    given_twice,
    is_dotted,
    keep_broken,
    split_name,
    whole,
)

_IS_OBJECT = "coalesce(json_type({0}) = 'OBJECT', false)"
_IS_ROW = f"{_IS_OBJECT} AND len(json_keys({{0}})) = len(list_distinct(json_keys({{0}})))"
"""A row is an object that gives no key twice. Readers differ in which of two values they take, and two users may be named."""
_MOST_BYTES = 16_777_216  # of the first records that are looked at; and of one JSON line, which is the limit of DuckDB
_SPACE = re.compile(r"[ \t\r\n]*")
_HEAD = 4_096  # bytes in which a JSON value begins


class Records(NamedTuple):
    """Records as JSON: the FROM clause that yields them in the column `json`, and the file that it reads, where that is text."""

    sql: str
    path: Path | None


def json_records(con: duckdb.DuckDBPyConnection, source: Source, layout: Layout, work: Path, hashed: Hash) -> Relation:
    """Stage records that are JSON: JSON lines, one JSON value, a transcript, or Parquet with nested columns.

    Args:
        con: where they are read.
        source: the file.
        layout: how its turns lie in it.
        work: folder of the staged Parquet; `source.checksum` names the files in it.
        hashed: user id -> its keyed hash, for the content of broken lines.
    """
    names, records = layout.wanted(), records_of(source, work)
    staged, is_plain = work / f"{source.checksum}.parquet", not layout.is_folded and not is_dotted(layout.wanted().values())
    tree = Tree() if is_plain else tree_of(first_records(con, records))
    plan = _plan(names, layout.rows, tree)
    if layout.rows and not plan.lists:
        raise LogError(f"{source.shown} has no list {layout.rows} (it has {', '.join([*tree.leaves()][:20])})")
    units, rows = _extract(con, records.sql, plan, staged, units=layout.is_folded)
    count = ", ".join(f"COUNT({ours})" for ours in names)
    found = con.execute(f"SELECT {count}, COUNT(*) FILTER (NOT is_row) FROM read_parquet({literal(staged)})").fetchall()[0]
    present = {ours for ours, n in zip(names, found[:-1], strict=True) if n}
    columns: tuple[str, ...] = ()
    mapped = {ours for ours, theirs in names.items() if ours != theirs}
    if not present.issuperset({*REQUIRED, "slots", *mapped}):  # a name may be there without a value
        tree = tree_of(first_records(con, records)) if is_plain else tree
        columns = tuple(sorted(tree.leaves()))
        present |= {ours for ours, theirs in names.items() if theirs in tree.keys or theirs in columns}
    broken = work / f"{source.checksum}.broken.jsonl" if found[-1] else None
    if broken:
        at = "record" if layout.is_folded else "row"
        lost = con.execute(f"SELECT {at} AS at FROM read_parquet({literal(staged)}) WHERE NOT is_row ORDER BY row").fetchnumpy()[
            "at"
        ]
        hide = _json_hider(names["user_id"].rpartition(".")[2], hashed)
        keep_broken(_broken_lines(source, records, lost.tolist(), hide), broken)
    cells = {ours: Cell(ours, "VARCHAR") for ours in names if ours in present}
    outer = layout.rows != "" and "timestamp" in cells and plan.depth["timestamp"] < len(plan.lists)
    return Relation(staged, cells, columns, rows, broken=broken, units=units, has_outer_time=outer)


def records_of(source: Source, work: Path) -> Records:
    """Return the records of a file as JSON."""
    match source.format:
        case "parquet":
            return Records(f"(SELECT to_json(t) AS json FROM read_parquet({literal(source.path)}) AS t)", None)
        case "json":
            path = _without_bom(source, work)
            with open_text(path) as file:
                form = "array" if file.read(_HEAD).lstrip()[:1] == b"[" else "unstructured"
            size = max(_MOST_BYTES, source.size)
            how = f"format = '{form}', maximum_object_size = {size}, {compression(path)}"
            return Records(f"(SELECT json FROM read_json_objects({literal(path)}, {how}))", path)
        case "text":
            path = work / f"{source.checksum}.jsonl"
            if not path.exists():
                transcript.write_records(source, path)
        case _:
            path = _without_bom(source, work)
    how = f"ignore_errors = true, {compression(path)}"
    return Records(f"(SELECT json FROM read_ndjson_objects({literal(path)}, {how}))", path)


def first_records(con: duckdb.DuckDBPyConnection, records: Records) -> list[dict[str, Any]]:
    """Return the first records of a file that are objects."""
    found: list[dict[str, Any]] = []
    rows = con.execute(f"SELECT CAST(json AS VARCHAR) FROM {records.sql} WHERE {_IS_OBJECT.format('json')} LIMIT {FIRST}")
    size = 0
    while size < _MOST_BYTES and (row := rows.fetchone()):
        size += len(row[0])
        with suppress(ValueError, RecursionError):  # DuckDB reads a little more than Python does
            found.append(json.loads(row[0]))
    return found


class _Plan(NamedTuple):
    """Where each column stands: the nested lists, and ours -> the list it is in and its parts, which a blank joins."""

    lists: list[Steps]
    depth: dict[str, int]
    parts: dict[str, list[Steps]]


def _plan(names: Mapping[str, str], rows: str, tree: Tree) -> _Plan:
    path = steps(rows, tree)
    lists = levels(path) if path else []
    plan = _Plan(lists, {}, {})
    for ours, theirs in names.items():
        found = [steps(part, tree) for part in split_name(ours, theirs, tree)]
        placed = [level_of(whole(ours, each, tree) if each is not None else ((Step.KEY, theirs),), lists) for each in found]
        plan.depth[ours] = min(depth for depth, _ in placed)
        plan.parts[ours] = [path for _, path in placed]
    return plan


def _extract(con: duckdb.DuckDBPyConnection, lines: str, plan: _Plan, target: Path, *, units: bool) -> tuple[int, int]:
    """Write every cell as text, what is wrong with its type, and whether the row is an object; return the records and rows."""
    texts = [name for name in (*TEXTS, ROLE) if name in plan.parts]
    cells, wrong = [], []
    pointers: list[list[str]] = [[] for _ in range(len(plan.lists) + 1)]
    chained: list[list[str]] = [[] for _ in pointers]
    for ours, parts in plan.parts.items():
        depth, refs = plan.depth[ours], []
        for path in parts:
            at = place("j", path)
            held, values = (
                (pointers, at.pointer) if at.base == "j" else (chained, f"json_extract({at.base}, {quoted(at.pointer)})")
            )
            held[depth].append(values)
            refs.append(f"{'v' if held is pointers else 'c'}{depth}[{len(held[depth])}]")
        cells.append(f"{_joined(refs)} AS {ours}")
        if ours in texts:
            wrong.append(f"WHEN json_type({refs[0]}) IN ('ARRAY', 'OBJECT') THEN 'wrong type in {ours}'")
    table = f"(SELECT row_number() OVER () AS record, json AS j FROM {lines})"
    kept = ["record"]
    for depth, found in enumerate(pointers):
        held_here = [f"json_extract(j, [{', '.join(map(quoted, found))}]) AS v{depth}"] if found else []
        held_here += [f"[{', '.join(chained[depth])}] AS c{depth}"] if chained[depth] else []
        last = depth == len(plan.lists)
        rest = f"{_IS_ROW.format('j')} AS is_row, j IS NULL AS is_lost" if last else _items(plan.lists[depth])
        table = f"(SELECT {', '.join([*kept, *held_here, rest])} FROM {table})"
        kept += [value.rpartition(" AS ")[2] for value in held_here]
        if not last:
            kept.append(f"p{depth}")
            table = f"(SELECT * EXCLUDE (items), unnest(items) AS j, unnest(range(len(items))) AS p{depth} FROM {table})"
    places = [f"p{depth}" for depth in range(len(plan.lists))]
    numbered = f"row_number() OVER (ORDER BY {', '.join(['record', *places])})" if places else "record"
    part = f"concat_ws('-', {', '.join(['record', *places[:-1]])})"
    extra = f", record, {places[-1] if places else '0'} AS place, {part} AS part" if units else ""
    case = f"CASE {' '.join(wrong)} END" if wrong else "CAST(NULL AS VARCHAR)"
    query = f"SELECT {numbered} AS row, {', '.join(cells)}, {case} AS wrong, is_row{extra} FROM {table}"
    query += " WHERE is_row OR is_lost" if places else ""  # an element that is no object is no row of a good record
    copied = int(con.execute(f"COPY ({query}) TO {quoted(str(target))} (FORMAT parquet)").fetchall()[0][0])
    return (int(con.execute(f"SELECT COUNT(*) FROM {lines}").fetchall()[0][0]) if plan.lists else copied), copied


def _joined(refs: Sequence[str]) -> str:
    texts = [f"{ref} ->> '$'" for ref in refs]
    return texts[0] if len(texts) == 1 else f"nullif(concat_ws(' ', {', '.join(texts)}), '')"


def _items(path: Steps) -> str:
    """Return SQL for the elements of a list in the JSON `j`; a record that is no object has one, which is NULL."""
    at = place("j", path)
    items = f"json_extract(json_extract({at.base}, {quoted(at.pointer)}), '$[*]')"
    return f"CASE WHEN {_IS_ROW.format('j')} THEN {items} ELSE [CAST(NULL AS JSON)] END AS items"


def _json_hider(user: str, hashed: Hash) -> Hide:
    pair = re.compile(rf'("{re.escape(user)}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}]+)')

    def hide(line: str) -> tuple[str, str]:
        if pairs := given_twice(line):
            users = [hashed(value if isinstance(value, str) else json.dumps(value)) for key, value in pairs if key == user]
            left = iter(users)
            kept = (f"{json.dumps(key)}: {json.dumps(next(left) if key == user else value)}" for key, value in pairs)
            return f"{{{', '.join(kept)}}}", next(iter(users), "")
        found = pair.search(line)
        if not found:
            return line, ""
        return pair.sub(lambda m: m[1] + json.dumps(hashed(_unquoted(m[2]))), line), hashed(_unquoted(found[2]))

    return hide


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
        if file.read(len(BOM)) != BOM:
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
            blank = not (line.removeprefix(BOM) if number == 0 else line).strip(b" \t\r\n")
            row += not blank
            yield 0 if blank else row, line


class Span(NamedTuple):
    """The bytes of an element of a JSON list: from the end of the one before, from its own start, and to its end."""

    before: int
    start: int
    end: int


def list_spans(data: bytes) -> list[Span]:
    """Return where the elements of a JSON list lie in its bytes; nothing if it is no list.

    Example:
        >>> data = b'[{"a": 1},\\n 2]'
        >>> [data[span.start : span.end] for span in list_spans(data)]
        [b'{"a": 1}', b'2']
    """
    text, decoder, spans = data.decode("utf-8"), json.JSONDecoder(), []
    at = _SPACE.match(text, 1 if text.startswith("\ufeff") else 0)
    if at is None or text[at.end() : at.end() + 1] != "[":
        return []
    place = before = at.end() + 1
    bytes_before = [0, 0]  # characters, and the bytes they take

    def offset(characters: int) -> int:
        done, taken = bytes_before
        bytes_before[:] = characters, taken + len(text[done:characters].encode("utf-8"))
        return bytes_before[1]

    while (start := place + len(_SPACE.match(text, place)[0])) < len(text) and text[start] != "]":  # type: ignore[index]
        if text[start] == ",":
            place = start + 1
            continue
        _, place = decoder.raw_decode(text, start)
        spans.append(Span(offset(before), offset(start), offset(place)))
        before = place
    return spans


def _broken_lines(source: Source, records: Records, rows: list[int], hide: Hide) -> Iterator[Broken]:
    """Yield what is no row. Lines can be shown as they are; of other files only the number is told."""
    if source.format != "jsonl" or records.path is None:
        yield from (Broken(row, "broken line", "", "") for row in rows)
        return
    wanted = set(rows)
    for row, line in json_rows(records.path):
        if row in wanted:
            reason, text = decoded(line)
            yield Broken(row, reason, *hide(text))
