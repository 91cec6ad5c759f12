"""Read a dialogue log: any of its forms in, the tables TURNS and REJECTED out (the contract: docs/log.md).

`LogReport`: what was read, what was set aside, and what the log does not say.

From opened files to the tables TURNS and REJECTED and the `LogReport`.
"""

import json
import secrets
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import duckdb

from rewriter import tables
from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.model.hypothesis import hypothesis
from rewriter.offline.logs.contract import Cell, Relation, all_rows, file_rows, literal, place, quoted
from rewriter.offline.logs.decisions import Joined, join, join_feedback
from rewriter.offline.logs.files import Skipped, Source, find, first_line, identify, select
from rewriter.offline.logs.text_formats import Hash, names_in, relation, require_mapped
from rewriter.tables import REJECTED, TURNS
from rewriter.text import hash_user

COSTS = {
    "turn_id": "turns are named by file checksum and row; a turn exported twice counts twice",
    "session_id": "a session ends where a user falls silent",
    "locale": "every turn is taken for the default locale",
    "hypothesis": "texts stand for themselves; two ways to say one thing are not known to be one",
    "slots": "an intent without slots is no interpretation (call mary = call john), so it is not used",
    "status": "failures are known only from barge-in, restatements and stops",
    "response": "an answer given twice is not seen",
    "barge_in": "interrupted answers are not seen",
    "engaged": "success is known only from the absence of failure",
    "feedback": "nobody's own word on a turn is heard",
    "asr_confidence": "unsure hearing is not seen",
    "nlu_confidence": "unsure understanding is not seen",
    "nbest": "other hearings cannot help to find what was meant",
    "device_id": "devices of one user are not told apart",
    "device_type": "kinds of devices are not told apart",
    "context": "a text means the same in every place and at every hour",
    "sent": "every utterance is taken to have reached the NLU as it was spoken",
    "rewrite_id": "no turn is known to have been rewritten, so rules get no verdict on themselves",
}
"""What a missing column costs. `hypothesis` is missing where `intent` is missing too."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that was read: its name, the sha256 of its content, and its rows, good and bad."""

    file: str
    checksum: str
    rows: int


@dataclass(frozen=True, slots=True)
class LogReport:
    """What reading a log gave.

    Attributes:
        files: what was read.
        skipped: what was not, and why.
        turns: good rows.
        users: distinct users of the good rows.
        first_ms: time of the earliest turn, epoch milliseconds; None without turns.
        last_ms: time of the latest.
        rejected: reason -> rows that were set aside, the commonest first.
        missing: columns that no file has.
        max_rejected: share of rows that may be set aside.
        joined: what became of the decisions; None where none were given.
    """

    files: tuple[LogFile, ...]
    skipped: tuple[Skipped, ...]
    turns: int
    users: int
    first_ms: int | None
    last_ms: int | None
    rejected: Mapping[str, int]
    missing: tuple[str, ...]
    max_rejected: float
    joined: Joined | None = None

    @property
    def rows(self) -> int:
        """All rows, good and bad."""
        return self.turns + sum(self.rejected.values())

    @property
    def stop(self) -> str | None:
        """Why the job must stop, with the counts by reason; None where it need not."""
        bad = sum(self.rejected.values())
        if bad <= self.max_rejected * self.rows:
            return None
        counts = ", ".join(f"{reason} {n:,}" for reason, n in self.rejected.items())
        return f"{bad:,} of {self.rows:,} rows are bad, more than the {self.max_rejected:.1%} of logs.max_rejected: {counts}"

    def lines(self) -> list[str]:
        """Return the report for people, line by line."""
        text = [f"{len(self.files):,} files, {self.rows:,} rows: {self.turns:,} turns of {self.users:,} users{self._span()}"]
        text += [f"  {file.file}: {file.rows:,} rows, sha256 {file.checksum[:12]}" for file in self.files]
        text += [f"  {file.file}: not read, {file.reason}" for file in self.skipped]
        text += [f"set aside, {reason}: {n:,} rows" for reason, n in self.rejected.items()]
        text += [self.joined.line()] if self.joined else []
        told = {"sent", "rewrite_id"} if self.joined else set()
        text += [f"no {column}: {COSTS[column]}" for column in self.missing if column not in told]
        return [*text, f"would stop: {self.stop}"] if self.stop else text

    def _span(self) -> str:
        if self.first_ms is None or self.last_ms is None:
            return ""
        first, last = (datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in (self.first_ms, self.last_ms))
        return f", {first} to {last}"


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


def _absent_columns(relations: list[Relation]) -> tuple[str, ...]:
    found = {name for each in relations for name in each.cells}
    silent = {"slots"} if "hypothesis" in found or "intent" not in found else set()
    silent |= {"hypothesis"} if "intent" in found else set()
    return tuple(name for name in COSTS if name not in found | silent)


_WORK = ".reading-"


def read(
    sources: Iterable[str | Path],
    *,
    out: Path,
    key: bytes,
    config: Logs,
    mapping: Mapping[str, str] | None = None,
    sql: Path | None = None,
    seen: frozenset[str] = frozenset(),
    decisions: Path | None = None,
    feedback: Path | None = None,
) -> LogReport:
    """Read a log and write `out`/turns.parquet (TURNS) and `out`/rejected.parquet (REJECTED), for the owner's eyes only.

    Args:
        sources: Parquet, JSON lines and CSV files (text also .gz), folders and globs of them.
        out: folder of the two tables; made where it is not there.
        key: secret under which user ids are hashed, 16 to 64 bytes.
        config: limits and defaults.
        mapping: our column -> the log's name for it.
        sql: a file with one SELECT whose rows are the log, instead of `sources`.
        seen: checksums of files that were learned before; their content is left out.
        decisions: folder of a `rewriter.DecisionLog`, joined to the turns (`logs_decisions.join`).
        feedback: file of what users said of their decisions; need not be there.

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
        report = _read_into(out, lambda work: _read(sources, work, key, config, mapping or {}, sql, seen, decisions, feedback))
    except OSError as error:
        raise LogError(f"cannot write to {out}: {error}") from error
    if report.stop:
        raise LogError(f"{report.stop}; see {out / 'rejected.parquet'}, then mend the log or raise the limit")
    return report


def check(
    sources: Iterable[str | Path],
    *,
    config: Logs,
    mapping: Mapping[str, str] | None = None,
    sql: Path | None = None,
    seen: frozenset[str] = frozenset(),
) -> LogReport:
    """Read a log as `read` does and keep nothing but the report, which also says where `read` would stop.

    Raises:
        LogError: a file cannot be read, or a required column is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _read(sources, Path(folder), secrets.token_bytes(16), config, mapping or {}, sql, seen)


def _read_into(out: Path, work: Callable[[Path], LogReport]) -> LogReport:
    """Do the work in a private folder inside `out`, and move what may stay out of it when it is complete."""
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
    sources: Iterable[str | Path],
    work: Path,
    key: bytes,
    config: Logs,
    mapping: Mapping[str, str],
    sql: Path | None,
    seen: frozenset[str],
    decisions: Path | None = None,
    feedback: Path | None = None,
) -> LogReport:
    names = names_in(mapping)
    given = list(sources)
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
            report = write(con, work, files, skipped, relations, config)
            if decisions is not None:
                report = replace(report, joined=join(con, decisions, work / "turns.parquet", report.first_ms))
            if feedback is not None and feedback.exists():
                join_feedback(con, feedback, work / "turns.parquet")
            return report
    except (duckdb.Error, OSError) as error:
        raise LogError(f"cannot read the log: {_renamed(first_line(error), files, work)}") from error


def _renamed(message: str, files: list[Source], work: Path) -> str:
    """Put the names that people know in place of the work folder's."""
    for file in files:
        message = message.replace(str(work / file.checksum), file.shown).replace(str(file.path), file.shown)
    return message
