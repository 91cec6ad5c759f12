"""Whether a log can be learned in the memory that was named: `require_memory` says so before anything is mined.

What DuckDB sorts and joins goes to the disk where it is too much, and a detector holds one part of the users at a time. What is
left are tables of this process: of texts, and of the texts of each user. They grow with what each user says, each text counted
once. Their size was measured (`benchmarks/learn_cost.py`, `memory` in its results).
"""

from pathlib import Path
from typing import Final, NamedTuple

from rewriter.detect.select import KB_A_TURN, parts_for
from rewriter.engines import connect, count_rows, glob
from rewriter.errors import EngineError
from rewriter.offline.mining.incremental import Carried
from rewriter.tables import COUNTS


class Need(NamedTuple):
    """Memory of this process, beside the part of the users that a detector holds.

    Attributes:
        gb: gigabytes however short the log is.
        kb_of_each_said: kilobytes for each text of each user.
    """

    gb: float
    kb_of_each_said: float

    def of(self, said: int, part: int = 0) -> float:
        """Return the gigabytes for so many texts of users, and so many turns that are held at once.

        Example:
            >>> Need(0.5, 1.0).of(2_000_000, part=250_000)
            3.25
        """
        return self.gb + (KB_A_TURN * part + self.kb_of_each_said * said) / 1e6


RULES_ALONE: Final = Need(0.28, 0.19)
WITH_LAYER: Final = Need(0.49, 0.59)
"""As `benchmarks/learn_cost.py` measured them."""

_SAID = "SELECT APPROX_COUNT_DISTINCT((user_id, utterance)) FROM read_parquet(?)"
_SAID_BEFORE = "SELECT APPROX_COUNT_DISTINCT((user_no, said)) FROM read_parquet(?)"


def require_memory(turns: Path, past: Carried, memory_gb: float | None, *, layer: bool) -> None:
    """Stop before anything is mined where the tables of this process cannot be held.

    Args:
        turns: Parquet of `tables.TURNS`, those that were read.
        past: what the days before left.
        memory_gb: memory that learning may use; None if nobody said.
        layer: whether the online layer is fitted.

    Raises:
        EngineError: they cannot.
    """
    if memory_gb is None:
        return
    said, n = _count(_SAID, turns), past.turns + count_rows(turns)
    if past.state is not None:
        said += _count(_SAID_BEFORE, past.known(COUNTS, turns.parent))
    part = -(-n // parts_for(n, memory_gb))
    rules, need = (of.of(said, part) for of in (RULES_ALONE, WITH_LAYER if layer else RULES_ALONE))
    if need <= memory_gb:
        return
    alone = f", set loop.refit_days to 0, so that rules alone are learned in about {rules:,.1f} GB," if layer else ""
    raise EngineError(
        f"not enough memory: users say {said:,} texts, each counted once for each user; that takes about {need:,.1f} GB"
        f" and memory_gb is {memory_gb:g}; give more memory{alone if rules <= memory_gb else ''} or learn from fewer users"
    )


def _count(sql: str, table: Path) -> int:
    with connect() as con:
        return int(con.execute(sql, [glob(table)]).fetchall()[0][0])
