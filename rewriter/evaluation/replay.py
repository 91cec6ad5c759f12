"""`replay`: outcomes on a real log, where nobody can ask the assistant again, from what the log itself tells."""

from collections.abc import Container, Mapping, Sequence

from rewriter.evaluation.outcomes import (
    FAILED_HONESTLY,
    LEFT_ALONE,
    OK,
    UNKNOWN,
    WRONG,
    Judged,
    Outcome,
    Outcomes,
    Proposal,
    ask,
    gather,
    proposal_of,
)
from rewriter.evaluation.recorded import REFUSED, Turn, answers, goals
from rewriter.simulation.world import Rewriting
from rewriter.text import normalise


def replay(
    turns: Sequence[Turn], rewrite: Rewriting, *, after_failure: bool, marked: bool = False, healthy_in_log: Container[str] = ()
) -> Outcomes:
    """Return what became of each turn of a log, and what would have become of it rewritten.

    The outcome of a text is the answer that the log gave it, where that is nearly always the same (`recorded.answers`); the
    goal is what the log marks, or what a fixed strict rule tells (`recorded.goals`). What neither tells is ``unknown``. The
    figures mean something only if the rewriter did not learn from these turns.

    Args:
        turns: ordered by user and time, as `recorded.load` gives them.
        rewrite: the rewriting function, such as `Rewriter.open(DIR).rewrite`.
        after_failure: ask it only about turns that the assistant refused; else about all.
        marked: the goal of each turn is its `truth`, unknown where that is None; else the strict rule tells it.
        healthy_in_log: the normalised texts that the log it learned from holds as healthy.

    Returns:
        One row per turn, in the same order.
    """
    known = answers(turns)
    wanted = [t.truth for t in turns] if marked else goals(turns)

    def one(turn: Turn, goal: str | None) -> Judged:
        spoken = grade(_spoken(turn, known), goal)
        proposal, latency = LEFT_ALONE, float("nan")
        if spoken == FAILED_HONESTLY or not after_failure:
            proposal, latency = ask(turn.utterance, lambda: _propose(rewrite, turn, after_failure))
        rewritten = spoken if proposal.text is None else grade(known.get((turn.locale, normalise(proposal.text))), goal)
        seen = normalise(turn.utterance) in healthy_in_log
        return Judged(turn.user, turn.utterance, goal or "", spoken, rewritten, proposal, seen, latency)

    return gather([one(turn, goal) for turn, goal in zip(turns, wanted, strict=True)], {})


def grade(answer: str | None, goal: str | None) -> Outcome:
    """Compare an answer, None if unknown, with a goal, None if unknown; a refusal is a failure whatever was wanted."""
    if answer == REFUSED:
        return FAILED_HONESTLY
    if answer is None or goal is None:
        return UNKNOWN
    return OK if answer == goal else WRONG


def _spoken(turn: Turn, known: Mapping[tuple[str, str], str]) -> str | None:
    """Return how the turn was answered; where the log shows a rewrite, how what was said is answered otherwise."""
    return known.get((turn.locale, normalise(turn.utterance))) if turn.rewritten else turn.answer


def _propose(rewrite: Rewriting, turn: Turn, after_failure: bool) -> Proposal:
    result = rewrite(
        turn.utterance,
        user_id=turn.speaker,
        locale=turn.locale,
        nbest=turn.nbest,
        context=turn.context,
        after_failure=after_failure,
    )
    return proposal_of(result)
