"""The codes that the package decides with. They are texts: each equals, and is written as, its value.

The English of codes whose meaning does not stand here is in `rewriter.messages`.
"""

from enum import StrEnum
from typing import Self

# --- A request and its answer: decided by serving, read from the decision log by the offline job.


class Layer(StrEnum):
    """What answered a request, in the order in which they are asked."""

    LESSON = "lesson"
    """A rewrite that a user taught, or that a person wrote in review."""
    SPELLING = "spelling"
    """The same words, in the spelling that works."""
    PRECOMPUTED = "precomputed"
    """A rule that the offline job made."""
    ONLINE = "online"
    """A candidate that was retrieved and ranked while the request waited."""


class Scope(StrEnum):
    """Whose evidence a rewrite rests on."""

    PERSONAL = "personal"
    """This user's own."""
    HOUSEHOLD = "household"
    """What somebody taught for all users of one household."""
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

    LESSON = "lesson", "The user, or somebody for the household, taught what this text means."
    PREFERENCE = "preference", "The text leaves something open, and the user has said what they prefer."
    SPELLING = "spelling", "The text fails as it is spelled, and works in the spelling that is sent."
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
    OFF = "off", "The online layer is off in this mode: neither held-out evidence nor the shipped prior keeps the loss budget."
    KEEP_SOURCE = (
        "keep_source",
        "A rule or lesson says that the text is right as it is, or this user's habits speak against the rule.",
    )
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
    DOUBTED = "doubted"
    """The log is too small to set thresholds by itself, and the shipped prior finds the candidate too unlikely."""
    NO_THRESHOLD = "no_threshold"
    """Held-out evidence could promise no threshold, so nothing is sent."""
    LESS_LIKELY = "less_likely"
    """Another candidate is likelier."""
    FORBIDDEN = "forbidden"
    """The guardrail, or the assistant's own parser, forbids it."""


# --- Teaching: what a user is told about a lesson.


class Caution(StrEnum):
    """What a user should know about a lesson. Only `DESTRUCTIVE` keeps it from being stored until it is confirmed."""

    DESTRUCTIVE = "destructive"
    """It destroys, buys or unlocks something that the words do not ask for. Detail: what the guardrail found."""
    CONTRAST = "contrast"
    """It means something else than the words say, such as off instead of on. Detail: what the guardrail found."""
    CONFLICT = "conflict"
    """The same words were taught another meaning, which it replaces. Detail: that meaning."""
    LOOP = "loop"
    """Its steps lead back to it through other lessons; it is sent as it stands. Detail: the step that leads back."""
    HEALTHY = "healthy"
    """The words work as they are, and from now on mean something else."""
    RULE = "rule"
    """The words were rewritten until now. Detail: what was sent."""
    NOT_UNDERSTOOD = "not_understood"
    """The assistant's own parser does not understand a step. Detail: the step."""


class Moment(StrEnum):
    """Why it is worth asking a user to teach."""

    RESTATED = "restated"
    """This user said a request that fails again in other words, on two days or more, and each time reached the same."""
    COMPLAINED = "complained"
    """This user complained about the answer, said it in other words, and reached it."""
    UNSURE = "unsure"
    """The request was refused, and the engine has one good candidate that it may not send without being told."""


# --- The life of a rule: written by the offline job, read by history, explanation and report.


class Stage(StrEnum):
    """Where a rule, or a slice of the online layer, stands. A rule that is not watched has no stage, an empty text."""

    SHADOW = "shadow"
    """Assessed every day and never sent."""
    CANARY = "canary"
    """Sent, while part of its requests is left alone for comparison."""
    LIVE = "live"
    """Sent; it has been shown to do better than the words as spoken."""
    PROBATION = "probation"
    """Sent for half of its requests, because it does worse than it did."""
    RETIRED = "retired"
    """Not sent any more."""


SERVED = (Stage.CANARY, Stage.LIVE, Stage.PROBATION)
"""The stages in which a rule answers requests."""


class RuleVerdict(StrEnum):
    """What is decided on a rewrite under consideration: launched, kept as it is in a context value, or refused.

    Some have a payload in the column `detail`, which is empty otherwise.
    """

    LAUNCHED = "launched"
    """It may serve."""
    FEW_SAY_SOURCE = "few_say_source"
    """Too few users said the source. Detail: the users that are needed."""
    FEW_MEAN_TARGET = "few_mean_target"
    """Too few users meant the target. Detail: the users that are needed."""
    GOAL_UNSURE = "goal_unsure"
    """The votes for the target add up to less than one restatement."""
    NO_SURFACE = "no_surface"
    """No utterance of enough users says the target. Detail: the users that are needed."""
    NO_OWN_SURFACE = "no_own_surface"
    """This user never said the target with success."""
    OUTRANKED = "outranked"
    """Another target of this source scores higher."""
    STAYING_BETTER = "staying_better"
    """Leaving the request alone scores at least as high."""
    SAME_AS_GLOBAL = "same_as_global"
    """A launched rule for everybody sends the same."""
    SAME_TEXT = "same_text"
    """The target is said by the source itself."""
    GAIN_UNSURE = "gain_unsure"
    """P(gain > 0) is below `launch.min_p_gain`."""
    GUARDRAIL = "guardrail"
    """The guardrail forbids it. Detail: what the guardrail found."""
    OVER_BUDGET = "over_budget"
    """It is not in the largest set of rules that keeps the budget of losses."""
    DEPENDS_ON_CONTEXT = "depends_on_context"
    """A rule for everybody that rules for the context contradict in a good part of its turns."""
    CONTEXT_TELLS = "context_tells"
    """A rule for one user whose turns follow the rules for the context."""
    KEEP_SOURCE = "keep_source"
    """In this context value the rule for everybody is not applied, because it loses more than it wins there."""
    RARE_HERE = "rare_here"
    """In this context value the rule for everybody is not applied, because hardly anybody says its source there."""
    SOURCE_TAKEN = "source_taken"
    """Another rule of this source serves."""
    OUTDONE = "outdone"
    """Another rewrite of this source is expected to do better than this one has been shown to do."""
    NO_THRESHOLD = "no_threshold"
    """A slice of the online layer for which no threshold keeps the budget of losses."""
    NO_THRESHOLD_SINCE = "no_threshold_since"
    """A withdrawn slice for which no threshold keeps the budget on texts first heard since the doubt began."""
    RETIRED = "retired"
    """It served and was retired. Detail: the `StageReason`."""


class StageReason(StrEnum):
    """Why a rule came into its stage."""

    RESTATED = "restated"
    """People restate the source so: it was launched."""
    PROMISED = "promised"
    """Held-out evidence promises that a slice of the online layer keeps the budget."""
    BETTER = "better"
    """It does better than the words as spoken."""
    SLIPPED = "slipped"
    """It works less often than it did."""
    WORSE = "worse"
    """It does worse than the words as spoken."""
    DROPPED = "dropped"
    """It does not work any more, and nothing of it is left alone for comparison."""
    FORBIDDEN = "forbidden"
    """It would not be launched any more: the guardrail, or too few users."""
    OUTDONE = "outdone"
    """Another rewrite of this source takes over."""
    UNDONE = "undone"
    """It did not work for this user."""


# --- The verdict of `learn` on a log


class Part(StrEnum):
    """What `learn` can make of a log."""

    RULES = "rules"
    """Rewrites of texts that users of the log said."""
    BEFORE = "before"
    """The online layer, before the NLU."""
    AFTER = "after"
    """The online layer, after a refusal of the NLU."""


class Lack(StrEnum):
    """Why a part is off."""

    NOTHING_RESTATED = "nothing_restated"
    """No text that failed was restated."""
    FEW_USERS = "few_users"
    """No text was said, and restated alike, by enough users."""
    OVER_BUDGET = "over_budget"
    """Rules were found, and none is sure enough or within the budget of losses."""
    NO_THRESHOLD = "no_threshold"
    """No threshold keeps the budget of losses on held-out texts."""
    NO_TEXTS = "no_texts"
    """No text was said by enough users, so there is none to rewrite to."""
    NOT_FITTED = "not_fitted"
    """The online layer is not fitted under these settings."""
    WITHDRAWN = "withdrawn"
    """It did harm, and is off until held-out evidence speaks for it again."""


class Advice(StrEnum):
    """What would turn a part on, or make more of it. Each has a number as payload, 0 where there is none."""

    MORE_TURNS = "more_turns"
    """Learn from more turns. Number: about how many are needed in all."""
    MORE_USERS = "more_users"
    """Learn from more users. Number: users that must do the same (`launch.min_users`)."""
    CATALOG = "catalog"
    """Give a list of texts that the assistant understands."""
    STATUS = "status"
    """Log whether the assistant understood a turn, in the column `status`."""
    HYPOTHESIS = "hypothesis"
    """Log what the assistant understood, in the column `hypothesis`."""
    LARGER_BUDGET = "larger_budget"
    """Allow more losses. Number: the share of losses; for rules also how many more would launch."""
    REFIT = "refit"
    """Let the online layer be fitted: set `loop.refit_days` above 0."""


class NextStep(StrEnum):
    """What to do after a log was tried."""

    LEARN = "learn"
    """Learn from the whole log."""
    LOOK = "look"
    """Look at the losses first: there are more than the budget allows."""
    MORE = "more"
    """Get more data; the verdict says what."""
    MARK = "mark"
    """Log what the assistant understood, or mark the goals: nothing could be judged."""


# --- Where requests break


class FailurePoint(StrEnum):
    """The first stage of a turn that failed and that no later stage made up for."""

    FALSE_WAKE = "false_wake"
    """Nobody talked to the assistant."""
    ASR = "asr"
    """Speech was heard wrongly, or text was typed wrongly."""
    NLU = "nlu"
    """The words were right and their meaning was missed."""
    ENTITY = "entity"
    """The intent was right and a thing was not found, or another one was taken for it."""
    RESULT = "result"
    """All was understood and the action failed."""
    CORRECT = "correct"
    """Nothing failed; a request for what the assistant cannot do is correct too."""


class Sign(StrEnum):
    """What a log shows of a turn that speaks for or against a stage."""

    REFUSED = "refused"
    """The assistant said that it failed, or understood nothing."""
    RESTATED = "restated"
    """The user said the same in other words. Detail: these words."""
    REPEATED = "repeated"
    """The user said the very same again."""
    SOUNDS_LIKE = "sounds_like"
    """The words of the turn can be a mishearing of its restatement. Detail: the restatement."""
    OTHER_HEARING = "other_hearing"
    """Another hearing of the turn is what the user said next, or what works for others. Detail: the hearing."""
    STRANGE_WORDS = "strange_words"
    """Nobody else says one of the words."""
    UNSURE_HEARING = "unsure_hearing"
    """The confidence of recognition is among the lowest tenth. Detail: the confidence."""
    UNSURE_MEANING = "unsure_meaning"
    """The confidence of the NLU is among the lowest tenth. Detail: the confidence."""
    UNUSUAL_MEANING = "unusual_meaning"
    """The words usually mean something else. Detail: what."""
    USUAL_MEANING = "usual_meaning"
    """The words were understood as usual."""
    WORDS_FAIL = "words_fail"
    """The words fail for most others too."""
    VALUE_MISSED = "value_missed"
    """A known value is in the words and not in the interpretation."""
    VALUE_FAILS = "value_fails"
    """Requests with a value of this one mostly fail."""
    VALUE_CHANGED = "value_changed"
    """The restatement has the same intent and another value."""
    INTENT_CHANGED = "intent_changed"
    """The restatement has another intent."""
    SAME_MEANING = "same_meaning"
    """The restatement was understood alike."""
    FAILS_TODAY = "fails_today"
    """The intent fails on this day more than usual."""
    SAID_NOT_UNDERSTOOD = "said_not_understood"
    """The assistant said that it did not understand."""
    SAID_NOT_FOUND = "said_not_found"
    """The assistant said that it found nothing, or asked which one."""
    SAID_TROUBLE = "said_trouble"
    """The assistant said that something went wrong."""
    SAID_NOT_SUPPORTED = "said_not_supported"
    """The assistant said that it cannot do this."""
    STOPPED = "stopped"
    """The user interrupted or stopped the answer, or gave negative feedback."""
    ALONE = "alone"
    """A refused turn without any other near it."""
    CARRIED_ON = "carried_on"
    """It was understood, and the user did not come back to it."""


class Remedy(StrEnum):
    """What helps against a kind of failure."""

    REWRITE = "rewrite"
    """Learn rewrites."""
    TRAIN_NLU = "train_nlu"
    """Train the NLU on exported labels."""
    FIX_ENTITIES = "fix_entities"
    """Add the thing to the entity list or the catalog."""
    FIX_SERVICE = "fix_service"
    """Look at what carries out the request."""
    SUPPORT = "support"
    """The assistant cannot do it; support it, or say so."""
    TUNE_WAKE = "tune_wake"
    """Tune the wake word; nothing to learn."""


# --- What the guardrail finds


class FindingKind(StrEnum):
    """Why the guardrail forbids a rewrite. `rewriter.guardrail.Finding` carries the words."""

    FLIPS = "flips"
    """The target says the opposite in a slot: "on" and "off"."""
    CHANGES_NUMBER = "changes_number"
    """Both texts have numbers, and they differ."""
    CHANGES_VALUE = "changes_value"
    """Both texts have a value in a slot such as day or unit, and the values differ."""
    REPLACES = "replaces"
    """A number or date was replaced by one of another slot: "at 7" by "tomorrow"."""
    CHANGES_NEGATION = "changes_negation"
    """Both texts are negated, in different ways."""
    DROPS_NEGATION = "drops_negation"
    """Only the source is negated."""
    ADDS_NEGATION = "adds_negation"
    """Only the target is negated."""
    SWAPS_NAME = "swaps_name"
    """A known name was replaced by another one."""
    DESTRUCTIVE = "destructive"
    """The target destroys, buys or unlocks something, and the source does not ask for it."""
    UNHEARD = "unheard"
    """The target says something that does not sound like the words in its place."""
    CROSSES = "crosses"
    """The log or the catalog shows that the words mean different things; ``slot`` holds in how many frames they do and do not."""
    LEAVES_OUT = "leaves_out"
    """The target leaves out words of a request that may be fine as it is."""


# --- Hosts


class DateOrder(StrEnum):
    """The order of day and month in dates that begin with either."""

    DAY_FIRST = "day-first"
    """05/01/2026 is the fifth of January."""
    MONTH_FIRST = "month-first"
    """05/01/2026 is the first of May."""


class Speaker(StrEnum):
    """Who a row of a log is from."""

    USER = "user"
    """A turn: what a user said."""
    BOT = "bot"
    """What the assistant answered to the turn before."""
    NONE = "none"
    """Neither; the row is left out."""


class SearchRow(StrEnum):
    """A row of a log of site search that is no turn of its own."""

    BROKEN = "broken"
    """No JSON object."""
    OTHER = "other"
    """Neither a query nor an event."""
    EMPTY = "empty"
    """A query without a word, such as a look at a category."""
    NO_CLIENT = "no_client"
    """A query of nobody."""
    NO_TIME = "no_time"
    """A query without a readable time."""
    OTHER_APPLICATION = "other_application"
    """A query to an application that was not asked for."""
    REPEATED = "repeated"
    """A query whose id, client and text came before."""
    SAME_SEARCH = "same_search"
    """A query for the text of the query before it, soon after."""
    LOOSE_EVENT = "loose_event"
    """An event of no query that was read."""


class LeftOut(StrEnum):
    """Why a rewrite of the artefact is not in a file for a host, or not as the artefact makes it."""

    PERSONAL = "personal"
    """It is for one user."""
    CONTEXT = "context"
    """It depends on the context."""
    LOCALE = "locale"
    """It is for another locale."""
    REVIEW = "review"
    """People blocked it."""
    WITHIN = "within"
    """The host would apply it inside longer requests too, and would change one that works."""
    NEAR = "near"
    """The host compares by similarity, and would apply it to another request that works."""
    UNWRITABLE = "unwritable"
    """The format cannot say it."""
    TRIAL = "trial"
    """Written, but the host applies it to all requests, while the artefact leaves some alone for comparison."""
