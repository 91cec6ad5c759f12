"""Whether to ask "did I get that right?": of the requests that are sent as spoken, those whose answer would teach most."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rewriter.result import Reason
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk

SURE: frozenset[Reason] = frozenset({"empty", "too_long", "not_text", "error", "stay", "understood"})
"""Reasons for leaving a request alone of which nobody need be asked."""


def open_risk(folder: Path) -> "Risk | None":
    """Open the risk of an artefact; only who has one pays for its libraries.

    Raises:
        ArtefactError: the file is none of ours.
    """
    if not (folder / "risk.json").exists():
        return None
    from rewriter.model.risk import Risk  # noqa: PLC0415

    return Risk.open(folder)


def teaches(risk: "Risk", hearings: Sequence[str], context: object, max_chars: int) -> bool:
    """Return whether it is unsure enough how a request ends that is sent as spoken.

    Args:
        risk: of the artefact.
        hearings: normalised, the utterance first.
        context: of the request; ``previous_utterance`` is looked at.
        max_chars: what is longer is cut.
    """
    before = context.get("previous_utterance") if isinstance(context, Mapping) else None
    previous = normalise(str.__str__(before)[:max_chars]) if isinstance(before, str) else ""
    return risk.worth_asking(risk.p(hearings, previous))
