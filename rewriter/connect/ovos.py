"""Open Voice OS: `RewriterTransformer`, an utterance transformer, mends requests in ovos-core.

`RewriterTransformer` is found by the plug-in manager under the name ``ovos-rewriter-plugin``. It runs inside ovos-core, and hears
on the message bus what became of each request.
"""

import atexit
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Timer
from typing import Any, Final

from ovos_bus_client.message import Message
from ovos_plugin_manager.templates.transformers import UtteranceTransformer

from rewriter.connect.dialogue import Dialogue, Turn
from rewriter.connect.ovos_skills import REFUSALS
from rewriter.locks import Lock
from rewriter.model.hypothesis import hypothesis

NAME: Final = "ovos-rewriter-plugin"
_KEY = "rewriter"  # in the context of every message about a request
_SETTLES = 0.5  # seconds: the bus hands its messages to several threads, so the last one may overtake others
_OPEN = 256  # requests whose outcome is awaited
_NO_SLOTS = frozenset({"utterance", "utterances", "lang", "conf", "intent_type", "intent_name", "skill_id", "session", "type"})


@dataclass(slots=True)
class _Open:
    """A request whose outcome is awaited, and what is known of it."""

    turn: Turn
    status: str | None = None
    hypothesis: str | None = None
    said: list[str] = field(default_factory=list)
    again: bool = False


class RewriterTransformer(UtteranceTransformer):
    """Rewrites a request before the intent services see it, and asks again in other words what they all refused.

    Settings, in ``mycroft.conf`` below ``utterance_transformers`` and ``ovos-rewriter-plugin``:

    - ``artefact``: the artefact folder, required. It may be missing: then requests pass unchanged, and are kept;
    - ``turns``: folder in which the turns are kept, for `learn`;
    - ``user``: whose requests they are where a message does not say (``home``). A message says it in its context as ``user_id``,
      or by a session of its own, as satellites have;
    - ``retry``: whether what no skill took is asked again (true);
    - ``refusals``: ids of fallback skills that only say that nothing was understood.
    """

    def __init__(self, name: str = NAME, priority: int = 40, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, priority, config)
        if not self.config.get("artefact"):
            raise ValueError(f"{NAME} needs the artefact folder: set utterance_transformers.{NAME}.artefact in mycroft.conf")
        self._talk = Dialogue(self.config["artefact"], self.config.get("turns"))
        self._user = str(self.config.get("user", "home"))
        self._refusals = frozenset(self.config.get("refusals", REFUSALS))
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._lock = Lock()
        atexit.register(self.default_shutdown)
        self.bind()
        self.bus.on("message", self.on_message)

    def transform(self, utterances: list[str], context: dict[str, Any] | None = None) -> tuple[list[str], dict[str, Any]]:
        """Return what to parse, and what to add to the context of the request.

        Args:
            utterances: hearings of one utterance, best first.
            context: of the message on the bus.
        """
        known = context or {}
        if not utterances or known.get(_KEY, {}).get("again"):
            return utterances, {}
        turn = self._talk.hear(
            utterances[0], nbest=utterances[1:], user_id=self._user_of(known), locale=known.get("lang"), session_id=None
        )
        with self._lock:
            self._open[turn.id] = _Open(turn)
            late = self._open.popitem(last=False)[1] if len(self._open) > _OPEN else None
        if late is not None:
            self._end(late)
        added = {_KEY: {"turn": turn.id, "said": turn.utterance, "id": turn.answer and turn.answer.id}}
        return ([turn.text, *utterances[1:]] if turn.rewritten else utterances), added

    def on_message(self, raw: str) -> None:
        """Take note of a message on the bus that belongs to a request."""
        if f'"{_KEY}"' not in raw:
            return
        message = Message.deserialize(raw)
        mark = message.context.get(_KEY) or {}
        with self._lock:
            found = self._open.get(mark.get("turn", ""))
        if found is None or found.again != bool(mark.get("again")):
            return
        self._note(found, message)
        if message.msg_type == "ovos.utterance.handled":
            later = Timer(_SETTLES, self._settle, [found.turn.id, found.again])
            later.daemon = True
            later.start()

    def default_shutdown(self) -> None:
        """Keep what is known, and close the file of turns."""
        with self._lock:
            late, self._open = list(self._open.values()), OrderedDict()
        for each in late:
            self._end(each)
        self._talk.close()

    shutdown = default_shutdown  # the name that ovos-core calls

    def _settle(self, turn: str, again: bool) -> None:
        """Keep a turn that is done, if it was not asked again in the meantime."""
        with self._lock:
            done = self._open.pop(turn) if turn in self._open and self._open[turn].again == again else None
        if done is not None:
            self._end(done)

    def _note(self, found: _Open, message: Message) -> None:
        kind, skill = message.msg_type, message.context.get("skill_id") or ""
        if kind == "complete_intent_failure" or (kind.startswith("ovos.skills.fallback.") and self._refuses(kind)):
            found.status = "failed"
            self._ask_again(found, message)
        elif kind == "mycroft.skill.handler.error":
            found.status = "failed"
        elif kind == "speak":
            found.said.append(str(message.data.get("utterance", "")))
        elif found.status is None and (skill and kind.startswith(f"{skill}:")):
            slots = {key: value for key, value in message.data.items() if isinstance(value, str) and key not in _NO_SLOTS}
            found.status, found.hypothesis = "ok", hypothesis(kind, slots)
        elif found.status is None and kind.startswith("ovos.skills.fallback.") and kind.endswith(".start"):
            found.status = "ok"

    def _refuses(self, kind: str) -> bool:
        return kind.removeprefix("ovos.skills.fallback.").rpartition(".")[0] in self._refusals

    def _ask_again(self, found: _Open, message: Message) -> None:
        """Send a refused request once more in other words, if there are better ones."""
        if found.again or found.turn.rewritten or not self.config.get("retry", True):
            return
        turn = self._talk.retry(found.turn)
        if not turn.rewritten:
            return
        found.turn, found.again, found.status = turn, True, None
        mark = {"turn": turn.id, "said": turn.utterance, "id": turn.answer and turn.answer.id, "again": True}
        context = {key: value for key, value in message.context.items() if key not in ("source", "destination", "skill_id")}
        data = {"utterances": [turn.text], "lang": message.context.get("lang")}
        self.bus.emit(Message("recognizer_loop:utterance", data, context | {_KEY: mark}))

    def _end(self, found: _Open) -> None:
        said = " ".join(found.said) or None
        self._talk.end(found.turn, found.status, hypothesis=found.hypothesis, response=said)

    def _user_of(self, context: Mapping[str, Any]) -> str:
        session = str((context.get("session") or {}).get("session_id") or "default")
        return str(context.get("user_id") or (self._user if session == "default" else session))
