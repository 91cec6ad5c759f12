"""Trials of rewrites: what became of requests that were rewritten, and of requests that were left alone.

All turns of one text by one user on one day, under one decision, are one *trial*. Its outcome is the share of these turns that
went well. So no user counts more than once a day for one text, however often the text is said. A user who says many texts that
have a rule on one day has a smaller *user weight* for each of them.

`p_better` compares the two arms: P(a request succeeds more often rewritten than as spoken), when both depend on how hard the
request is. The two rates X (as spoken) and Y (rewritten) have the bivariate beta distribution of Olkin and Liu, "A bivariate beta
distribution" (Statistics & Probability Letters 62, 2003): with independent U ~ Ga(a), V ~ Ga(b), W ~ Ga(c), X = U/(U + W) and
Y = V/(V + W). The shared W is what makes the request hard for anybody, so the rates are not independent. For a = b = c = 1 both
margins are flat. The posterior is computed on a grid of rates, and is exact up to the size of its cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from rewriter.arrays import Floats, Ints
from rewriter.engines import connect

_ONE = 1_000_000
"""Weights and probabilities are stored in millionths."""
_FULL_WEIGHT_TEXTS = 5
"""Texts with a rule that a user may say on one day before the weight of each falls; more is rare for one person."""
_LEAST_PROPENSITY = 1e-6
"""Lower bound of a logged probability, so that no trial weighs without limit."""

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
CROSS JOIN (SELECT COALESCE((SELECT last_day FROM row_days WHERE node = -1), (SELECT MAX(day) FROM counts)) AS day) AS newest
JOIN ages AS a ON a.age = GREATEST(IF(c.by_name, newest.day, r.last_day) - c.day, 0)
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
        outcome: (t,) float64, share of its turns that went well, 0..1.
        weight: (t,) float64, weight by age, 0..1.
        user_weight: (t,) float64, weight of the user on that day, 0..1.
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
    def none(cls) -> "Trials":
        """Return no trials."""
        nothing, numbers = np.zeros(0), np.zeros(0, dtype=np.int64)
        return cls.as_spoken(numbers, numbers, numbers, nothing, numbers)

    @classmethod
    def as_spoken(cls, said: Ints, user: Ints, day: Ints, outcome: Floats, weight: Ints) -> "Trials":
        """Return trials of texts that no rule was asked about, (t,) each; the weight is in millionths."""
        n = len(said)
        none, nothing = np.zeros(n, dtype=np.int64), np.full(n, "", dtype=object)
        columns = said, said, none, nothing, np.full(n, np.nan), user, day, outcome, np.asarray(weight) / _ONE, np.ones(n)
        return cls(*(np.asarray(column) for column in columns))

    def and_also(self, others: "Trials") -> "Trials":
        """Return these trials and then the others."""
        return Trials(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in self.__slots__))

    def weights(self) -> Floats:
        """Return the weight of each trial, (t,): user weight times weight by age, divided by the propensity of its arm.

        So days on which an arm was rare count like days on which it was frequent. Where the propensity never changed, the
        division changes nothing, because `effective` only compares weights with each other.
        """
        drawn = np.where(np.isnan(self.share), 1.0, np.where(self.arm == 1, self.share, 1.0 - self.share))
        return np.asarray(self.user_weight * self.weight / np.maximum(drawn, _LEAST_PROPENSITY), dtype=np.float64)


def read(counts: Path, row_days: Path, ages: Path, said: Ints | None = None, named: Sequence[str] = ()) -> Trials:
    """Read the trials of some sources, of all that were ever rewritten if `said` is None.

    Args:
        counts: Parquet of `tables.COUNTS`.
        row_days: the newest day of each row that k users had reached, and of the whole log as node -1.
        ages: Parquet of `tables.AGES`.
        said: ids of the sources.
        named: ids of rules whose trials are read too, whatever was said. These trials age towards the newest day that k users
            of the log had reached, not of their text.
    """
    with connect(counts=counts, row_days=row_days, ages=ages) as con:
        con.register("named", {"rule": np.array(named, dtype=np.str_)})
        if said is None:
            said = con.execute("SELECT DISTINCT said FROM counts WHERE rewritten = 1").fetchnumpy()["said"]
        if not len(said) and not named:
            return Trials.none()
        con.register("looked_at", {"said": np.unique(said)})
        found: dict[str, Any] = con.execute(_TRIALS, [_FULL_WEIGHT_TEXTS]).fetchnumpy()
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


def effective(group: Ints, weights: Floats, outcome: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the effective number of weighted trials in each group, and how many of these went well, (n,) and (n,).

    The mean outcome is self-normalised, sum(w y) / sum(w). The number is Kish's effective sample size, sum(w)^2 / sum(w^2)
    (Survey Sampling, 1965). The sum of weights would count one heavy trial as many.

    Args:
        group: (t,) 0..n-1.
        weights: (t,) weights, >= 0.
        outcome: (t,) 0..1.
        n: number of groups.

    Example:
        >>> n, ok = effective(np.zeros(3, dtype=np.int64), np.array([2.0, 2.0, 0.0]), np.array([1.0, 0.0, 1.0]), 1)
        >>> float(n[0]), float(ok[0])
        (2.0, 1.0)
    """
    total, squares = np.bincount(group, weights, n), np.bincount(group, weights**2, n)
    mean = np.bincount(group, weights * outcome, n) / np.where(total > 0, total, 1.0)
    number = total**2 / np.where(squares > 0, squares, 1.0)
    return np.asarray(number, dtype=np.float64), np.asarray(number * np.clip(mean, 0.0, 1.0), dtype=np.float64)


_A = _B = _C = 1.0
"""The prior of Olkin and Liu with flat margins."""
_EDGES = np.sin(np.linspace(0.0, np.pi / 2, 65)) ** 2
"""Edges of the 64 cells of the grid; cells are small near 0 and 1, where most rates lie."""
_RATES = (_EDGES[1:] + _EDGES[:-1]) / 2
_WIDTH = np.diff(_EDGES)
_ROWS = 256
"""Pairs of rates computed at once, which bounds the memory."""


def log_density(x: Floats, y: Floats) -> Floats:
    """Return the log prior density at rates x and y, broadcast: Olkin and Liu (2003), formula 1.4."""
    constant = gammaln(_A + _B + _C) - gammaln(_A) - gammaln(_B) - gammaln(_C)
    up = (_A - 1) * np.log(x) + (_B - 1) * np.log(y) + (_B + _C - 1) * np.log1p(-x) + (_A + _C - 1) * np.log1p(-y)
    return np.asarray(constant + up - (_A + _B + _C) * np.log1p(-x * y), dtype=np.float64)


_PRIOR = log_density(_RATES[:, None], _RATES[None, :]) + np.log(_WIDTH[:, None] * _WIDTH[None, :])
_ABOVE = (_RATES[None, :] > _RATES[:, None]) + 0.5 * np.eye(len(_RATES))


def p_better(left: Floats, left_ok: Floats, tried: Floats, tried_ok: Floats) -> Floats:
    """Return P(Y > X) of each pair, given what was seen of both.

    Args:
        left: (m,) effective number of requests left as spoken.
        left_ok: (m,) how many of them went well, may be fractions.
        tried: (m,) the same, rewritten.
        tried_ok: (m,) the same.

    Example:
        >>> counts = [np.array([0.0, 40.0]), np.array([0.0, 10.0]), np.array([0.0, 40.0]), np.array([0.0, 36.0])]
        >>> p_better(*counts).round(3).tolist()
        [0.5, 1.0]
    """
    found = [
        _some(*(column[at : at + _ROWS] for column in (left, left_ok, tried, tried_ok))) for at in range(0, len(left), _ROWS)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _some(left: Floats, left_ok: Floats, tried: Floats, tried_ok: Floats) -> Floats:
    spoken, sent = _likelihood(left, left_ok), _likelihood(tried, tried_ok)
    joint = _PRIOR + spoken[:, :, None] + sent[:, None, :]
    mass = np.exp(joint - joint.max(axis=(1, 2), keepdims=True))
    return np.asarray((mass * _ABOVE).sum(axis=(1, 2)) / mass.sum(axis=(1, 2)), dtype=np.float64)


def _likelihood(n: Floats, ok: Floats) -> Floats:
    """Return the log likelihood of every rate of the grid, (m, 64)."""
    return np.asarray(ok[:, None] * np.log(_RATES) + (n - ok)[:, None] * np.log1p(-_RATES), dtype=np.float64)
