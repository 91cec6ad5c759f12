"""Documented rules of failure points: which `Sign`s a turn shows, and what they say by Bayes' rule.

A sign holds, does not hold, or is not known. Its likelihood in each class stands in ``failure_signs.json``, measured where it
is known which stage broke (`benchmarks/diagnosis.py`). Signs count as independent given the class, which they are not; so their
sum is tempered by one number. The rules need no LightGBM, and the evidence of a diagnosis is made of their signs.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.codes import FailurePoint, Sign
from rewriter.detect.failure_cues import NAMES

CLASSES: Final = (*FailurePoint, "unsupported")
"""What is told apart. A request for what the assistant cannot do is `FailurePoint.CORRECT`, and is told apart for the remedy."""
_LOW, _LIKELY, _SOUNDS, _FEW = 0.1, 0.5, 1.0, math.log1p(1)
_RAREST = 0.002  # P of a sign: none is impossible, and none certain
_SHOWN = 3  # signs of a turn that are named as evidence

Columns = npt.NDArray[np.float32]


def signs(columns: Columns) -> npt.NDArray[np.float32]:
    """Return which signs each turn shows, (n, len(Sign)) float32: 1 it holds, 0 it does not, NaN it is not known.

    Args:
        columns: (n, f) of `failure_cues.FailureCues.measure`.
    """
    c = {name: columns[:, i].astype(np.float64) for i, name in enumerate(NAMES)}
    with np.errstate(invalid="ignore"):
        refused = (c["failed"] == 1) | (c["understood"] == 0)
        again = c["restated"] >= _LIKELY
        stopped = (c["next_barge_in"] == 1) | (c["next_stop"] == 1) | (c["feedback"] == -1)
        found: dict[Sign, Any] = {
            Sign.REFUSED: refused,
            Sign.RESTATED: again & (c["verbatim"] == 0),
            Sign.REPEATED: again & (c["verbatim"] == 1),
            Sign.SOUNDS_LIKE: _known(c["channel_odds"], c["channel_odds"] > _SOUNDS),
            Sign.OTHER_HEARING: _known(c["hearings"], (c["in_nbest"] == 1) | (c["heard_other_meaning"] == 1)),
            Sign.STRANGE_WORDS: c["rarest_word"] < _FEW,
            Sign.UNSURE_HEARING: _known(c["asr_rank"], c["asr_rank"] <= _LOW),
            Sign.UNSURE_MEANING: _known(c["nlu_rank"], c["nlu_rank"] <= _LOW),
            Sign.UNUSUAL_MEANING: _known(c["usual_same"], c["usual_same"] == 0),
            Sign.USUAL_MEANING: _known(c["usual_same"], c["usual_same"] == 1),
            Sign.WORDS_FAIL: _known(np.where(c["text_users"] > _FEW, c["text_defects"], np.nan), c["text_defects"] > _LIKELY),
            Sign.VALUE_MISSED: _known(np.where(c["understood"] == 1, 1, np.nan), c["unheld_values"] > 0),
            Sign.VALUE_FAILS: _known(c["value_defects"], c["value_defects"] > _LIKELY),
            Sign.VALUE_CHANGED: _known(c["same_intent"], (c["same_intent"] == 1) & (c["values_changed"] > 0)),
            Sign.INTENT_CHANGED: _known(c["same_intent"], c["same_intent"] == 0),
            Sign.SAME_MEANING: _known(c["then_same_hypothesis"], c["then_same_hypothesis"] == 1),
            Sign.FAILS_TODAY: _known(c["day_defects"], c["day_defects"] > np.maximum(_LIKELY, c["intent_defects"] + 2 * _LOW)),
            Sign.SAID_NOT_UNDERSTOOD: c["not_understood"],
            Sign.SAID_NOT_FOUND: np.fmax(c["not_found"], c["which_one"]),
            Sign.SAID_TROUBLE: c["trouble"],
            Sign.SAID_NOT_SUPPORTED: c["not_supported"],
            Sign.STOPPED: stopped,
            Sign.ALONE: refused & (c["opens"] == 1) & (c["last"] == 1),
            Sign.CARRIED_ON: ~refused & ~stopped & (c["restated"] < _LIKELY),
        }  # fmt: skip
    return np.column_stack([np.asarray(found[sign], dtype=np.float32) for sign in Sign])


def _known(given: Floats, holds: npt.NDArray[np.bool_]) -> Floats:
    return np.where(np.isnan(given), np.nan, holds)


@dataclass(frozen=True, slots=True)
class Rules:
    """The likelihoods of signs.

    Attributes:
        prior: (k,) P(class).
        likelihood: (k, len(Sign)) P(the sign holds | class).
        temper: what the sum of log-likelihoods is multiplied by, 0..1.

    Example:
        >>> Rules.shipped().likelihood.shape == (len(CLASSES), len(Sign))
        True
    """

    prior: Floats
    likelihood: Floats
    temper: float

    @classmethod
    @cache
    def shipped(cls) -> "Rules":
        """Return the rules that come with the package."""
        return cls.from_dict(json.loads((resources.files("rewriter.detect") / "failure_signs.json").read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned."""
        table = [[data["likelihood"][sign][name] for sign in Sign] for name in CLASSES]
        return cls(np.asarray([data["prior"][name] for name in CLASSES]), np.asarray(table), data["temper"])

    def to_dict(self) -> dict[str, Any]:
        """Return the rules as JSON can hold them."""
        table = {
            s.value: {str(n): round(float(self.likelihood[k, i]), 4) for k, n in enumerate(CLASSES)} for i, s in enumerate(Sign)
        }
        prior = {str(name): round(float(p), 4) for name, p in zip(CLASSES, self.prior, strict=True)}
        return {"prior": prior, "temper": self.temper, "likelihood": table}

    @classmethod
    def measure(cls, shown: npt.NDArray[np.float32], label: Ints, temper: float = 0.6) -> Self:
        """Count signs by class, one turn added to each side of each count.

        Args:
            shown: (n, len(Sign)) of `signs`.
            label: (n,) place of the class of each turn in `CLASSES`.
            temper: see the class.
        """
        rows = [shown[label == k] for k in range(len(CLASSES))]
        table = [np.clip((np.nansum(of, axis=0) + 1) / (np.isfinite(of).sum(axis=0) + 2), _RAREST, 1 - _RAREST) for of in rows]
        prior = np.asarray([len(of) + 1 for of in rows], dtype=np.float64)
        return cls(prior / prior.sum(), np.asarray(table, dtype=np.float64), temper)

    def p(self, shown: npt.NDArray[np.float32]) -> Floats:
        """Return P of each class, (n, len(CLASSES)), by naive Bayes over the signs that are known."""
        holds = np.nan_to_num(shown).astype(np.float64)
        fails = np.where(np.isnan(shown), 0.0, 1.0 - holds)
        odds = holds @ np.log(self.likelihood).T + fails @ np.log1p(-self.likelihood).T
        return softmax(np.log(self.prior) + self.temper * odds)

    def evidence(self, shown: npt.NDArray[np.float32], chosen: Ints) -> list[list[Sign]]:
        """Return for each turn the signs that hold and speak most for its class, (n,), the strongest first.

        Args:
            shown: (n, len(Sign)) of `signs`.
            chosen: (n,) place of the class in `CLASSES`.
        """
        share = self.prior[:, None] * self.likelihood
        others = (share.sum(axis=0) - share) / (1 - self.prior[:, None])
        weight = np.log(self.likelihood / others)
        patterns, places = np.unique(np.column_stack([chosen, shown == 1]), axis=0, return_inverse=True)
        named = [self._strongest(weight[row[0]], row[1:]) for row in patterns.astype(np.int64)]
        return [named[i] for i in places.reshape(-1).tolist()]

    @staticmethod
    def _strongest(weight: Floats, holds: Ints) -> list[Sign]:
        order: Sequence[int] = np.argsort(-weight, kind="stable").tolist()
        every = list(Sign)
        found = [every[i] for i in order if holds[i] and weight[i] > 0]
        plain = any(one.startswith("said_") for one in found)  # then it needs not be said that the turn was refused
        return [one for one in found if not (plain and one == Sign.REFUSED)][:_SHOWN]


def softmax(odds: Floats) -> Floats:
    """Return exp(odds) divided by its sum over each row, (n, k)."""
    top = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(top / top.sum(axis=1, keepdims=True), dtype=np.float64)
