"""From opened files to the tables TURNS and REJECTED and the `LogReport`."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import duckdb

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.model.hypothesis import hypothesis
from rewriter.offline.logs_files import Skipped, Source
from rewriter.offline.logs_report import COSTS, LogFile, LogReport
from rewriter.offline.logs_sql import Cell, Relation, all_rows, file_rows, literal, place, quoted
from rewriter.offline.logs_text import Hash
from rewriter.tables import REJECTED, TURNS, check

_FEW_ROWS = 10_000
"""So many rows are held while they are looked at; more are read from their files each time."""


@contextmanager
def connection(work: Path, hashed: Hash) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills to `work` and knows the functions of the SQL; closed at the end.

    Args:
        work: a private folder.
        hashed: user id -> its keyed hash.
    """
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = {quoted(str(work / 'spill'))}")
        con.execute("SET python_enable_replacements = false")
        con.execute(resources.files("rewriter.offline").joinpath("sql/logs_values.sql").read_text(encoding="utf-8"))
        con.create_function("hashed", hashed, ["VARCHAR"], "VARCHAR")
        con.create_function("reading", _reading, ["VARCHAR", "VARCHAR"], "VARCHAR")
        yield con


def _reading(intent: str, slots: str) -> str:
    """The hypothesis of an intent and the JSON of its slots; empty where that is no object of scalars."""
    try:
        values = json.loads(slots, parse_int=str)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(values, dict) or any(isinstance(value, (dict, list)) for value in values.values()):
        return ""
    return hypothesis(intent, values)


def prepare(con: duckdb.DuckDBPyConnection, work: Path, files: list[Source], relations: list[Relation], config: Logs) -> None:
    """Make the view `log_rows`; users and readings are worked out once for each distinct value."""
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, relation in enumerate(relations):
        alike[relation.staged, *relation.cells.items()].append(i)
    branches = [
        file_rows({i: files[i].checksum for i in group}, [relations[i] for i in group], config) for group in alike.values()
    ] or [_no_rows(con, work, config)]
    union = " UNION ALL ".join(branches)
    if sum(relation.rows for relation in relations) <= _FEW_ROWS:
        con.execute(f"CREATE TEMP TABLE few_rows AS {union}")
        branches = [union := "SELECT * FROM few_rows"]
    con.execute(
        f"CREATE TEMP TABLE users AS SELECT user, hashed(user) AS user_id"
        f" FROM (SELECT DISTINCT user FROM ({union}) WHERE user IS NOT NULL)"
    )
    con.execute(
        f"CREATE TEMP TABLE readings AS SELECT intent, slots, nullif(reading(intent, slots), '') AS hypothesis"
        f" FROM (SELECT DISTINCT intent, coalesce(slots, '{{}}') AS slots FROM ({union})"
        " WHERE hypothesis IS NULL AND intent IS NOT NULL)"
    )
    named = "true" if any("turn_id" in relation.cells for relation in relations) else "false"
    con.execute(
        f"CREATE TEMP TABLE repeated AS SELECT turn_id, MIN({place('r')}) AS first FROM ({union}) AS r"
        f" WHERE {named} AND turn_id IN (SELECT turn_id FROM ({union}) GROUP BY turn_id HAVING COUNT(*) > 1) GROUP BY turn_id"
    )
    con.execute(f"CREATE TEMP VIEW log_rows AS {all_rows(branches, config)}")


def _no_rows(con: duckdb.DuckDBPyConnection, work: Path, config: Logs) -> str:
    path = work / "nothing.parquet"
    columns = "CAST(0 AS BIGINT) AS row, CAST(NULL AS VARCHAR) AS utterance, CAST(NULL AS VARCHAR) AS wrong, true AS is_row"
    _copy(con, f"SELECT {columns} WHERE false", path)
    return file_rows({0: ""}, [Relation(path, {"utterance": Cell("utterance", "VARCHAR")}, (), 0)], config)


def write(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    files: list[Source],
    skipped: list[Skipped],
    relations: list[Relation],
    config: Logs,
) -> LogReport:
    """Write `folder`/turns.parquet and `folder`/rejected.parquet from the view `log_rows`, and report.

    Raises:
        LogError: the files hold no rows at all.
    """
    rows = sum(relation.rows for relation in relations)
    if files and not rows:
        raise LogError(f"the log holds no rows: {', '.join(f.shown for f in files)}")
    turns, rejected = folder / "turns.parquet", folder / "rejected.parquet"
    _copy(con, f"SELECT {', '.join(TURNS.names)} FROM log_rows WHERE reason IS NULL", turns)
    n, users, first, last = con.execute(
        f"SELECT COUNT(*), COUNT(DISTINCT user_id), MIN(ts_ms), MAX(ts_ms) FROM read_parquet({literal(turns)})"
    ).fetchall()[0]
    _copy(con, _rejected(files, relations, any_bad=n < rows), rejected)
    reasons = con.execute(
        f"SELECT reason, COUNT(*) AS n FROM read_parquet({literal(rejected)}) GROUP BY reason ORDER BY n DESC, reason"
    ).fetchall()
    for table, path in ((TURNS, turns), (REJECTED, rejected)):
        check(table, path)
    return LogReport(
        files=tuple(LogFile(f.shown, f.checksum, r.rows) for f, r in zip(files, relations, strict=True)),
        skipped=tuple(skipped),
        turns=n,
        users=users,
        first_ms=first,
        last_ms=last,
        rejected=dict(reasons),
        missing=_absent_columns(relations),
        max_rejected=config.max_rejected,
    )


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.execute(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)").fetchall()


def _rejected(files: list[Source], relations: list[Relation], *, any_bad: bool) -> str:
    names = ", ".join(f"({i}, {quoted(file.shown)})" for i, file in enumerate(files)) or "(0, '')"
    parts = [
        "SELECT file, row AS row_number, reason,"
        " CAST(json_merge_patch(json_object('user_id', user_id), content) AS VARCHAR) AS content"
        f" FROM log_rows WHERE {'reason IS NOT NULL' if any_bad else 'false'}"
    ]
    parts += [
        f"SELECT {i} AS file, row AS row_number, reason, content FROM read_ndjson({literal(relation.broken)},"
        " columns = {'row': 'BIGINT', 'reason': 'VARCHAR', 'content': 'VARCHAR'})"
        for i, relation in enumerate(relations)
        if relation.broken
    ]
    return (
        "SELECT names.file, row_number, reason, left(content, 1000) AS content"
        f" FROM ({' UNION ALL '.join(parts)}) AS r JOIN (VALUES {names}) AS names(number, file) ON names.number = r.file"
        " ORDER BY names.number, row_number"
    )


def _absent_columns(relations: list[Relation]) -> tuple[str, ...]:
    found = {name for relation in relations for name in relation.cells}
    silent = {"slots"} if "hypothesis" in found or "intent" not in found else set()
    silent |= {"hypothesis"} if "intent" in found else set()
    return tuple(name for name in COSTS if name not in found | silent)
