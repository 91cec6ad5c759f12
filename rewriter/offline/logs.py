"""Read a dialogue log: any of its forms in, the tables TURNS and REJECTED out (the contract: docs/log.md)."""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import duckdb

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.model.users import hash_user
from rewriter.offline.logs_decisions import join, join_feedback
from rewriter.offline.logs_files import Source, find, first_line, identify, select
from rewriter.offline.logs_open import names_in, relation, require_mapped
from rewriter.offline.logs_report import LogReport
from rewriter.offline.logs_write import connection, prepare, write

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
