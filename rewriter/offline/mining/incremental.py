"""What a day takes over from the days before it, and leaves to the next: numbers of texts and users, counts, recent turns.

A turn is *open* while turns may still come that say how it ended: within the time windows of restatement and protest of the end
of the log. Open turns are mined again with the next day; what they count today is thrown away then. So adding days gives the
counts that one run over all of them gives. The other *recent* turns are counted for good: whatever is fitted learns from them.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rewriter.artefact.disk import link
from rewriter.config import Config, Loop
from rewriter.engines import connect, quoted, save
from rewriter.errors import ArtefactError, reading_state
from rewriter.offline.logs.report import LogReport
from rewriter.tables import (
    CONTEXT_COUNTS,
    CONTEXT_STEPS,
    COUNTS,
    EDGE_DISCOUNT,
    EDGES,
    EVIDENCE_STARTS,
    LEFT_OUT,
    NODES,
    QUERIES,
    REPHRASES,
    ROW_DAYS,
    TEXTS,
    TURNS,
    USER_EDGES,
    USER_NODES,
    USERS,
    Table,
)

OPEN = "open"
"""The part of a table of counts that the next day makes anew."""
_DAY_MS = 86_400_000
_YEAR_MS = 366 * _DAY_MS
_GROWTH = 20
"""Where no online layer is fitted, what launch knows of the whole log is found anew once it has grown by one part in so many."""
_REACHED = """
SELECT MIN(ms) FROM (
  SELECT MAX(ts_ms) AS ms FROM (SELECT user_id, ts_ms FROM today UNION ALL SELECT user_id, ts_ms FROM recent)
  GROUP BY user_id ORDER BY ms DESC LIMIT ?
)
"""
PARTED = {table.name: table for table in (COUNTS, REPHRASES, CONTEXT_COUNTS, CONTEXT_STEPS)}
"""The tables of counts, which are added up day by day."""
SUMMED = (ROW_DAYS, USER_NODES, USER_EDGES, NODES, EDGES, QUERIES)
"""The sums over all days, by row of the chain or by text. A day makes anew those whose counts it changed."""
SUMMED_BY = (LEFT_OUT, EVIDENCE_STARTS, EDGE_DISCOUNT)
"""What else the sums were made by."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What the days before left in the private state.

    Attributes:
        state: folder with ``texts.parquet``, ``users.parquet``, and the parts of the tables of counts and of recent turns; None
            on the first day.
        files: checksum -> name of every file that was read.
        turns: turns that were read.
        last_ms: time of the latest turn, epoch milliseconds; 0 where there is none.
        closed_ms: turns up to this time are counted for good.
        fitted_day: when what is fitted was last fitted, days since 1970; None where it never was.
        fitted_turns: turns that were read by then.
        launch_turns: turns that were read when the priors of launch and the contrasts of words were last found; 0 for never.
        summed_by: the settings by which `SUMMED` was made, as text; empty where it is not to be used.
    """

    state: Path | None
    files: dict[str, str]
    turns: int
    last_ms: int
    closed_ms: int
    fitted_day: int | None
    fitted_turns: int
    launch_turns: int = 0
    summed_by: str = ""

    @classmethod
    def read(cls, state: Path | None) -> "Carried":
        """Return what is in the state of the day before; nothing where there is none."""
        if state is None or not (state / "days.json").exists():
            return cls(None, {}, 0, 0, 0, None, 0)
        with reading_state(state / "days.json"):
            data = dict(json.loads((state / "days.json").read_text(encoding="utf-8")))
        with reading_state(state / "files.json"):
            files = dict(json.loads((state / "files.json").read_text(encoding="utf-8")))
        if "closed_ms" not in data:
            raise ArtefactError(f"{state} is of an older release, without recent turns; learn with --afresh")
        return cls(state, files, **data)

    def after(self, log: LogReport, config: Config, *, fitted: bool, weighed: bool, summed_by: str) -> "Carried":
        """Return what is known after a day.

        Args:
            log: what the day added.
            config: says which turns are closed now.
            fitted: whether what is fitted was fitted today.
            weighed: whether priors of launch and contrasts were found today.
            summed_by: the settings by which the sums were made.
        """
        turns, last_ms = self.turns + log.turns, max(self.last_ms, log.last_ms or 0)
        when = (last_ms // _DAY_MS, turns) if fitted else (self.fitted_day, self.fitted_turns)
        read = self.files | {file.checksum: file.file for file in log.files}
        launch_turns = turns if weighed else self.launch_turns
        return Carried(None, read, turns, last_ms, closed_ms(last_ms, config), *when, launch_turns, summed_by)

    def due(self, log: LogReport, config: Loop) -> bool:
        """Whether what is fitted is to be fitted anew: some days after it was, or where the log has grown by half since then.

        Args:
            log: what the day adds.
            config: `refit_days`; 0 for never.
        """
        if not config.refit_days or self.fitted_day is None:
            return config.refit_days > 0
        today, turns = max(self.last_ms, log.last_ms or 0) // _DAY_MS, self.turns + log.turns
        return today - self.fitted_day >= config.refit_days or 2 * turns >= 3 * self.fitted_turns

    def outgrown(self, log: LogReport) -> bool:
        """Whether the log has grown by a twentieth since the priors of launch and the contrasts of words were found."""
        return _GROWTH * (self.turns + log.turns) >= (_GROWTH + 1) * self.launch_turns

    def write(self, state: Path) -> None:
        """Write ``files.json`` and ``days.json``."""
        (state / "files.json").write_text(json.dumps(self.files, indent=1), encoding="utf-8")
        names = ("turns", "last_ms", "closed_ms", "fitted_day", "fitted_turns", "launch_turns", "summed_by")
        data = {name: getattr(self, name) for name in names}
        (state / "days.json").write_text(json.dumps(data), encoding="utf-8")

    def known(self, table: Table, work: Path) -> Path:
        """Return a table of the days before, or an empty one."""
        if self.state is not None:
            return self.state / f"{table.name}.parquet"
        path = work / f"no_{table.name}.parquet"
        columns = ", ".join(f"CAST(NULL AS {c.type}) AS {c.name}" for c in table.columns)
        with connect() as con:
            save(con, f"SELECT {columns} WHERE false", path)
        return path

    def has_sums(self, summed_by: str) -> bool:
        """Whether the sums of yesterday may be taken over.

        Args:
            summed_by: the settings by which sums are made today.
        """
        return self.state is not None and self.summed_by == summed_by

    def join_recent(self, turns: Path, out: Path, *, whole: bool) -> Path:
        """Write the turns of today and those left open, each once; the earlier reading stands.

        Args:
            turns: of today.
            out: Parquet of `tables.TURNS` and ``counted``, 1 for turns that are counted for good.
            whole: whether these are among them, all that are kept.
        """
        columns, past = ", ".join(TURNS.names), f"ts_ms <= {self.closed_ms}"
        kept = f"SELECT {columns}, CAST({past} AS BIGINT) AS counted FROM recent" + ("" if whole else f" WHERE NOT {past}")
        with connect(today=turns, recent=self.known(_RECENT, out.parent)) as con:
            save(con, f"{kept} UNION ALL SELECT {columns}, CAST(0 AS BIGINT) FROM today ANTI JOIN recent USING (turn_id)", out)
        return out

    def keep_recent(self, turns: Path, last_ms: int, config: Config, out: Path) -> Path:
        """Make the folder of recent turns: those of today, and the parts of the days before that hold any so recent.

        Days count back from the newest that k users have reached, so that a few accounts that speak alone do not remove the turns
        of all others; a year at the most.

        Args:
            turns: of today.
            last_ms: time of the latest turn.
            config: `loop.recent_days`, and k.
            out: the folder to make.
        """
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        before = [] if self.state is None else sorted((self.state / f"{_RECENT.name}.parquet").glob("*.parquet"))
        columns, new = ", ".join(TURNS.names), int(before[-1].stem) + 1 if before else 1
        with connect(today=turns, recent=self.known(_RECENT, out.parent)) as con:
            ((reached,),) = con.execute(_REACHED, [config.launch.min_users]).fetchall()
            since_ms = recent_ms(min(last_ms, max(reached or 0, last_ms - _YEAR_MS)), config)
            fresh = f"SELECT {columns} FROM today ANTI JOIN recent USING (turn_id) WHERE ts_ms > {since_ms}"
            save(con, fresh, out / f"{new:06}.parquet")
            for path in before:
                (last,) = con.execute("SELECT MAX(ts_ms) FROM read_parquet(?)", [str(path)]).fetchall()
                if last[0] is not None and last[0] > since_ms:
                    link(path, out / path.name)
        return out

    def parts(self, name: str) -> list[Path]:
        """Return the parts of a table of counts that are closed, the oldest first."""
        return [] if self.state is None else sorted(p for p in (self.state / f"{name}.parquet").glob("*") if p.stem != OPEN)


_RECENT = Table("recent", TURNS.columns)
KNOWN = (TEXTS, USERS)
"""The tables whose numbers stay."""


def closed_ms(last_ms: int, config: Config) -> int:
    """Return up to when turns are closed: a restatement may come, and then a protest against it."""
    return last_ms - config.rephrases.window_ms - config.friction.window_ms


def recent_ms(last_ms: int, config: Config) -> int:
    """Return since when turns are kept: those of the last days, and the open ones."""
    return min(last_ms - config.loop.recent_days * _DAY_MS, closed_ms(last_ms, config))


def part(name: str, counted: Path, carried: Carried, out: Path) -> Path:
    """Make the folder of a table of counts: the parts of the days before, one of what was closed today, and the open one.

    Small parts are joined, so that there are never more than the logarithm of what they hold.

    Args:
        name: one of `PARTED`.
        counted: Parquet of that table and a column ``closed``.
        carried: what the days before left; its files are linked, not copied, where the disk can.
        out: the folder to make.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    before = carried.parts(name)
    new = out / f"{int(before[-1].stem) + 1 if before else 1:06}.parquet"
    columns = ", ".join(PARTED[name].names)
    with connect(counted=counted) as con:
        for path, closed in ((new, 1), (out / f"{OPEN}.parquet", 0)):
            save(con, f"SELECT {columns} FROM counted WHERE closed = {closed}", path)
        size, small = new.stat().st_size, [new]
        while before and before[-1].stat().st_size < 2 * size:
            small.append(before.pop())
            size += small[-1].stat().st_size
        if len(small) > 1:
            joined = new.with_suffix(".joined")
            save(con, f"SELECT {columns} FROM read_parquet([{', '.join(quoted(str(path)) for path in small)}])", joined)
            joined.replace(new)
    for path in before:
        link(path, out / path.name)
    return out
