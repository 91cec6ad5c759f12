"""`Detector`: P(a later turn restates an earlier one); `RuleDetector`: a documented rule over the cues of the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]


class Detector(Protocol):
    """Scores candidates: a turn, and one of the few turns after it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `score` reads: columns of `tables.CANDIDATES`, and of what is said of the two texts (int64):

        ``text_similarity`` and ``sound_similarity`` in thousandths, ``contained`` (0/1), ``source_text`` and ``target_text``.
        """

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(the later turn restates the earlier one) of each candidate in thousandths, (n,), each 0..1000.

        Mining calls it from several threads, with up to half a million candidates at a time.

        Args:
            candidates: column name -> (n,) array: int64; float64 with NaN for NULL where the column may be NULL; texts are
                arrays of str objects.
        """


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds that the cues of a candidate add up to."""

    bias: float = -4.5
    """After a turn that went well the next request is a new goal, however near."""
    friction: float = 3.5
    """The turn went wrong for sure: who speaks again soon mostly means the same, even in other words."""
    engaged: float = -2.0
    """The answer was used to the end: what was asked for is done."""
    barge_in: float = 1.0
    """The later turn cut an answer short, as corrections do."""
    gap: float = -0.05
    """Each second of silence in between."""
    between: float = -0.7
    """Each turn in between: it is nearer to what was meant, or shows that the user has moved on."""
    alike: float = 6.0
    """From nothing in common to the same, to the eye or to the ear, whichever is more."""
    middle: float = 0.4
    """Where likeness says nothing: two short requests to one assistant share so much by chance."""
    contained: float = 1.5
    """Said in more or in fewer words ("play harry potter", "play the harry potter audiobook"): a new goal changes words, a
    correction adds them."""
    same_response: float = -0.5
    """Answered as before: the assistant did not get any further."""
    same_hypothesis: float = -2.5
    """Understood as before: nothing was repaired."""
    target_failed: float = -3.0
    """It fails as well and repairs nothing; the turn after it may, and is looked at too."""
    repeat: float = -8.0
    """Understood alike and done both times ("next", "louder"): asked for twice."""
    least: int = 30
    """P below this, in thousandths, is taken for 0: what chance leaves would fill the chain with noise."""


@dataclass(frozen=True, slots=True)
class RuleDetector:
    """Adds up the cues as log-odds, by weights that people can read.

    P rises with friction, likeness and interruption, and falls with silence and engagement, and where nothing was repaired.

    Example:
        >>> import numpy as np
        >>> quick = {name: np.zeros(1) for name in RuleDetector().columns} | {
        ...     "source_friction": np.array([1000]), "source_failed": np.array([1.0]), "text_similarity": np.array([900])}
        >>> RuleDetector().score(quick)
        array([937])
    """

    weights: Weights = Weights()

    @property
    def columns(self) -> tuple[str, ...]:
        """The cues of the rule."""
        return (
            "ahead",
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
            "contained",
        )

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(the later turn restates the earlier one) of each candidate in thousandths, (n,), each 0..1000."""
        w, c = self.weights, candidates
        failed, target_failed, understood_alike = (c[name] == 1 for name in ("source_failed", "target_failed", "same_hypothesis"))
        odds = (
            w.bias
            + w.friction * c["source_friction"] / 1000
            + w.engaged * np.nan_to_num(c["source_engaged"]) / 1000
            + w.barge_in * c["barge_in"]
            + w.gap * c["gap_ms"] / 1000
            + w.between * (c["ahead"] - 1)
            + w.alike * (np.maximum(c["text_similarity"], c["sound_similarity"]) / 1000 - w.middle)
            + w.contained * c["contained"]
            + w.same_response * (c["same_response"] == 1)
            + w.same_hypothesis * understood_alike
            + w.target_failed * target_failed
            + w.repeat * (understood_alike & ~failed & ~target_failed)
        )
        p = np.rint(1000 / (1 + np.exp(-odds))).astype(np.int64)
        return np.where(p < w.least, 0, p)
