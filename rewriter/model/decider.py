"""`Decider`: the fitted parts that turn measured candidates into a decision: ranker, risk of the request as spoken, thresholds.

`may` asks the guardrail about a candidate, and `choose` takes the likeliest candidate that is allowed.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rewriter.codes import FindingKind
from rewriter.errors import reading_artefact
from rewriter.guardrail import Guardrail
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.logistic import Logistic

_FILE = "decider.json"
_TRIED = 5  # candidates shown to the guardrail, best first; each costs time, and later ones hardly ever win


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least score for an action; infinity if no threshold kept the loss budget on held-out evidence.

    Attributes:
        apply: to send the candidate.
        suggest: to ask the user about it.
    """

    apply: float = math.inf
    suggest: float = math.inf


@dataclass(frozen=True, slots=True)
class Decider:
    """What `learn` fitted for the online layer of one log.

    Attributes:
        ranker: P(the candidate is meant | the request fails), from the columns `RANK`.
        risk: P(the request fails as spoken), from the columns `RISK`; for texts that the log does not know as healthy.
        before: thresholds before the NLU, for P(fails) times P(meant), the probability of a win.
        after: thresholds after a refusal, for P(meant).
        hears: whether the log had n-best hearings, so that the ranker knows what they are worth. If not, they are ignored.
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
            ArtefactError: the file is missing or unreadable.
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
    """Return the place of the likeliest candidate that is allowed, among the five likeliest; None if none of them is allowed.

    Args:
        p: probability of each candidate.
        allowed: place -> whether the guardrail allows it.

    Example:
        >>> choose([0.2, 0.7, 0.1], lambda i: i != 1)
        0
    """
    order = sorted(range(len(p)), key=lambda i: -p[i])
    return next((i for i in order[:_TRIED] if allowed(i)), None)


def _finite(threshold: Threshold) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(threshold).items()}
