"""Rows of a log that are no turns of their own: answers and clicks go to the turn before them. And which number is the day."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb

from rewriter.codes import DateOrder
from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import Cell, Relation, literal
from rewriter.offline.logs.files import Source
from rewriter.offline.logs.layout import ROLE, Layout
from rewriter.offline.logs.report import count

STEP_MS: Final = 5_000
"""Milliseconds between the rows of a record whose rows share one time. It was chosen: two restatements then lie within the window
of rephrases, and a dialogue of a hundred rows lasts eight minutes."""

_OF_ANSWERS: Final = ("intent", "slots", "hypothesis", "status", "nlu_confidence", "engaged", "feedback", "rewrite_id")
"""Columns that a turn takes over from the rows of its answer where it has no value itself."""
_KINDS: Final = ("user", "bot", "none", "broken")
"""What a row may be, if it is no click."""
_DATES = """
SELECT count(*) FILTER (a > 12 AND b <= 12), count(*) FILTER (b > 12 AND a <= 12), count(*) FILTER (a <= 12 AND b <= 12),
       min(x) FILTER (a <= 12 AND b <= 12 AND a <> b), count(DISTINCT date_of_text(x, 'day-first')),
       count(DISTINCT date_of_text(x, 'month-first'))
FROM (SELECT x, TRY_CAST(nullif(d['a'], '') AS BIGINT) AS a, TRY_CAST(nullif(d['b'], '') AS BIGINT) AS b
      FROM (SELECT x, date_parts(x) AS d FROM ({times})))
WHERE a IS NOT NULL
"""


def has_dates(con: duckdb.DuckDBPyConnection, relation: Relation) -> bool:
    """Return whether some times of a file are texts that begin with no year, or end in am or pm."""
    cell = relation.cells.get("timestamp")
    if cell is None or cell.type != "VARCHAR":
        return False
    odd = f"NOT regexp_matches({cell.ref}, '^\\s*\\d{{4}}') OR lower(right(rtrim({cell.ref}, ' .'), 1)) = 'm'"
    return bool(
        con.execute(f"SELECT coalesce(bool_or({odd}), false) FROM read_parquet({literal(relation.path)})").fetchall()[0][0]
    )


def settle_dates(
    con: duckdb.DuckDBPyConnection, relations: Sequence[tuple[Source, Relation]], layout: Layout
) -> tuple[DateOrder | None, str]:
    """Set which number of dates such as 05/01/2026 is the day; return it and a line about it, or nothing without such dates.

    A number above 12 is a day. Where the log has none, nobody can know, and the caller must say so with ``dates``.

    Raises:
        LogError: the dates can be read in both ways, or contradict each other.
    """
    con.execute("SET VARIABLE dates = ''")
    texts = [(source, each) for source, each in relations if each.has_dates]
    day = month = either = 0
    for source, each in texts:
        times = f"SELECT {each.cells['timestamp'].ref} AS x FROM read_parquet({literal(each.path)})"
        row = con.execute(_DATES.format(times=times)).fetchall()[0]
        day, month, either = day + row[0], month + row[1], either + row[2]
        if row[2] and not (layout.dates or row[0] or row[1]):
            example = repr(row[3]) if row[3] and source.quotable else "05/01/2026"
            raise LogError(
                f"{source.shown} has dates such as {example}, of which either number may be the day: add --dates day-first"
                f" (then they are of {count(row[4], 'day')}) or --dates month-first ({count(row[5], 'day')})"
            )
    if layout.dates is None and day and month:
        raise LogError(
            f"dates of the log contradict each other: the day comes first in {day:,} of them and the month in {month:,};"
            " add --dates day-first or --dates month-first, and the others are set aside"
        )
    if not (day or month or either):
        return None, ""
    order = layout.dates or (DateOrder.DAY_FIRST if day else DateOrder.MONTH_FIRST)
    con.execute("SET VARIABLE dates = $order", {"order": str(order)})
    proof = "as was said" if layout.dates else f"as {day or month:,} of them cannot be read otherwise"
    return order, f"dates are {order}, {proof}"


def folded(con: duckdb.DuckDBPyConnection, source: Source, relation: Relation, layout: Layout, work: Path) -> Relation:
    """Return the relation with one row for each turn: answers and clicks have gone to the turn before them.

    The rows of a talk lie in the order of their times, and those of one time as the file has them. A talk is a session, or else
    a record with several rows, or else what one user says; where the assistant's rows name another user, it is the whole file.
    The new staged file has the column `records`, too: the records in which the turn and its answers lie.
    """
    if not layout.is_folded or not relation.cells:
        return relation
    if layout.role and ROLE not in relation.cells:
        columns = ", ".join(relation.columns[:20])
        cure = source.cure or "see --map role"
        raise LogError(f"{source.shown} has no column {layout.role}, which is to say who speaks (it has {columns}); {cure}")
    present, target = set(relation.cells), work / f"{source.checksum}.folded.parquet"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT *, {_kind(present)} AS kind, {_time(relation)} AS ms"
        f" FROM read_parquet({literal(relation.path)})"
    )
    kinds = dict(con.execute("SELECT kind, COUNT(*) FROM placed GROUP BY kind").fetchall())
    events = sum(n for kind, n in kinds.items() if kind not in _KINDS)
    took = ["response"] if "bot" in kinds and "response" not in present else []
    took += ["engaged"] if events and "engaged" not in present else []
    answers = [name for name in _OF_ANSWERS if name in present and ROLE in present and not (name == "engaged" and events)]
    sql = resources.files("rewriter.offline").joinpath("sql/logs_talks.sql").read_text(encoding="utf-8")
    query = sql.format(
        talk=_talk(con, present, layout),
        answers="".join(
            f", first({name} ORDER BY getvariable('words')['{name}=' || lower(trim({name}))] IS NULL, ms, nth)"
            f" FILTER ({name} IS NOT NULL) AS {name}"
            for name in answers
        ),
        cells=", ".join(_cells(relation, layout, answers, [*took, *(["engaged"] if events else [])])),
    )
    con.execute(f"CREATE OR REPLACE TEMP VIEW turns_of_file AS {query}")
    con.execute(f"COPY (FROM turns_of_file) TO {quoted(str(target))} (FORMAT parquet)")
    turns = int(con.execute(f"SELECT COUNT(*) FROM read_parquet({literal(target)}) WHERE is_row").fetchall()[0][0])
    cells = {name: Cell(name, "VARCHAR") for name in (*relation.cells, *took) if name != ROLE}
    notes = _notes(con, kinds, events, source, relation)
    return relation._replace(path=target, cells=cells, rows=turns + kinds.get("broken", 0), notes=notes, is_folded=True)


def _cells(relation: Relation, layout: Layout, answers: Sequence[str], took: Sequence[str]) -> list[str]:
    """Return SQL for each column of a turn: its own value, or what it takes over from its answers and clicks."""
    made = {"response": "a.response", "engaged": "CAST(coalesce(a.share, 0) AS VARCHAR)"}
    made = {name: sql for name, sql in made.items() if name in took}
    for name in answers:
        said = layout.names[name] == layout.names["utterance"]  # what the answer says, not the user
        made[name] = f"a.{name}" if said else f"coalesce(p.{name}, a.{name})"
    if relation.has_outer_time:
        made["timestamp"] = "coalesce(CAST(p.ms AS VARCHAR), p.timestamp)"
    own = [f"p.{name}" for name in relation.cells if name not in made and name != ROLE]
    return [*own, *(f"{sql} AS {name}" for name, sql in made.items())]


def _kind(present: set[str]) -> str:
    """Return SQL for what a row is: user, bot, none, broken, or the share by which the turn before succeeded."""
    if ROLE not in present:
        return "CASE WHEN is_row THEN 'user' ELSE 'broken' END"
    silent = "coalesce(blank(utterance), true)" if "utterance" in present else "true"
    return (
        f"CASE WHEN NOT is_row THEN 'broken' ELSE CASE worded('role', role) WHEN 'user' THEN CASE WHEN {silent} THEN 'none'"
        " ELSE 'user' END WHEN 'bot' THEN 'bot'"
        " ELSE coalesce(CAST(share_of(TRY_CAST(worded('role', role) AS DOUBLE)) AS VARCHAR), 'none') END END"
    )


def _time(relation: Relation) -> str:
    if "timestamp" not in relation.cells:
        return "CAST(NULL AS BIGINT)"
    time = "coalesce(time_of_text(timestamp), time_of_date(timestamp))" if relation.has_dates else "time_of_text(timestamp)"
    return f"{time} + place * {STEP_MS}" if relation.has_outer_time else time


def _talk(con: duckdb.DuckDBPyConnection, present: set[str], layout: Layout) -> str:
    """Return SQL for what keeps the rows of one talk together."""
    if "session_id" in present:
        return "coalesce(session_id, '')"
    if layout.rows:
        return "part"
    if "user_id" not in present:
        return "''"
    answers, own = con.execute(
        "SELECT COUNT(*), COUNT(*) FILTER (user_id IN (SELECT user_id FROM placed WHERE kind = 'user')) FROM placed"
        " WHERE kind NOT IN ('user', 'none', 'broken')"
    ).fetchall()[0]
    return "coalesce(user_id, '')" if 2 * own > answers else "''"


def _notes(
    con: duckdb.DuckDBPyConnection, kinds: Mapping[str, int], events: int, source: Source, relation: Relation
) -> tuple[str, ...]:
    """Return what became of the rows that are no turns, and of times."""
    notes = []
    for n, what in ((kinds.get("bot", 0), "answers"), (events, "clicks and the like")):
        notes += [f"{source.shown}: {count(n, 'row')} of {what} belong to the turn before"] if n else []
    if left := kinds.get("none", 0):
        named = con.execute(
            "SELECT role, COUNT(*) AS n FROM placed WHERE kind = 'none' AND worded('role', role) <> 'user' GROUP BY role"
            " ORDER BY n DESC, role LIMIT 3"
        ).fetchall()
        shown = ", ".join(f"{value!r} {n:,}" for value, n in named) if source.quotable else ""
        cure = f": {shown}; --map role.VALUE=user or =bot makes them count" if shown else ", without text"
        notes.append(f"{source.shown}: {count(left, 'row')} neither of a request nor of an answer{cure}")
    if relation.has_outer_time:
        notes.append(f"{source.shown}: rows of a record share one time; they are taken to be {STEP_MS // 1000} s apart")
    return tuple(notes)
