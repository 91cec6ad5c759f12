"""`BestDetector`: learns detectors from a log and chooses the best on held-out users, the documented rule among them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rewriter.detect.rephrase import LearnedPair, PairDetector, learn_pair
from rewriter.detect.turns import Listed
from rewriter.detect.weak_labels import TrainingData
from rewriter.errors import reading_state
from rewriter.model.detector import Detector, RuleDetector

if TYPE_CHECKING:
    from rewriter.detect.span import SpanDetector

RULE = "rule"
NAMES = ("span", "pair", RULE)
"""Of the detectors."""
_CHOICE, _PAIR = "choice.json", "pair.json"
_AT_ONCE = 250_000
"""Turns whose cues are held in memory at once. Of a larger log a part of the users is learned from, and one part after the other
is scored (`rewriter/offline/sql/dealt_sessions.sql`)."""
KB_A_TURN = 3.0
"""What the cues of a turn take."""
_SHARE = 0.25
"""Of `memory_gb`, what the cues of a part may take."""


def parts_for(turns: int, memory_gb: float | None = None) -> int:
    """Return how many parts the users of a log of so many turns are dealt into.

    Args:
        turns: of the log.
        memory_gb: memory to use; below 3 the parts are smaller. None if nobody said.

    Example:
        >>> parts_for(8_000), parts_for(1_000_000), parts_for(1_000_000, memory_gb=8), parts_for(1_000_000, memory_gb=1)
        (1, 4, 4, 13)
    """
    fits = _AT_ONCE if memory_gb is None else int(_SHARE * memory_gb * 1e6 / KB_A_TURN)
    return max(1, -(-turns // min(_AT_ONCE, fits)))


@dataclass(slots=True)
class BestDetector:
    """Chooses the detector of a log, as soon as its candidates are mined.

    Attributes:
        seed: of what is drawn while learning.
        reader: transformer that reads dialogues where the trees are unsure; empty for none.
        min_users: k. The transformer learns only words of k users. The k - 1 users with most labels weigh no more than the
            next one.
        kept: folder that `save` wrote, to use its choice; None to learn and choose anew.
        memory_gb: memory to use, which bounds the part of the users that it learns from; None if nobody said.
        asked: whether it has chosen.
        name: of the detector that was chosen: ``rule``, ``pair`` or ``span``.
        pair: the trees, whether they were chosen or not; None if nothing was learned.
        figures: the average precision of each detector on the weak labels of users that it has not seen, and the number of
            restatements among these labels; empty if there are too few labels to learn from.
    """

    seed: int
    reader: str = ""
    min_users: int = 3
    kept: Path | None = None
    memory_gb: float | None = None
    asked: bool = False
    name: str = RULE
    pair: PairDetector | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether the detector is to be learned anew."""
        return self.kept is None

    @property
    def looks_back(self) -> bool:
        """Whether it also needs the turns of earlier days: to learn from them, or to label turns by those of other users."""
        return self.kept is None or _choice(self.kept)["name"] != RULE

    def choose(self, listed: Listed, *, whole: bool = True) -> Detector:
        """Learn detectors from the mined tables, and return the best. It is the rule if there are few labels.

        A learned detector scores candidates of these tables only. `PairDetector.learned` scores other parts of the log.

        Args:
            listed: the tables of the log, or of the first part of its users.
            whole: whether they are those of the log. The transformer reads nothing else.

        Raises:
            ConfigError, MissingExtraError: there is no such reader, or it lacks a package.
        """
        self.asked, rule = True, RuleDetector()
        if self.kept is not None:
            return self._open(self.kept, listed)
        data = TrainingData.read(listed)
        self.pair = pair = learn_pair(data, seed=self.seed, min_users=self.min_users)
        if pair is None:
            return rule
        from sklearn.metrics import average_precision_score  # noqa: PLC0415 - takes half a second, and most nights choose nothing

        learned: dict[str, PairDetector | SpanDetector] = {"pair": pair}
        if self.reader and whole:
            from rewriter.detect.span import learn_span  # noqa: PLC0415 - imported only where a transformer is asked for

            learned["span"] = learn_span(data, pair, self.reader, min_users=self.min_users, seed=self.seed)
        known = np.isfinite(data.failed)
        candidates = {name: values[known] for name, values in data.candidates.items()}
        p = {RULE: rule.score(candidates) / 1000}
        p |= {name: detector.p(candidates, data.ignore_nbest[known]) for name, detector in learned.items()}
        found = {name: float(average_precision_score(data.restates[known], values)) for name, values in p.items()}
        self.figures = found | {"restatements": float(data.restates.sum())}
        self.name = max(found, key=lambda name: found[name])
        return learned.get(self.name, rule)

    def save(self, folder: Path) -> None:
        """Write the choice and the trees, which are used until the next choice; write nothing if `choose` was not called.

        A transformer is not kept. The trees take its place until it learns again.
        """
        if not self.asked:
            return
        folder.mkdir(parents=True)
        choice = {"name": self.name, "figures": dict(self.figures), "learned by": _learned_by()}
        (folder / _CHOICE).write_text(json.dumps(choice), encoding="utf-8")
        if self.pair is not None:
            self.pair.learned.save(folder / _PAIR)

    def _open(self, kept: Path, listed: Listed) -> Detector:
        choice = _choice(kept)
        self.name, self.figures = choice["name"], choice["figures"]
        if self.name == RULE:
            return RuleDetector()
        self.pair = LearnedPair.open(kept / _PAIR).of(listed)
        return self.pair

    def metrics(self) -> dict[str, float]:
        """Return the figures as they stand in the manifest."""
        return {
            _FIGURES.get(name, f"rephrases found by the {name} detector, average precision"): value
            for name, value in self.figures.items()
        }

    def __str__(self) -> str:
        """Return which detector was chosen, and its figures, for people."""
        if not self.figures:
            return "documented rule (small log)"
        others = [f"{name} {self.figures[name]:.2f}" for name in NAMES if name in self.figures and name != self.name]
        return f"{self.name} (held-out AP {self.figures[self.name]:.2f}, {', '.join(others)})"


_FIGURES = {"restatements": "rephrases held out to compare detectors"}


def _learned_by() -> dict[str, str]:
    """Return a text that identifies the columns that the trees read. The format of the trees is checked when they are read."""
    return {name: version(name) for name in ("rewriter",)}


def is_kept(folder: Path) -> bool:
    """Return whether a folder holds what `BestDetector.save` wrote, by this version of the package."""
    return (folder / _CHOICE).exists() and _choice(folder)["learned by"] == _learned_by()


def _choice(folder: Path) -> dict[str, Any]:
    with reading_state(folder / _CHOICE):
        choice: dict[str, Any] = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
        return {name: choice[name] for name in ("name", "figures", "learned by")}
