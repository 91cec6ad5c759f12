"""`Decider`: the fitted parts that turn the features of candidates into a decision: ranker, risk of the request, thresholds.

`may` asks the guardrail about a candidate, and `choose` takes the likeliest candidate that is allowed.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rewriter.arrays import Floats
from rewriter.codes import FindingKind
from rewriter.errors import reading_artefact
from rewriter.guardrail import Guardrail
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic

_FILE = "decider.json"
_TRIED = 5  # number of candidates that the guardrail checks, best first; each takes time, and later ones hardly ever win


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two rising curves from the score of a rewrite to P(it succeeds), linear between their knots and flat outside them.

    A rewrite is decided on by the lower curve, because few held-out texts promise little. What is told of it is the expected P.

    Attributes:
        score: of each knot, rising. Without knots the score is its own probability.
        p: lower bound of P(success) at each knot, rising: the lower quartile of its posterior.
        expected: expected P(success) at each knot, rising.

    Example:
        >>> curve = Calibration((0.2, 0.6), (0.1, 0.8), (0.2, 0.9))
        >>> round(curve.p_of(0.4), 2), round(curve.expected_of(0.4), 2)
        (0.45, 0.55)
        >>> Calibration().p_of(0.4), Calibration().expected_of(0.4)
        (0.4, 0.4)
    """

    score: tuple[float, ...] = ()
    p: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()

    def p_of(self, score: float) -> float:
        """Return the lower bound of P(success) of one score."""
        return _interpolated(score, self.score, self.p) if self.score else score

    def expected_of(self, score: float) -> float:
        """Return the expected P(success) of one score."""
        return _interpolated(score, self.score, self.expected) if self.score else score

    def all(self, scores: Floats) -> Floats:
        """Return the lower bounds of P(success) of n scores, (n,)."""
        return np.interp(scores, self.score, self.p) if self.score else scores


def _interpolated(x: float, knots: Sequence[float], values: Sequence[float]) -> float:
    """Return what `numpy.interp` returns for one number, in a tenth of the time.

    Example:
        >>> _interpolated(0.25, (0.0, 1.0), (1.0, 3.0)), _interpolated(9.0, (0.0, 1.0), (1.0, 3.0))
        (1.5, 3.0)
    """
    place = bisect_right(knots, x) - 1
    if place < 0:
        return values[0]
    start, low = knots[place], values[place]
    if place == len(knots) - 1 or x == start:
        return low
    return (values[place + 1] - low) / (knots[place + 1] - start) * (x - start) + low


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least lower bound of P(success) for an action; infinity if no threshold kept the loss budget on held-out evidence.

    Attributes:
        apply: to send the candidate.
        suggest: to ask the user about it.
        calibration: turns the score of a candidate into its P(success).
        least_prior: the least P(meant) by the shipped prior, to send the candidate. 0 where the evidence of the log set the
            thresholds by itself; above 0 where that evidence is too small, so that the prior must agree.
    """

    apply: float = math.inf
    suggest: float = math.inf
    calibration: Calibration = field(default_factory=Calibration)
    least_prior: float = 0.0


@dataclass(frozen=True, slots=True)
class Decider:
    """What `learn` fitted for the online layer of one log.

    Attributes:
        ranker: P(the candidate is meant | the request fails), from the columns `RANK`.
        risk: P(the request fails as spoken), from the columns `RISK`; for texts that the log does not know as healthy.
        before: thresholds before the NLU; the score is P(fails) times P(meant).
        after: thresholds after a refusal; the score is P(meant).
        hears: whether the log had n-best hearings, so that the ranker could learn from them. If not, they are ignored.
        channel: ``spoken`` or ``typed``: how requests reach the assistant, for the shipped prior.
    """

    ranker: Logistic
    risk: Logistic
    before: Threshold
    after: Threshold
    hears: bool
    channel: str = "spoken"

    @property
    def asks_prior(self) -> bool:
        """Whether, in at least one mode, a rewrite is only sent if the shipped prior agrees."""
        return max(self.before.least_prior, self.after.least_prior) > 0

    def save(self, folder: Path) -> None:
        """Write ``decider.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "ranker": self.ranker.to_dict(),
            "risk": self.risk.to_dict(),
            "thresholds": {name: _saved(getattr(self, name)) for name in ("before", "after")},
            "hears": self.hears,
            "channel": self.channel,
        }
        (folder / _FILE).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Decider":
        """Open what `save` wrote.

        Raises:
            ArtefactError: the file is missing or unreadable.
        """
        path = folder / _FILE
        with reading_artefact(path):
            data = json.loads(path.read_text(encoding="utf-8"))
            before, after = (_opened(data["thresholds"][name]) for name in ("before", "after"))
            ranker, risk = Logistic.from_dict(data["ranker"], len(RANK)), Logistic.from_dict(data["risk"], len(RISK))
            return cls(ranker, risk, before, after, bool(data["hears"]), str(data["channel"]))


def may(hearings: Sequence[str], text: str, guardrail: Guardrail, wording: Wording, *, after_failure: bool) -> bool:
    """Return whether the guardrail allows a text to be sent for a request.

    The text must be allowed as a rewrite of at least one hearing, because the other hearings are evidence about this request too.
    A destructive text is allowed only if the utterance itself asks for it. Before the NLU, the text must also not contradict the
    utterance, nor alter a request that may be fine as it is (`Guardrail.alters`). After a refusal these two tests are skipped,
    because the utterance has already failed.

    Args:
        hearings: normalised, the utterance first.
        text: the candidate, normalised.
        guardrail: of the locale.
        wording: of the locale; gives the known names and words.
        after_failure: whether the NLU has refused the request.
    """
    names, knows = wording.names.keys(), wording.knows
    if not after_failure and guardrail.alters(hearings, text):
        return False
    first = guardrail.verdict(hearings[0], text, names=names, knows=knows, online=True)
    if first is None:
        return True
    if len(hearings) == 1 or first.kind is FindingKind.DESTRUCTIVE:
        return False
    if not after_failure and guardrail.verdict(hearings[0], text, names=names, knows=knows):
        return False
    return any(guardrail.verdict(other, text, names=names, knows=knows, online=True) is None for other in hearings[1:])


def choose(p: Sequence[float], allowed: Callable[[int], bool]) -> int | None:
    """Return the position of the likeliest allowed candidate among the five likeliest; None if none of them is allowed.

    Args:
        p: probability of each candidate.
        allowed: place -> whether the guardrail allows it.

    Example:
        >>> choose([0.2, 0.7, 0.1], lambda i: i != 1)
        0
    """
    order = sorted(range(len(p)), key=lambda i: -p[i])
    return next((i for i in order[:_TRIED] if allowed(i)), None)


def _saved(threshold: Threshold) -> dict[str, Any]:
    """Return a threshold as JSON types; infinity becomes null."""
    data = asdict(threshold)
    return data | {kind: data[kind] if math.isfinite(data[kind]) else None for kind in ("apply", "suggest")}


def _opened(data: Mapping[str, Any]) -> Threshold:
    """Read what `_saved` returned.

    Raises:
        KeyError: a part is missing.
        ValueError: the calibration does not rise, or its two columns differ in length.
    """
    apply, suggest = (math.inf if data[kind] is None else float(data[kind]) for kind in ("apply", "suggest"))
    stored = data["calibration"]  # older versions have no expected P
    columns = [tuple(map(float, of)) for of in (stored["score"], stored["p"], stored.get("expected", stored["p"]))]
    if len({len(column) for column in columns}) > 1 or any(list(column) != sorted(column) for column in columns):
        raise ValueError("the calibration must be three rising columns of one length")
    return Threshold(apply, suggest, Calibration(*columns), float(data["least_prior"]))
