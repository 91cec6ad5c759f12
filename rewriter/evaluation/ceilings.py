"""The ceilings: what no rewriter of a kind can pass on these turns, however good, because of what the log holds."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from rewriter.evaluation.judge import LoggedTurn
from rewriter.evaluation.outcomes import Outcomes, defects
from rewriter.text import normalise


def exact_ceiling(outcomes: Outcomes, log: Iterable[LoggedTurn], *, min_users: int) -> float:
    """Return the share of defects within reach of exact rules.

    In reach is a text that failed in the log for `min_users` users, or for the user who says it again.

    Args:
        outcomes: the judged turns.
        log: what was learned from.
        min_users: distinct users behind a global rule.

    Returns:
        0..1; NaN where nothing failed.
    """
    failed_for: dict[str, set[str]] = defaultdict(set)
    for turn in log:
        if turn.failed:
            failed_for[normalise(turn.text)].add(turn.user)

    def reached(user: str, source: str) -> bool:
        users = failed_for.get(normalise(source), set())
        return user in users or len(users) >= min_users

    bad = defects(outcomes)
    return _mean(reached(u, s) for u, s in zip(outcomes.user[bad], outcomes.source[bad], strict=True))


def online_ceiling(outcomes: Outcomes, log: Iterable[LoggedTurn]) -> float:
    """Return the share of defects whose goal succeeded in the log by any wording; 0..1, NaN where nothing failed."""
    reachable = {turn.goal for turn in log if not turn.failed and turn.goal}
    return _mean(goal in reachable for goal in outcomes.goal[defects(outcomes)])


def _mean(flags: Iterable[bool]) -> float:
    values = np.fromiter(flags, dtype=bool)
    return float(values.mean()) if len(values) else float("nan")
