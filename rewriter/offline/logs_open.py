"""From a file to a `Relation`: which of its columns are which of ours, or one clear line on what is missing."""

import difflib
from collections.abc import Mapping
from pathlib import Path

import duckdb

from rewriter.errors import LogError
from rewriter.offline.logs_files import Source, first_line
from rewriter.offline.logs_sql import CONTRACT, REQUIRED, Cell, Relation, identifier, literal, nested
from rewriter.offline.logs_text import Hash, comma_separated, json_lines

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
