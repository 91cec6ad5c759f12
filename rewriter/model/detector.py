"""`Detector`: P(a later turn restates an earlier one); `RuleDetector`: a documented rule over the cues of the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]


class Detector(Protocol):
    """Scores candidates: a turn, and one of the few turns after it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `score` reads: columns of `tables.CANDIDATES` and `tables.SIMILARITIES`, and `source_text`, `target_text`."""

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(the later turn restates the earlier one) of each candidate in thousandths, (n,), each 0..1000.

        Args:
            candidates: column name -> (n,) array: int64; float64 with NaN for NULL where the column may be NULL; texts are
                arrays of str objects.
        """


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds that the cues add up to."""

    bias: float = -4.5
    """After a turn that went well, the next request is a new goal, however near."""
    friction: float = 3.5
    """The turn went wrong for sure: then somebody who speaks again soon mostly means the same."""
    engaged: float = -2.0
    """The answer was used to the end: what was asked for is done."""
    barge_in: float = 1.0
    """The later turn cut an answer short, as corrections do."""
    gap: float = -0.05
    """Each second of silence in between."""
    alike: float = 6.0
    """The later text against the earlier one, from nothing in common to the same, to the eye or to the ear, whichever is more."""
    middle: float = 0.4
    """Where likeness says nothing: two short requests to one assistant share so much by chance."""
    same_response: float = 0.7
    """The assistant repeats itself: it did not get any further."""
    same_hypothesis: float = 1.0
    """The assistant understands the same: the goal has not changed."""
    repeat: float = -8.0
    """Understood alike and done both times ("next", "louder"): asked for twice, not repaired."""
    least: int = 30
    """P below this, in thousandths, is taken for 0: what is left of chance would fill the chain with noise."""


@dataclass(frozen=True, slots=True)
class RuleDetector:
    """Adds up the evidence of the cues as log-odds, by weights that people can read.

    It rises with friction, likeness and interruption and falls with silence and engagement. It has not been fitted to any log.

    Example:
        >>> import numpy as np
        >>> quick = {name: np.zeros(1) for name in RuleDetector().columns} | {
        ...     "source_friction": np.array([1000]), "source_failed": np.array([1.0]), "text_similarity": np.array([900])}
        >>> RuleDetector().score(quick)
        array([881])
    """

    weights: Weights = Weights()

    @property
    def columns(self) -> tuple[str, ...]:
        """The cues of the rule."""
        return (
            "gap_ms",
            "source_friction",
            "source_failed",
            "source_engaged",
            "target_failed",
            "barge_in",
            "same_hypothesis",
            "same_response",
            "text_similarity",
            "sound_similarity",
        )

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(the later turn restates the earlier one) of each candidate in thousandths, (n,), each 0..1000."""
        w, c = self.weights, candidates
        alike = np.maximum(c["text_similarity"], c["sound_similarity"]) / 1000.0
        odds = (
            w.bias
            + w.friction * c["source_friction"] / 1000.0
            + w.engaged * np.nan_to_num(c["source_engaged"]) / 1000.0
            + w.barge_in * c["barge_in"]
            + w.gap * c["gap_ms"] / 1000.0
            + w.alike * (alike - w.middle)
            + w.same_response * (c["same_response"] == 1)
            + w.same_hypothesis * (c["same_hypothesis"] == 1)
            + w.repeat * _repeats(c)
        )
        p = np.rint(1000.0 / (1.0 + np.exp(-odds))).astype(np.int64)
        return np.where(p < w.least, 0, p)


def _repeats(c: Columns) -> npt.NDArray[np.bool_]:
    """Whether the same thing was understood and done twice; a log without status is believed where nothing went wrong."""
    return np.asarray((c["same_hypothesis"] == 1) & (c["source_failed"] != 1) & (c["target_failed"] != 1))
