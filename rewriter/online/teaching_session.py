"""`TeachingSession`: a guided talk in which a user teaches, for any host: a prompt goes in, a text comes out."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from rewriter.codes import Caution
from rewriter.errors import RewriterError
from rewriter.locks import Lock
from rewriter.model.phrases import compiled, phrases
from rewriter.online.moments import read_yes
from rewriter.online.preferences import Statement
from rewriter.online.rewriter import Rewriter
from rewriter.text import normalise

MAX_QUESTIONS: Final = 3
"""Questions that one session asks by itself."""
_OFFERED = 4  # values that a question names
_MOST_TALKS = 1_000  # users whose talk is remembered; who is silent for longest is forgotten, as by "cancel"


class TeachingSession:
    """One talk with one user. It asks about what their requests leave open, confirms, and keeps what they say.

    It understands "learn my preferences", a value or "no" after a question, statements ("i like italian restaurants"), lessons
    ("when i say movie time i mean turn on the tv"), yes and no, "repeat", "what do you know about me", "forget that", "cancel".

    Args:
        rewriter: where it is kept.
        user_id: who teaches.
        locale: BCP 47; None for the commonest of the log.

    Example:
        >>> session = TeachingSession(rewriter, "ann")  # doctest: +SKIP
        >>> session.say("learn my preferences")  # doctest: +SKIP
        'Which cuisine do you like best: italian, thai?'
    """

    def __init__(self, rewriter: Rewriter, user_id: str | int, locale: str | None = None) -> None:
        self._rewriter, self._user, self._locale = rewriter, user_id, locale
        self._words: Mapping[str, Any] = phrases(rewriter.locale_of(locale))
        self._said = ""
        self._last_id = ""
        self._queue: list[tuple[str, list[str]]] = []
        self._answer: Callable[[str], str] | None = None

    @property
    def active(self) -> bool:
        """Whether it waits for an answer; a host sends what the user says to it as long as it does."""
        return self._answer is not None

    def begins(self, text: str) -> bool:
        """Return whether a user wants to teach, or asks what is known: then a host lets the session answer."""
        said = normalise(text, self._rewriter.locale_of(self._locale))
        asked = said in (*self._words["begin"], *self._words["known"], *self._words["forget"])
        return asked or self._lesson(said) is not None or bool(self._statements(text))

    def say(self, text: str) -> str:
        """Take what the user says, and return what to say to them.

        Args:
            text: the user's words.
        """
        said = normalise(text, self._rewriter.locale_of(self._locale))
        if said in self._words["repeat"]:
            return self._said
        try:
            self._said = self._reply(text, said)
        except RewriterError:
            self._answer, self._said = None, self._words["refused"]
        return self._said

    def _reply(self, text: str, said: str) -> str:
        orders = {"cancel": self._cancel, "known": self._known, "forget": self._forget, "begin": self._begin}
        for order, obey in orders.items():
            if said in self._words[order]:
                return obey()
        if lesson := self._lesson(said):
            return self._confirm_lesson(*lesson)
        if found := self._statements(text):
            return self._confirm(found)
        return self._answer(said) if self._answer else self._unsure()

    def _cancel(self) -> str:
        self._answer, self._queue = None, []
        return str(self._words["cancelled"])

    def _begin(self) -> str:
        found = self._rewriter.open_slots(self._user, locale=self._locale)
        self._queue = [(one.slot, list(one.values)) for one in found[:MAX_QUESTIONS]]
        return self._next() or str(self._words["nothing_to_ask"])

    def _next(self) -> str:
        """Ask the next question; empty if there is none."""
        self._answer = None
        if not self._queue:
            return ""
        slot, values = self._queue.pop(0)

        def answered(said: str) -> str:
            if said in self._words["no"]:
                return self._next() or str(self._words["done"])
            named = [value for value in values if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", said)]
            return self._confirm([Statement(slot, max(named, key=len))]) if named else self._unsure()

        self._answer = answered
        return str(self._words["ask_slot"]).format(slot=slot.replace("_", " "), values=", ".join(values[:_OFFERED]))

    def _confirm(self, found: list[Statement]) -> str:
        """Ask whether a preference is meant, or which of several."""
        if len(found) > 1:

            def chosen(said: str) -> str:
                named = [one for one in found if one.slot.replace("_", " ") in said]
                return self._confirm(named) if len(named) == 1 else self._unsure()

            self._answer = chosen
            slots = ", ".join(one.slot.replace("_", " ") for one in found)
            return str(self._words["which"]).format(value=found[0].value, slots=slots)
        (one,) = found

        def keep() -> str:
            kept = self._rewriter.prefer(one.slot, one.value, user_id=self._user, over=one.over or None, locale=self._locale)
            self._queue = [(slot, values) for slot, values in self._queue if slot != one.slot]
            return kept.id

        return self._ask(str(self._words["confirm"]).format(value=one.value), keep)

    def _confirm_lesson(self, said: str, meant: str) -> str:
        """Ask whether a lesson is meant, and once more if it can do harm."""

        def keep() -> str:
            taught = self._rewriter.teach(said, meant, user_id=self._user, locale=self._locale)
            return taught.lesson.id if taught.stored else ""

        def surely() -> str:
            return self._rewriter.teach(said, meant, user_id=self._user, locale=self._locale, confirm=True).lesson.id

        shown = self._rewriter.teach(said, meant, user_id=self._user, locale=self._locale, preview=True)
        harmful = any(caution.code is Caution.DESTRUCTIVE for caution in shown.cautions)
        if harmful:
            return self._ask(str(self._words["really"]).format(meant=meant), surely)
        return self._ask(str(self._words["confirm_lesson"]).format(said=said, meant=meant), keep)

    def _ask(self, question: str, keep: Callable[[], str]) -> str:
        """Ask a question of yes and no; yes keeps something and notes its id."""

        def answered(said: str) -> str:
            yes = read_yes(said, self._rewriter.locale_of(self._locale))
            if yes is None:
                return self._unsure()
            if yes:
                self._last_id = keep()
            reply = str(self._words["stored" if yes else "not_stored"])
            return f"{reply} {self._next()}".strip()

        self._answer = answered
        return question

    def _unsure(self) -> str:
        question = self._said.removeprefix(str(self._words["unsure"]).partition("{")[0])
        return str(self._words["unsure"]).format(question=question if self._answer else "").strip()

    def _known(self) -> str:
        words = self._words
        lessons = self._rewriter.lessons(self._user)
        lines = [str(words["knows_lesson"]).format(said=one.said, meant=one.meant) for one in lessons]
        liked = self._rewriter.preferences(self._user)
        lines += [str(words["knows_preference"]).format(value=one.value) for one in liked]
        return str(words["knows"]).format(known="; ".join(lines)) if lines else str(words["knows_nothing"])

    def _forget(self) -> str:
        gone = bool(self._last_id) and self._rewriter.unteach(self._last_id)
        self._last_id = ""
        return str(self._words["forgotten" if gone else "nothing_to_forget"])

    def _statements(self, text: str) -> list[Statement]:
        return self._rewriter.read_preference(text, locale=self._locale)

    def _lesson(self, said: str) -> tuple[str, str] | None:
        """Return what is said and what is meant, if a sentence teaches a lesson."""
        for pattern in self._words["teach"]:
            if found := compiled(pattern).fullmatch(said):
                return found["said"], found["meant"]
        return None


class TeachingSessions:
    """The talks of many users, for a host that serves them all. They live in this process, and nothing of them is written.

    Args:
        rewriter: where what they teach is kept.

    Example:
        >>> TeachingSessions(rewriter).say("ann", "turn on the lamp")  # doctest: +SKIP
        ('', False)
    """

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter, self._lock = rewriter, Lock()
        self._talks: OrderedDict[tuple[str, str | int, str | None], TeachingSession] = OrderedDict()

    def say(self, user_id: str | int, text: str, locale: str | None = None) -> tuple[str, bool]:
        """Take what a user says; return what to say to her, and whether an answer is waited for.

        What is said is empty if the words are no teaching: then they are a request, and the assistant's.

        Args:
            user_id: who speaks.
            text: her words.
            locale: BCP 47; None for the commonest of the log.
        """
        key = (type(user_id).__name__, user_id, locale)
        with self._lock:
            talk = self._talks.get(key) or TeachingSession(self._rewriter, user_id, locale)
            if not talk.active and not talk.begins(text):
                return "", False
            said = talk.say(text)
            self._talks[key] = talk
            self._talks.move_to_end(key)
            if len(self._talks) > _MOST_TALKS:
                self._talks.popitem(last=False)
            return said, talk.active
