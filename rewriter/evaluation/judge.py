"""Outcomes in a simulated world, where the goal of every request is known and the assistant can be asked again.

`judge` returns the outcome of each request. `climb` judges an artefact with more and more of its layers, on the same requests.
The two ceilings are upper bounds of the share of defects that a kind of rewriter can fix.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewriter.arrays import Bools
from rewriter.evaluation.outcomes import (
    FAILED_HONESTLY,
    LEFT_ALONE,
    OK,
    WRONG,
    Judged,
    Outcome,
    Outcomes,
    Proposal,
    ask,
    defects,
    gather,
    proposal_of,
)
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.assistants import Assistant
from rewriter.simulation.turn import Turn
from rewriter.simulation.world import Request, Rewriting
from rewriter.text import normalise

Propose = Callable[[Request, bool], Proposal]
"""(request, whether the assistant has just said that it does not understand) -> what to send."""


def proposer(rewrite: Rewriting, *, personal: bool = True) -> Propose:
    """Wrap a rewriting function, such as `Rewriter.open(DIR).rewrite`, so that it can be judged.

    Args:
        rewrite: the function.
        personal: whether the user id is passed on; without it only global rules and queries apply.
    """

    def propose(request: Request, after_failure: bool) -> Proposal:
        result = rewrite(
            request.heard,
            user_id=request.user_id if personal else None,
            locale=request.locale,
            nbest=request.nbest,
            context=request.context,
            after_failure=after_failure,
        )
        return proposal_of(result)

    return propose


def judge(
    requests: Sequence[Request],
    propose: Propose,
    assistant: Assistant,
    *,
    after_failure: bool,
    healthy_in_log: Container[str],
) -> Outcomes:
    """Judge every request: its outcome as spoken and rewritten.

    Args:
        requests: each with the text heard and the goal meant.
        propose: the rewriter.
        assistant: the NLU; it is asked for the text heard and for the text that would be sent.
        after_failure: ask the rewriter only where the assistant refuses the text heard; else always.
        healthy_in_log: the normalised texts that are healthy in the log.

    Returns:
        One row per request, in the same order, with the slices of `slices_of`.

    Example:
        >>> class Lamp:
        ...     def understand(self, text):
        ...         return "On" if text == "lamp on" else None
        >>> ann = Request("ann", 0, "en", "On", "lamp on", "lamp own", ("lamp own",), 0.5, {}, True, True, True)
        >>> outcomes = judge([ann], lambda r, f: Proposal("lamp on", 0.9), Lamp(), after_failure=True, healthy_in_log=set())
        >>> outcomes.as_spoken[0], outcomes.rewritten[0]
        ('failed_honestly', 'ok')
    """

    def one(request: Request) -> Judged:
        spoken = grade(assistant.understand(request.heard), request.goal)
        proposal, latency = LEFT_ALONE, float("nan")
        if spoken == FAILED_HONESTLY or not after_failure:
            proposal, latency = ask(request.heard, lambda: propose(request, after_failure))
        rewritten = spoken if proposal.text is None else grade(assistant.understand(proposal.text), request.goal)
        seen = normalise(request.heard, request.locale) in healthy_in_log
        return Judged(request.user_id, request.heard, request.goal, spoken, rewritten, proposal, seen, latency)

    rows = [one(request) for request in requests]
    return gather(rows, slices_of(requests, [row.as_spoken for row in rows]))


def grade(understood: str | None, goal: str) -> Outcome:
    """Return the outcome of a text that was understood as `understood`, None for a refusal."""
    if understood is None:
        return FAILED_HONESTLY
    return OK if understood == goal else WRONG


def slices_of(requests: Sequence[Request], as_spoken: Sequence[Outcome]) -> dict[str, Bools]:
    """Return slice -> its requests: users, phrases and goals known to the log or not, and defects without a refusal."""

    def flags(values: Iterable[bool]) -> Bools:
        return np.fromiter(values, dtype=bool, count=len(requests))

    pairs = list(zip(requests, as_spoken, strict=True))
    return {
        "known users": flags(r.known_user for r in requests),
        "new users": flags(not r.known_user for r in requests),
        "known phrases": flags(r.known_phrase for r in requests),
        "never-heard healthy phrases": flags(r.known_goal and not r.known_phrase and o == OK for r, o in pairs),
        "never-heard goals": flags(not r.known_goal for r in requests),
        "silent defects": flags(o == WRONG for o in as_spoken),
    }


NOTHING, EXACT, GLOBAL, PERSONAL = RUNGS = ("no rewriting", "exact rules", "+ global", "+ personal")
"""The layers in the order in which they are added: none; global precomputed rules; the online layer over global queries; personal
rules, queries and habits."""


def climb(
    artefact: Path,
    requests: Sequence[Request],
    assistant: Assistant,
    *,
    after_failure: bool,
    healthy_in_log: Container[str],
) -> dict[str, Outcomes]:
    """Judge an artefact with more and more layers; the last set is how it serves.

    Args:
        artefact: the folder.
        requests: see `judge`, as are the arguments that follow.
        assistant: the NLU.
        after_failure: which mode.
        healthy_in_log: the normalised texts that the log holds as healthy.

    Returns:
        Name of `RUNGS` -> outcomes, in the order of `requests`.

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


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One turn of the log from which a rewriter learned.

    Attributes:
        user: id of the user, as in the judged turns.
        text: the utterance.
        goal: the interpretation that the user wanted; empty if unknown.
        failed: whether the turn failed as spoken, noticed or not.
    """

    user: str
    text: str
    goal: str
    failed: bool


def logged(turns: Iterable[Turn]) -> list[LoggedTurn]:
    """Convert simulated turns. Rewritten turns are left out, because they do not show how the text itself ends."""
    return [LoggedTurn(t.user_id, t.utterance, t.goal, t.hypothesis != t.goal) for t in turns if t.sent is None and t.goal]


def healthy_texts(log: Iterable[LoggedTurn]) -> frozenset[str]:
    """Return the normalised texts that were healthy at least once."""
    return frozenset(normalise(turn.text) for turn in log if not turn.failed)


def exact_ceiling(outcomes: Outcomes, log: Iterable[LoggedTurn], *, min_users: int) -> float:
    """Return the largest share of defects that exact rules could fix.

    An exact rule needs a text that failed in the log for at least `min_users` users, or for the same user.

    Args:
        outcomes: the judged turns.
        log: turns of the log that was learned from.
        min_users: smallest number of users behind a global rule.

    Returns:
        0..1; NaN if there are no defects.
    """
    failed_for: dict[str, set[str]] = defaultdict(set)
    for turn in log:
        if turn.failed:
            failed_for[normalise(turn.text)].add(turn.user)

    def reached(user: str, source: str) -> bool:
        users = failed_for.get(normalise(source), set())
        return user in users or len(users) >= min_users

    bad = defects(outcomes)
    return _mean(reached(u, s) for u, s in zip(outcomes.user[bad], outcomes.source[bad], strict=True))


def online_ceiling(outcomes: Outcomes, log: Iterable[LoggedTurn]) -> float:
    """Return the largest share of defects that any rewriting could fix: the goal succeeded in the log in some wording.

    0..1; NaN if there are no defects.
    """
    reachable = {turn.goal for turn in log if not turn.failed and turn.goal}
    return _mean(goal in reachable for goal in outcomes.goal[defects(outcomes)])


def _mean(flags: Iterable[bool]) -> float:
    values = np.fromiter(flags, dtype=bool)
    return float(values.mean()) if len(values) else float("nan")
