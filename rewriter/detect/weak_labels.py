"""Weak labels: labels that the log gives its own turns and candidates, without annotation.

The other users take the place of annotators. A text means what the assistant understood when they said it without friction. A
turn whose hypothesis lacks part of that meaning was misunderstood. A later turn that supplies the missing part restates it. The
rules are SQL in ``sql/meant.sql``, ``sql/missed.sql`` and ``sql/evidence.sql``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Bools, Floats, Ints
from rewriter.detect.turns import NAMES as LIKENESS
from rewriter.detect.turns import Likeness, Listed, Turns
from rewriter.engines import connect, glob
from rewriter.model.detector import Columns
from rewriter.model.hypothesis import intent_of, slots_of

_SQL = resources.files("rewriter.detect") / "sql"
_WORD = re.compile(r"[^\W\d_]+")
_MAX_AHEAD = 4  # greater than how many turns ahead a candidate is (1, 2 or 3); used to make one number of row and distance


@dataclass(frozen=True, slots=True)
class Items:
    """The parts of hypotheses: each slot with its value, and each word of the intent. One row for each part of a hypothesis.

    The intent is split into words because a compound intent ("inform+request") shares half of its meaning with each of its parts.

    Attributes:
        hypothesis: (m,) id of the text.
        item: (m,) number of the item, 0..k-1.
        slot: (m,) number of the slot; -1 for a word of the intent.
        value: (k,) str, what a user would say for the item: the slot's value or, if it has none, the last part of the slot's
            name; empty for a word of the intent.
    """

    hypothesis: Ints
    item: Ints
    slot: Ints
    value: npt.NDArray[np.object_]

    @classmethod
    def of(cls, turns: Turns) -> Self:
        """Split the hypotheses of a log into items."""
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
class WeakLabels:
    """The labels that a log gives to its turns and to some of its candidates.

    Attributes:
        misunderstood: (n,) of all turns: 1.0 if the turn was misunderstood, 0.0 if it was understood as meant, NaN if the meaning
            of its text is not known.
        row: (m,) row of the turn of each labelled candidate, see `Turns`.
        ahead: (m,) how many turns later the candidate comes.
        failed: (m,) bool, whether the turn was misunderstood.
        restates: (m,) bool, whether the candidate supplies what was missed; False if nothing was.
        by_nbest: (m,) bool, whether the meaning was taken from the other hearings of the turn.
    """

    misunderstood: Floats
    row: Ints
    ahead: Ints
    failed: Bools
    restates: Bools
    by_nbest: Bools


def weak_labels(listed: Listed, turns: Turns, items: Items, rows: Ints | None = None) -> WeakLabels:
    """Label turns and candidates by what happened to other users.

    A text means the items that the assistant understood, without friction, for at least half of its other users and for at least
    two. If there are none, its other hearings are looked up instead. Users whose turn failed count too, so noise that is once
    heard as "yes" means nothing. A candidate restates a turn if it supplies something missed and contradicts nothing that was
    meant.

    Args:
        listed: the mined tables.
        turns: their turns.
        items: of their hypotheses.
        rows: of the turns that are labelled, those with candidates among them; None for all.
    """
    with connect(candidates=listed.candidates) as con:
        con.register("turns", pd.DataFrame({"row": np.arange(len(turns))} | turns.column))
        con.register("rows", {"row": np.arange(len(turns)) if rows is None else rows})
        con.execute("CREATE TEMP TABLE asked AS SELECT row, user_no, said FROM turns SEMI JOIN rows USING (row)")
        heard = np.repeat(np.arange(len(turns)), np.diff(turns.heard_at))
        con.register("hearings", pd.DataFrame({"row": heard, "text": turns.heard}))
        con.register("items", pd.DataFrame({"hypothesis": items.hypothesis, "item": items.item, "slot": items.slot}))
        for name in ("meant", "missed", "evidence"):
            con.execute(f"CREATE TEMP TABLE {name} AS {(_SQL / f'{name}.sql').read_text(encoding='utf-8')}")
        known = con.execute("SELECT row, missed FROM missed").fetchnumpy()
        found = con.execute("SELECT row, ahead, missed, restates, other FROM evidence ORDER BY row, ahead").fetchnumpy()
    misunderstood = np.full(len(turns), np.nan)
    misunderstood[known["row"]] = known["missed"]
    failed, restates, by_nbest = (np.asarray(found[name]) == 1 for name in ("missed", "restates", "other"))
    return WeakLabels(misunderstood, found["row"], found["ahead"], failed, restates, by_nbest)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The turns and candidates of a log with their weak labels. Detectors learn from them and are judged by them.

    Attributes:
        turns: of the log, n of them.
        items: of their hypotheses.
        labels: the weak labels.
        likeness: compares texts of the log.
        candidates: name -> (m,): columns of `tables.CANDIDATES`, and what `likeness` measures.
        source: (m,) row of the turn of each candidate.
        failed: (m,) float64: 1.0 if that turn was misunderstood, 0.0 if not, NaN if it is not known.
        restates: (m,) bool, whether the candidate restates it; False if it is not known.
        ignore_nbest: (m,) bool, whether the label was taken from the other hearings of the turn. Then a detector must not see
            them, because it would learn that a text in no hearing is never meant.
    """

    turns: Turns
    items: Items
    labels: WeakLabels
    likeness: Likeness
    candidates: Columns
    source: Ints
    failed: Floats
    restates: Bools
    ignore_nbest: Bools

    @classmethod
    def read(cls, listed: Listed) -> Self:
        """Read the mined tables of a log and label them."""
        turns, likeness = Turns.read(listed), Likeness(listed.texts)
        items = Items.of(turns)
        labels = weak_labels(listed, turns, items)
        candidates = _candidates(listed, turns, likeness)
        source = turns.rows(candidates["user_no"], candidates["turn_no"])
        failed, (restates, by_nbest) = np.full(len(source), np.nan), np.zeros((2, len(source)), dtype=bool)
        data = cls(turns, items, labels, likeness, candidates, source, failed, restates, by_nbest)
        place = data.places(labels.row, labels.ahead)
        failed[place], restates[place], by_nbest[place] = labels.failed, labels.restates, labels.by_nbest
        return data

    @property
    def target(self) -> Ints:
        """The row of each candidate itself, (m,)."""
        return self.turns.rows(self.candidates["user_no"], self.candidates["next_turn_no"])

    def places(self, row: Ints, ahead: Ints) -> Ints:
        """Return the positions of candidates in `source`, by the row of their turn and how many turns later they come."""
        return np.searchsorted(self.source * _MAX_AHEAD + self.candidates["ahead"], row * _MAX_AHEAD + ahead)


def _candidates(listed: Listed, turns: Turns, likeness: Likeness) -> Columns:
    """Read the candidates, ordered by turn and place, with what `likeness` measures; NULL becomes NaN."""
    with connect() as con:
        sql = "SELECT * FROM read_parquet(?) ORDER BY user_no, turn_no, ahead"
        found = con.execute(sql, [glob(listed.candidates)]).fetchnumpy()
    columns = {
        name: np.ma.filled(values.astype(np.float64), np.nan) if np.ma.is_masked(values) else np.ma.getdata(values)
        for name, values in found.items()
    }
    if set(LIKENESS) <= set(columns):
        return columns
    said = (turns["said"][turns.rows(columns["user_no"], columns[name])] for name in ("turn_no", "next_turn_no"))
    return columns | likeness.measure(*said)
