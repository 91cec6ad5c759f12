"""The English of the codes in `rewriter.codes`, and of the terms of pages, for history, explanation, report and command line."""

from collections.abc import Iterable, Mapping
from typing import Final

from rewriter.codes import (
    Advice,
    Caution,
    FailurePoint,
    FindingKind,
    Lack,
    LeftOut,
    NextStep,
    Part,
    Remedy,
    RuleVerdict,
    SearchRow,
    Sign,
    StageReason,
    Standing,
)

# --- The life of a rule

_VERDICTS: Final[Mapping[RuleVerdict, str]] = {
    RuleVerdict.LAUNCHED: "launched",
    RuleVerdict.FEW_SAY_SOURCE: "the source was said by fewer than {detail} users",
    RuleVerdict.FEW_MEAN_TARGET: "fewer than {detail} users meant the target",
    RuleVerdict.GOAL_UNSURE: "what users meant is too unsure",
    RuleVerdict.NO_SURFACE: "no utterance of {detail} users says the target",
    RuleVerdict.NO_OWN_SURFACE: "this user never said the target with success",
    RuleVerdict.OUTRANKED: "another target is better",
    RuleVerdict.STAYING_BETTER: "leaving the request alone is better",
    RuleVerdict.SAME_AS_GLOBAL: "the rule for everybody does the same",
    RuleVerdict.SAME_TEXT: "the target is said by the source itself",
    RuleVerdict.GAIN_UNSURE: "the gain is too unsure",
    RuleVerdict.GUARDRAIL: "guardrail: {detail}",
    RuleVerdict.OVER_BUDGET: "over the loss budget",
    RuleVerdict.DEPENDS_ON_CONTEXT: "what is meant depends on the context",
    RuleVerdict.CONTEXT_TELLS: "the context tells it as well",
    RuleVerdict.KEEP_SOURCE: "the rule for everybody does not hold here",
    RuleVerdict.RARE_HERE: "hardly anybody says this here",
    RuleVerdict.SOURCE_TAKEN: "another rule of this text serves",
    RuleVerdict.OUTDONE: "another rewrite of this text should do better",
    RuleVerdict.NO_THRESHOLD: "no threshold keeps the loss budget",
    RuleVerdict.NO_THRESHOLD_SINCE: "no threshold keeps the loss budget on texts first heard since it was withdrawn",
}
_KINDS: Final[Mapping[RuleVerdict, str]] = {
    RuleVerdict.FEW_SAY_SOURCE: "too few users said the source",
    RuleVerdict.FEW_MEAN_TARGET: "too few users meant the target",
    RuleVerdict.NO_SURFACE: "no utterance of enough users says the target",
    RuleVerdict.GUARDRAIL: "guardrail",
    RuleVerdict.RETIRED: "retired",
}
_REASONS: Final[Mapping[StageReason, str]] = {
    StageReason.RESTATED: "people restate it so",
    StageReason.PROMISED: "held-out evidence or the shipped prior promises it",
    StageReason.BETTER: "it does better than the words as spoken",
    StageReason.SLIPPED: "it works less often than it did",
    StageReason.WORSE: "it does worse than the words as spoken",
    StageReason.DROPPED: "it does not work any more",
    StageReason.FORBIDDEN: "it is not allowed any more",
    StageReason.OUTDONE: "another rewrite of this text should do better",
    StageReason.UNDONE: "it did not work for this user",
}


def rule_verdict(verdict: str, detail: str = "") -> str:
    """Return a verdict on a rule in words.

    Args:
        verdict: a `RuleVerdict`.
        detail: its payload; empty if it has none.

    Example:
        >>> rule_verdict("few_say_source", "3")
        'the source was said by fewer than 3 users'
        >>> rule_verdict("retired", "worse")
        'retired: it does worse than the words as spoken'
        >>> rule_verdict("guardrail", "flips|turn on|turn off|")
        'guardrail: flips turn on to turn off'
    """
    code = RuleVerdict(verdict)
    if code == RuleVerdict.RETIRED:
        return f"retired: {stage_reason(detail)}"
    return _VERDICTS[code].format(detail=guardrail_finding(detail) if code == RuleVerdict.GUARDRAIL else detail)


def verdict_kind(verdict: str) -> str:
    """Return a verdict in words without its payload, as rules are counted by it.

    Example:
        >>> verdict_kind("few_say_source")
        'too few users said the source'
    """
    code = RuleVerdict(verdict)
    return _KINDS.get(code) or _VERDICTS[code]


def stage_reason(reason: str) -> str:
    """Return in words why a rule came into its stage.

    Args:
        reason: a `StageReason`.

    Example:
        >>> stage_reason("better")
        'it does better than the words as spoken'
    """
    return _REASONS[StageReason(reason)]


# --- A candidate of the online layer


def candidate_standing(standing: Standing, threshold: float, detail: str = "") -> str:
    """Return in words what becomes of a candidate of the online layer.

    Args:
        standing: the code.
        threshold: the score from which on a candidate is sent.
        detail: what the guardrail found (`rewriter.guardrail.Finding.packed`), if it is forbidden.

    Example:
        >>> candidate_standing(Standing.SUGGESTED, 0.65)
        'below the threshold of 0.65, worth asking about'
    """
    return {
        Standing.SENT: f"reaches the threshold of {threshold:.2f}",
        Standing.SUGGESTED: f"below the threshold of {threshold:.2f}, worth asking about",
        Standing.BELOW: f"below the threshold of {threshold:.2f}",
        Standing.DOUBTED: "the log is too small to decide alone, and the shipped prior finds it too unlikely",
        Standing.NO_THRESHOLD: "held-out evidence could promise no threshold",
        Standing.LESS_LIKELY: "another candidate is likelier",
        Standing.FORBIDDEN: f"guardrail: {guardrail_finding(detail) if detail else 'it alters what may be fine as it is'}",
    }[standing]


# --- Teaching

_CAUTIONS: Final[Mapping[Caution, str]] = {
    Caution.DESTRUCTIVE: "it asks for something that the words do not ask for: {detail}; confirm it to keep it",
    Caution.CONTRAST: "it means something else than the words say: it {detail}",
    Caution.CONFLICT: "it takes the place of an older lesson, by which these words meant: {detail}",
    Caution.LOOP: "lessons lead back from it to {detail}, so it is sent as it stands",
    Caution.HEALTHY: "these words work as they are",
    Caution.RULE: "these words were rewritten until now, to: {detail}",
    Caution.NOT_UNDERSTOOD: "the assistant does not understand: {detail}",
}


def caution(code: Caution, detail: str = "") -> str:
    """Return in words what a user should know about a lesson.

    Args:
        code: what it is.
        detail: its payload, `rewriter.result.LessonCaution.detail`.

    Example:
        >>> caution(Caution.CONFLICT, "turn on the radio")
        'it takes the place of an older lesson, by which these words meant: turn on the radio'
        >>> caution(Caution.DESTRUCTIVE, "destructive||door unlock|")
        'it asks for something that the words do not ask for: door unlock; confirm it to keep it'
    """
    if code is Caution.DESTRUCTIVE:
        detail = detail.split("|")[2]
    return _CAUTIONS[code].format(detail=guardrail_finding(detail) if code is Caution.CONTRAST else detail)


# --- The verdict of `learn` on a log

_PARTS: Final[Mapping[Part, str]] = {
    Part.RULES: "rules",
    Part.BEFORE: "online layer before the NLU",
    Part.AFTER: "online layer after a refusal",
}
_LACKS: Final[Mapping[Lack, str]] = {
    Lack.NOTHING_RESTATED: "no text that failed was restated",
    Lack.FEW_USERS: "no text was said, and restated alike, by enough users",
    Lack.OVER_BUDGET: "no rule is sure enough and within the loss budget",
    Lack.NO_THRESHOLD: "no threshold keeps the loss budget of {budget:.0%} on held-out texts",
    Lack.NO_TEXTS: "no text was said with success by enough users, so there is none to rewrite to",
    Lack.NOT_FITTED: "it was not fitted",
    Lack.WITHDRAWN: "it did harm and was withdrawn",
}
_ADVICE: Final[Mapping[Advice, str]] = {
    Advice.MORE_USERS: "learn from more users: {number:.0f} must say and mean the same",
    Advice.CATALOG: "give a list of texts that the assistant understands, with --catalog: it works without any log",
    Advice.STATUS: "log in the column status whether the assistant understood a turn (ok or failed)",
    Advice.HYPOTHESIS: "log in the column hypothesis what the assistant understood",
    Advice.REFIT: "set loop.refit_days above 0, so that the online layer is fitted",
}
_BUDGETS: Final[Mapping[Part, str]] = {
    Part.RULES: "launch.max_loss_share",
    Part.BEFORE: "trigger.max_loss_share",
    Part.AFTER: "trigger.max_loss_share",
}


def part_verdict(
    part: Part,
    lack: Lack | None,
    rules: int,
    win: float,
    loss: float,
    suggested: int,
    by_prior: bool = False,
    guessed: bool = False,
    *,
    learned: bool,
    budget: float,
) -> str:
    """Return in words what a log gives for one part; the arguments are those of `rewriter.offline.verdict.PartVerdict`.

    Args:
        part: which.
        lack: why it is off; None if it is on.
        rules: launched rules.
        win: expected wins, without the counts of the shipped prior.
        loss: expected losses, the same.
        suggested: rules that are only suggested.
        by_prior: whether only the shipped prior turns it on.
        guessed: whether the log does not say which requests failed.
        learned: whether this is what happened, and no forecast.
        budget: share of losses that the online layer may have.

    Example:
        >>> part_verdict(Part.RULES, None, 82, 900.0, 30.0, 4, learned=True, budget=0.05)
        'rules: 82 launched, expected win/loss 30:1; 4 more are over the loss budget and only suggested'
        >>> part_verdict(Part.AFTER, Lack.NO_THRESHOLD, 0, 0.0, 0.0, 0, learned=True, budget=0.05)
        'online layer after a refusal: off, no threshold keeps the loss budget of 5% on held-out texts'
        >>> part_verdict(Part.AFTER, None, 0, 9.2, 1.1, 0, by_prior=True, learned=True, budget=0.05)[-42:]
        '9 wins and 1 loss among its held-out texts'
        >>> part_verdict(Part.AFTER, None, 0, 0.0, 0.0, 0, by_prior=True, learned=False, budget=0.05)
        'online layer after a refusal: likely on only where the shipped prior agrees, as this log is small'
    """
    ratio = f"{win / loss:.0f}:1" if loss else "without a loss"
    if lack is not None:
        text = f"{'off' if learned else 'likely off'}, {_LACKS[lack].format(budget=budget)}"
    elif not learned:
        text = "likely on" + (" only where the shipped prior agrees, as this log is small" if by_prior else "")
        text += ", if what people say next shows which requests failed: the log does not say it" if guessed else ""
    elif part is Part.RULES:
        text = f"{rules:,} launched, expected win/loss {ratio}"
    elif by_prior:
        won, lost = "win" if round(win) == 1 else "wins", "loss" if round(loss) == 1 else "losses"
        own = f"{win:.0f} {won} and {loss:.0f} {lost} among its held-out texts"
        sends = "on, but sends hardly anything:" if win < 1 else "on"
        text = f"{sends} only where the shipped prior agrees, as this log is too small to promise anything alone: {own}"
    else:
        text = f"on, win/loss on held-out texts {ratio}"
    more = f"; {suggested:,} more are over the loss budget and only suggested" if suggested else ""
    return f"{_PARTS[part]}: {text}{more}"


def advice(of: Advice, part: Part | None = None, number: float = 0.0, rules: int = 0) -> str:
    """Return in words what to do next; the arguments are those of `rewriter.offline.verdict.Advised`.

    Args:
        of: what.
        part: for which part; None for all.
        number: its number; 0 if it has none.
        rules: how many more rules it would launch; 0 if that is not known.

    Example:
        >>> advice(Advice.LARGER_BUDGET, Part.RULES, 0.1, 82)
        'at launch.max_loss_share = 0.1, 82 more rules would launch'
        >>> advice(Advice.MORE_TURNS, Part.AFTER, 12000)
        'learn from about 12,000 turns, for the online layer after a refusal'
    """
    name = "" if part is None else _PARTS[part]
    if of is Advice.LARGER_BUDGET and part is not None:
        effect = f"{rules:,} more rules would launch" if rules else f"the {name} would be on"
        return f"at {_BUDGETS[part]} = {number:g}, {effect}"
    if of is Advice.MORE_TURNS:
        amount = f"about {number:,.0f}" if number else "more"
        return f"learn from {amount} turns" + (f", for the {name}" if name else "")
    return _ADVICE[of].format(number=number)


# --- A log that was tried


def next_step(step: NextStep, root: str, logs: str, advised: str = "") -> str:
    """Return in words what to do after a log was tried.

    Args:
        step: what.
        root: the artefact that was learned from a part of the log.
        logs: the log, as it was named.
        advised: the first thing that the verdict advises; empty if there is none.

    Example:
        >>> next_step(NextStep.LEARN, "try/artefact", "logs/")
        'learn from all of it: rewriter learn logs/ --out artefact'
    """
    return {
        NextStep.LEARN: f"learn from all of it: rewriter learn {logs} --out artefact",
        NextStep.LOOK: (
            f'look at the losses first: rewriter explain {root} "TEXT" shows the evidence of a rewrite, and rewriter review'
            " blocks it; a lower launch.max_loss_share and trigger.max_loss_share launch fewer"
        ),
        NextStep.MORE: advised or "learn from more turns",
        NextStep.MARK: (
            "nothing could be judged: log in the column hypothesis what the assistant understood, or name with --truth a"
            " column that says what users wanted, or let each text stand for itself: --map hypothesis=COLUMN, the column of the"
            " utterance"
        ),
    }[step]


# --- What the guardrail finds

_FINDINGS = {
    FindingKind.FLIPS: "flips {source} to {target}",
    FindingKind.CHANGES_NUMBER: "changes number {source} to {target}",
    FindingKind.CHANGES_VALUE: "changes {slot} {source} to {target}",
    FindingKind.REPLACES: "replaces {source} by {target}",
    FindingKind.CHANGES_NEGATION: "changes {source} to {target}",
    FindingKind.DROPS_NEGATION: "drops {source}",
    FindingKind.ADDS_NEGATION: "adds {target}",
    FindingKind.SWAPS_NAME: "swaps name {source} for {target}",
    FindingKind.DESTRUCTIVE: "destructive by similarity: {target}",
    FindingKind.UNHEARD: "{target} was not heard",
    FindingKind.LEAVES_OUT: "leaves out {source}",
}


def guardrail_finding(packed: str) -> str:
    """Return in words why the guardrail forbids a rewrite.

    Args:
        packed: from `rewriter.guardrail.Finding.packed`.

    Example:
        >>> guardrail_finding("changes_value|monday|sunday|day")
        'changes day monday to sunday'
        >>> guardrail_finding("unheard|bleu|off|")
        'off was not heard in bleu'
        >>> guardrail_finding("crosses|bedroom|kitchen|12:1")
        "'bedroom' and 'kitchen' mean different things in 12 pairs of texts, the same in 1"
    """
    code, source, target, slot = packed.split("|", maxsplit=3)
    kind = FindingKind(code)
    if kind is FindingKind.CROSSES:
        changes, keeps = slot.split(":")
        return contrasted(source, target, int(changes), int(keeps))
    within = f" in {source}" if kind is FindingKind.UNHEARD and source else ""
    return _FINDINGS[kind].format(source=source, target=target, slot=slot) + within


def contrasted(one: str, other: str, changes: int, keeps: int) -> str:
    """Return in words what the log or the catalog shows of two words, either of which may be none.

    Args:
        one: a word, or an empty text.
        other: another word, or an empty text.
        changes: pairs of texts that differ in these words alone and mean different things.
        keeps: pairs of texts that differ in these words alone and mean the same.

    Example:
        >>> contrasted("lamp", "light", 1, 4)
        "'lamp' and 'light' mean different things in 1 pair of texts, the same in 4"
        >>> contrasted("", "the", 0, 11)
        "texts with and without 'the' mean different things in 0 pairs, the same in 11"
    """
    pairs = "pair" if changes == 1 else "pairs"
    if not (one and other):
        return f"texts with and without {one or other!r} mean different things in {changes} {pairs}, the same in {keeps}"
    return f"{one!r} and {other!r} mean different things in {changes} {pairs} of texts, the same in {keeps}"


# --- Hosts

_SEARCH_ROWS: Final[Mapping[SearchRow, str]] = {
    SearchRow.BROKEN: "lines that are no JSON object, left out",
    SearchRow.OTHER: "rows that are neither a query nor an event, left out",
    SearchRow.EMPTY: "queries without a word, left out",
    SearchRow.NO_CLIENT: "queries without client_id, left out",
    SearchRow.NO_TIME: "queries without a readable timestamp, left out",
    SearchRow.OTHER_APPLICATION: "queries to other applications, left out",
    SearchRow.REPEATED: "repetitions of a query id with its text, taken as the same search",
    SearchRow.SAME_SEARCH: "queries for the same text as just before, taken as the same search",
    SearchRow.LOOSE_EVENT: "events of no query that was read, left out",
}
_LEFT_OUT: Final[Mapping[LeftOut, str]] = {
    LeftOut.PERSONAL: "for single users; a file is for everybody",
    LeftOut.CONTEXT: "that depend on the context, which the format does not know",
    LeftOut.LOCALE: "for other locales; write a file for each with --locale",
    LeftOut.REVIEW: "that people blocked",
    LeftOut.WITHIN: "that would also change longer requests that work",
    LeftOut.NEAR: "that would also change similar requests that work",
    LeftOut.UNWRITABLE: "that the format cannot say",
    LeftOut.TRIAL: "that are on trial: written, but the host leaves no requests alone for comparison",
}


def search_row(kind: SearchRow) -> str:
    """Return in words what became of the rows of a search log that are no turns of their own.

    Example:
        >>> search_row(SearchRow.EMPTY)
        'queries without a word, left out'
    """
    return _SEARCH_ROWS[kind]


def left_out(why: LeftOut) -> str:
    """Return in words which rules a file for a host does not hold, or not as the artefact applies them.

    Example:
        >>> left_out(LeftOut.REVIEW)
        'that people blocked'
    """
    return _LEFT_OUT[why]


# --- Where requests break

_FAILURES: Final[Mapping[FailurePoint, str]] = {
    FailurePoint.FALSE_WAKE: "false wake",
    FailurePoint.ASR: "recognition",
    FailurePoint.NLU: "understanding",
    FailurePoint.ENTITY: "entity",
    FailurePoint.RESULT: "result",
    FailurePoint.CORRECT: "correct",
}
_SIGNS: Final[Mapping[Sign, str]] = {
    Sign.REFUSED: "refused",
    Sign.RESTATED: "restated as *{detail}*",
    Sign.REPEATED: "said again word by word",
    Sign.SOUNDS_LIKE: "sounds like *{detail}*",
    Sign.OTHER_HEARING: "another hearing holds *{detail}*",
    Sign.STRANGE_WORDS: "a word that nobody else says",
    Sign.UNSURE_HEARING: "confidence of recognition {detail}",
    Sign.UNSURE_MEANING: "confidence of the NLU {detail}",
    Sign.UNUSUAL_MEANING: "usually means {detail}",
    Sign.USUAL_MEANING: "understood as usual",
    Sign.WORDS_FAIL: "the words fail for most others too",
    Sign.VALUE_MISSED: "a known name was said and not understood",
    Sign.VALUE_FAILS: "requests with this name mostly fail",
    Sign.VALUE_CHANGED: "restated with the same intent and another value",
    Sign.INTENT_CHANGED: "restated with another intent",
    Sign.SAME_MEANING: "the restatement was understood alike",
    Sign.FAILS_TODAY: "the intent fails on this day more than usual",
    Sign.SAID_NOT_UNDERSTOOD: "the answer says it was not understood",
    Sign.SAID_NOT_FOUND: "the answer says that it was not found, or asks which one",
    Sign.SAID_TROUBLE: "the answer says that something went wrong",
    Sign.SAID_NOT_SUPPORTED: "the answer says that it cannot be done",
    Sign.STOPPED: "stopped, interrupted or complained about",
    Sign.ALONE: "refused, and nobody spoke before or after",
    Sign.CARRIED_ON: "understood, and not come back to",
}
_REMEDIES: Final[Mapping[Remedy, str]] = {
    Remedy.REWRITE: "learn rewrites (rewriter learn)",
    Remedy.TRAIN_NLU: "train the NLU (rewriter label --train)",
    Remedy.FIX_ENTITIES: "add the names to the entity list and the catalog",
    Remedy.FIX_SERVICE: "look at what carries out the request",
    Remedy.SUPPORT: "not supported: support it, or say so",
    Remedy.TUNE_WAKE: "tune the wake word; nothing to learn",
}


def failure_point(code: str) -> str:
    """Return a failure point in words.

    Example:
        >>> failure_point("asr")
        'recognition'
    """
    return _FAILURES[FailurePoint(code)]


def sign(code: Sign, detail: str = "") -> str:
    """Return a sign of a failure in words.

    Args:
        code: the sign.
        detail: its payload; empty if it has none, or if it is not known.

    Example:
        >>> sign(Sign.RESTATED, "turn off the lamp"), sign(Sign.UNUSUAL_MEANING)
        ('restated as *turn off the lamp*', 'usually means something else')
    """
    unknown = {Sign.RESTATED: "in other words", Sign.SOUNDS_LIKE: "something else", Sign.OTHER_HEARING: "what works"}
    if not detail and code in unknown:
        return _SIGNS[code].replace(" as *{detail}*", " *{detail}*").replace("*{detail}*", unknown[code])
    return _SIGNS[code].format(detail=detail or ("something else" if code == Sign.UNUSUAL_MEANING else "low"))


def remedy(code: str) -> str:
    """Return what helps against a failure, in words.

    Example:
        >>> remedy("train_nlu")
        'train the NLU (rewriter label --train)'
    """
    return _REMEDIES[Remedy(code)]


# --- Pages: what the words of tables and notes mean

TERMS: Final[Mapping[str, str]] = {
    "after a refusal": "rewriter is asked only about requests that the assistant has just refused, so none that works can break",
    "arm": "what was drawn for a request of a rule on trial: to rewrite it, or to leave it alone for comparison",
    "at worst": "wins divided by losses if every rewrite of unknown effect is counted as a loss",
    "before the NLU": "rewriter is asked about every request, before the assistant has tried to understand it",
    "bootstrap": "users are drawn again at random 2,000 times, each with all requests; the interval holds 95 % of the results",
    "broken": "a request that works as spoken and fails rewritten",
    "broken ‰, seen": "how many of 1,000 healthy requests are broken, of those whose text the log held as healthy",
    "broken ‰, unseen": "how many of 1,000 healthy requests are broken, of those whose text the log never held as healthy",
    "budget": "the largest share of losses among wins and losses that rewriting may be expected to have; 5 % by default",
    "canary": "the first stage in which a rule is sent: a tenth of its requests is left alone for comparison",
    "context": "what is known of the moment besides the words, such as the room or the hour",
    "defect": "a request that fails as spoken",
    "expected win/loss": "the ratio that the evidence for the rules lets expect when they are launched",
    "fixed": "wins minus healthy requests broken, divided by all requests that fail as spoken",
    "goal": "what the user wanted",
    "guardrail": "checks that forbid a rewrite whatever its score, such as from on to off",
    "healthy": "a request that works as it is spoken",
    "held-out": "kept out of learning, to judge what was learned",
    "hold-out": "requests of a rule that are left alone, to compare with those that are rewritten",
    "loss": "a request that works as spoken and fails rewritten, or a refusal that became a wrong action",
    "NLU": "natural-language understanding: the part of the assistant that turns a text into an intent",
    "online layer": "the part of rewriter that searches for a similar text that works when no rule knows the request",
    "P(goal)": "probability that the user of a failing text wanted what the target says",
    "P(success)": "probability that the request works when it is rewritten so",
    "P(loss)": "probability that the request works as spoken and fails rewritten",
    "P(win)": "probability that the request fails as spoken and works rewritten",
    "p50": "half of the calls took no longer than this",
    "p99": "99 of 100 calls took no longer than this",
    "personal": "for one user alone, from what that user said",
    "probation": "the stage of a rule that is tested again after bad results: half of its requests are left alone",
    "retired": "the stage of a rule that did worse than leaving requests alone; it is not sent",
    "rule": "a stored rewrite: one text that fails, and the text that is sent in its place",
    "S": "probability that a dialogue which starts at the text ends well at the target",
    "shadow": "the stage in which a rule only collects evidence; it is not sent",
    "stage": "where a rule is in its life: shadow, canary, live, probation or retired",
    "threshold": "the score that a rewrite must reach to be sent",
    "tie": "a rewritten request that is neither a win nor a loss",
    "unknown": "the log does not tell how the request would have ended",
    "win": "a request that fails as spoken and works rewritten",
    "win/loss": "number of wins divided by number of losses, with its 95 % interval",
}
"""Term -> its meaning in one phrase. A page explains those that it uses."""
_COLUMN_TERMS: Final[Mapping[str, str]] = {"defects": "defect", "broken ‰": "broken ‰, unseen", "S_ij": "S", "rule": ""}


def explained(columns: Iterable[str]) -> list[str]:
    """Return a line for each column of a table that has a special meaning.

    Example:
        >>> explained(["", "win", "turns"])
        ['win: a request that fails as spoken and works rewritten']
    """
    terms = ((column, TERMS.get(_COLUMN_TERMS.get(column, column), "")) for column in columns)
    return [f"{column}: {meaning}" for column, meaning in terms if meaning]
