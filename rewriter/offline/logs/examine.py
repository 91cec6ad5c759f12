"""`examine`: how a log seems to be laid out, for `rewriter learn --check`."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rewriter.engines import first_line
from rewriter.errors import LogError
from rewriter.offline.logs.contract import CONTRACT, REQUIRED
from rewriter.offline.logs.csv_formats import first_csv
from rewriter.offline.logs.files import Source, find, identify
from rewriter.offline.logs.guess import SURE, Proposal, propose
from rewriter.offline.logs.json_formats import first_records, records_of
from rewriter.offline.logs.layout import Layout

COLUMNS = ("column", "in the log", "sure", "because")
ROWS = ("user", "time", "said", "answer", "status", "understood")
_SHOWN = 12  # columns that are named as unused


@dataclass(frozen=True, slots=True)
class Examined:
    """How a log seems to be laid out.

    Attributes:
        file: the file that was looked at.
        proposal: what was found.
        given: the pairs that were known before.
    """

    file: str
    proposal: Proposal
    given: Mapping[str, str]

    @property
    def is_new(self) -> bool:
        """Whether anything was found that was not known before."""
        return dict(self.proposal.mapping) != dict(self.given)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the guesses as rows of a table with the columns `COLUMNS`."""
        return [(of.ours, of.theirs, f"{of.confidence:.0%}", of.why) for of in self.proposal.guesses]

    def lines(self) -> list[str]:
        """Return how the rows lie, what values mean, what is unused, and how to say otherwise."""
        mapping = self.proposal.mapping
        used = {part for theirs in mapping.values() for part in (theirs, *theirs.split("+"))}
        unused = [
            path
            for path in self.proposal.columns
            if path not in CONTRACT and not any(f"{theirs}.".startswith(f"{path}.") for theirs in used)
        ][:_SHOWN]
        means = [f"{key.partition('.')[2]!r} in {key.partition('.')[0]} means {of}" for key, of in mapping.items() if "." in key]
        text = [f"{ours} is {theirs}, as was said" for ours, theirs in self.given.items() if ours in CONTRACT]
        text += [f"each element of {mapping['rows']} is a row"] if "rows" in mapping else []
        text += [f"column {ours} was not found; if it is there: --map {ours}=COLUMN" for ours in self.proposal.lacks]
        text += [
            f"weak guess: {of.ours} is {of.theirs}, {of.confidence:.0%} sure; look at the rows below, or --map {of.ours}=COLUMN"
            for of in self.proposal.guesses
            if of.ours in REQUIRED and of.confidence < SURE
        ]
        text += means
        text += self.proposal.notes
        text += [f"not used: {', '.join(unused)}"] if unused else []
        return [*text, "wrong? Say what is right, such as --map user_id=COLUMN; message.text is text inside of message"]


def examine(sources: str | Path | Iterable[str | Path], mapping: Mapping[str, str]) -> Examined:
    """Look at the first records of a log, and say how its turns seem to lie in it.

    Args:
        sources: files, folders and globs of a log; the first file is looked at.
        mapping: what is known of it (`Layout.of`); it is not guessed.

    Raises:
        LogError: the file cannot be read.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> rows = "".join(f"u{i % 3},2026-01-05 08:00:{10 + i},turn on lamp {i % 4}\\n" for i in range(20))
        >>> n = (folder / "log.csv").write_text("who,when,what\\n" + rows)
        >>> dict(examine(folder / "log.csv", {}).proposal.mapping)
        {'timestamp': 'when', 'utterance': 'what', 'user_id': 'who'}
    """
    Layout.of(mapping)
    path = find([sources] if isinstance(sources, (str, Path)) else sources)[0]
    (source, *_), _ = identify([(path, str(path))], frozenset())
    try:
        records = _first(source)
    except duckdb.Error as error:
        detail = f": {first_line(error)}" if source.quotable else ""
        raise LogError(f"cannot read {path}{detail}") from error
    has_all = records and all(name in record for record in records for name in REQUIRED) and not mapping
    return Examined(
        str(path), Proposal(dict(mapping), (), (), ()) if has_all or not source.quotable else propose(records, mapping), mapping
    )


def _first(source: Source) -> list[dict[str, Any]]:
    if source.format == "csv":
        return first_csv(source)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return first_records(con, records_of(source, Path(folder)))


def three_rows(turns: Path) -> list[tuple[str, ...]]:
    """Return three turns one after the other as rows of a table with the columns `ROWS`.

    They are of the user with the most turns among the first ones, so that they show a dialogue.

    Args:
        turns: Parquet of `rewriter.tables.TURNS`.
    """
    with duckdb.connect() as con:
        rows = con.execute(
            "WITH first AS (FROM read_parquet($turns) ORDER BY ts_ms LIMIT 1000)"
            " SELECT user_id, strftime(make_timestamp(ts_ms * 1000), '%Y-%m-%d %H:%M:%S'), utterance, response, status,"
            " hypothesis FROM first"
            " WHERE user_id = (SELECT user_id FROM first GROUP BY user_id ORDER BY COUNT(*) DESC, user_id LIMIT 1)"
            " ORDER BY ts_ms LIMIT 3",
            {"turns": str(turns)},
        ).fetchall()
    return [tuple("" if value is None else str(value)[:60] for value in row) for row in rows]
