"""What the online layer is asked, and what it says."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rewriter.online.assignment import Arm
from rewriter.result import Candidate, Reason, Scope

Understands = Callable[[str], bool]
"""The assistant's own parser: whether it understands a text."""


class Request(NamedTuple):
    """What is asked of the online layer.

    Attributes:
        hearings: normalised, the utterance first, none twice, none empty.
        locale: one of the artefact's.
        user: keyed hash; empty for nobody.
        after_failure: whether the NLU has already refused the utterance.
    """

    hearings: Sequence[str]
    locale: str
    user: str
    after_failure: bool


class Considered(NamedTuple):
    """A candidate as people are told of it.

    Attributes:
        text: what would be sent.
        scope: whose evidence it rests on.
        meant: P(it is meant | the request fails).
        score: what is held against the threshold: after a refusal P(it is meant), before the NLU P(it wins).
        verdict: what becomes of it, and why.
        features: column of `rewriter.model.features.RANK` -> what was measured.
        weights: the same columns -> what the ranker makes of one unit.
    """

    text: str
    scope: Scope
    meant: float
    score: float
    verdict: str
    features: Mapping[str, float]
    weights: Mapping[str, float]


class Verdict(NamedTuple):
    """What the online layer says.

    Attributes:
        text: to be sent; None where the request is left alone.
        reason: why.
        score: expected share of wins; None where the request is left alone.
        suggestion: worth asking about, where nothing is sent.
        candidates: what was considered, best first.
        scope: whether this user has said the text with success; None where the request is left alone for any reason but a draw.
        mark: of the rewrite to `text` (`overlay.mark_of`).
        part: of the online layer, that rewrites or is left out by a draw (`rewriter.model.layer_slices`).
        arm: what was drawn; None where nothing was.
        propensity: probability with which that was drawn, 0..1.
    """

    text: str | None
    reason: Reason
    score: float | None = None
    suggestion: str | None = None
    candidates: tuple[Candidate, ...] = ()
    scope: Scope | None = None
    mark: str = ""
    part: str | None = None
    arm: Arm | None = None
    propensity: float | None = None
