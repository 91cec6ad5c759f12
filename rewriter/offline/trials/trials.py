"""What became of rewrites: days of single users, each with what was decided, how surely it was drawn, and how it went.

One user's turns of one text on one day, under one decision, are one *trial*: its outcome is the share of them that went well. So
no user weighs more than one trial a day, however much is said. And who says more texts that have a rule on one day than people do
speaks of each with the less *user weight*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.engines.duckdb import connect

_ONE = 1_000_000
_TEXTS_A_DAY = 5  # of which a user speaks with all her user weight

_TRIALS = """
WITH counted AS (
  SELECT said, sent, rewritten AS arm, rule, share, user_no, day, SUM(success) / 1000.0 / SUM(turns) AS outcome,
         rule IN (SELECT rule FROM named) AS by_name
  FROM counts
  WHERE said IN (SELECT said FROM looked_at) OR rule IN (SELECT rule FROM named)
  GROUP BY said, sent, rewritten, rule, share, user_no, day
),
spoken AS (
  SELECT user_no, day, COUNT(DISTINCT said) AS texts FROM counts WHERE rewritten = 1 OR rule <> '' GROUP BY user_no, day
)
SELECT c.said, c.sent, c.arm, c.rule, c.share, c.user_no, c.day, c.outcome, a.weight,
       LEAST(1.0, ? / COALESCE(v.texts, 1)) AS user_weight
FROM counted AS c
LEFT JOIN spoken AS v ON v.user_no = c.user_no AND v.day = c.day
JOIN row_days AS r ON r.node = c.said
CROSS JOIN (SELECT MAX(day) AS day FROM counts) AS newest
JOIN ages AS a ON a.age = IF(c.by_name, newest.day, r.last_day) - c.day
ORDER BY c.said, c.sent, c.arm, c.rule, c.share, c.day, c.user_no
"""


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials of some sources, one row each.

    Attributes:
        said: (t,) int64, text that was said.
        sent: (t,) int64, text that was sent.
        arm: (t,) int64, 1 where it was rewritten.
        rule: (t,) object, id of the rule that was applied or held out; empty where there was none.
        share: (t,) float64, P(rewritten), 0..1; NaN where nothing was drawn.
        user: (t,) int64, number of the user.
        day: (t,) int64, days since 1970.
        outcome: (t,) float64, 0..1.
        weight: (t,) float64, what age leaves of it, 0..1.
        user_weight: (t,) float64, how much of the user's word it has, 0..1.
    """

    said: Ints
    sent: Ints
    arm: Ints
    rule: npt.NDArray[np.object_]
    share: Floats
    user: Ints
    day: Ints
    outcome: Floats
    weight: Floats
    user_weight: Floats

    def __len__(self) -> int:
        return len(self.said)

    def take(self, rows: npt.NDArray[Any]) -> "Trials":
        """Return some trials."""
        return Trials(*(getattr(self, name)[rows] for name in self.__slots__))

    @classmethod
    def as_spoken(cls, said: Ints, user: Ints, day: Ints, outcome: Floats, weight: Ints) -> "Trials":
        """Return trials of texts that no rule had a say in, (t,) each; the weight is in millionths."""
        n = len(said)
        none, nothing = np.zeros(n, dtype=np.int64), np.full(n, "", dtype=object)
        columns = said, said, none, nothing, np.full(n, np.nan), user, day, outcome, np.asarray(weight) / _ONE, np.ones(n)
        return cls(*(np.asarray(column) for column in columns))

    def and_also(self, others: "Trials") -> "Trials":
        """Return these trials and then the others."""
        return Trials(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in self.__slots__))

    def worth(self) -> Floats:
        """Return what each trial weighs: its user weight and what age leaves, over the probability with which its arm was drawn.

        Days on which an arm was rare then count like days on which it was frequent. Within one level of that probability the
        division changes nothing, because weights are only ever compared with each other (`effective`).
        """
        drawn = np.where(np.isnan(self.share), 1.0, np.where(self.arm == 1, self.share, 1.0 - self.share))
        return np.asarray(self.user_weight * self.weight / np.maximum(drawn, 1e-6), dtype=np.float64)


def read(counts: Path, row_days: Path, ages: Path, said: Ints | None = None, named: Sequence[str] = ()) -> Trials:
    """Read the trials of some sources, of all that were ever rewritten if `said` is None.

    Args:
        counts: Parquet of `tables.COUNTS`.
        row_days: the newest day of each row.
        ages: Parquet of `tables.AGES`.
        said: texts.
        named: ids under which anything may have been decided, whatever was said: these trials are read, too, and age towards the
            newest day of the log and not of their text.
    """
    with connect(counts=counts, row_days=row_days, ages=ages) as con:
        con.register("named", {"rule": np.array(named, dtype=np.str_)})
        if said is None:
            con.execute("CREATE TEMP VIEW looked_at AS SELECT DISTINCT said FROM counts WHERE rewritten = 1")
        else:
            con.register("looked_at", {"said": np.unique(said)})
        found: dict[str, Any] = con.execute(_TRIALS, [_TEXTS_A_DAY]).fetchnumpy()
    share = np.asarray(found["share"], dtype=np.float64)
    numbers = {name: np.asarray(found[name], dtype=np.int64) for name in ("said", "sent", "arm", "user_no", "day")}
    return Trials(
        said=numbers["said"],
        sent=numbers["sent"],
        arm=numbers["arm"],
        rule=np.asarray(found["rule"], dtype=object),
        share=np.where(share < 0, np.nan, share / _ONE),
        user=numbers["user_no"],
        day=numbers["day"],
        outcome=np.asarray(found["outcome"], dtype=np.float64),
        weight=np.asarray(found["weight"], dtype=np.float64) / _ONE,
        user_weight=np.asarray(found["user_weight"], dtype=np.float64),
    )


def effective(group: Ints, worth: Floats, outcome: Floats, n: int) -> tuple[Floats, Floats]:
    """Return how many equal trials some weighted ones are worth, and how many of those went well, by group, (n,) and (n,).

    The mean outcome is self-normalised, sum(w y) / sum(w), and the number is Kish's, sum(w)^2 / sum(w^2) (Survey Sampling, 1965):
    never the sum of weights, which would make much of little.

    Example:
        >>> n, ok = effective(np.zeros(3, dtype=np.int64), np.array([2.0, 2.0, 0.0]), np.array([1.0, 0.0, 1.0]), 1)
        >>> float(n[0]), float(ok[0])
        (2.0, 1.0)
    """
    total, squares = np.bincount(group, worth, n), np.bincount(group, worth**2, n)
    mean = np.bincount(group, worth * outcome, n) / np.where(total > 0, total, 1.0)
    number = total**2 / np.where(squares > 0, squares, 1.0)
    return np.asarray(number, dtype=np.float64), np.asarray(number * np.clip(mean, 0.0, 1.0), dtype=np.float64)
