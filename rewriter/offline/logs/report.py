"""What was read of a log: the tables TURNS and REJECTED, and `LogReport`, which counts both and names what the log lacks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from rewriter import tables
from rewriter.codes import DateOrder
from rewriter.config import Logs
from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import Relation, literal
from rewriter.offline.logs.decisions import Joined
from rewriter.offline.logs.files import Skipped, Source
from rewriter.tables import REJECTED, TURNS

DAY_MS = 86_400_000
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
"""What a missing column costs, as docs/log.md says. `hypothesis` counts as missing only where `intent` is missing too."""

CURES = {
    "unreadable time": "write ISO 8601, such as 2026-01-05T08:00:00Z, or epoch seconds",
    "time in the future": "look at the clock that wrote these rows",
    "time far from the rest": "look at the clock that wrote these rows, or set logs.far_days = 0",
    "too long": "raise logs.max_chars if these are requests",
    "not UTF-8": "convert the file, such as with iconv -f latin1 -t utf-8",
    "key given twice": "write each key of a row once",
    "status": "write ok or failed",
    "barge_in": "write true or false",
    "engaged": "write a number from 0 to 1",
    "feedback": "write -1, 0 or 1",
    "asr_confidence": "write a number from 0 to 1",
    "nlu_confidence": "write a number from 0 to 1",
    "propensity": "write a number from 0 to 1",
    "nbest": 'write a list of texts, such as ["turn on", "turn off"]',
    "context": 'write an object of scalars, such as {"room": "kitchen"}',
    "slots": 'write an object of scalars, such as {"name": "lamp"}',
}
"""What to write instead of a value that was set aside, by its reason or its column."""


_SAID = ("utterance", "sent", "nbest", "hypothesis", "response", "slots", "context")
"""Columns that tell what people said. Their values are not quoted: reports end up in mails and in the logs of schedulers."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file that was read: its name, the sha256 of its content, and its rows, good and bad."""

    file: str
    checksum: str
    rows: int


@dataclass(frozen=True, slots=True)
class Signals:
    """How much of a log can teach, counted before anything is learned.

    Attributes:
        shared_texts: texts that k users or more said; these may be rewritten to.
        restated_texts: texts that may have failed and were followed by another text within the window of rephrases. Where the log
            does not say whether a turn failed, only a text that looks like it counts.
        shared_restated: those of them that k users or more said so.
    """

    shared_texts: int
    restated_texts: int
    shared_restated: int


_UNLIKE = 0.4  # share of the letters that may differ where a text looks like another, as for the answers that refuse
_SIGNALS = """
WITH said AS (
  SELECT locale, lower(trim(utterance)) AS text, user_id, status,
         lead(lower(trim(utterance))) OVER following AS next_text, lead(ts_ms) OVER following - ts_ms AS gap
  FROM turns WINDOW following AS (PARTITION BY user_id ORDER BY ts_ms)
),
texts AS (
  SELECT locale, text, COUNT(DISTINCT user_id) AS users,
         COUNT(DISTINCT user_id) FILTER (next_text <> text AND gap <= $window AND (status = 'failed' OR status IS NULL
           AND damerau_levenshtein(text, next_text) <= $unlike * greatest(length(text), length(next_text)))) AS restating
  FROM said GROUP BY locale, text
)
SELECT COUNT(*) FILTER (users >= $k), COUNT(*) FILTER (restating > 0), COUNT(*) FILTER (restating >= $k) FROM texts
"""


def signals(con: duckdb.DuckDBPyConnection, turns: Path, *, min_users: int, window_ms: int) -> Signals:
    """Count the signals of a log.

    Args:
        con: a connection.
        turns: Parquet of `tables.TURNS`.
        min_users: k.
        window_ms: within which a rephrase comes.
    """
    con.read_parquet(str(turns)).create_view("turns", replace=True)
    row = con.execute(_SIGNALS, {"k": min_users, "window": window_ms, "unlike": _UNLIKE}).fetchone()
    return Signals(*map(int, row or (0, 0, 0)))


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
        examples: reason -> a value of the log that was set aside for it, where one value is the cause.
        bad: how many rows count as bad against `max_rejected`; rows of one user count no more than those of the median user.
        missing: columns that no file has.
        max_rejected: share of rows that may count as bad.
        joined: what became of the decisions; None where none were given.
        places: reason -> where the first row is that was set aside for it.
        signals: how much of the log can teach; None unless it was only checked.
        in_future: whether the latest turn is in the future, by the clock of this machine.
        notes: what was made of rows that are no turns, and of dates.
        dates: the order of day and month in dates that begin with either; None where the log has none.
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
    bad: float = 0.0
    examples: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    joined: Joined | None = None
    signals: Signals | None = None
    in_future: bool = False
    notes: tuple[str, ...] = ()
    dates: DateOrder | None = None

    @property
    def rows(self) -> int:
        """All rows, good and bad."""
        return self.turns + sum(self.rejected.values())

    @property
    def stop(self) -> str | None:
        """Why the job must stop, with the counts by reason; None where it need not."""
        rejected = sum(self.rejected.values())
        if self.bad <= self.max_rejected * self.rows and (self.turns or not rejected or self.max_rejected >= 1):
            return None
        counts = ", ".join(f"{reason} {n:,}{self._example(reason)}" for reason, n in self.rejected.items())
        return f"{rejected:,} of {self.rows:,} rows are bad, more than the {self.max_rejected:.1%} of logs.max_rejected: {counts}"

    def _example(self, reason: str) -> str:
        """Return a value that was set aside for a reason, and what to write instead."""
        value = f"such as {self.examples[reason]!r}" if reason in self.examples else ""
        cure = CURES.get(reason.partition(" in ")[2], CURES.get(reason, ""))
        return f" ({': '.join(filter(None, (value, cure)))})" if value or cure else ""

    def _place(self, reason: str) -> str:
        return f", first in {self.places[reason]}" if reason in self.places else ""

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        counts = f"{count(len(self.files), 'file')}, {count(self.rows, 'row')}"
        text = [f"{counts}: {count(self.turns, 'turn')} of {count(self.users, 'user')}{self._span()}"]
        text += [f"  {file.file}: {count(file.rows, 'row')}, sha256 {file.checksum[:12]}" for file in self.files]
        text += [f"  {file.file}: not read, {file.reason}" for file in self.skipped]
        text += [f"note: {note}" for note in self.notes]
        if self.in_future:
            text += [
                "note: most rows are in the future, so all are kept; look at the clock that wrote them, or at this machine's"
            ]
        text += [
            f"set aside, {reason}: {count(n, 'row')}{self._place(reason)}{self._example(reason)}"
            for reason, n in self.rejected.items()
        ]
        text += [self.joined.line()] if self.joined else []
        joined = {"sent", "rewrite_id"} if self.joined else set()
        lacking = ", ".join(column for column in self.missing if column not in joined)
        text += [f"columns that the log does not have (docs/log.md says what each costs): {lacking}"] if lacking else []
        return [*text, f"would stop: {self.stop}"] if self.stop else text

    def _span(self) -> str:
        if self.first_ms is None or self.last_ms is None:
            return ""
        first, last = (datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in (self.first_ms, self.last_ms))
        return f", {first} to {last}"


def count(n: int, what: str) -> str:
    """Return a number with its noun, in the plural where it is not 1."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


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
        names = ", ".join(f.shown for f in files)
        raise LogError(f"the log holds no rows: {names}; write one row for each turn, or leave the file out")
    turns, rejected = folder / "turns.parquet", folder / "rejected.parquet"
    copy(con, f"SELECT {', '.join(TURNS.names)} FROM log_rows WHERE reason IS NULL", turns)
    n, users, first, last = con.execute(
        f"SELECT COUNT(*), COUNT(DISTINCT user_id), MIN(ts_ms), MAX(ts_ms) FROM read_parquet({literal(turns)})"
    ).fetchall()[0]
    copy(con, _rejected(files, relations, any_bad=n < rows), rejected)
    reasons = con.execute(
        "SELECT reason, COUNT(*) AS n, arg_min(file, (file, row_number)), arg_min(row_number, (file, row_number))"
        f" FROM read_parquet({literal(rejected)}) GROUP BY reason ORDER BY n DESC, reason"
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
        rejected={reason: n for reason, n, _, _ in reasons},
        places={reason: f"row {row:,} of {file}" for reason, _, file, row in reasons if row is not None},
        examples={reason: value for reason, file, value in con.execute(_examples(rejected)).fetchall() if file in quotable},
        bad=_bad(con, turns, relations, min_users) if reasons else 0.0,
        missing=_absent_columns(relations) if relations else (),
        max_rejected=config.max_rejected,
        in_future=last is not None and last > time.time_ns() // 1_000_000 + DAY_MS,
    )


def copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write the rows of a SELECT as Parquet."""
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
        f" AND substr(reason, 15) NOT IN ({', '.join(map(quoted, _SAID))})"
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
