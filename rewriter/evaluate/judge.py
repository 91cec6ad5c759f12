"""`judge`: outcomes in a closed world, where the wish behind every request is known and the assistant can be asked again."""

import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rewriter.evaluate.outcomes import FAILED_HONESTLY, OK, WRONG, Bools, Outcome, Outcomes, Texts
from rewriter.simulate.assistants import Assistant
from rewriter.simulate.world import Request, Rewriting
from rewriter.text import normalise


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rewriter wants to send.

    Attributes:
        text: the text; None to leave the request alone.
        score: how sure the rewriter is, higher is surer; the axis of a curve over thresholds.
        layer: where the rewrite comes from; empty where the rewriter has no layers.
        scope: whose evidence it rests on; empty where the rewriter knows no users.
    """

    text: str | None
    score: float = float("nan")
    layer: str = ""
    scope: str = ""


LEFT_ALONE = Proposal(None)

Propose = Callable[[Request, bool], Proposal]
"""(request, whether the assistant has just said that it does not understand) -> what to send."""


def proposer(rewrite: Rewriting) -> Propose:
    """Make a rewriting function, such as `Rewriter.open(DIR).rewrite`, one that can be judged."""

    def propose(request: Request, after_failure: bool) -> Proposal:
        result = rewrite(
            request.heard,
            user_id=request.user_id,
            locale=request.locale,
            nbest=request.nbest,
            context=request.context,
            after_failure=after_failure,
        )
        if not result.applied:
            return LEFT_ALONE
        score = 1.0 if result.score is None else result.score  # what was taught has no doubt about it
        return Proposal(result.text, score, result.layer or "", result.scope or "")

    return propose


def judge(
    requests: Sequence[Request],
    propose: Propose,
    assistant: Assistant,
    *,
    after_failure: bool,
    healthy_in_log: Container[str],
) -> Outcomes:
    """Return what became of each request.

    Args:
        requests: wishes, each with what was heard and what was meant.
        propose: the rewriter.
        assistant: the NLU, asked for what was heard and for what would be sent.
        after_failure: ask the rewriter only where the assistant did not understand what was heard; else ask it always.
        healthy_in_log: the normalised texts that the log holds as healthy.

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
    spoken = [grade(assistant.understand(r.heard), r.goal) for r in requests]
    proposals, latency = [], []
    for request, outcome in zip(requests, spoken, strict=True):
        asked = outcome == FAILED_HONESTLY or not after_failure
        started = time.perf_counter_ns()
        proposal = propose(request, after_failure) if asked else LEFT_ALONE
        latency.append((time.perf_counter_ns() - started) / 1000 if asked else float("nan"))
        proposals.append(LEFT_ALONE if proposal.text == request.heard else proposal)
    rewritten = [
        outcome if p.text is None else grade(assistant.understand(p.text), r.goal)
        for r, p, outcome in zip(requests, proposals, spoken, strict=True)
    ]
    return Outcomes(
        user=_texts(r.user_id for r in requests),
        source=_texts(r.heard for r in requests),
        sent=_texts(r.heard if p.text is None else p.text for r, p in zip(requests, proposals, strict=True)),
        goal=_texts(r.goal for r in requests),
        as_spoken=_texts(spoken),
        rewritten=_texts(rewritten),
        applied=np.array([p.text is not None for p in proposals], dtype=bool),
        score=np.array([p.score for p in proposals], dtype=np.float64),
        layer=_texts(p.layer for p in proposals),
        scope=_texts(p.scope for p in proposals),
        seen=np.array([normalise(r.heard) in healthy_in_log for r in requests], dtype=bool),
        latency_us=np.array(latency, dtype=np.float64),
        slices=slices_of(requests, spoken),
    )


def grade(understood: str | None, goal: str) -> Outcome:
    """Compare what the assistant understood with what was wanted."""
    if understood is None:
        return FAILED_HONESTLY
    return OK if understood == goal else WRONG


def slices_of(requests: Sequence[Request], as_spoken: Sequence[Outcome]) -> dict[str, Bools]:
    """Return the slices that are told apart: known to the log or not, and the defects that nobody notices."""

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


def _texts(values: Iterable[str]) -> Texts:
    return np.array(list(values), dtype=object)
