"""`Decider`: from measured candidates to what is done: the ranker, the risk of the request as spoken, and the thresholds."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rewriter.errors import reading_artefact
from rewriter.guardrail import Guardrail
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic

_FILE = "decider.json"
_TRIED = 5  # candidates shown to the guardrail, best first


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a score must reach; infinite where the evidence of the log could not promise the budget.

    Attributes:
        apply: to be applied.
        suggest: to be worth asking about.
    """

    apply: float = math.inf
    suggest: float = math.inf


@dataclass(frozen=True, slots=True)
class Decider:
    """What `learn` fitted for the online layer of one log.

    Attributes:
        ranker: P(the candidate is meant | the request fails), of the columns `RANK`.
        risk: P(the request fails as spoken), of the columns `RISK`, for texts that the log does not hold as healthy.
        before: the threshold before the NLU, for P(fails) times P(meant), the probability of a win.
        after: the threshold after a refusal, for P(meant).
        hears: whether the log had other hearings, so that their worth is known.
    """

    ranker: Logistic
    risk: Logistic
    before: Threshold
    after: Threshold
    hears: bool

    def save(self, folder: Path) -> None:
        """Write ``decider.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "ranker": self.ranker.to_dict(),
            "risk": self.risk.to_dict(),
            "thresholds": {name: _finite(getattr(self, name)) for name in ("before", "after")},
            "hears": self.hears,
        }
        (folder / _FILE).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Decider":
        """Open what `save` wrote.

        Raises:
            ArtefactError: the file is missing, or is none of ours.
        """
        path = folder / _FILE
        with reading_artefact(path):
            data = json.loads(path.read_text(encoding="utf-8"))
            before, after = (
                Threshold(
                    **{kind: math.inf if value is None else float(value) for kind, value in data["thresholds"][name].items()}
                )
                for name in ("before", "after")
            )
            ranker, risk = Logistic.from_dict(data["ranker"], len(RANK)), Logistic.from_dict(data["risk"], len(RISK))
            return cls(ranker, risk, before, after, bool(data["hears"]))


def may(hearings: Sequence[str], text: str, guardrail: Guardrail, wording: Wording, *, after_failure: bool) -> bool:
    """Return whether the guardrail lets a text be sent for a request.

    What the recogniser heard besides is evidence of this very request: the text must be allowed from one of the hearings.
    Nothing destructive may come of it that the utterance itself does not ask for. Before the NLU the text may not contradict
    the utterance either, nor alter what may be fine as it is (`Guardrail.alters`); after a refusal there is nothing to lose in
    the utterance itself.
    """
    names, knows = wording.names.keys(), wording.knows
    if not after_failure and guardrail.alters(hearings, text):
        return False
    first = guardrail.verdict(hearings[0], text, names=names, knows=knows, online=True)
    if first is None:
        return True
    if len(hearings) == 1 or first.startswith("destructive"):
        return False
    if not after_failure and guardrail.verdict(hearings[0], text, names=names, knows=knows):
        return False
    return any(guardrail.verdict(other, text, names=names, knows=knows, online=True) is None for other in hearings[1:])


def choose(p: Sequence[float], allowed: Callable[[int], bool]) -> int | None:
    """Return the likeliest candidate that is allowed, among the first few; None where there is none."""
    order = sorted(range(len(p)), key=lambda i: -p[i])
    return next((i for i in order[:_TRIED] if allowed(i)), None)


def _finite(threshold: Threshold) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(threshold).items()}
