"""Outcomes of turns, as spoken and rewritten, as vectors. Every figure is a function of them.

========  ==========================================================================================================
win       as spoken the turn fails, rewritten it succeeds
loss      as spoken it succeeds and rewritten it fails, or as spoken it is refused and rewritten the assistant does a wrong thing
tie       anything else
fixed     (wins - healthy turns broken) / defects
========  ==========================================================================================================

`Proposal` is the text a rewriter wants to send. `Judged` is one turn with its outcomes. `gather` makes `Outcomes` of them.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Bools, Floats
from rewriter.evaluation.intervals import Interval, net_share, odds, per_user, share
from rewriter.result import Rewrite

Texts = npt.NDArray[np.object_]

Outcome = Literal["ok", "failed_honestly", "wrong", "unknown"]
OK: Outcome = "ok"
FAILED_HONESTLY: Outcome = "failed_honestly"
WRONG: Outcome = "wrong"
UNKNOWN: Outcome = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One row per judged turn, in the order of the turns; every vector is (n,).

    Attributes:
        user: id of the user.
        source: the text that the assistant heard.
        sent: the text that it would be sent; equal to `source` if nothing was applied.
        goal: the interpretation that the user wanted; empty if unknown.
        as_spoken: the outcome of `source`: ``ok``, ``failed_honestly`` (the assistant said that it did not understand),
            ``wrong`` (it understood something else) or ``unknown`` (in replay only).
        rewritten: the outcome of `sent`, in the same words; equal to `as_spoken` where nothing was applied.
        applied: whether the turn was rewritten.
        score: confidence of the rewriter, higher is surer; NaN if nothing was applied.
        layer: of the rewrite; empty where nothing was applied.
        scope: of the rewrite; empty where nothing was applied.
        seen: whether this text is healthy in the log.
        latency_us: time the rewriter took, microseconds; NaN if it was not asked.
        slices: name -> the turns that belong to it.

    Raises:
        ValueError: vectors of different lengths, an outcome of another name, or a turn left alone whose outcome changed.
    """

    user: Texts
    source: Texts
    sent: Texts
    goal: Texts
    as_spoken: Texts
    rewritten: Texts
    applied: Bools
    score: Floats
    layer: Texts
    scope: Texts
    seen: Bools
    latency_us: Floats
    slices: Mapping[str, Bools] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(vector) for vector in (*_vectors(self).values(), *self.slices.values())}
        if len(lengths) > 1:
            raise ValueError(f"the vectors of outcomes must have one length, not {sorted(lengths)}")
        invalid = {*self.as_spoken, *self.rewritten} - {OK, FAILED_HONESTLY, WRONG, UNKNOWN}
        if invalid:
            raise ValueError(f"no such outcome: {', '.join(map(str, sorted(invalid)))}")
        if np.any(~self.applied & (self.as_spoken != self.rewritten)):
            raise ValueError("a turn that was left alone must have the same outcome as spoken")

    def __len__(self) -> int:
        return len(self.applied)


def defects(outcomes: Outcomes) -> Bools:
    """Turns that fail as spoken."""
    return _is(outcomes.as_spoken, FAILED_HONESTLY) | _is(outcomes.as_spoken, WRONG)


def wins(outcomes: Outcomes) -> Bools:
    """Turns that fail as spoken and succeed rewritten."""
    return defects(outcomes) & _is(outcomes.rewritten, OK)


def broken(outcomes: Outcomes) -> Bools:
    """Healthy turns that fail rewritten."""
    return _is(outcomes.as_spoken, OK) & (_is(outcomes.rewritten, FAILED_HONESTLY) | _is(outcomes.rewritten, WRONG))


def losses(outcomes: Outcomes) -> Bools:
    """Healthy turns broken, and honest failures that become a wrong action."""
    return broken(outcomes) | (_is(outcomes.as_spoken, FAILED_HONESTLY) & _is(outcomes.rewritten, WRONG))


def unknowns(outcomes: Outcomes) -> Bools:
    """Rewritten turns whose outcome, as spoken or rewritten, is unknown."""
    return outcomes.applied & (_is(outcomes.as_spoken, UNKNOWN) | _is(outcomes.rewritten, UNKNOWN))


def ties(outcomes: Outcomes) -> Bools:
    """Rewritten turns that are neither wins nor losses nor unknown."""
    return outcomes.applied & ~(wins(outcomes) | losses(outcomes) | unknowns(outcomes))


def win_loss(outcomes: Outcomes, *, unknown_is_loss: bool = False, seed: int = 0) -> Interval:
    """Return wins / losses. Without a loss it is infinite; then report the lower bound.

    Args:
        outcomes: the judged turns.
        unknown_is_loss: count rewrites with an unknown outcome as losses; else leave them out.
        seed: of the bootstrap by user.
    """
    lost = losses(outcomes) | unknowns(outcomes) if unknown_is_loss else losses(outcomes)
    return odds(_share(outcomes, wins(outcomes), wins(outcomes) | lost, seed))


def trigger_rate(outcomes: Outcomes, *, seed: int = 0) -> Interval:
    """Return the share of turns that are rewritten."""
    return _share(outcomes, outcomes.applied, np.ones(len(outcomes), dtype=bool), seed)


def fixed(outcomes: Outcomes, *, seed: int = 0) -> Interval:
    """Return (wins - healthy turns broken) / defects."""
    users, n = _numbered(outcomes)
    turns = (wins(outcomes), defects(outcomes), broken(outcomes), _is(outcomes.as_spoken, OK))
    return net_share(*(per_user(users, mask, n) for mask in turns), seed=seed)


def broken_per_1000(outcomes: Outcomes, *, seen: bool, seed: int = 0) -> Interval:
    """Return broken turns per 1,000 healthy turns whose text the log holds as healthy (`seen`), or per 1,000 others."""
    healthy = _is(outcomes.as_spoken, OK) & (outcomes.seen == seen)
    part = _share(outcomes, broken(outcomes) & healthy, healthy, seed)
    return Interval(1000 * part.value, 1000 * part.low, 1000 * part.high)


def where(outcomes: Outcomes, mask: Bools) -> Outcomes:
    """Return only the turns in `mask`."""
    kept: dict[str, Any] = {name: vector[mask] for name, vector in _vectors(outcomes).items()}
    return Outcomes(**kept, slices={name: flags[mask] for name, flags in outcomes.slices.items()})


def only(outcomes: Outcomes, mask: Bools) -> Outcomes:
    """Return all turns as if only those in `mask` had been rewritten."""
    applied = outcomes.applied & mask
    return replace(
        outcomes,
        applied=applied,
        sent=np.where(applied, outcomes.sent, outcomes.source),
        rewritten=np.where(applied, outcomes.rewritten, outcomes.as_spoken),
        score=np.where(applied, outcomes.score, np.nan),
        layer=np.where(applied, outcomes.layer, ""),
        scope=np.where(applied, outcomes.scope, ""),
    )


def at(outcomes: Outcomes, threshold: float) -> Outcomes:
    """Return all turns as if only scores of at least `threshold` had been rewritten."""
    return only(outcomes, outcomes.score >= threshold)


def pooled(parts: Sequence[Outcomes]) -> Outcomes:
    """Concatenate the turns of several worlds; the same user id in two worlds is two users.

    Raises:
        ValueError: there are no parts, or they have different slices.
    """
    if len({tuple(part.slices) for part in parts}) != 1:
        raise ValueError("outcomes can be pooled only where there are some, all with the same slices")
    vectors: dict[str, Any] = {name: np.concatenate([_vectors(p)[name] for p in parts]) for name in _vectors(parts[0])}
    vectors["user"] = np.concatenate([np.array([f"{i}/{u}" for u in p.user], dtype=object) for i, p in enumerate(parts)])
    slices = {name: np.concatenate([part.slices[name] for part in parts]) for name in parts[0].slices}
    return Outcomes(**vectors, slices=slices)


def _is(vector: Texts, outcome: Outcome) -> Bools:
    return np.asarray(vector == outcome, dtype=bool)


def _vectors(outcomes: Outcomes) -> dict[str, npt.NDArray[Any]]:
    return {f.name: getattr(outcomes, f.name) for f in fields(outcomes) if f.name != "slices"}


def _numbered(outcomes: Outcomes) -> tuple[npt.NDArray[np.int64], int]:
    """Number the users in alphabetical order, so that no figure depends on the order of the rows."""
    names, users = np.unique(outcomes.user.astype(str), return_inverse=True)
    return users, len(names)


def _share(outcomes: Outcomes, hits: Bools, trials: Bools, seed: int) -> Interval:
    users, n = _numbered(outcomes)
    return share(per_user(users, hits, n), per_user(users, trials, n), seed=seed)


class Proposal(NamedTuple):
    """What a rewriter wants to send.

    Attributes:
        text: the text; None to leave the request alone.
        score: confidence of the rewriter, higher is surer; curves are drawn over thresholds on it.
        layer: layer of the rewrite; empty if the rewriter has none.
        scope: scope of the evidence; empty if the rewriter knows no users.
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
    """Return the proposal of a `Rewrite`. A lesson has no score and counts as certain."""
    if not result.applied:
        return LEFT_ALONE
    return Proposal(result.text, 1.0 if result.score is None else result.score, result.layer or "", result.scope or "")


def ask(source: str, propose: Callable[[], Proposal]) -> tuple[Proposal, float]:
    """Return the proposal and the microseconds it took; a proposal equal to the source counts as left alone."""
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
