"""What one call of `Rewriter.rewrite` returns."""

from dataclasses import dataclass

from rewriter.codes import Arm, Caution, Layer, Moment, Reason, Scope


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that may be sent in place of the utterance.

    Attributes:
        text: what would be sent to the NLU, normalised, without the blanks of `normalise` in scripts that write none.
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
class Teachable:
    """A moment at which it is worth asking the user to teach: `Rewriter.answer` takes what they say to it.

    Attributes:
        moment: why.
        said: the request, normalised.
        meant: what they seem to mean by it.
        question: ready to be spoken, in the language of the request.
        turns: how often they restated it so; 0 where the engine is unsure.
        days: on how many days.
        p: P(it is meant), 0..1; 0 where it is not known, after a complaint.
        locale: of the request.
    """

    moment: Moment
    said: str
    meant: str
    question: str
    turns: int
    days: int
    p: float
    locale: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The answer to one request: the text to send to the NLU, and why.

    Layers, scopes, reasons and arms are members of the enums in `rewriter.codes` and equal their texts, so
    ``answer.reason == "rule"`` works.

    Attributes:
        id: identifies this decision. Log it with the turn, and give it back with feedback.
        source: the utterance exactly as it was given.
        text: what to send to the NLU; equal to `source` if nothing was applied.
        applied: whether `text` is a rewrite.
        layer: ``lesson``, ``precomputed`` or ``online``, which decided; None if nothing was applied.
        scope: ``personal`` or ``global``, whose evidence was used; None if nothing was applied or held out.
        reason: why it was applied or left alone; see below.
        score: expected probability that the rewritten request succeeds, 0..1; None if nothing was applied. What is sent is
            decided on by a lower bound of it, so it is above the threshold.
        suggestion: a text too unsure to apply but worth asking about ("did you mean …?"); None if there is none.
        candidates: what was considered, best first.
        rule: id of the rule that was applied or held out; for the online layer its slice (`rewriter.model.layer_slices`).
        arm: ``rewrite`` or ``leave``, what was drawn for this call; None if nothing was drawn.
        propensity: probability with which that arm was drawn, 0..1; None if nothing was drawn.
        artefact: id of the artefact version that answered.
        ask: whether to ask the user "did I get that right?" when the assistant has done its part, because the answer would
            teach enough. True for at most `Config.trigger.max_asked` of the requests and `max_asked_a_day` requests of one
            user in a day. Log the answer as ``feedback``.
        steps: what to send, one after the other, to an assistant that takes one request at a time: `text` alone, but for a
            lesson of several steps.
        teachable: what to ask the user, so that they may teach it; None for most requests. Offered to one user at most
            `Config.teaching.max_asked_a_day` times a day, and never again after a no.

    Reasons:
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
    arm: Arm | None
    propensity: float | None
    artefact: str
    ask: bool = False
    steps: tuple[str, ...] = ()
    teachable: Teachable | None = None


if Rewrite.__doc__:  # python -OO drops it
    Rewrite.__doc__ = Rewrite.__doc__.rstrip() + "".join(f"\n        {reason}: {reason.meaning}" for reason in Reason) + "\n"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a user taught: these words mean those steps.

    Attributes:
        id: names it, for `Rewriter.unteach`.
        said: what is said, normalised.
        steps: what is meant, in order, as it was spelled.
        joined_by: what stands between the steps in the text that is sent.
        locale: BCP 47; it holds in all locales of this language.
        scope: ``personal`` or ``household``.
        ts_ms: when it was taught, epoch milliseconds.
    """

    id: str
    said: str
    steps: tuple[str, ...]
    joined_by: str
    locale: str
    scope: Scope
    ts_ms: int

    @property
    def meant(self) -> str:
        """What is sent, as one text."""
        return self.joined_by.join(self.steps)


@dataclass(frozen=True, slots=True)
class Preference:
    """What a user said to prefer: this value of a slot.

    Attributes:
        id: names it, for `Rewriter.unteach`.
        slot: its name.
        value: normalised.
        over: the only value that it is preferred to; empty for all others.
        ts_ms: when it was stated, epoch milliseconds.
    """

    id: str
    slot: str
    value: str
    over: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Stated:
    """What `Rewriter.prefer_said` understood.

    Attributes:
        preference: as it is stored; None if nothing is.
        choices: (slot, value) of each thing that may have been meant, where there are several; none if it was no such statement.
    """

    preference: Preference | None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LessonCaution:
    """Something that a user should know about a lesson.

    Attributes:
        code: what it is; `rewriter.messages.caution` says it in words.
        detail: its payload; empty if it has none.
    """

    code: Caution
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Taught:
    """What `Rewriter.teach` returns.

    Attributes:
        lesson: as it is stored, or as it would be.
        stored: whether it is in force.
        cautions: what the user should know, the gravest first.
        replaced: the older lesson on the same words that is gone, or would be; None if there is none.
    """

    lesson: Lesson
    stored: bool
    cautions: tuple[LessonCaution, ...] = ()
    replaced: Lesson | None = None
