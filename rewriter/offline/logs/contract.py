"""The log contract in SQL: how each column of a file becomes a column of TURNS, and which rows are set aside."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rewriter.config import Logs
from rewriter.engines import quoted

Kind = Literal["text", "time", "status", "flag", "share", "feedback", "list", "object", "slots"]

CONTRACT: dict[str, Kind] = {
    "user_id": "text",
    "timestamp": "time",
    "utterance": "text",
    "turn_id": "text",
    "session_id": "text",
    "locale": "text",
    "hypothesis": "text",
    "intent": "text",
    "slots": "slots",
    "status": "status",
    "response": "text",
    "barge_in": "flag",
    "engaged": "share",
    "feedback": "feedback",
    "asr_confidence": "share",
    "nlu_confidence": "share",
    "nbest": "list",
    "device_id": "text",
    "device_type": "text",
    "context": "object",
    "sent": "text",
    "rewrite_id": "text",
    "rule": "text",
    "layer": "text",
    "scope": "text",
    "arm": "text",
    "propensity": "share",
}
"""Every column that a log may have, and how it is read."""

REQUIRED = ("user_id", "timestamp", "utterance")
TEXTS = tuple(name for name, kind in CONTRACT.items() if kind == "text")
_FLOATS = ("FLOAT", "DOUBLE")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")


class Cell(NamedTuple):
    """Where a column stands in a file: a SQL reference and its DuckDB type."""

    ref: str
    type: str


class Relation(NamedTuple):
    """A file, ready to be read.

    Attributes:
        path: Parquet: the file itself, or what it was staged as. Staged Parquet has also the columns `row` (the number of each
            row, from 1), `wrong` (the reason why its types are wrong, or NULL) and `is_row` (false for a broken line).
        cells: column of the contract -> where it stands in the file; columns that the file lacks are left out.
        columns: all column names of the file, for messages.
        rows: number of all rows of the file: good, bad and broken.
        staged: whether `path` was staged.
        broken: JSON lines (row, reason, content) of the broken lines; None if there are none.
        units: number of the records of the file, as `forget` takes them out: lines, elements of a list, or rows.
        has_outer_time: whether the rows of a record share one time.
        notes: what became of rows that are no turns, for people.
        has_dates: whether some of its times are texts in other forms than ISO 8601 and epoch numbers.
        is_folded: whether `path` has one row for each turn, with the column `records` (`rewriter.offline.logs.talks`).
    """

    path: Path
    cells: Mapping[str, Cell]
    columns: tuple[str, ...]
    rows: int
    staged: bool = True
    broken: Path | None = None
    units: int = 0
    has_outer_time: bool = False
    notes: tuple[str, ...] = ()
    has_dates: bool = False
    is_folded: bool = False


def literal(path: Path) -> str:
    """Return a file name as a SQL literal without wildcards."""
    return quoted("".join(f"[{c}]" if c in "*?[" else c for c in str(path)))


def identifier(name: str) -> str:
    """Return a column name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def nested(sql_type: str) -> bool:
    """Return whether a DuckDB type is a list, a struct, a map or a union."""
    return sql_type.endswith("]") or sql_type.startswith(("STRUCT", "MAP", "UNION"))


def opened(relations: Sequence[Relation]) -> str:
    """Return the FROM clause of files with the same cells; it yields the cells, and row, wrong and file_index."""
    cells = dict(relations[0].cells)
    if relations[0].has_dates:
        time = cells["timestamp"].ref
        cells["timestamp"] = Cell(f"coalesce(CAST(time_of_date({time}) AS VARCHAR), {time})", "VARCHAR")
    picked = ", ".join([*(f"{cell.ref} AS {ours}" for ours, cell in cells.items()), "file_index"])
    paths = ", ".join(literal(relation.path) for relation in relations)
    if relations[0].staged:
        return f"(SELECT {picked}, row, wrong FROM read_parquet([{paths}]) WHERE is_row)"
    rows = "file_row_number + 1 AS row, CAST(NULL AS VARCHAR) AS wrong"
    return f"(SELECT {picked}, {rows} FROM read_parquet([{paths}], file_row_number = true))"


def file_rows(files: Mapping[int, str], relations: Sequence[Relation], config: Logs, worded: Collection[str] = ()) -> str:
    """Return the SELECT of files with the same cells, in the columns that all files share.

    These are the columns of TURNS, with four differences: `user` is as the log gives it, `intent` and `slots` stand beside
    `hypothesis`, `garbled` and `wrong` are reasons to set the row aside, and `content` is the row as JSON without the user.

    Args:
        files: number of each file in the log -> its checksum.
        relations: the files, in the same order.
        config: defaults.
        worded: columns whose values mean what the caller said; a value without a meaning is none.
    """
    cells = {name: Cell(name, cell.type) for name, cell in relations[0].cells.items()}
    cells |= {name: Cell(f"worded('{name}', {_text(cells[name])})", "VARCHAR") for name in worded if name in cells}
    values = {name: _value(CONTRACT[name], cells[name]) if name in cells else _absent(CONTRACT[name]) for name in CONTRACT}
    prefix = _of_file([quoted(f"{checksum[:16]}-") for checksum in files.values()])
    values["turn_id"] = f"coalesce({values['turn_id']}, {prefix} || row)"
    values["locale"] = f"coalesce(replace({values['locale']}, '_', '-'), {quoted(config.locale)})"
    values["intent"] = values["intent"] if "slots" in cells or config.intents_are_complete else _absent("text")
    ours = {"user_id": "user", "timestamp": "ts_ms"}
    picked = ", ".join(f"{sql} AS {identifier(ours.get(name, name))}" for name, sql in values.items())
    garbled = [f"WHEN {c.ref} IS NOT NULL AND {_text(c)} IS NULL THEN 'not UTF-8'" for c in cells.values() if c.type == "BLOB"]
    wrong = [
        f"WHEN {_given(c)} AND {_value(CONTRACT[name], c)} IS NULL THEN 'wrong type in {name}'"
        for name, c in cells.items()
        if CONTRACT[name] not in ("text", "time", "slots") and name not in worded
    ]
    shown = ", ".join(f"{quoted(name)}, CAST({c.ref} AS VARCHAR)" for name, c in cells.items() if name != "user_id")
    return (
        f"SELECT {_of_file(map(str, files))} AS file, row, {picked}, {_case(garbled)} AS garbled,"
        f" coalesce(wrong, {_case(wrong)}) AS wrong, json_object({shown}) AS content FROM {opened(relations)}"
    )


def _of_file(constants: Iterable[str]) -> str:
    """Return SQL for the constant that belongs to the file of a row."""
    each = list(constants)
    return each[0] if len(each) == 1 else f"[{', '.join(each)}][CAST(file_index AS BIGINT) + 1]"


def _absent(kind: Kind) -> str:
    types: dict[Kind, str] = {"time": "BIGINT", "flag": "BIGINT", "feedback": "BIGINT", "share": "DOUBLE"}
    return f"CAST(NULL AS {types.get(kind, 'VARCHAR')})"


def _case(whens: Iterable[str]) -> str:
    text = " ".join(whens)
    return f"CASE {text} END" if text else "CAST(NULL AS VARCHAR)"


def _given(cell: Cell) -> str:
    """Return SQL for: the cell has a value. A blank text and a NaN are no values."""
    if nested(cell.type):
        return f"{cell.ref} IS NOT NULL"
    return f"NOT blank({_text(cell)})"


def _text(cell: Cell) -> str:
    ref, sql_type = cell
    if sql_type == "BLOB":
        return f"TRY(decode({ref}))"
    if sql_type in _FLOATS:
        return f"text_of_float({ref})"
    return ref if sql_type == "VARCHAR" else f"CAST({ref} AS VARCHAR)"


def _number(cell: Cell) -> str:
    if cell.type in (*_FLOATS, *_NUMBERS, "BOOLEAN") or cell.type.startswith("DECIMAL"):
        return f"CAST({cell.ref} AS DOUBLE)"
    return f"number_of_text({_text(cell)})"


def _value(kind: Kind, cell: Cell) -> str:
    """Return SQL for the value of a cell, NULL if there is none or if it cannot be read."""
    match kind:
        case "text":
            sql = f"CASE WHEN NOT blank({_text(cell)}) THEN {_text(cell)} END"
        case "time":
            sql = _time(cell)
        case "status":
            sql = f"status_of({_text(cell)})"
        case "flag":
            sql = f"flag_of({_text(cell)})"
        case "share":
            sql = f"share_of({_number(cell)})"
        case "feedback":
            sql = f"feedback_of({_number(cell)})"
        case "list":
            sql = f"list_without_gaps({cell.ref})" if cell.type == "VARCHAR[]" else f"list_of({_json(cell)})"
        case "object":
            sql = f"object_of({_json(cell)})"
        case "slots":  # looked into once for each distinct text, by `reading`
            sql = _json(cell) if nested(cell.type) else _value("text", cell)
    return sql


def _time(cell: Cell) -> str:
    if cell.type == "TIMESTAMPTZ_NS":  # DuckDB has no functions for this type; the session is in UTC
        return f"time_of_timestamp(CAST({cell.ref} AS TIMESTAMP))"
    if cell.type.startswith("TIMESTAMP") or cell.type == "DATE":
        return f"time_of_timestamp({cell.ref})"
    if cell.type in (*_FLOATS, *_NUMBERS) or cell.type.startswith("DECIMAL"):
        return f"time_of_number(CAST({cell.ref} AS DOUBLE))"
    return f"time_of_text({_text(cell)})"


def _json(cell: Cell) -> str:
    return f"CAST(to_json({cell.ref}) AS VARCHAR)" if nested(cell.type) else _text(cell)


def user_rows(relation: Relation) -> str:
    """Return the SELECT of the number of each record, `row`, and the `user` of a turn in it, as the log gives it."""
    user = f"{_value('text', Cell('user_id', relation.cells['user_id'].type))} AS user"
    if relation.is_folded:
        return f"SELECT DISTINCT unnest(records) AS row, {user} FROM read_parquet({literal(relation.path)})"
    return f"SELECT row, {user} FROM {opened([relation])}"


class TimeSpan(NamedTuple):
    """The times that the rows of a log may have, in epoch milliseconds.

    Attributes:
        latest: the last of them.
        groups: (first, last) of each group of days that holds a part of the log.
    """

    latest: int
    groups: Sequence[tuple[int, int]]


def all_rows(files: list[str], config: Logs, span: TimeSpan) -> str:
    """Return the SELECT of all rows with `reason`, NULL for a good one, over the tables users, readings, repeated."""
    near = " OR ".join(f"ts_ms BETWEEN {first} AND {last}" for first, last in span.groups) or "true"
    return (
        "SELECT r.* REPLACE (coalesce(r.hypothesis, readings.hypothesis) AS hypothesis), users.user_id,"
        " CASE WHEN garbled IS NOT NULL THEN garbled WHEN r.user IS NULL THEN 'no user' WHEN ts_ms IS NULL THEN 'unreadable time'"
        f" WHEN ts_ms > {span.latest} THEN 'time in the future' WHEN NOT ({near}) THEN 'time far from the rest'"
        f" WHEN utterance IS NULL THEN 'no utterance' WHEN greatest(length(utterance), length(sent)) > {config.max_chars}"
        " THEN 'too long' WHEN wrong IS NOT NULL THEN wrong"
        " WHEN readings.intent IS NOT NULL AND readings.hypothesis IS NULL THEN 'wrong type in slots'"
        f" WHEN {place('r')} > repeated.first THEN 'duplicate turn_id' END AS reason"
        f" FROM ({' UNION ALL '.join(files)}) AS r"
        " LEFT JOIN users ON users.user = r.user"
        " LEFT JOIN readings ON r.hypothesis IS NULL AND readings.intent = r.intent AND readings.slots = coalesce(r.slots, '{}')"
        " LEFT JOIN repeated ON repeated.turn_id = r.turn_id"
    )


def place(table: str) -> str:
    """Return SQL for a number that orders the rows of the whole log by file and row."""
    return f"({table}.file * {2**40} + {table}.row)"
