"""Opens the files of a log as one view `log_rows`: every row with the columns of the contract, and the reason if it is bad."""

import difflib
import json
import shlex
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import duckdb
import numpy as np

from rewriter.config import Logs
from rewriter.engines import first_line, quoted
from rewriter.errors import LogError
from rewriter.model.hypothesis import hypothesis
from rewriter.offline.logs.contract import (
    CONTRACT,
    REQUIRED,
    Cell,
    Relation,
    TimeSpan,
    all_rows,
    file_rows,
    identifier,
    literal,
    nested,
    place,
)
from rewriter.offline.logs.csv_formats import comma_separated
from rewriter.offline.logs.files import Source
from rewriter.offline.logs.json_formats import json_records
from rewriter.offline.logs.layout import Layout
from rewriter.offline.logs.report import DAY_MS, copy
from rewriter.offline.logs.text_formats import Hash

_OFTEN = {
    "user_id": ("user", "uid", "userid", "who", "speaker", "caller", "customer_id", "household"),
    "timestamp": ("time", "ts", "date", "datetime", "created_at", "when"),
    "utterance": ("text", "query", "transcript", "message", "asr", "heard"),
}
"""Common names of the required columns in logs of other programs."""
_VIRTUAL = {"file_index", "file_row_number"}
_FEW_ROWS = 10_000
"""Up to this many rows are held in memory while they are looked at; more are read from their files each time."""
_GROUP = 0.01
"""A group of days far from the others is kept if it holds this share of the rows: then it is no accident."""


@contextmanager
def connection(
    work: Path, hashed: Hash, words: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a database in memory that spills to `work` and has the functions of the SQL. It is closed at the end.

    Args:
        work: a private folder.
        hashed: user id -> its keyed hash.
        words: column -> value -> what it means (`Layout.words`).
    """
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"SET temp_directory = {quoted(str(work / 'spill'))}")
        con.execute("SET python_enable_replacements = false")
        said = {f"{column}={value}": meaning for column, of in (words or {}).items() for value, meaning in of.items()}
        con.execute("SET VARIABLE words = MAP(CAST($keys AS VARCHAR[]), CAST($values AS VARCHAR[]))", _as_lists(said))
        con.execute("SET VARIABLE dates = ''")
        con.execute(resources.files("rewriter.offline").joinpath("sql/logs_values.sql").read_text(encoding="utf-8"))
        con.create_function("hashed", hashed, ["VARCHAR"], "VARCHAR")
        con.create_function("reading", _reading, ["VARCHAR", "VARCHAR"], "VARCHAR")
        yield con


def _as_lists(pairs: Mapping[str, str]) -> dict[str, list[str]]:
    return {"keys": list(pairs), "values": [str(value) for value in pairs.values()]}


def _reading(intent: str, slots: str) -> str:
    """Return the hypothesis of an intent and the JSON of its slots; empty where that is no object of scalars."""
    try:
        values = json.loads(slots, parse_int=str)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(values, dict) or any(isinstance(value, (dict, list)) for value in values.values()):
        return ""
    return hypothesis(intent, values)


def relation(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    layout: Layout,
    work: Path,
    hashed: Hash,
    required: Sequence[str] = REQUIRED,
) -> Relation:
    """Open one file of the log. Answers and clicks still have rows of their own (`rewriter.offline.logs.talks.folded`).

    Args:
        con: where it is read.
        source: the file.
        layout: how its turns lie in it.
        work: folder for what has to be written on the way.
        hashed: user id -> its keyed hash.
        required: the columns that the file must have.

    Raises:
        LogError: the file is damaged, or lacks required columns; names all of them.
    """
    if source.format == "csv":
        opened = comma_separated(con, source, layout, work, hashed)
    elif source.format == "parquet" and (plain := _parquet(con, source, layout)):
        opened = plain
    else:
        opened = json_records(con, source, layout, work, hashed)
    missing = [column for column in required if column not in opened.cells] if opened.cells or opened.columns else []
    if missing:
        raise LogError(_missing({column: layout.names[column] for column in missing}, source, opened.columns))
    return opened


def _parquet(con: duckdb.DuckDBPyConnection, source: Source, layout: Layout) -> Relation | None:
    """Open a Parquet file whose columns are those that are looked for; None if they lie inside of others."""
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(source.path)})").fetchall()
        rows = con.execute(f"SELECT COUNT(*) FROM read_parquet({literal(source.path)})").fetchall()[0][0]
    except duckdb.Error as error:
        detail = f": {first_line(error)}" if source.quotable else ""
        raise LogError(f"{source.shown} is not a Parquet file that can be read{detail}; write it again") from error
    types = {row[0]: row[1] for row in described}
    if taken := _VIRTUAL & types.keys():
        raise LogError(f"{source.shown}: DuckDB keeps the column name {min(taken)} for itself; read the file with --sql instead")
    inside = [name for name in layout.names.values() if name not in types and ("." in name or "+" in name)]
    if layout.is_folded or inside:
        return None
    cells = {ours: Cell(identifier(theirs), types[theirs]) for ours, theirs in layout.names.items() if theirs in types}
    for ours, cell in cells.items():
        if nested(cell.type) and CONTRACT[ours] not in ("list", "object", "slots"):
            raise LogError(f"{source.shown}: column {layout.names[ours]} is {cell.type}, and {ours} is one value a row")
    return Relation(source.path, cells, tuple(types), rows, staged=False, units=rows)


def _missing(names: Mapping[str, str], source: Source, columns: tuple[str, ...]) -> str:
    """Return the message for required columns (ours -> the name that was looked for) that a file does not have."""
    count = "column" if len(names) == 1 else "columns"
    if not source.quotable:
        return f"{source.shown} has no {count} {', '.join(names.values())}; it is a link, so its content is not shown"
    shown = f"{source.shown} has no {count} {', '.join(names.values())} (it has {', '.join(columns[:20])})"
    look = f"; {source.cure}" if source.cure else ""
    if needless := [f"--map {ours}={theirs}" for ours, theirs in names.items() if ours != theirs and ours in columns]:
        return f"{shown}; leave out {' '.join(needless)}"
    maps = [f"--map {shlex.quote(f'{ours}={near}')}" for ours, theirs in names.items() if (near := _near(ours, theirs, columns))]
    if maps:
        return f"{shown}; say {' '.join(maps)} if that is it{look}"
    if not columns:
        return f"{shown}; the file names no columns"
    return f"{shown}; name the column that is meant, such as --map {next(iter(names))}=COLUMN{look}"


def _near(ours: str, theirs: str, columns: Sequence[str]) -> str:
    """Return the column that is most likely meant; empty where none looks alike. A column of the contract is never meant."""
    unknown = {c.lower(): c for c in columns if c not in CONTRACT}
    often = [c for c in (theirs, *_OFTEN[ours]) if c in unknown]
    near = often or difflib.get_close_matches(theirs.lower(), unknown, n=1) or difflib.get_close_matches(ours, unknown, n=1)
    return unknown[near[0]] if near else ""


def require_mapped(layout: Layout, relations: list[Relation]) -> None:
    """Raise a LogError where a column that was mapped by name is in no file."""
    for ours, theirs in ((name, layout.names[name]) for name in sorted(layout.mapped)):
        if relations and not any(ours in relation.cells for relation in relations):
            columns = sorted({column for relation in relations for column in relation.columns})
            near = difflib.get_close_matches(theirs, [c for c in columns if c == ours or c not in CONTRACT], n=1)
            cure = f"; did you mean {near[0]}?" if near else f"; the columns are {', '.join(columns[:20])}"
            raise LogError(f"no file has a column {theirs}{cure}")


def prepare(
    con: duckdb.DuckDBPyConnection,
    work: Path,
    files: list[Source],
    relations: list[Relation],
    config: Logs,
    worded: Collection[str] = (),
) -> None:
    """Make the view `log_rows`. Users are hashed and hypotheses are written once for each distinct value."""
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, each in enumerate(relations):
        alike[each.staged, each.has_dates, *each.cells.items()].append(i)
    branches = [
        file_rows({i: files[i].checksum for i in group}, [relations[i] for i in group], config, worded)
        for group in alike.values()
    ] or [_no_rows(con, work, config)]
    union = " UNION ALL ".join(branches)
    if sum(each.rows for each in relations) <= _FEW_ROWS:
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
    named = "true" if any("turn_id" in each.cells for each in relations) else "false"
    con.execute(
        f"CREATE TEMP TABLE repeated AS SELECT turn_id, MIN({place('r')}) AS first FROM ({union}) AS r"
        f" WHERE {named} AND turn_id IN (SELECT turn_id FROM ({union}) GROUP BY turn_id HAVING COUNT(*) > 1) GROUP BY turn_id"
    )
    days = con.execute(
        f"SELECT ts_ms // {DAY_MS} AS day, COUNT(*) FROM ({union}) WHERE ts_ms IS NOT NULL GROUP BY day ORDER BY day"
    ).fetchall()
    span = _time_span(days, time.time_ns() // 1_000_000, config.far_days)
    con.execute(f"CREATE TEMP VIEW log_rows AS {all_rows(branches, config, span)}")


def _time_span(days: Sequence[tuple[int, int]], now_ms: int, far_days: int) -> TimeSpan:
    """Return the times that rows may have: not in the future, and not far from the bulk of the log.

    Where most rows are in the future, the clock of this machine is taken to be wrong, and not the log.

    Args:
        days: (day, its rows), ascending.
        now_ms: the time now, epoch milliseconds; one day more is allowed for clocks of other zones.
        far_days: days without rows that separate two groups; 0 keeps all of them.

    Example:
        >>> _time_span([(20000, 500), (20001, 600), (65000, 1)], 20010 * DAY_MS, 366).latest // DAY_MS
        20011
        >>> kept = _time_span([(0, 1), (20000, 900)], 20010 * DAY_MS, 366).groups
        >>> [(first // DAY_MS, last // DAY_MS) for first, last in kept]
        [(20000, 20000)]
    """
    latest, rows = now_ms + DAY_MS, sum(n for _, n in days)
    if 2 * sum(n for day, n in days if day * DAY_MS > latest) > rows:
        latest = int(np.iinfo(np.int64).max)
    groups: list[list[tuple[int, int]]] = []
    for day, n in days:
        if groups and (not far_days or day - groups[-1][-1][0] <= far_days):
            groups[-1].append((day, n))
        elif day * DAY_MS <= latest:
            groups.append([(day, n)])
    sizes = [sum(n for _, n in group) for group in groups]
    kept = [group for group, n in zip(groups, sizes, strict=True) if n >= min(_GROUP * rows, max(sizes))]
    return TimeSpan(latest, [(group[0][0] * DAY_MS, (group[-1][0] + 1) * DAY_MS - 1) for group in kept])


def _no_rows(con: duckdb.DuckDBPyConnection, work: Path, config: Logs) -> str:
    path = work / "nothing.parquet"
    columns = "CAST(0 AS BIGINT) AS row, CAST(NULL AS VARCHAR) AS utterance, CAST(NULL AS VARCHAR) AS wrong, true AS is_row"
    copy(con, f"SELECT {columns} WHERE false", path)
    return file_rows({0: ""}, [Relation(path, {"utterance": Cell("utterance", "VARCHAR")}, (), 0)], config)
