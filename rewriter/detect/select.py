"""`BestDetector`: of the rule and the detectors learned from a log, the one that finds most of what that log tells of itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from sklearn.metrics import average_precision_score

from rewriter.detect.rephrase import PairDetector, Told, learn_pair
from rewriter.detect.turns import Listed
from rewriter.engines.duckdb import glob
from rewriter.errors import reading_state
from rewriter.model.detector import Detector, RuleDetector

if TYPE_CHECKING:
    from rewriter.detect.readers import SpanDetector

RULE = "rule"
NAMES = ("span", "pair", RULE)
"""Of the detectors."""
_CHOICE, _PAIR = "choice.json", "pair.json"
_MOST = 2_000_000  # turns: their cues are worked out in memory


@dataclass(slots=True)
class BestDetector:
    """Chooses the detector of a log, once its candidates are listed.

    Attributes:
        seed: of what is drawn while learning.
        reader: transformer that may read where the trees are unsure; empty for none.
        min_users: distinct users that each word must come from that it learns.
        kept: folder that `save` wrote, of which the choice stands; None to learn and choose anew.
        asked: whether it has chosen.
        name: of the detector that was chosen, ``rule``, ``pair`` or ``span``.
        pair: what was learned from it, if anything was, chosen or not.
        figures: the average precision of each on the evidence of the log, every user's by a model that has not seen that user,
            and how many restatements that evidence holds; empty where it holds too few to learn from.
    """

    seed: int
    reader: str = ""
    min_users: int = 3
    kept: Path | None = None
    asked: bool = False
    name: str = RULE
    pair: PairDetector | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether it is yet to be chosen."""
        return self.kept is None

    @property
    def looks_back(self) -> bool:
        """Whether it asks for turns that are counted already: to learn from them, or for how others fared with the same words."""
        return self.kept is None or _choice(self.kept)["name"] != RULE

    def choose(self, listed: Listed) -> Detector:
        """Learn detectors from the mined tables, and return the one that finds most; the rule at once for a log that is too large
        or tells too little.

        Raises:
            ConfigError, MissingExtraError: there is no such reader, or it lacks a package.
        """
        self.asked, rule = True, RuleDetector()
        if _turns(listed) > _MOST:
            return rule
        if self.kept is not None:
            return self._as_before(self.kept, listed)
        told = Told.read(listed)
        self.pair = pair = learn_pair(told, seed=self.seed)
        if pair is None:
            return rule
        learned: dict[str, PairDetector | SpanDetector] = {"pair": pair}
        if self.reader:
            from rewriter.detect.readers import learn_span  # noqa: PLC0415 - only who reads pays for what it needs

            learned["span"] = learn_span(told, pair, self.reader, min_users=self.min_users, seed=self.seed)
        known = np.isfinite(told.missed)
        candidates = {name: values[known] for name, values in told.candidates.items()}
        p = {RULE: rule.score(candidates) / 1000}
        p |= {name: detector.p(candidates, told.overheard[known]) for name, detector in learned.items()}
        found = {name: float(average_precision_score(told.restates[known], values)) for name, values in p.items()}
        self.figures = found | {"restatements": float(told.restates.sum())}
        self.name = max(found, key=lambda name: found[name])
        return learned.get(self.name, rule)

    def save(self, folder: Path) -> None:
        """Write what was chosen and learned, for the days until it is chosen anew; a reader is not kept, the trees stand in.

        Nothing is written where it was not asked.
        """
        if not self.asked:
            return
        folder.mkdir(parents=True)
        choice = {"name": self.name, "figures": dict(self.figures), "learned by": _learned_by()}
        (folder / _CHOICE).write_text(json.dumps(choice), encoding="utf-8")
        if self.pair is not None:
            self.pair.save(folder / _PAIR)

    def _as_before(self, kept: Path, listed: Listed) -> Detector:
        choice = _choice(kept)
        self.name, self.figures = choice["name"], choice["figures"]
        if self.name == RULE:
            return RuleDetector()
        self.pair = PairDetector.open(kept / _PAIR, listed)
        return self.pair

    def metrics(self) -> dict[str, float]:
        """Return the figures as they stand in the manifest."""
        return {f"detector, held out: {name}": value for name, value in self.figures.items()}

    def __str__(self) -> str:
        """Say which was chosen, and why."""
        if not self.figures:
            return "rule (log too small, or too large)"
        others = [f"{name} {self.figures[name]:.2f}" for name in NAMES if name in self.figures and name != self.name]
        return f"{self.name} (held-out AP {self.figures[self.name]:.2f}, {', '.join(others)})"


def _learned_by() -> dict[str, str]:
    """Return what defines the columns that the trees read; their own format is checked when they are read."""
    return {name: version(name) for name in ("rewriter",)}


def is_kept(folder: Path) -> bool:
    """Return whether a folder holds what `BestDetector.save` wrote, as it would still be laid out."""
    return (folder / _CHOICE).exists() and _choice(folder)["learned by"] == _learned_by()


def _choice(folder: Path) -> dict[str, Any]:
    with reading_state(folder / _CHOICE):
        choice: dict[str, Any] = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
        return {name: choice[name] for name in ("name", "figures", "learned by")}


def _turns(listed: Listed) -> int:
    with duckdb.connect() as con:
        return con.read_parquet(glob(listed.sessions)).shape[0]
