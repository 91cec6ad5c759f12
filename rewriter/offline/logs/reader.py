"""Read a dialogue log of any accepted form, and write the tables TURNS and REJECTED (the contract: docs/log.md)."""

import difflib
import json
import re
import secrets
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import duckdb
import numpy as np

from rewriter import tables
from rewriter.config import Logs
from rewriter.engines import first_line
from rewriter.engines.duckdb import quoted
from rewriter.errors import LogError
from rewriter.model.hypothesis import hypothesis
from rewriter.offline.logs.contract import (
    CONTRACT,
    REQUIRED,
    Cell,
    Relation,
    Span,
    all_rows,
    file_rows,
    identifier,
    literal,
    nested,
    place,
    user_rows,
)  # fmt: skip
from rewriter.offline.logs.decisions import join, join_feedback
from rewriter.offline.logs.files import Skipped, Source, find, identify, select
from rewriter.offline.logs.report import COSTS, LogFile, LogReport, signals
from rewriter.offline.logs.text_formats import Hash, comma_separated, json_lines
from rewriter.tables import REJECTED, TURNS
from rewriter.text import hash_user

_OFTEN = {
    "user_id": ("user", "uid", "userid", "speaker", "caller", "customer_id", "household"),
    "timestamp": ("time", "ts", "date", "datetime", "created_at", "when"),
    "utterance": ("text", "query", "transcript", "message", "asr", "heard"),
}
"""Common names of the required columns in logs of other programs."""
_VIRTUAL = {"file_index", "file_row_number"}


def names_in(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return every column of the contract -> the name to look for in the files."""
    for ours in mapping:
        if ours not in CONTRACT:
            near = difflib.get_close_matches(ours, CONTRACT, n=1) or sorted(CONTRACT)
            raise LogError(f"the log has no column {ours} to map to; did you mean {near[0]}?")
    return {name: mapping.get(name, name) for name in CONTRACT}


def relation(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    names: Mapping[str, str],
    work: Path,
    hashed: Hash,
    required: Sequence[str] = REQUIRED,
) -> Relation:
    """Open one file of the log.

    Args:
        con: where it is read.
        source: the file.
        names: ours -> the name to look for.
        work: folder for what has to be written on the way.
        hashed: user id -> its keyed hash.
        required: the columns that the file must have.

    Raises:
        LogError: the file is damaged, or lacks required columns; names all of them.
    """
    match source.format:
        case "parquet":
            opened = _parquet(con, source, names)
        case "jsonl":
            opened = json_lines(con, source, names, work, hashed)
        case "csv":
            opened = comma_separated(con, source, names, work, hashed)
    missing = [column for column in required if column not in opened.cells] if opened.cells or opened.columns else []
    if missing:
        raise LogError(_missing({column: names[column] for column in missing}, source, opened.columns))
    return opened


def _parquet(con: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str]) -> Relation:
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(source.path)})").fetchall()
        rows = con.execute(f"SELECT COUNT(*) FROM read_parquet({literal(source.path)})").fetchall()[0][0]
    except duckdb.Error as error:
        detail = f": {first_line(error)}" if source.quotable else ""
        raise LogError(f"{source.shown} is not a Parquet file that can be read{detail}; write it again") from error
    types = {row[0]: row[1] for row in described}
    if taken := _VIRTUAL & types.keys():
        raise LogError(f"{source.shown}: DuckDB keeps the column name {min(taken)} for itself; read the file with --sql instead")
    cells = {ours: Cell(identifier(theirs), types[theirs]) for ours, theirs in names.items() if theirs in types}
    for ours, cell in cells.items():
        if nested(cell.type) and CONTRACT[ours] not in ("list", "object", "slots"):
            raise LogError(f"{source.shown}: column {names[ours]} is {cell.type}, and {ours} is one value a row")
    return Relation(source.path, cells, tuple(types), rows, staged=False)


def _missing(names: Mapping[str, str], source: Source, columns: tuple[str, ...]) -> str:
    """Return the message for required columns (ours -> the name that was looked for) that a file does not have."""
    count = "column" if len(names) == 1 else "columns"
    if not source.quotable:
        return f"{source.shown} has no {count} {', '.join(names.values())}; it is a link, so its content is not shown"
    maps = [f"--map {ours}={near}" for ours, theirs in names.items() if (near := _near(ours, theirs, columns))]
    cure = f"say {' '.join(maps)} if that is it" if maps else "the file names no columns"
    return f"{source.shown} has no {count} {', '.join(names.values())} (it has {', '.join(columns[:20])}); {cure}"


def _near(ours: str, theirs: str, columns: Sequence[str]) -> str:
    """Return the column that is most likely meant; empty where there are no columns."""
    columns = [c for c in columns if c not in REQUIRED]
    likely = [c for c in columns if c.lower() in (theirs, *_OFTEN[ours])]
    return next(iter(likely or difflib.get_close_matches(theirs, columns, n=1, cutoff=0.0)), "")


def require_mapped(mapping: Mapping[str, str], relations: list[Relation]) -> None:
    """Raise a LogError where a column that was mapped by name is in no file."""
    for ours, theirs in mapping.items():
        if relations and not any(ours in relation.cells for relation in relations):
            columns = sorted({column for relation in relations for column in relation.columns})
            near = difflib.get_close_matches(theirs, columns, n=1)
            cure = f"; did you mean {near[0]}?" if near else f"; the columns are {', '.join(columns[:20])}"
            raise LogError(f"no file has a column {theirs}{cure}")


_FEW_ROWS = 10_000
"""Up to this many rows are held in memory while they are looked at; more are read from their files each time."""
_DAY_MS = 86_400_000
_GROUP = 0.01
"""A group of days far from the others is kept if it holds this share of the rows: then it is no accident."""


@contextmanager
def connection(work: Path, hashed: Hash) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a database in memory that spills to `work` and has the functions of the SQL. It is closed at the end.

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
    """Return the hypothesis of an intent and the JSON of its slots; empty where that is no object of scalars."""
    try:
        values = json.loads(slots, parse_int=str)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(values, dict) or any(isinstance(value, (dict, list)) for value in values.values()):
        return ""
    return hypothesis(intent, values)


def prepare(con: duckdb.DuckDBPyConnection, work: Path, files: list[Source], relations: list[Relation], config: Logs) -> None:
    """Make the view `log_rows`. Users are hashed and hypotheses are written once for each distinct value."""
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, each in enumerate(relations):
        alike[each.staged, *each.cells.items()].append(i)
    branches = [
        file_rows({i: files[i].checksum for i in group}, [relations[i] for i in group], config) for group in alike.values()
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
        f"SELECT ts_ms // {_DAY_MS} AS day, COUNT(*) FROM ({union}) WHERE ts_ms IS NOT NULL GROUP BY day ORDER BY day"
    ).fetchall()
    span = _span(days, time.time_ns() // 1_000_000, config.far_days)
    con.execute(f"CREATE TEMP VIEW log_rows AS {all_rows(branches, config, span)}")


def _span(days: Sequence[tuple[int, int]], now_ms: int, far_days: int) -> Span:
    """Return the times that rows may have: not in the future, and not far from the bulk of the log.

    Where most rows are in the future, the clock of this machine is taken to be wrong, and not the log.

    Args:
        days: (day, its rows), ascending.
        now_ms: the time now, epoch milliseconds; one day more is allowed for clocks of other zones.
        far_days: days without rows that separate two groups; 0 keeps all of them.

    Example:
        >>> _span([(20000, 500), (20001, 600), (65000, 1)], 20010 * _DAY_MS, 366).latest // _DAY_MS
        20011
        >>> [(first // _DAY_MS, last // _DAY_MS) for first, last in _span([(0, 1), (20000, 900)], 20010 * _DAY_MS, 366).groups]
        [(20000, 20000)]
    """
    latest, rows = now_ms + _DAY_MS, sum(n for _, n in days)
    if 2 * sum(n for day, n in days if day * _DAY_MS > latest) > rows:
        latest = int(np.iinfo(np.int64).max)
    groups: list[list[tuple[int, int]]] = []
    for day, n in days:
        if groups and (not far_days or day - groups[-1][-1][0] <= far_days):
            groups[-1].append((day, n))
        elif day * _DAY_MS <= latest:
            groups.append([(day, n)])
    sizes = [sum(n for _, n in group) for group in groups]
    kept = [group for group, n in zip(groups, sizes, strict=True) if n >= min(_GROUP * rows, max(sizes))]
    return Span(latest, [(group[0][0] * _DAY_MS, (group[-1][0] + 1) * _DAY_MS - 1) for group in kept])


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
    min_users: int,
) -> LogReport:
    """Write `folder`/turns.parquet and `folder`/rejected.parquet from the view `log_rows`, and report.

    Raises:
        LogError: the files hold no rows at all.
    """
    rows = sum(each.rows for each in relations)
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
    quotable = {file.shown for file in files if file.quotable}
    for table, path in ((TURNS, turns), (REJECTED, rejected)):
        tables.check(table, path)
    return LogReport(
        files=tuple(LogFile(f.shown, f.checksum, r.rows) for f, r in zip(files, relations, strict=True)),
        skipped=tuple(skipped),
        turns=n,
        users=users,
        first_ms=first,
        last_ms=last,
        rejected=dict(reasons),
        examples={reason: value for reason, file, value in con.execute(_examples(rejected)).fetchall() if file in quotable},
        bad=_bad(con, turns, relations, min_users) if reasons else 0.0,
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
        f"SELECT {i} AS file, row AS row_number, reason, content FROM read_ndjson({literal(each.broken)},"
        " columns = {'row': 'BIGINT', 'reason': 'VARCHAR', 'content': 'VARCHAR'})"
        for i, each in enumerate(relations)
        if each.broken
    ]
    return (
        "SELECT names.file, row_number, reason, left(content, 1000) AS content"
        f" FROM ({' UNION ALL '.join(parts)}) AS r JOIN (VALUES {names}) AS names(number, file) ON names.number = r.file"
        " ORDER BY names.number, row_number"
    )


def _examples(rejected: Path) -> str:
    """Return the SELECT of reason, file and a value of the log for each reason that is about a single value."""
    column = "CASE reason WHEN 'unreadable time' THEN 'timestamp' ELSE substr(reason, 15) END"
    return (
        f"SELECT reason, any_value(file), left(min(content ->> {column}), 40) AS value FROM read_parquet({literal(rejected)})"
        " WHERE (reason = 'unreadable time' OR starts_with(reason, 'wrong type in ')) AND json_valid(content)"
        " GROUP BY reason HAVING value IS NOT NULL"
    )


def _bad(con: duckdb.DuckDBPyConnection, turns: Path, relations: list[Relation], min_users: int) -> float:
    """Return how many rows count as bad for `Logs.max_rejected`.

    A row whose user is known counts by user: each user counts with no more than the rows of the median user, and the
    `min_users - 1` users with the most bad rows do not count. So fewer than `min_users` accounts cannot stop the job. A log of
    fewer users than that is nobody else's, and there every bad row counts.
    """
    bad = ["SELECT user_id, 1 AS bad FROM log_rows WHERE reason IS NOT NULL"]
    bad += [
        f"SELECT nullif(user, ''), 1 FROM read_ndjson({literal(each.broken)}, columns = {{'user': 'VARCHAR'}})"
        for each in relations
        if each.broken
    ]
    rows = f"SELECT user_id, 0 AS bad FROM read_parquet({literal(turns)}) UNION ALL {' UNION ALL '.join(bad)}"
    counts = con.execute(f"SELECT user_id IS NOT NULL, COUNT(*), SUM(bad) FROM ({rows}) GROUP BY user_id").fetchall()
    known = np.array([(n, n_bad) for is_known, n, n_bad in counts if is_known], dtype=np.int64).reshape(-1, 2)
    unknown = sum(int(n_bad) for is_known, _, n_bad in counts if not is_known)
    if len(known) < min_users:
        return unknown + float(known[:, 1].sum())
    counted = np.sort(known[:, 1])[: len(known) - (min_users - 1)]
    return unknown + float(np.minimum(counted, np.median(known[:, 0])).sum())


def _absent_columns(relations: list[Relation]) -> tuple[str, ...]:
    found = {name for each in relations for name in each.cells}
    silent = {"slots"} if "hypothesis" in found or "intent" not in found else set()
    silent |= {"hypothesis"} if "intent" in found else set()
    return tuple(name for name in COSTS if name not in found | silent)


_WORK = ".reading-"


def read(
    sources: str | Path | Iterable[str | Path],
    *,
    out: Path,
    key: bytes,
    config: Logs,
    mapping: Mapping[str, str] | None = None,
    sql: Path | None = None,
    seen: frozenset[str] = frozenset(),
    decisions: Path | None = None,
    feedback: Path | None = None,
    min_users: int = 3,
    rejected: Callable[[], Path] | None = None,
) -> LogReport:
    """Read a log and write `out`/turns.parquet (TURNS) and `out`/rejected.parquet (REJECTED). Only the owner can read them.

    Args:
        sources: one path or several: Parquet, JSON lines and CSV files (text also .gz), folders and globs of them.
        out: folder of the two tables; made where it is not there.
        key: secret under which user ids are hashed, 16 to 64 bytes.
        config: limits and defaults.
        mapping: our column -> the log's name for it.
        sql: a file with one SELECT whose rows are the log, instead of `sources`.
        seen: checksums of files that were learned before; their content is left out.
        decisions: folder of a `rewriter.DecisionLog`, joined to the turns (`offline.logs.decisions.join`).
        feedback: file of what users said about their decisions; need not be there.
        min_users: bad rows of fewer users than this do not stop the job (`LogReport.bad`).
        rejected: returns the file that keeps the rejected rows if the job stops, for an `out` that is temporary; None for
            `out`/rejected.parquet.

    Returns:
        What was read and what was not.

    Raises:
        LogError: a file cannot be read, a required column is missing, or more rows are bad than `config.max_rejected`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> n = (folder / "log.csv").write_text("user_id,timestamp,utterance\\nann,2026-01-01T08:00:00Z,turn on the lamp\\n")
        >>> read([folder], out=folder / "state", key=bytes(16), config=Logs()).turns
        1
    """
    try:
        report = _read_into(
            out, lambda work: _read(sources, work, key, config, mapping or {}, sql, seen, min_users, decisions, feedback)
        )
        if not report.stop:
            return report
        path = out / "rejected.parquet"
        if rejected is not None:
            kept = rejected()
            shutil.copyfile(path, kept)
            kept.chmod(0o600)
            path = kept
    except OSError as error:
        raise LogError(f"cannot write to {out}: {error}") from error
    raise LogError(f"{report.stop}; see {path}, then mend the log or raise the limit")


def temporary_file() -> Path:
    """Return a file for rejected rows in a new private folder for temporary files."""
    return Path(tempfile.mkdtemp(prefix="rewriter-")) / "rejected.parquet"


def check(
    sources: str | Path | Iterable[str | Path],
    *,
    config: Logs,
    mapping: Mapping[str, str] | None = None,
    sql: Path | None = None,
    seen: frozenset[str] = frozenset(),
    min_users: int = 3,
    window_ms: int = 60_000,
) -> LogReport:
    """Read a log as `read` does, and keep nothing but the report. It also says why `read` would stop, and what can teach.

    Raises:
        LogError: a file cannot be read, or a required column is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = _read(sources, Path(folder), secrets.token_bytes(16), config, mapping or {}, sql, seen, min_users)
        with duckdb.connect() as con:
            return replace(report, signals=signals(con, Path(folder) / "turns.parquet", min_users=min_users, window_ms=window_ms))


@dataclass(frozen=True, slots=True)
class UserRows:
    """The rows of one user in one file.

    Attributes:
        source: the file.
        rows: their numbers, from 1, as `read` numbers the rows of the file.
        count: number of all rows of the file.
    """

    source: Source
    rows: frozenset[int]
    count: int


def rows_of_user(user_id: str, path: Path, mapping: Mapping[str, str]) -> UserRows:
    """Return the rows that `read` takes for rows of a user, and the broken lines that name the user.

    Args:
        user_id: as the log gives it.
        path: a file of a log.
        mapping: our column -> the log's name for it.

    Raises:
        LogError: the file cannot be read, or has no column for the user.
    """
    (source, *_), _ = identify([(path, str(path))], frozenset())

    def hashed(user: str) -> str:
        return _THIS if user == user_id else _OTHER

    names = {"user_id": names_in(mapping)["user_id"]}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            with connection(work, hashed) as con:
                opened = relation(con, source, names, work, hashed, tuple(names))
                rows = con.execute(user_rows(opened)).fetchall() if opened.cells else []
        except (duckdb.Error, OSError) as error:
            raise LogError(f"cannot read {path}: {_renamed(first_line(error), [source], work)}") from error
        broken = [] if opened.broken is None else map(json.loads, opened.broken.read_text(encoding="utf-8").splitlines())
        found = {row for row, user in rows if user == user_id}
        found |= {
            each["row"] for each in broken if each["user"] == _THIS or (not each["user"] and names_user(each["content"], user_id))
        }
        return UserRows(source, frozenset(found), opened.rows)


_THIS, _OTHER = "this user", "another user"


def names_user(text: str, user_id: str) -> bool:
    """Return whether a text holds a user id as a whole word.

    Example:
        >>> names_user('{"usr": "ann", ', "ann"), names_user("hanna", "ann")
        (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(user_id)}(?!\w)", text) is not None


def _read_into(out: Path, work: Callable[[Path], LogReport]) -> LogReport:
    """Read in a private folder inside `out`, and move the finished tables to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for left_by_a_killed_run in out.glob(f"{_WORK}*"):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=_WORK) as folder:
        report = work(Path(folder))
        for name in ("rejected.parquet",) if report.stop else ("rejected.parquet", "turns.parquet"):
            written = Path(folder) / name
            written.chmod(0o600)
            written.replace(out / name)
    return report


def _read(
    sources: str | Path | Iterable[str | Path],
    work: Path,
    key: bytes,
    config: Logs,
    mapping: Mapping[str, str],
    sql: Path | None,
    seen: frozenset[str],
    min_users: int,
    decisions: Path | None = None,
    feedback: Path | None = None,
) -> LogReport:
    names = names_in(mapping)
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    if (sql is None) == (not given):
        raise LogError("give either log files or a file with one SELECT")
    found = [(path, str(path)) for path in find(given)] if sql is None else [(select(sql, work / "select.parquet"), str(sql))]
    files, skipped = identify(found, seen)

    def hashed(user: str) -> str:
        return hash_user(user, key)

    try:
        with connection(work, hashed) as con:
            relations = [relation(con, file, names, work, hashed) for file in files]
            require_mapped(mapping, relations)
            prepare(con, work, files, relations, config)
            report = write(con, work, files, skipped, relations, config, min_users)
            if decisions is not None:
                report = replace(report, joined=join(con, decisions, work / "turns.parquet", report.first_ms))
            if feedback is not None and feedback.exists():
                join_feedback(con, feedback, work / "turns.parquet")
            return report
    except (duckdb.Error, OSError) as error:
        raise LogError(f"cannot read the log: {_renamed(first_line(error), files, work)}") from error


def _renamed(message: str, files: list[Source], work: Path) -> str:
    """Return a message with the names that people know in place of those of staged files; it quotes no link."""
    if not all(file.quotable for file in files):
        return "a file could not be read; one of them is a link, so its content is not shown"
    for file in files:
        message = message.replace(str(work / file.checksum), file.shown).replace(str(file.path), file.shown)
    return message
