"""What the endpoints take and return, as pydantic models: they check requests and describe the API in OpenAPI."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from rewriter.codes import Arm, Caution, Layer, Moment, Reason, Scope

UserId = Annotated[StrictStr | StrictInt, Field(description="Pseudonym of the person or household, as in the log.")]


class Body(BaseModel):
    """What all of them share: a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


class RewriteRequest(Body):
    """One request of a user; the arguments of `Rewriter.rewrite`."""

    utterance: Annotated[StrictStr, Field(description="What the assistant heard.", examples=["turn of the lamp"])]
    user_id: UserId | None = None
    locale: Annotated[StrictStr | None, Field(description="BCP 47; without it the commonest of the log.")] = None
    nbest: Annotated[list[StrictStr], Field(description="Other hearings, best first.")] = []
    context: Annotated[dict[str, Any], Field(description="Scalars such as hour or room, as in the log.")] = {}
    household_id: Annotated[
        StrictStr | StrictInt | None, Field(description="Pseudonym of the household; what was taught for it holds, too.")
    ] = None
    after_failure: Annotated[StrictBool, Field(description="Whether the NLU has already refused this utterance.")] = False
    turn_id: Annotated[StrictStr | None, Field(description="Id of the turn in your log, kept in the decision log.")] = None


class CandidateAnswer(Body):
    """A text that was considered."""

    text: str
    layer: Layer
    scope: Scope
    similarity: float
    p_success: float


class TeachableMoment(Body):
    """A moment at which it is worth asking the user to teach; the fields of `rewriter.result.Teachable`."""

    moment: Moment
    said: StrictStr
    meant: StrictStr
    question: Annotated[StrictStr, Field(description="Ready to be spoken.")]
    turns: int
    days: int
    p: float
    locale: StrictStr


class RewriteAnswer(Body):
    """What to send to the NLU, and why; the fields of `rewriter.Rewrite`."""

    id: Annotated[str, Field(description="Log it with the turn, and give it back with feedback.")]
    source: str
    text: Annotated[str, Field(description="What to send to the NLU; equal to source if nothing was applied.")]
    applied: bool
    layer: Layer | None
    scope: Scope | None
    reason: Annotated[Reason, Field(description="Why; docs/reasons.md says how to list all reasons.")]
    score: float | None
    suggestion: str | None
    candidates: list[CandidateAnswer]
    rule: str | None
    arm: Arm | None
    propensity: float | None
    artefact: str
    ask: bool
    steps: Annotated[list[str], Field(description="The steps of a lesson, one by one.")]
    teachable: Annotated[
        TeachableMoment | None, Field(description="What to ask the user; give it to /v1/answer with what they say.")
    ]


class FeedbackRequest(Body):
    """What a user says of a decision; the arguments of `Rewriter.feedback`."""

    rewrite_id: Annotated[StrictStr, Field(description="The id of a rewrite.")]
    value: Annotated[StrictInt, Field(ge=-1, le=1, description="-1 for undone or wrong, 1 for right, 0 to take it back.")]
    user_id: UserId


class TeachRequest(Body):
    """What a user teaches; the arguments of `Rewriter.teach`."""

    said: Annotated[StrictStr, Field(examples=["movie time"])]
    meant: Annotated[StrictStr | list[StrictStr], Field(examples=["turn on the tv"])]
    user_id: UserId | None = None
    household_id: UserId | None = None
    scope: Scope = Scope.PERSONAL
    locale: StrictStr | None = None
    joined_by: StrictStr | None = None
    confirm: Annotated[StrictBool, Field(description="Whether a destructive lesson is kept.")] = False
    preview: Annotated[StrictBool, Field(description="Whether only the cautions are wanted, and nothing is kept.")] = False


class LessonAnswer(Body):
    """What a user taught; the fields of `rewriter.result.Lesson`."""

    id: str
    said: str
    steps: list[str]
    joined_by: str
    locale: str
    scope: Scope
    ts_ms: int


class CautionAnswer(Body):
    """Something that a user should know about a lesson."""

    code: Caution
    detail: str
    text: Annotated[str, Field(description="The same in English.")]


class TaughtAnswer(Body):
    """What became of a lesson; the fields of `rewriter.result.Taught`."""

    lesson: LessonAnswer
    stored: Annotated[bool, Field(description="Whether it is in force.")]
    cautions: list[CautionAnswer]
    replaced: LessonAnswer | None


class AnswerRequest(Body):
    """What a user says to a question; the arguments of `Rewriter.answer`."""

    asked: TeachableMoment
    answer: Annotated[StrictBool | StrictStr, Field(description="Yes, no, or what they say.")]
    user_id: UserId


class PreferRequest(Body):
    """Which value of a slot a user prefers; the arguments of `Rewriter.prefer`."""

    slot: Annotated[StrictStr, Field(examples=["cuisine"])]
    value: Annotated[StrictStr, Field(examples=["italian"])]
    user_id: UserId
    over: StrictStr | None = None
    locale: StrictStr | None = None


class PreferenceAnswer(Body):
    """What a user said to prefer; the fields of `rewriter.result.Preference`."""

    id: str
    slot: str
    value: str
    over: str
    ts_ms: int


class PreferencesRequest(Body):
    """Whose preferences are wanted."""

    user_id: UserId


class TalkRequest(Body):
    """What a user says who teaches, or may want to."""

    user_id: UserId
    text: StrictStr
    locale: StrictStr | None = None


class TalkAnswer(Body):
    """What to say to the user."""

    said: Annotated[str, Field(description="Empty if the words are a request, and no teaching.")]
    active: Annotated[bool, Field(description="Whether an answer is waited for: send here what the user says next.")]


class LessonsRequest(Body):
    """Whose lessons are wanted."""

    user_id: UserId | None = None
    household_id: UserId | None = None


class UnteachRequest(Body):
    """Which lesson is to go."""

    lesson_id: StrictStr


class Removed(Body):
    """Whether there was such a lesson."""

    removed: bool


class Health(Body):
    """That the service answers, and by which version."""

    status: str
    artefact: Annotated[str, Field(description="Id of the version that answers.")]


class Fault(Body):
    """One line with the cause and the cure."""

    error: str
