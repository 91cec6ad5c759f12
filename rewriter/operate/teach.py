"""`teach`, `prefer`, `lessons` and `unteach`: what a user taught, as functions on an artefact folder."""

from collections.abc import Sequence
from pathlib import Path

from rewriter.codes import Scope
from rewriter.online.rewriter import Rewriter
from rewriter.result import Lesson, Preference, Stated, Taught

COLUMNS = ("id", "when I say", "I mean", "locale", "for")
PREFERENCE_COLUMNS = ("id", "slot", "preferred", "over")


def teach(
    root: str | Path,
    said: str,
    meant: str | Sequence[str],
    *,
    user_id: str | int | None = None,
    household_id: str | int | None = None,
    locale: str | None = None,
    joined_by: str | None = None,
    confirm: bool = False,
) -> Taught:
    """Keep what a user teaches in the private state of an artefact folder (`Rewriter.teach`).

    Args:
        root: the artefact folder.
        said: what is said.
        meant: what is meant; a list for several steps.
        user_id: who teaches it.
        household_id: the household for which it holds; None for this user alone.
        locale: BCP 47; None for the commonest of the log.
        joined_by: what stands between several steps, such as ``" and "``.
        confirm: whether a lesson is kept that destroys, buys or unlocks something that the words do not ask for.

    Raises:
        RequestError: an argument is missing or cannot be meant.
        ArtefactError: the artefact is missing or damaged, or the disk refuses.
    """
    scope = Scope.PERSONAL if household_id is None else Scope.HOUSEHOLD
    return Rewriter.open(root).teach(
        said, meant, user_id=user_id, household_id=household_id, scope=scope, locale=locale, joined_by=joined_by, confirm=confirm
    )


def lessons(root: str | Path, user_id: str | int | None = None, *, household_id: str | int | None = None) -> list[Lesson]:
    """Return what a user taught, and what was taught for a household, the oldest first (`Rewriter.lessons`).

    Raises:
        ArtefactError: the artefact is missing or damaged.
    """
    return Rewriter.open(root).lessons(user_id, household_id=household_id)


def prefer(root: str | Path, text: str, *, user_id: str | int, locale: str | None = None) -> Stated:
    """Keep the preference that a sentence states, such as "i like italian restaurants" (`Rewriter.prefer_said`).

    Args:
        root: the artefact folder.
        text: the sentence.
        user_id: who says it.
        locale: BCP 47; None for the commonest of the log.

    Raises:
        RequestError: there is no user id, or no room for another preference.
        ArtefactError: the artefact is missing or damaged, or the disk refuses.
    """
    return Rewriter.open(root).prefer_said(text, user_id=user_id, locale=locale)


def preferences(root: str | Path, user_id: str | int) -> list[Preference]:
    """Return what a user said to prefer, the oldest first (`Rewriter.preferences`).

    Raises:
        ArtefactError: the artefact is missing or damaged.
    """
    return Rewriter.open(root).preferences(user_id)


def unteach(root: str | Path, lesson_id: str) -> bool:
    """Remove a lesson or a preference; return whether there was one (`Rewriter.unteach`).

    Raises:
        ArtefactError: the artefact is missing or damaged, or the disk refuses.
    """
    return Rewriter.open(root).unteach(lesson_id)


def row(lesson: Lesson) -> tuple[str, ...]:
    """Return a lesson as a row of a table with `COLUMNS`."""
    return lesson.id, lesson.said, lesson.meant, lesson.locale, "household" if lesson.scope is Scope.HOUSEHOLD else "you"
