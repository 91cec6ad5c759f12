"""What a turn was meant to say, as other users are understood with the same words, and the evidence that follows from it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Ints
from rewriter.detect.turns import Listed, Turns
from rewriter.engines.duckdb import glob
from rewriter.model.hypothesis import intent_of, slots_of

_SQL = resources.files("rewriter.detect") / "sql"
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Items:
    """What hypotheses are made of: each slot with its value, and each word of the intent; one row for each of a hypothesis.

    A compound intent ("inform+request") says less than its parts: with its words, half of a request is half of the meaning.

    Attributes:
        hypothesis: (m,) id of the text.
        item: (m,) number of the item, 0..k-1.
        slot: (m,) number of the slot; -1 for a word of the intent.
        value: (k,) str, what a user would say for the item: the value, else the end of the slot's name; empty for a word.
    """

    hypothesis: Ints
    item: Ints
    slot: Ints
    value: npt.NDArray[np.object_]

    @classmethod
    def of(cls, turns: Turns) -> "Items":
        """Take the hypotheses of a log apart."""
        numbers: dict[tuple[str, str], int] = {}
        slots: dict[str, int] = {}
        rows = [
            (int(h), numbers.setdefault((slot, value), len(numbers)), slots.setdefault(slot, len(slots)) if slot else -1)
            for h in np.unique(turns["hypothesis"][turns["hypothesis"] >= 0])
            for slot, value in _items(turns.text[h])
        ]
        hypothesis, item, slot = np.asarray(rows, dtype=np.int64).reshape(-1, 3).T
        spoken = [(value or re.split(r"[._]", slot)[-1]) if slot else "" for slot, value in numbers]
        return cls(hypothesis, item, slot, np.asarray(spoken, dtype=object))


def _items(hypothesis: str) -> Iterator[tuple[str, str]]:
    yield from slots_of(hypothesis).items()
    yield from (("", word) for word in dict.fromkeys(_WORD.findall(intent_of(hypothesis))))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the log itself says of candidates, one row for each that it says anything of.

    Attributes:
        row: (m,) of the turn, see `Turns`.
        ahead: (m,) of the candidate.
        missed: (m,) whether the turn was understood otherwise than other users are with the same words.
        restates: (m,) whether the candidate gave what was missed; False where nothing was.
        overheard: (m,) whether the other hearings of the turn told what was meant, so that they are no cue besides.
    """

    row: Ints
    ahead: Ints
    missed: npt.NDArray[np.bool_]
    restates: npt.NDArray[np.bool_]
    overheard: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the log says of its turns without being asked.

    Attributes:
        missed: (n,) of all turns: 1.0 misunderstood, 0.0 understood as other users are, NaN where nobody else tells.
        evidence: of the candidates.
    """

    missed: npt.NDArray[np.float64]
    evidence: Evidence


def meaning(listed: Listed, turns: Turns, items: Items) -> Meaning:
    """Tell which turns were misunderstood, and which candidates restate them, from what happened to other users.

    What a text means is what at least half of its other users, two at least, were given for it without friction; where that is
    nothing, what its other hearings mean counts (`sql/meant.sql`). A candidate restates a turn if it gave what was missed, and
    contradicts nothing of what was meant (`sql/evidence.sql`). A text counts among the users who said it and failed, too:
    noise heard as "yes" means nothing.

    Args:
        listed: the mined tables.
        turns: their turns.
        items: of their hypotheses.
    """
    with duckdb.connect() as con:
        con.register("turns", pd.DataFrame({"row": np.arange(len(turns))} | turns.column))
        heard = np.repeat(np.arange(len(turns)), np.diff(turns.heard_at))
        con.register("hearings", pd.DataFrame({"row": heard, "text": turns.heard}))
        con.register("items", pd.DataFrame({"hypothesis": items.hypothesis, "item": items.item, "slot": items.slot}))
        con.read_parquet(glob(listed.candidates)).create_view("candidates")
        for name in ("meant", "missed", "evidence"):
            con.execute(f"CREATE TEMP TABLE {name} AS {(_SQL / f'{name}.sql').read_text(encoding='utf-8')}")
        told = con.execute("SELECT row, missed FROM missed").fetchnumpy()
        found = con.execute("SELECT row, ahead, missed, restates, other FROM evidence ORDER BY row, ahead").fetchnumpy()
    missed = np.full(len(turns), np.nan)
    missed[told["row"]] = told["missed"]
    yes = {name: np.asarray(found[name]) == 1 for name in ("missed", "restates", "other")}
    return Meaning(missed, Evidence(found["row"], found["ahead"], yes["missed"], yes["restates"], yes["other"]))
