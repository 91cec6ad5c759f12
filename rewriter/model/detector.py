"""`Detector`: P(a later turn restates an earlier one). `RuleDetector`: a documented rule over the cues of the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]


class Detector(Protocol):
    """Scores candidates. A candidate is a turn together with one of the next few turns of the same user."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `score` reads: those of `tables.CANDIDATES`, and five more that describe the two texts.

        ``text_similarity`` and ``sound_similarity`` are int64 in thousandths, ``contained`` is int64 (0 or 1), ``source_text``
        and ``target_text`` are texts.
        """

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(the later turn restates the earlier one) of each candidate in thousandths, (n,), each 0..1000.

        Mining calls it from several threads, with up to half a million candidates at a time.

        Args:
            candidates: column name -> (n,) array. Numbers are int64, or float64 with NaN for NULL if the column may be NULL.
                Texts are arrays of str objects.
        """


@dataclass(frozen=True, slots=True)
class CueWeights:
    """Weights of the cues of a candidate, in log-odds."""

    bias: float = -4.5
    """All candidates: after a turn that went well, the next request mostly has a new goal."""
    friction: float = 3.5
    """The earlier turn certainly went wrong. Users who soon speak again mostly mean the same, even in other words."""
    engaged: float = -2.0
    """The user listened to the whole answer of the earlier turn, and so got what they asked for."""
    barge_in: float = 1.0
    """The later turn interrupted the answer, as corrections often do."""
    gap: float = -0.05
    """Each second between the two turns."""
    between: float = -0.7
    """Each turn in between: that turn is nearer to the goal, or shows that the user has moved on."""
    alike: float = 6.0
    """Similarity of the texts from 0 to 1, in spelling or in sound, whichever is greater."""
    middle: float = 0.4
    """The similarity that is no evidence: two short requests to one assistant have so much in common by chance."""
    contained: float = 1.5
    """All words of one text are in the other ("play harry potter", "play the harry potter audiobook"): corrections add words,
    new goals change them."""
    same_response: float = -0.5
    """The assistant answered as before, so the later turn did not help."""
    same_hypothesis: float = -2.5
    """The NLU understood the same as before, so nothing was repaired."""
    target_failed: float = -3.0
    """The later turn fails too and repairs nothing; the turn after it is a candidate of its own."""
    repeat: float = -8.0
    """The NLU understood both alike and neither failed ("next", "louder"): the user asked for it twice."""
    least: int = 30
    """P below this, in thousandths, counts as 0; otherwise chance pairs would fill the chain with noise."""


@dataclass(frozen=True, slots=True)
class RuleDetector:
    """Adds up the cues as log-odds, with fixed weights that people can read (a logistic model).

    P rises with friction, similarity and interruption. It falls with time, with engagement, and if nothing was repaired.

    Example:
        >>> import numpy as np
        >>> quick = {name: np.zeros(1) for name in RuleDetector().columns} | {
        ...     "source_friction": np.array([1000]), "source_failed": np.array([1.0]), "text_similarity": np.array([900])}
        >>> RuleDetector().score(quick)
        array([937])
    """

    weights: CueWeights = CueWeights()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the cues."""
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
