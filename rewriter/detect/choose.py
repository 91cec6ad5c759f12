"""`BestDetector`: of the rule and the detector learned from a log, the one that finds more of what that log tells of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
from sklearn.metrics import average_precision_score

from rewriter.detect.listed import Listed
from rewriter.detect.pair import PairDetector, Told, learn_pair
from rewriter.model.detector import Detector, RuleDetector
from rewriter.tables import glob

_MOST = 2_000_000  # turns: their cues are worked out in memory


@dataclass(slots=True)
class BestDetector:
    """Chooses the detector of a log, once its candidates are listed.

    Attributes:
        seed: of what is drawn while learning.
        name: of the detector that was chosen, ``rule`` or ``pair``.
        pair: what was learned from it, if anything was, chosen or not.
        figures: the average precision of each on the evidence of the log, every user's by a model that has not seen that user,
            and how many restatements that evidence holds; empty where it holds too few to learn from.
    """

    seed: int
    name: str = "rule"
    pair: PairDetector | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def choose(self, listed: Listed) -> Detector:
        """Learn a detector from the mined tables, and return it if it beats the rule, else the rule; the rule at once for a log
        that is too large.
        """
        rule = RuleDetector()
        if _turns(listed) > _MOST:
            return rule
        told = Told.read(listed)
        self.pair = pair = learn_pair(told, seed=self.seed)
        if pair is None:
            return rule
        known = np.isfinite(told.missed)
        candidates = {name: values[known] for name, values in told.candidates.items()}
        found = {
            "rule": float(average_precision_score(told.restates[known], rule.score(candidates) / 1000)),
            "pair": float(average_precision_score(told.restates[known], pair.p(candidates, told.overheard[known]))),
        }
        self.figures = found | {"restatements": float(told.restates.sum())}
        self.name = max(found, key=lambda name: found[name])
        return pair if self.name == "pair" else rule

    def metrics(self) -> dict[str, float]:
        """Return the figures as they stand in the manifest."""
        return {f"detector, held out: {name}": value for name, value in self.figures.items()}

    def __str__(self) -> str:
        """Say which was chosen, and why."""
        if not self.figures:
            return "rule (log too small, or too large)"
        rule, pair = self.figures["rule"], self.figures["pair"]
        return f"{self.name} (held-out AP {pair:.2f}, rule {rule:.2f})"


def _turns(listed: Listed) -> int:
    with duckdb.connect() as con:
        return con.read_parquet(glob(listed.sessions)).shape[0]
