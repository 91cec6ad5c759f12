"""Read a dialogue log of any accepted form, and write the tables TURNS and REJECTED (the contract: docs/log.md)."""

import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from rewriter.codes import DateOrder
from rewriter.config import Logs
from rewriter.engines import first_line
from rewriter.errors import LogError
from rewriter.offline.logs.contract import Relation, user_rows
from rewriter.offline.logs.decisions import join, join_feedback
from rewriter.offline.logs.files import SELECTED, Source, find, identify, select
from rewriter.offline.logs.layout import Layout
from rewriter.offline.logs.opening import connection, prepare, relation, require_mapped
from rewriter.offline.logs.report import LogReport, signals, write
from rewriter.offline.logs.talks import folded, has_dates, settle_dates
from rewriter.text import hash_user

_WORK = ".reading-"


def read(
    sources: str | Path | Iterable[str | Path],
    *,
    out: Path,
    key: bytes | None,
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
        key: secret under which user ids are hashed, 16 to 64 bytes. None leaves them as the log gives them, for tables that are
            read again as a log and then removed.
        config: limits and defaults.
        mapping: our column -> the log's name for it, and how its rows lie (`rewriter.offline.logs.layout.Layout.of`).
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
    inspect: Callable[[Path], None] | None = None,
    plain: bool = False,
) -> LogReport:
    """Read a log as `read` does, and keep nothing but the report. It also says why `read` would stop, and what can teach.

    `inspect` is called with the Parquet of the turns that were read (`tables.TURNS`), which is removed afterwards. Its user ids
    are hashed unless `plain` is set.

    Raises:
        LogError: a file cannot be read, or a required column is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        key = None if plain else secrets.token_bytes(16)
        report = _read(sources, Path(folder), key, config, mapping or {}, sql, seen, min_users)
        if inspect is not None:
            inspect(Path(folder) / "turns.parquet")
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

    layout = Layout.of(mapping)
    if not layout.is_folded:
        layout = replace(layout, names={"user_id": layout.names["user_id"]})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            with connection(work, hashed, layout.words) as con:
                opened = relation(con, source, layout, work, hashed, ("user_id",))
                if opened.cells and layout.is_folded:
                    opened = opened._replace(has_dates=has_dates(con, opened))
                    settle_dates(con, [(source, opened)], layout)
                    opened = folded(con, source, opened, layout, work)
                rows = con.execute(user_rows(opened)).fetchall() if opened.cells else []
        except (duckdb.Error, OSError) as error:
            raise LogError(f"cannot read {path}: {_renamed(first_line(error), [source], work)}") from error
        broken = [] if opened.broken is None else map(json.loads, opened.broken.read_text(encoding="utf-8").splitlines())
        found = {row for row, user in rows if user == user_id}
        if shared := found & {row for row, user in rows if user is not None and user != user_id}:
            raise LogError(
                f"cannot take {user_id} out of {path}: record {min(shared)} holds turns of other users, too; write one record"
                " for each user and conversation; nothing was changed"
            )
        found |= {
            each["row"]
            for each in broken
            if each["user"] == _THIS
            or json.dumps(_THIS) in each["content"]
            or (not each["user"] and names_user(each["content"], user_id))
        }
        return UserRows(source, frozenset(found), opened.units)


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
    key: bytes | None,
    config: Logs,
    mapping: Mapping[str, str],
    sql: Path | None,
    seen: frozenset[str],
    min_users: int,
    decisions: Path | None = None,
    feedback: Path | None = None,
) -> LogReport:
    layout = Layout.of(mapping)
    given = listed(sources)
    if (sql is None) == (not given):
        raise LogError("give either log files, such as 'logs/*.parquet', or a file with one SELECT, sql='log.sql'")
    found = [(path, str(path)) for path in find(given)] if sql is None else [(select(sql, work / SELECTED), str(sql))]
    files, skipped = identify(found, seen)

    def hashed(user: str) -> str:
        return user if key is None else hash_user(user, key)

    try:
        with connection(work, hashed, layout.words) as con:
            relations, dates, notes = _opened(con, files, layout, work, hashed, config)
            prepare(con, work, files, relations, config, layout.words)
            report = replace(write(con, work, files, skipped, relations, config, min_users), dates=dates, notes=notes)
            if decisions is not None:
                report = replace(report, joined=join(con, decisions, work / "turns.parquet", report.first_ms))
            if feedback is not None and feedback.exists():
                join_feedback(con, feedback, work / "turns.parquet")
            return report
    except (duckdb.Error, OSError) as error:
        raise LogError(f"cannot read the log: {_renamed(first_line(error), files, work)}") from error


def _opened(
    con: duckdb.DuckDBPyConnection, files: list[Source], layout: Layout, work: Path, hashed: Callable[[str], str], config: Logs
) -> tuple[list[Relation], DateOrder | None, tuple[str, ...]]:
    """Open the files, with one row for each turn; return them, the order of day and month, and what is to be told."""
    staged = [relation(con, file, layout, work, hashed) for file in files]
    require_mapped(layout, staged)
    staged = [each._replace(has_dates=has_dates(con, each)) for each in staged]
    dates, told = settle_dates(con, list(zip(files, staged, strict=True)), layout)
    turns = [folded(con, file, each, layout, work) for file, each in zip(files, staged, strict=True)]
    unused = any("intent" in each.cells and not each.cells.keys() & {"slots", "hypothesis"} for each in turns)
    alone = _INTENT_ALONE if unused and not config.intents_are_complete else None
    return turns, dates, (*filter(None, [told, alone]), *(note for each in turns for note in each.notes))


_INTENT_ALONE = (
    "the column intent is not used, as the log has no slots and an intent alone may mean many things (call mary, call john);"
    " if yours does not, set intents_are_complete = true under [logs] in a file for --config"
)


def listed(sources: Any) -> list[str | Path]:  # noqa: ANN401 - whatever a caller gives
    """Return the paths of a log, which may be given as one path, several or None.

    Raises:
        LogError: they are no paths.
    """
    if sources is None or isinstance(sources, (str, Path)):
        return [sources] if sources else []
    given = list(sources) if isinstance(sources, Iterable) else [sources]
    if not all(isinstance(path, (str, Path)) for path in given):
        raise LogError(f"a log is a file, a folder or a pattern, such as 'logs/*.parquet', or a list of these, not {sources!r}")
    return given


def _renamed(message: str, files: list[Source], work: Path) -> str:
    """Return a message with the names that people know in place of those of staged files; it quotes no link."""
    if not all(file.quotable for file in files):
        return "a file could not be read; one of them is a link, so its content is not shown"
    for file in files:
        message = message.replace(str(work / file.checksum), file.shown).replace(str(file.path), file.shown)
    return message
