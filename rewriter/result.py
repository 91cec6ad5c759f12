"""What one call of `Rewriter.rewrite` returns."""

from dataclasses import dataclass
from typing import Final, Literal

Layer = Literal["lesson", "precomputed", "online"]
LAYERS: Final[tuple[Layer, ...]] = ("lesson", "precomputed", "online")
"""In the order in which they are asked."""
Scope = Literal["personal", "global"]
Reason = Literal[
    "rule",  # a precomputed rule was applied
    "held_out",  # a rule knows this text, or the online layer a candidate; it was drawn to be left alone, for comparison
    "online",  # a candidate of the online layer was applied
    "ambiguity",  # people mean different things by this text, and this user's habits told which was applied
    "no_rule",  # no rule knows this text, and the artefact has no online layer for it
    "healthy",  # the log knows this text as one that works
    "understood",  # the assistant's own parser understands it
    "no_candidate",  # nothing that works is at all like it
    "blocked",  # the guardrail allows none of the candidates
    "fluent",  # a candidate was likely meant if the text fails, but it does not look like failing
    "unsure",  # no candidate is likely enough to be meant
    "deadline",  # there was no time left
    "blocked_by_review",  # people blocked this rewrite in review
    "undone_by_user",  # this user has undone this rewrite
    "withdrawn",  # a candidate of the online layer was likely enough, but what the layer sent did not do well
    "keep_source",  # a rule says that this text is right as it is, or this user's habits speak against the rule for everybody
    "empty",  # nothing is left of the text after normalisation
    "too_long",  # longer than any text of a log may be
    "not_text",  # the utterance, the user id or the locale is not a str
    "error",  # something went wrong inside; the text is unchanged
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target under consideration.

    Attributes:
        text: what would be sent to the NLU, normalised.
        layer: where it comes from.
        scope: whose evidence it rests on.
        similarity: text similarity to the source, 0..1.
        p_success: probability that the request succeeds if this is sent, 0..1.
    """

    text: str
    layer: Layer
    scope: Scope
    similarity: float
    p_success: float


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The answer to one request: the text to send to the NLU, and why.

    Attributes:
        id: identifies this decision; log it with the turn and give it back with feedback.
        source: the utterance as it was given, whatever it was.
        text: what to send to the NLU; equal to `source` where nothing was applied.
        applied: whether `text` is a rewrite.
        layer: which layer decided, None where nothing was applied.
        scope: whose evidence was used; of what was held out, too; else None where nothing was applied.
        reason: why it was applied or left alone.
        score: probability that the rewritten request succeeds, 0..1; None where nothing was applied.
        suggestion: a text too unsure to apply but worth asking about ("did you mean …?").
        candidates: what was considered, best first.
        rule: id of the rule that was applied, or held out; of the online layer its slice (`rewriter.model.layer_slices`).
        arm: what was drawn for this call, ``rewrite`` or ``leave``; None where nothing was drawn.
        propensity: probability with which that was drawn, 0..1.
        artefact: id of the artefact version that answered.
        ask: whether the answer to "did I get that right?", asked when the assistant has done its part, would teach enough to
            bother the user; so for at most `Config.trigger.max_asked` of the requests, and `max_asked_a_day` of one user's in
            a day. Log the answer as ``feedback``.
    """

    id: str
    source: str
    text: str
    applied: bool
    layer: Layer | None
    scope: Scope | None
    reason: Reason
    score: float | None
    suggestion: str | None
    candidates: tuple[Candidate, ...]
    rule: str | None
    arm: str | None
    propensity: float | None
    artefact: str
    ask: bool = False
