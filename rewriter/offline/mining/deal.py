"""A mined log in parts, each with some of the users: for what holds all turns that it reads in memory.

A part counts as a log of its own: what other users say is what those of the part say.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from rewriter.detect.turns import Listed
from rewriter.engines import Engine, connect, save
from rewriter.progress import Progress

_SQL = resources.files("rewriter.offline") / "sql"
_TABLES: Final = ("sessions", "turns", "texts", "compared")
"""The others are dealt by the first, so it comes first."""


@dataclass(frozen=True, slots=True)
class Part:
    """The turns of some users.

    Attributes:
        number: of the part, from 0.
        listed: its tables; the candidates may hold what the comparison of their texts has found, too.
        scores: Parquet of `tables.SCORES`.
    """

    number: int
    listed: Listed
    scores: Path


def deal(engine: Engine, parts: int, progress: Progress | None = None) -> list[Listed]:
    """Deal the users into parts, and return the tables of those parts that have candidates.

    Args:
        engine: has the tables ``sessions``, ``turns``, ``texts`` and ``compared``.
        parts: how many.
        progress: told the name of each table as its making begins.
    """
    sessions, turns, texts, compared = (_dealt(engine, name, parts, progress) for name in _TABLES)
    names = [f"part={part}" for part in range(parts) if (compared / f"part={part}").exists()]
    return [Listed(turns / name, sessions / name, texts / name, compared / name) for name in names]


def parts_of(engine: Engine, listed: Listed, scores: Path, parts: int) -> list[Part]:
    """Return the parts of a log that have turns; the log itself if it is one part.

    Args:
        engine: has mined the log, and has its tables.
        listed: the tables of the log.
        scores: Parquet of `tables.SCORES`.
        parts: into how many the users are dealt.
    """
    if parts == 1:
        return [Part(0, listed, scores)]
    sessions, turns, texts = (_dealt(engine, name, parts) for name in _TABLES[:3])
    candidates, scored = _dealt(engine, "compared", parts), _dealt(engine, "scores", parts)
    found = []
    for number in range(parts):
        name = f"part={number}"
        if (sessions / name).exists():
            of = Listed(turns / name, sessions / name, texts / name, _some(candidates / name, listed.candidates))
            found.append(Part(number, of, _some(scored / name, scores)))
    return found


def _dealt(engine: Engine, name: str, parts: int, progress: Progress | None = None) -> Path:
    """Write a table with a folder for each part."""
    step = f"dealt_{name}"
    if progress is not None:
        progress(step)
    return engine.run(step, (_SQL / f"{step}.sql").read_text(encoding="utf-8").format(parts=parts), by="part")


def _some(folder: Path, table: Path) -> Path:
    """Return the folder of a part; where the part has no rows, one with no rows of the table."""
    if not folder.exists():
        folder.mkdir()
        with connect(whole=table) as con:
            save(con, "SELECT * FROM whole LIMIT 0", folder / "none.parquet")
    return folder
