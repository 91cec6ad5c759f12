"""Logs of site search in the schema User Behavior Insights (UBI) become logs of the contract: `import_ubi`."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

import duckdb

from rewriter.artefact.disk import explained, sync
from rewriter.codes import SearchRow
from rewriter.config import Sessions
from rewriter.engines import first_line, quoted
from rewriter.errors import LogError
from rewriter.messages import search_row
from rewriter.offline.logs.files import Source, find, identify
from rewriter.offline.logs.json_formats import records_of
from rewriter.offline.logs.opening import connection
from rewriter.text import normalise

ACTIONS: Final[Mapping[str, float]] = MappingProxyType({"click": 0.5, "add_to_cart": 1.0, "purchase": 1.0})
"""What an action of a user says of the search before it, as the column `engaged`. A click is half a success, because it may
disappoint. The figures were chosen, not measured."""

_FILE = 2**40  # rows of one file at most; the place of a row is that of its file and its number
_COUNTS = {
    SearchRow.BROKEN: "SELECT count(*) FROM cells WHERE is_broken",
    SearchRow.OTHER: "SELECT count(*) FROM cells WHERE NOT is_broken AND action IS NULL AND NOT asks",
    SearchRow.EMPTY: "SELECT count(*) FROM asked WHERE said = ''",
    SearchRow.NO_CLIENT: "SELECT count(*) FROM asked WHERE said <> '' AND client IS NULL",
    SearchRow.NO_TIME: "SELECT count(*) FROM asked WHERE said <> '' AND client IS NOT NULL AND ts_ms IS NULL",
    SearchRow.OTHER_APPLICATION: "SELECT count(*) FROM usable WHERE NOT ours",
    SearchRow.REPEATED: "SELECT (SELECT count(*) FROM usable WHERE ours) - (SELECT count(*) FROM searches)",
    SearchRow.SAME_SEARCH: "SELECT (SELECT count(*) FROM searches) - (SELECT count(*) FROM turns)",
    SearchRow.LOOSE_EVENT: "SELECT (SELECT count(*) FROM events) - (SELECT count(*) FROM joined)",
}
"""What is counted of each kind of row; `usable` are the queries that have text, client and time."""
_NOTHING = "no search was found: a search has user_query, client_id and timestamp"
_SHOWN = 5  # names of actions that a line lists


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was read, and what became of it.

    Attributes:
        out: the log that was written.
        queries: rows that are queries.
        events: rows that are events.
        turns: rows of the log.
        users: clients in it.
        failed: turns without a result.
        unknown: turns of which it is not known whether there was a result.
        engaged: turns after which a user did something that counts.
        rows: rows that are no turn of their own, by kind; kinds without a row are left out.
        unused: events by action, of the actions that count for nothing.
        applications: names of the applications in the log, sorted.
    """

    out: Path
    queries: int
    events: int
    turns: int
    users: int
    failed: int
    unknown: int
    engaged: int
    rows: Mapping[SearchRow, int]
    unused: Mapping[str, int]
    applications: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return it line by line, to be printed."""
        told = [
            f"{self.queries:,} queries and {self.events:,} events: {self.turns:,} turns of {self.users:,} clients in {self.out}",
            f"no result {self.failed:,}, with results {self.turns - self.failed - self.unknown:,}, not known {self.unknown:,};"
            f" followed by a click, cart or purchase {self.engaged:,}",
            *(f"{n:,} {search_row(kind)}" for kind, n in self.rows.items()),
        ]
        if self.unused:
            named = ", ".join(f"{name} {n:,}" for name, n in list(self.unused.items())[:_SHOWN])
            told.append(f"actions that count for nothing: {named}; --engaged NAME=SHARE makes one count")
        if len(self.applications) > 1:
            told.append(f"applications: {', '.join(self.applications)}; --application NAME takes one of them")
        return told


def import_ubi(
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    actions: Mapping[str, float] = ACTIONS,
    application: str | None = None,
    gap_ms: int = Sessions().gap_ms,
) -> ImportReport:
    """Write the log of a search in the contract of docs/log.md, from files of ``ubi_queries`` and ``ubi_events``.

    A row with an ``action_name`` is an event, a row with ``user_query`` a query, so the files may come in any order or be one.
    A row may be a document, a hit with its ``_source``, or stand in a bulk file. Schema: UBI 1.3.0, https://o19s.github.io/ubi.

    One search is one turn. Rows that repeat query id, client and text are one search, and so is the same text again within
    `gap_ms` with nothing else between. An empty list of results is ``failed``, a missing one is no verdict. An event belongs
    to the last search of its query id before it.

    Args:
        sources: files, folders or globs of JSON lines (also .gz) or Parquet.
        out: Parquet file to write, readable by its owner only; it holds what people typed.
        actions: name of an action, in any case -> what it adds to `engaged`, 0..1; the largest counts.
        application: the only application to read; None for all.
        gap_ms: milliseconds within which the same text is the same search.

    Returns:
        What was read, and what became of each kind of row.

    Raises:
        LogError: a file is missing or damaged or of another format, or no row is a search; a share is not from 0 to 1.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> row = {"query_id": "q1", "client_id": "c1", "user_query": "lapotp", "query_response_hit_ids": []}
        >>> _ = (folder / "queries.jsonl").write_text(json.dumps(row | {"timestamp": "2026-01-05T08:00:00Z"}))
        >>> report = import_ubi([folder / "queries.jsonl"], folder / "log.parquet")
        >>> report.turns, report.failed
        (1, 1)
    """
    target = Path(out)
    if target.suffix != ".parquet":
        raise LogError(f"the log is written as Parquet: name it *.parquet, for example log.parquet, not {target}")
    if wrong := [f"{name}={share:g}" for name, share in actions.items() if not 0 <= share <= 1]:
        raise LogError(f"what an action is worth is a share from 0 to 1, such as click=0.5, not {wrong[0]}")
    paths = find(sources)
    files, _ = identify([(path, str(path)) for path in paths], frozenset())
    if others := [file.shown for file in files if file.format not in ("jsonl", "json", "parquet")]:
        raise LogError(f"UBI is read from JSON or Parquet, and {others[0]} is neither; export the index as JSON lines")
    with explained(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".rewriter-") as work:
        with connection(Path(work), lambda user: user) as con:
            _turns(con, files, Path(work), actions, application, gap_ms)
            report = _report(con, target)
            if not report.turns:
                raise LogError("; ".join([_NOTHING, *report.lines()[2:]]))
            new = Path(work) / "log.parquet"
            con.execute(f"COPY (FROM turns ORDER BY timestamp, turn_id) TO {quoted(str(new))} (FORMAT parquet)")
        new.chmod(0o600)
        sync(new)
        new.replace(target)
    return report


def _turns(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Source],
    work: Path,
    actions: Mapping[str, float],
    application: str | None,
    gap_ms: int,
) -> None:
    """Make the tables of ``sql/ubi.sql``, from the files to `turns`."""
    con.execute("CREATE TEMP TABLE raw (place BIGINT, doc JSON)")
    for number, file in enumerate(files):
        doc = f"SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json END AS doc FROM {records_of(file, work).sql}"
        try:
            con.execute(f"INSERT INTO raw SELECT {number * _FILE} + row_number() OVER (), doc FROM ({doc})")
        except duckdb.Error as error:
            raise LogError(f"cannot read {file.shown}: {first_line(error)}") from error
    con.execute("CREATE TEMP TABLE actions (action VARCHAR, share DOUBLE)")
    shares: dict[str, float] = {}
    for name, share in actions.items():
        shares[name.lower()] = max(share, shares.get(name.lower(), 0.0))
    for pair in shares.items():
        con.execute("INSERT INTO actions VALUES (?, ?)", pair)
    con.create_function("said", _said, ["VARCHAR"], "VARCHAR")
    wanted = "CAST(NULL AS VARCHAR)" if application is None else quoted(application)
    sql = resources.files("rewriter.connect").joinpath("sql/ubi.sql").read_text(encoding="utf-8")
    con.execute(sql.format(application=wanted, gap_ms=gap_ms))
    con.execute(
        f"CREATE TEMP VIEW usable AS SELECT coalesce({wanted} IS NULL OR application = {wanted}, false) AS ours FROM asked"
        " WHERE said <> '' AND client IS NOT NULL AND ts_ms IS NOT NULL"
    )


def _said(text: str) -> str:
    """Return the normal form; DuckDB counts the parameters of a function, and `normalise` has more."""
    return normalise(text)


def _report(con: duckdb.DuckDBPyConnection, out: Path) -> ImportReport:
    def one(sql: str) -> int:
        return int((con.execute(sql).fetchone() or (0,))[0])

    rows = {kind: one(sql) for kind, sql in _COUNTS.items()}
    unused = con.execute(
        "SELECT action, count(*) AS n FROM events WHERE share IS NULL GROUP BY action ORDER BY n DESC, action"
    ).fetchall()
    applications = con.execute("SELECT DISTINCT application FROM asked WHERE application IS NOT NULL ORDER BY 1").fetchall()
    return ImportReport(
        out=out,
        queries=one("SELECT count(*) FROM asked"),
        events=one("SELECT count(*) FROM events"),
        turns=one("SELECT count(*) FROM turns"),
        users=one("SELECT count(DISTINCT user_id) FROM turns"),
        failed=one("SELECT count(*) FROM turns WHERE status = 'failed'"),
        unknown=one("SELECT count(*) FROM turns WHERE status IS NULL"),
        engaged=one("SELECT count(*) FROM turns WHERE engaged > 0"),
        rows={kind: n for kind, n in rows.items() if n},
        unused=dict(unused),
        applications=tuple(name for (name,) in applications),
    )
