"""`search`: one query to a search that may find nothing, rewritten and kept as a turn. The retrieval frameworks share it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rewriter.connect.dialogue import Dialogue, Turn

T = TypeVar("T")


def search(
    talk: Dialogue,
    find: Callable[[str], Sequence[T]],
    query: str,
    *,
    user_id: str,
    locale: str | None = None,
    before: bool = True,
) -> Sequence[T]:
    """Return what a search finds for a query. If it finds nothing as typed, it is asked once more in other words.

    Args:
        talk: what rewrites, and keeps the turns.
        find: the search.
        query: as typed.
        user_id: pseudonym of who asks.
        locale: BCP 47.
        before: whether queries are rewritten before the first search too.

    Raises:
        Exception: what `find` raises; the turn is then kept as failed.
    """
    turn = _begin(talk, query, user_id, locale, before=before)
    try:
        found = find(turn.text)
        if not found and (better := _better(talk, turn)):
            turn = better
            found = find(turn.text)
    except BaseException:
        talk.end(turn, "failed")
        raise
    talk.end(turn, "ok" if found else "failed")
    return found


async def asearch(
    talk: Dialogue,
    find: Callable[[str], Awaitable[Sequence[T]]],
    query: str,
    *,
    user_id: str,
    locale: str | None = None,
    before: bool = True,
) -> Sequence[T]:
    """Do what `search` does, with a search that is awaited."""
    turn = _begin(talk, query, user_id, locale, before=before)
    try:
        found = await find(turn.text)
        if not found and (better := _better(talk, turn)):
            turn = better
            found = await find(turn.text)
    except BaseException:
        talk.end(turn, "failed")
        raise
    talk.end(turn, "ok" if found else "failed")
    return found


def _begin(talk: Dialogue, query: str, user_id: str, locale: str | None, *, before: bool) -> Turn:
    return talk.hear(query, user_id=user_id, locale=locale) if before else talk.begin(query, user_id=user_id, locale=locale)


def _better(talk: Dialogue, turn: Turn) -> Turn | None:
    """Return a turn with other words than those that found nothing; None if there are none."""
    if turn.rewritten:
        return None
    again = talk.retry(turn)
    return again if again.rewritten else None
