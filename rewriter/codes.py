"""The codes that the package decides with. They are texts: each equals, and is written as, its value."""

from enum import StrEnum
from typing import Self

# --- A request and its answer: decided by serving, read from the decision log by the offline job.


class Layer(StrEnum):
    """What answered a request, in the order in which they are asked."""

    LESSON = "lesson"
    """A rewrite that a person wrote."""
    PRECOMPUTED = "precomputed"
    """A rule that the offline job made."""
    ONLINE = "online"
    """A candidate that was retrieved and ranked while the request waited."""


class Scope(StrEnum):
    """Whose evidence a rewrite rests on."""

    PERSONAL = "personal"
    """This user's own."""
    GLOBAL = "global"
    """Everybody's."""


class Arm(StrEnum):
    """What was drawn for a request that a rewrite is known for."""

    REWRITE = "rewrite"
    """The rewrite is sent."""
    LEAVE = "leave"
    """The request is left alone, to have something to compare with."""


class Reason(StrEnum):
    """Why a request was rewritten or left alone. `Reason.meaning` says it in a sentence."""

    meaning: str
    _value_: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Make the text of the code, and keep its meaning beside it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    RULE = "rule", "A rule answered: a precomputed one, or one that a person wrote."
    ONLINE = "online", "The best candidate of the online layer reached the threshold."
    AMBIGUITY = "ambiguity", "Users mean different things by this text, and this user's habits told which."
    HELD_OUT = "held_out", "A rewrite was ready, and a draw left the request alone, to have something to compare with."
    NO_RULE = "no_rule", "No rule has this text as its source, and no online layer was asked."
    UNKNOWN_LOCALE = "unknown_locale", "The artefact has nothing in the language of this locale."
    HEALTHY = "healthy", "The log knows this text as one that works."
    UNDERSTOOD = "understood", "The assistant's own parser understands this text."
    NO_CANDIDATE = "no_candidate", "No text that is known to work is similar to this one."
    BLOCKED = "blocked", "The guardrail, or the assistant's own parser, allows none of the candidates."
    FLUENT = "fluent", "A candidate is likely if the text fails, but the text does not look like one that fails."
    UNSURE = "unsure", "No candidate is likely enough."
    KEEP_SOURCE = "keep_source", "A rule says that this text is right as it is, or this user's habits speak against the rule."
    UNDONE_BY_USER = "undone_by_user", "This user has undone this rewrite."
    BLOCKED_BY_REVIEW = "blocked_by_review", "A person has blocked this rewrite in review."
    WITHDRAWN = "withdrawn", "A candidate reached the threshold, but its slice of the online layer did harm and is off."
    DEADLINE = "deadline", "The time allowed by deadline_ms was over."
    EMPTY = "empty", "Nothing is left of the text after normalisation."
    TOO_LONG = "too_long", "The text, the user id or the locale is longer than it may be."
    NOT_TEXT = "not_text", "The utterance or the locale is no str, or the user id is neither str nor int."
    ERROR = "error", "Something failed inside; the log of the process says what."


class Standing(StrEnum):
    """What becomes of a candidate of the online layer."""

    SENT = "sent"
    """It reaches the threshold. Review, undo and the draw may still stop it."""
    SUGGESTED = "suggested"
    """It reaches only the threshold for a question to the user."""
    BELOW = "below"
    """It reaches no threshold."""
    NO_THRESHOLD = "no_threshold"
    """Held-out evidence could promise no threshold, so nothing is sent."""
    LESS_LIKELY = "less_likely"
    """Another candidate is likelier."""
    FORBIDDEN = "forbidden"
    """The guardrail, or the assistant's own parser, forbids it."""
