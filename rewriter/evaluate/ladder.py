"""`climb`: the ladder of layers, every rung judged on the same requests."""

from collections.abc import Container, Sequence
from pathlib import Path

from rewriter.evaluate.judge import Propose, judge, proposer
from rewriter.evaluate.outcomes import Outcomes
from rewriter.evaluate.proposal import LEFT_ALONE
from rewriter.online.rewriter import Rewriter
from rewriter.simulate.assistants import Assistant
from rewriter.simulate.world import Request

NOTHING, EXACT, GLOBAL, PERSONAL = RUNGS = ("no rewriting", "exact rules", "+ global", "+ personal")
"""No rewriting; the precomputed rules for everybody; what the online layer finds among everybody's queries besides; and all that
is the user's own besides: personal rules, habits."""


def climb(
    artefact: Path,
    requests: Sequence[Request],
    assistant: Assistant,
    *,
    after_failure: bool,
    healthy_in_log: Container[str],
) -> dict[str, Outcomes]:
    """Judge an artefact rung by rung; the last one is how it serves.

    Args:
        artefact: the folder.
        requests: see `judge`, as are the arguments that follow.
        assistant: the NLU.
        after_failure: which mode.
        healthy_in_log: the normalised texts that the log holds as healthy.

    Returns:
        Rung of `RUNGS` -> what became of each request, in the order of `requests`.

    Raises:
        ArtefactError: the artefact is missing or damaged.
    """
    everything = Rewriter.open(artefact).rewrite
    rungs: dict[str, Propose] = {
        NOTHING: lambda request, after_failure: LEFT_ALONE,  # noqa: ARG005 - the signature of what is judged
        EXACT: proposer(Rewriter.open(artefact, layers=("precomputed",)).rewrite, personal=False),
        GLOBAL: proposer(everything, personal=False),
        PERSONAL: proposer(everything),
    }

    def judged(propose: Propose) -> Outcomes:
        return judge(requests, propose, assistant, after_failure=after_failure, healthy_in_log=healthy_in_log)

    return {name: judged(propose) for name, propose in rungs.items()}
