"""What a day takes over from the days before it, and leaves to the next: numbers of texts and users, counts, open turns.

A turn is *open* while turns may still come that say how it ended: within the time windows of restatement and protest of the end
of the log. Open turns are kept as they are and mined again with the next day; what they count today is thrown away then. So
adding days gives the counts that one run over all of them gives.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rewriter.artefact.disk import link
from rewriter.config import Config
from rewriter.database import connect, quoted, save
from rewriter.offline.logs_report import LogFile
from rewriter.tables import CONTEXT_COUNTS, CONTEXT_STEPS, COUNTS, REPHRASES, TEXTS, TURNS, USERS, Table

OPEN = "open"
"""The part of a table of counts that the next day makes anew, and the table of open turns."""
PARTED = {table.name: table for table in (COUNTS, REPHRASES, CONTEXT_COUNTS, CONTEXT_STEPS)}
"""The tables of counts, which are added up day by day."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What the days before left in the private state.

    Attributes:
        state: folder with ``texts.parquet``, ``users.parquet``, ``open.parquet``, and the parts of the tables of
            counts; None on the first day.
        files: checksum -> name of every file that was read.
        turns: turns that were read.
        last_ms: time of the latest turn, epoch milliseconds; 0 where there is none.
        fitted_day: when the online layer was last fitted, days since 1970; None where it never was.
    """

    state: Path | None
    files: dict[str, str]
    turns: int
    last_ms: int
    fitted_day: int | None

    @classmethod
    def read(cls, state: Path | None) -> "Carried":
        """Return what is in the state of the day before; nothing where there is none."""
        if state is None or not (state / "days.json").exists():
            return cls(None, {}, 0, 0, None)
        data = json.loads((state / "days.json").read_text(encoding="utf-8"))
        files = json.loads((state / "files.json").read_text(encoding="utf-8"))
        return cls(state, files, data["turns"], data["last_ms"], data["fitted_day"])

    def after(self, files: Iterable[LogFile], turns: int, last_ms: int | None, fitted_day: int | None) -> "Carried":
        """Return what is known after a day: the files and turns that it added, and when the online layer was last fitted."""
        read = self.files | {file.checksum: file.file for file in files}
        return Carried(None, read, self.turns + turns, max(self.last_ms, last_ms or 0), fitted_day)

    def write(self, state: Path) -> None:
        """Write ``files.json`` and ``days.json``."""
        (state / "files.json").write_text(json.dumps(self.files, indent=1), encoding="utf-8")
        data = {"turns": self.turns, "last_ms": self.last_ms, "fitted_day": self.fitted_day}
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

    def join_open(self, turns: Path, out: Path) -> Path:
        """Write the turns of today and those left open, each once; the earlier reading stands."""
        columns = ", ".join(TURNS.names)
        left = f"SELECT {columns} FROM left_open"
        with connect(today=turns, left_open=self.known(_OPEN_TURNS, out.parent)) as con:
            save(con, f"{left} UNION ALL SELECT {columns} FROM today ANTI JOIN left_open USING (turn_id)", out)
        return out

    def parts(self, name: str) -> list[Path]:
        """Return the parts of a table of counts that are closed, the oldest first."""
        return [] if self.state is None else sorted(p for p in (self.state / f"{name}.parquet").glob("*") if p.stem != OPEN)


_OPEN_TURNS = Table(OPEN, TURNS.columns)
KNOWN = (TEXTS, USERS)
"""The tables whose numbers stay."""


def closed_ms(last_ms: int, config: Config) -> int:
    """Return up to when turns are closed: a restatement may come, and then a protest against it."""
    return last_ms - config.rephrases.window_ms - config.friction.window_ms


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


def keep_open(turns: Path, closed: int, out: Path) -> Path:
    """Write the turns that are still open."""
    with connect(turns=turns) as con:
        save(con, f"SELECT * FROM turns WHERE ts_ms > {closed}", out)
    return out
