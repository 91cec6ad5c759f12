"""`Rewriter`: opens an artefact and answers requests."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewriter.artefact import review, taught
from rewriter.artefact.versions import current_id, load_current, named, open_version
from rewriter.codes import Layer, Reason, Scope
from rewriter.errors import RequestError
from rewriter.model.phrases import phrases
from rewriter.online import lessons, moments, preferences
from rewriter.online.decide import answer, answer_all
from rewriter.online.options import Options, is_ours
from rewriter.online.overlay import FILE, Overlay
from rewriter.online.preferences import Statement
from rewriter.online.request import Understands, is_duration, read_user, shown
from rewriter.online.review import Review
from rewriter.online.serving import Serving
from rewriter.result import Lesson, Preference, Rewrite, Stated, Taught, Teachable
from rewriter.text import hash_user

if TYPE_CHECKING:
    from rewriter.model.slots import OpenSlot

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between two looks at CURRENT


class Rewriter:
    """Answers requests from an artefact folder, and moves on to a new version within about a second of its publication.

    Safe to use from many threads and across `fork`.

    Example:
        >>> rewriter = Rewriter.open("artefact")  # doctest: +SKIP
        >>> rewriter.rewrite("turn of the lamp", user_id="ann").text  # doctest: +SKIP
        'turn off the lamp'
    """

    __slots__ = ("_complaint", "_next_look", "_options", "_root", "_serving")

    def __init__(self, root: Path, serving: Serving, options: Options, *, stays: bool = False) -> None:
        self._root = root
        self._serving = serving
        self._options = options
        self._next_look = math.inf if stays else time.monotonic() + _LOOK_EVERY
        self._complaint = ""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        understands: Understands | None = None,
        deadline_ms: float | None = None,
        layers: Iterable[Layer | str] = tuple(Layer),
        version: str | None = None,
        hashed: bool = False,
        feedback: str | Path | None = None,
        taught_in: str | Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> "Rewriter":
        """Open the current version of an artefact, or a certain one.

        Args:
            path: the artefact folder.
            understands: the assistant's own parser: tells whether it understands a text. Before the NLU, what it understands is
                left alone unless a rule says otherwise. Nothing is sent that it does not understand, except what a user taught
                or a person wrote in review.
            deadline_ms: how long the online layer may take, milliseconds; looked at between its stages. None for no limit.
            layers: which layers are asked; all by default.
            version: id of a version to stay with, or its beginning. None for the current one, and each new one after it.
            hashed: whether user ids are given as keyed hashes, as in the tables that `learn` has written.
            feedback: the file of what users said of rewrites, one for all processes. None for ``state/feedback.jsonl`` in the
                artefact folder.
            taught_in: the file of what users taught, one for all processes of a machine. None for ``state/taught.db`` in the
                artefact folder.
            now: tells the time, seconds since 1970. It gives the day for what is drawn by day; a simulation has its own.

        Raises:
            ArtefactError: the artefact is missing, damaged or from a newer release; names the file.
            RequestError: there is no such layer, or the deadline is no number.
        """
        if deadline_ms is not None and not is_duration(deadline_ms):
            raise RequestError(f"deadline_ms is a number of milliseconds, such as 20, not {shown(deadline_ms)}")
        root = Path(path)
        overlay = Overlay(Path(feedback) if feedback else root / "state" / FILE)
        asked = _layers(layers)
        serving = load_current(root, Serving.load) if version is None else Serving.load(open_version(root, named(root, version)))
        decided = Review(root / review.FILE, serving.locales)
        known = taught.TaughtStore(Path(taught_in) if taught_in else root / "state" / taught.FILE)
        options = Options(understands, deadline_ms, asked, hashed, overlay, decided, now, known)
        return cls(root, serving, options, stays=version is not None)

    def rewrite(
        self,
        utterance: str,
        *,
        user_id: str | int | None = None,
        locale: str | None = None,
        nbest: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        after_failure: bool = False,
        household_id: str | int | None = None,
    ) -> Rewrite:
        """Return what to send to the NLU in place of an utterance. Never raises.

        Args:
            utterance: what the assistant heard.
            user_id: pseudonym of the person or household, as in the log; an integer stands for its digits. Without one, only what
                holds for everybody is looked at.
            locale: BCP 47. None for the commonest locale of the log. Falls back from ``en-US`` to ``en`` to any ``en-*``.
            nbest: other hearings, best first.
            context: scalars such as ``hour``, ``room``, ``device_type``, ``previous_utterance``, as in the log.
            after_failure: whether the NLU has already refused this utterance.
            household_id: pseudonym of the household; what was taught for it holds where the user taught nothing else.

        Returns:
            The rewritten text, or the utterance unchanged, and the reason why. Arguments of a wrong type, or too long, leave the
            utterance unchanged too: see `Rewrite.reason`.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        return answer(self._serving, self._options, utterance, user_id, locale, nbest, context, after_failure, household_id)

    def rewrite_batch(
        self,
        utterances: Iterable[str] | str,
        *,
        user_ids: Iterable[str | int | None] | str | int | None = None,
        locales: Iterable[str | None] | str | None = None,
        nbest: Iterable[Sequence[str]] = (),
        context: Iterable[Mapping[str, Any] | None] | Mapping[str, Any] | None = None,
        after_failure: Iterable[bool] | bool = False,
        household_ids: Iterable[str | int | None] | str | int | None = None,
    ) -> list[Rewrite]:
        """Rewrite many utterances, all by the same version. The arguments of each are those of `rewrite`, and so are the answers.

        Those that the online layer is asked for are encoded, searched for and measured in one go, which takes about half of the
        time. With a deadline they are not, because each has its own time.

        Args:
            utterances: what the assistant heard; a single text is a batch of one.
            user_ids: one for each utterance, or one for all; None for nobody.
            locales: one for each utterance, or one for all; None for the commonest.
            nbest: other hearings of each utterance; nothing for none at all.
            context: one for each utterance, or one for all.
            after_failure: one for each utterance, or one for all.
            household_ids: one for each utterance, or one for all; None for none.

        Raises:
            RequestError: there are more or fewer of something than utterances, or it is no list; names it.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        if not isinstance(utterances, Iterable):
            raise RequestError(f"utterances are texts, or one text, not {shown(utterances)}")
        texts, serving = [utterances] if isinstance(utterances, str | bytes) else list(utterances), self._serving
        n = len(texts)
        columns = (
            _each("user_ids", user_ids, n, (str, int)),
            _each("locales", locales, n, (str,)),
            _each("nbest", list(nbest) or None if isinstance(nbest, Iterable) else nbest, n, ()),
            _each("context", context, n, (Mapping,)),
            _each("after_failure", after_failure, n, (bool,)),
            _each("household_ids", household_ids, n, (str, int)),
        )
        return answer_all(serving, self._options, list(zip(texts, *columns, strict=True)))

    def feedback(self, rewrite_id: str, value: int, user_id: str | int) -> None:
        """Say what became of a decision. From the next call on, in every process, a rewrite that was undone is not repeated.

        It holds for this user alone, and the last word on a rewrite counts. The next `learn` takes it for evidence.

        Args:
            rewrite_id: `Rewrite.id`.
            value: -1 for undone or wrong, 1 for right, 0 to take back what was said.
            user_id: who says so, as given to `rewrite`.

        Raises:
            RequestError: `value` is none of these, there is no such user id, this artefact made no such decision, or the user has
                said more in a day than anybody does.
            ArtefactError: the disk refuses.
        """
        if isinstance(value, bool) or not isinstance(value, int) or value not in (-1, 0, 1):
            raise RequestError(f"feedback is -1, 0 or 1, not {shown(value)}")
        user = read_user(user_id)
        if isinstance(user, Reason) or not user:
            raise RequestError(
                f"feedback needs the user_id of the person who gives it, a text or an integer, not {shown(user_id)}"
            )
        key = self._serving.user_key
        if not isinstance(rewrite_id, str) or not is_ours(rewrite_id, key):
            raise RequestError(
                f"feedback is given on the id of a Rewrite that this artefact answered, not on {shown(rewrite_id)}"
            )
        hashed = user if self._options.hashed else hash_user(user, key)
        self._options.overlay.add(hashed, rewrite_id, value, int(self._options.now() * 1000))

    def teach(
        self,
        said: str,
        meant: str | Sequence[str],
        *,
        user_id: str | int | None = None,
        household_id: str | int | None = None,
        scope: Scope | str = Scope.PERSONAL,
        locale: str | None = None,
        joined_by: str | None = None,
        confirm: bool = False,
        preview: bool = False,
    ) -> Taught:
        """Keep what a user teaches: from the next call on, in every process, these words mean that (docs/teaching.md).

        It holds before all rules, for this user or household alone, and is never shared. A lesson on the same words takes the
        place of the older one. The user is told of what is odd about a lesson (`rewriter.codes.Caution`); only one that destroys,
        buys or unlocks something that the words do not ask for is not kept without `confirm`.

        Args:
            said: what is said, such as "movie time".
            meant: what is meant, such as "turn on the tv"; a list for several steps.
            user_id: who teaches it.
            household_id: for whom it holds, with ``scope="household"``.
            scope: ``personal`` or ``household``.
            locale: BCP 47; None for the commonest of the log. It holds in all locales of this language.
            joined_by: what stands between several steps in `Rewrite.text`, such as ``" and "``. An assistant that takes one
                request at a time reads `Rewrite.steps` instead.
            confirm: whether a destructive lesson is kept.
            preview: whether only the cautions are wanted, and nothing is kept.

        Raises:
            RequestError: an argument is missing or cannot be meant, or the user has `lessons.MAX_LESSONS` lessons.
            ArtefactError: the disk refuses.

        Example:
            >>> rewriter.teach("movie time", "turn on the tv", user_id="ann").stored  # doctest: +SKIP
            True
        """
        return lessons.teach(
            self._serving, self._options, said, meant, user_id=user_id, household_id=household_id, scope=scope, locale=locale,
            joined_by=joined_by, confirm=confirm, preview=preview,
        )  # fmt: skip

    def lessons(self, user_id: str | int | None = None, *, household_id: str | int | None = None) -> list[Lesson]:
        """Return what a user taught, and what was taught for a household, the oldest first.

        Raises:
            RequestError: an id is no id.
        """
        user = lessons.owner_of(self._serving, self._options, user_id)
        household = lessons.owner_of(self._serving, self._options, household_id, household=True)
        rows = [row for owner in (user, household) if owner for row in self._options.taught.lessons(owner)]
        return [lessons.shown_lesson(row, user) for row in rows]

    def unteach(self, lesson_id: str) -> bool:
        """Remove a lesson or preference, from the next call on, in every process; return whether there was one.

        Args:
            lesson_id: `Lesson.id` or `Preference.id`.

        Raises:
            ArtefactError: the disk refuses.
        """
        return self._options.taught.unteach(str(lesson_id))

    def prefer(
        self, slot: str, value: str, *, user_id: str | int, over: str | None = None, locale: str | None = None
    ) -> Preference:
        """Keep which value of a slot a user prefers: from the next call on it decides what requests leave open.

        It acts as a habit of `Config.teaching.preference_turns` turns, fades with turns to the contrary, and is never shared
        (docs/teaching.md).

        Args:
            slot: as hypotheses of the log or catalog name it, such as ``cuisine``.
            value: as they fill it, such as ``italian``.
            user_id: who prefers it.
            over: the only value that it is preferred to; None for all others.
            locale: BCP 47, whose slots are meant; None for the commonest of the log.

        Raises:
            RequestError: there is no such slot or value, or the user has `preferences.MAX_PREFERENCES` of them.
            ArtefactError: the disk refuses.
        """
        return preferences.prefer(self._serving, self._options, slot, value, user_id=user_id, over=over, locale=locale)

    def prefer_said(self, text: str, *, user_id: str | int, locale: str | None = None) -> Stated:
        """Keep the preference that a sentence states, such as "i'm a warriors fan", if it says one thing.

        Args:
            text: the sentence.
            user_id: who says it.
            locale: BCP 47; None for the commonest of the log.

        Returns:
            The preference; or, where the sentence can mean several things, what these are; or nothing for any other sentence.

        Raises:
            RequestError: there is no user id, or no room for another preference.
            ArtefactError: the disk refuses.
        """
        return preferences.prefer_said(self._serving, self._options, text, user_id=user_id, locale=locale)

    def preferences(self, user_id: str | int) -> list[Preference]:
        """Return what a user said to prefer, the oldest first.

        Raises:
            RequestError: the id is no id.
        """
        user = lessons.owner_of(self._serving, self._options, user_id)
        return [preferences.shown_preference(row) for row in self._options.taught.preferences(user)] if user else []

    def open_slots(self, user_id: str | int, *, locale: str | None = None) -> "list[OpenSlot]":
        """Return the slots that a user's requests leave open and nobody has stated, those whose answer tells most first.

        Args:
            user_id: whose requests.
            locale: BCP 47; None for the commonest of the log.

        Raises:
            RequestError: the id is no id.
        """
        return preferences.unstated(self._serving, self._options, user_id, locale)

    def read_preference(self, text: str, *, locale: str | None = None) -> list[Statement]:
        """Return what a sentence says about preferences: nothing, one thing, or all things that it may mean. Nothing is kept."""
        known = preferences.vocabulary(self._serving, locale)
        return preferences.read_statement(text, known, phrases(self.locale_of(locale)))

    def locale_of(self, locale: str | None) -> str:
        """Return the locale in which a request is answered that names this one; the commonest of the log for None."""
        return self._serving.locale_of(locale)

    def answer(self, asked: Teachable, answer: bool | str, *, user_id: str | int) -> Taught | None:
        """Take a user's answer to `Rewrite.teachable`: yes teaches the lesson, no is remembered and not asked again.

        Args:
            asked: the moment.
            answer: True, False, or words for yes or no in its language.
            user_id: who answers.

        Returns:
            What was taught; None after a no.

        Raises:
            RequestError: the words say neither yes nor no, or there is no user id.
            ArtefactError: the disk refuses.
        """
        return moments.answer_moment(self._serving, self._options, asked, answer, user_id=user_id)

    def _look(self) -> None:
        """Move on to the version that `CURRENT` names, if it is another and whole."""
        self._next_look = time.monotonic() + _LOOK_EVERY
        try:
            if current_id(self._root) != self._serving.id:
                self._serving = load_current(self._root, Serving.load)
            self._complaint = ""
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new version, the old one serves
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.warning("version %s goes on serving: %s", self._serving.id, error)


def _layers(named: Iterable[Layer | str]) -> frozenset[Layer]:
    names = [named] if isinstance(named, str) else list(named)
    try:
        return frozenset(map(Layer, names))
    except ValueError as error:
        raise RequestError(f"{error}: layers are any of {', '.join(Layer)}") from error


def _each(name: str, given: Any, n: int, single: tuple[type, ...]) -> Sequence[Any]:  # noqa: ANN401 - a column of any type
    """Return one value for each of n utterances."""
    if given is None or isinstance(given, single):
        return [given] * n
    if not isinstance(given, Iterable):
        raise RequestError(f"{name} must be one for all utterances or one for each, not {shown(given)}")
    values = list(given)
    if len(values) != n:
        raise RequestError(f"{name} must be one for all utterances or one for each: {len(values)} are given for {n} utterances")
    return values
