"""`Proposal`, what a rewriter wants to send; `Judged`, one turn with its verdicts; and how these become `Outcomes`."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from rewriter.evaluate.outcomes import Bools, Outcome, Outcomes, Texts
from rewriter.result import Rewrite


class Proposal(NamedTuple):
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


class Judged(NamedTuple):
    """One judged turn; the attributes are those of `Outcomes`, for one row."""

    user: str
    source: str
    goal: str
    as_spoken: Outcome
    rewritten: Outcome
    proposal: Proposal
    seen: bool
    latency_us: float


def proposal_of(result: Rewrite) -> Proposal:
    """Return what a `Rewrite` proposes; one that was taught and so has no score is certain."""
    if not result.applied:
        return LEFT_ALONE
    return Proposal(result.text, 1.0 if result.score is None else result.score, result.layer or "", result.scope or "")


def ask(source: str, propose: Callable[[], Proposal]) -> tuple[Proposal, float]:
    """Return what is proposed and the microseconds this took; the same words again are no proposal."""
    started = time.perf_counter_ns()
    proposal = propose()
    elapsed = (time.perf_counter_ns() - started) / 1000
    return (LEFT_ALONE if proposal.text == source else proposal), elapsed


def gather(rows: Iterable[Judged], slices: Mapping[str, Bools]) -> Outcomes:
    """Return the vectors of judged turns, in their order."""
    turns = list(rows)
    proposals = [t.proposal for t in turns]
    return Outcomes(
        user=_texts(t.user for t in turns),
        source=_texts(t.source for t in turns),
        sent=_texts(t.source if t.proposal.text is None else t.proposal.text for t in turns),
        goal=_texts(t.goal for t in turns),
        as_spoken=_texts(t.as_spoken for t in turns),
        rewritten=_texts(t.rewritten for t in turns),
        applied=np.array([p.text is not None for p in proposals], dtype=bool),
        score=np.array([p.score for p in proposals], dtype=np.float64),
        layer=_texts(p.layer for p in proposals),
        scope=_texts(p.scope for p in proposals),
        seen=np.array([t.seen for t in turns], dtype=bool),
        latency_us=np.array([t.latency_us for t in turns], dtype=np.float64),
        slices=slices,
    )


def _texts(values: Iterable[str]) -> Texts:
    return np.array(list(values), dtype=object)
