"""`RewritingAgent`: a conversation agent that wraps another one and mends the requests that it refuses."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from homeassistant.components import conversation
from homeassistant.const import MATCH_ALL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry, device_registry, intent
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .const import CONF_AGENT, CONF_ASK, CONF_BEFORE, HOME, PATIENCE, SILENCE, TALKS, UNDO_WITHIN
from .engine import Recognise, Request
from .turns import decided, outcome

if TYPE_CHECKING:
    from rewriter.online.teaching_session import TeachingSession
    from rewriter.result import Rewrite, Teachable

    from . import RewriterEntry

_LOGGER = logging.getLogger(__name__)
_REFUSALS = {intent.IntentResponseErrorCode.NO_INTENT_MATCH, intent.IntentResponseErrorCode.NO_VALID_TARGETS}
_PASSED_ON = {"satellite_id", "extra_system_prompt"} & set(inspect.signature(conversation.async_converse).parameters)
"""What newer versions of Home Assistant give to an agent besides."""


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant gives it
    entry: RewriterEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the agent."""
    agent = RewritingAgent(entry)
    entry.runtime_data.agent = agent
    async_add_entities([agent])


@dataclass(slots=True)
class Talk:
    """What is remembered of a speaker at a device, until it is silent for `SILENCE` seconds.

    Attributes:
        session_id: of the log.
        heard_at: when something was heard last, monotonic seconds.
        mended: the last rewrite that was sent, for an undo.
        mended_at: when.
        question: what the agent has asked: a lesson to be confirmed, or a text that may have been meant.
        teaching: a guided talk; it remembers what it kept last, for "forget that".
    """

    session_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    heard_at: float = 0.0
    mended: Rewrite | None = None
    mended_at: float = 0.0
    question: Teachable | str | None = None
    teaching: TeachingSession | None = None


class RewritingAgent(conversation.ConversationEntity):
    """Asks the wrapped agent first. What it refuses is rewritten and asked once more.

    Whatever goes wrong with rewriter, the answer is that of the wrapped agent.
    """

    _attr_has_entity_name = True
    _attr_name = "Rewriter"

    def __init__(self, entry: RewriterEntry) -> None:
        self._attr_unique_id = entry.entry_id
        self._home = entry.runtime_data
        self._agent_id: str = entry.options[CONF_AGENT]
        self._before, self._asks = bool(entry.options[CONF_BEFORE]), bool(entry.options[CONF_ASK])
        self._talks: OrderedDict[tuple[str, str | None], Talk] = OrderedDict()

    @property
    def supported_languages(self) -> list[str] | Literal["*"]:
        """Return the languages of the wrapped agent."""
        agent = self._agent()
        return MATCH_ALL if agent is None else agent.supported_languages

    @property
    def supported_features(self) -> conversation.ConversationEntityFeature:
        """Return what the wrapped agent can do."""
        features = getattr(self._agent(), "supported_features", None)
        return conversation.ConversationEntityFeature(0) if features is None else features

    async def async_prepare(self, language: str | None = None) -> None:
        """Let the wrapped agent load its sentences."""
        agent = self._agent()
        if agent is not None:
            await agent.async_prepare(language)

    async def async_process(self, user_input: conversation.ConversationInput) -> conversation.ConversationResult:
        """Answer a request."""
        talk = self._talk(user_input)
        self._home.languages.add(user_input.language)
        try:
            answered = await self._own(user_input, talk)
        except Exception:
            _LOGGER.exception("What is said to rewriter itself could not be answered")
            answered = None
        return answered or await self._request(user_input, talk)

    async def async_undo(self, user_input: conversation.ConversationInput | intent.Intent) -> str:
        """Take back the last rewrite of a speaker, and return what to say; the intent `RewriterUndo` comes here too."""
        language, talk = user_input.language, self._talk(user_input)
        answer, talk.mended = talk.mended, None
        if answer is None or time.monotonic() - talk.mended_at > UNDO_WITHIN:
            return await self._blocking(self._home.engine.speech, "nothing_to_undo", language)
        await self._blocking(self._home.engine.undo, answer, _speaker(user_input))
        return await self._blocking(_with(self._home.engine.speech, said=answer.source, sent=answer.text), "undone", language)

    def forget(self, user_id: str) -> None:
        """Drop what is remembered of a user."""
        for key in [key for key in self._talks if key[0] == user_id]:
            del self._talks[key]

    # What is said to rewriter itself

    async def _own(self, user_input: conversation.ConversationInput, talk: Talk) -> conversation.ConversationResult | None:
        """Answer an undo, yes or no to a question, and what teaches; None for a request."""
        engine, text, language = self._home.engine, user_input.text, user_input.language
        if talk.teaching is not None and talk.teaching.active:
            return await self._taught(user_input, talk.teaching)
        question, talk.question = talk.question, None
        if question is not None:
            yes = await self._blocking(engine.says_yes, text, language)
            if yes is not None:
                return await self._answered(user_input, talk, question, yes=yes)
        if talk.mended is not None and await self._blocking(engine.says_undo, text, language):
            said = await self.async_undo(user_input)
            await self._log(user_input, talk, None, None)
            return _spoken(user_input, said, goes_on=True)
        session = await self._blocking(engine.teaches, text, _speaker(user_input), language, talk.teaching)
        if session is None or await self._recognises(text, user_input):
            return None
        talk.teaching = session
        return await self._taught(user_input, session)

    async def _taught(
        self, user_input: conversation.ConversationInput, session: TeachingSession
    ) -> conversation.ConversationResult:
        said = await self._blocking(self._home.engine.say, session, user_input.text, self._recognise_as(user_input))
        return _spoken(user_input, said, goes_on=session.active)

    async def _answered(
        self, user_input: conversation.ConversationInput, talk: Talk, question: Teachable | str, *, yes: bool
    ) -> conversation.ConversationResult:
        """Take yes or no. After a yes the text is sent, and counts as if the user had said it herself."""
        if not isinstance(question, str):
            recognise = self._recognise_as(user_input)
            await self._blocking(self._home.engine.accept, question, yes, _speaker(user_input), recognise)
        if not yes:
            return _spoken(user_input, await self._blocking(self._home.engine.speech, "no", user_input.language), goes_on=False)
        meant = replace(user_input, text=question if isinstance(question, str) else question.meant)
        result = await self._converse(meant, meant.text)
        await self._log(meant, talk, None, result)
        return result

    # Requests

    async def _request(self, user_input: conversation.ConversationInput, talk: Talk) -> conversation.ConversationResult:
        """Send what was heard, or a rewrite of it, and write the turn down."""
        engine = self._home.engine
        asked = self._asked(user_input)
        first = await self._decided(engine.before, asked)
        if first is not None and first.applied:
            result, acted = await self._sent(user_input, first)
            await self._log(user_input, talk, first, result)
            if result is not None and (acted or not _is_refused(result)):
                return self._mended(talk, first, result)
        result = await self._converse(user_input, user_input.text)
        if not _is_refused(result):
            await self._log(user_input, talk, first if self._before and not _applied(first) else None, result)
            return result
        second = await self._decided(engine.after, asked)
        if second is not None and second.applied and not (first is not None and first.text == second.text):
            mended, acted = await self._sent(user_input, second)
            await self._log(user_input, talk, second, mended or result)
            if mended is not None and (acted or not _is_refused(mended)):
                return self._mended(talk, second, mended)
            return result
        await self._log(user_input, talk, second if not _applied(second) else None, result)
        return await self._offered(user_input, talk, second, result)

    async def _decided(self, decide: Callable[[Request], Rewrite | None], asked: Request) -> Rewrite | None:
        try:
            return await self._blocking(decide, asked)
        except Exception:
            _LOGGER.exception("A request is left as it is")
            return None

    async def _sent(
        self, user_input: conversation.ConversationInput, answer: Rewrite
    ) -> tuple[conversation.ConversationResult | None, bool]:
        """Send a rewrite, step by step; return the last result, and whether anything was done."""
        said: list[str] = []
        result: conversation.ConversationResult | None = None
        try:
            for step in answer.steps or (answer.text,):
                result = await self._converse(user_input, step)
                if _is_refused(result):
                    return result, bool(said)
                said.append(result.response.speech.get("plain", {}).get("speech") or "")
        except Exception:
            _LOGGER.exception("The agent could not answer a rewrite")
            return result, bool(said)
        if result is not None and len(said) > 1:
            result.response.async_set_speech(" ".join(filter(None, said)))
        return result, True

    def _mended(self, talk: Talk, answer: Rewrite, result: conversation.ConversationResult) -> conversation.ConversationResult:
        talk.mended, talk.mended_at = answer, time.monotonic()
        return result

    async def _offered(
        self,
        user_input: conversation.ConversationInput,
        talk: Talk,
        answer: Rewrite | None,
        result: conversation.ConversationResult,
    ) -> conversation.ConversationResult:
        """Add a question to a refusal where there is something that was probably meant."""
        if answer is None or not self._asks or not (answer.teachable or answer.suggestion):
            return result
        if answer.teachable:
            talk.question, said = answer.teachable, answer.teachable.question
        else:
            talk.question = answer.suggestion
            speak = _with(self._home.engine.speech, meant=answer.suggestion)
            said = await self._blocking(speak, "did_you_mean", user_input.language)
        refusal = result.response.speech.get("plain", {}).get("speech") or ""
        result.response.async_set_speech(f"{refusal}. {said}" if refusal[-1:].isalnum() else f"{refusal} {said}".strip())
        result.continue_conversation = True
        return result

    # The wrapped agent

    def _agent(self) -> Any:  # noqa: ANN401 - agents are entities or, in older integrations, not
        try:
            return conversation.async_get_agent(self.hass, self._agent_id)
        except (KeyError, ValueError):
            return None

    async def _converse(self, user_input: conversation.ConversationInput, text: str) -> conversation.ConversationResult:
        """Let the wrapped agent answer a text."""
        return await conversation.async_converse(
            self.hass,
            text=text,
            conversation_id=user_input.conversation_id,
            context=user_input.context,
            language=user_input.language,
            agent_id=self._agent_id,
            device_id=user_input.device_id,
            **{name: getattr(user_input, name, None) for name in _PASSED_ON},
        )

    async def _recognises(self, text: str, user_input: conversation.ConversationInput) -> bool:
        """Return whether the wrapped agent would understand a text; nothing is done. False where its parser cannot be asked."""
        agent, probe = self._agent(), replace(user_input, text=text)
        if not hasattr(agent, "async_recognize_intent"):
            return False
        if await agent.async_recognize_sentence_trigger(probe):
            return True
        found = await agent.async_recognize_intent(probe, strict_intents_only=True)
        return found is not None and not found.unmatched_entities

    def _recognise_as(self, user_input: conversation.ConversationInput) -> Recognise | None:
        """Return the agent's parser for a thread of the executor."""
        if not hasattr(self._agent(), "async_recognize_intent"):
            return None

        def recognise(text: str) -> bool:
            asked = asyncio.run_coroutine_threadsafe(self._recognises(text, user_input), self.hass.loop)
            return asked.result(PATIENCE)

        return recognise

    # The log

    def _asked(self, user_input: conversation.ConversationInput) -> Request:
        recognise = self._recognise_as(user_input)
        return Request(user_input.text, _speaker(user_input), user_input.language, self._moment(user_input), recognise)

    def _moment(self, user_input: conversation.ConversationInput) -> dict[str, Any]:
        found: dict[str, Any] = {"hour": dt_util.now().hour}
        device = device_registry.async_get(self.hass).async_get(user_input.device_id) if user_input.device_id else None
        area = area_registry.async_get(self.hass).async_get_area(device.area_id) if device and device.area_id else None
        return found | ({"room": area.name} if area else {})

    def _talk(self, user_input: conversation.ConversationInput | intent.Intent) -> Talk:
        """Return the talk that goes on, or begin one."""
        key, now = (_speaker(user_input), user_input.device_id), time.monotonic()
        talk = self._talks.pop(key, None)
        if talk is None or now - talk.heard_at > SILENCE:
            talk = Talk()
        talk.heard_at = now
        self._talks[key] = talk
        while len(self._talks) > TALKS:
            self._talks.popitem(last=False)
        return talk

    async def _log(
        self,
        user_input: conversation.ConversationInput,
        talk: Talk,
        answer: Rewrite | None,
        result: conversation.ConversationResult | None,
    ) -> None:
        """Write a turn down; a full disk costs the turn and nothing else."""
        turn = {
            "turn_id": uuid.uuid4().hex,
            "user_id": _speaker(user_input),
            "timestamp": dt_util.utcnow().isoformat(),
            "utterance": user_input.text,
            "session_id": talk.session_id,
            "locale": user_input.language,
            "device_id": user_input.device_id,
            "context": self._moment(user_input),
            **(outcome(result.response) if result is not None else {}),
            **decided(answer),
        }
        try:
            await self.hass.async_add_executor_job(self._home.turns.append, turn)
        except Exception:
            _LOGGER.exception("A turn could not be written down")

    async def _blocking(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        """Run a function in the executor, and wait for `PATIENCE` seconds at most."""
        job: Awaitable[Any] = self.hass.async_add_executor_job(function, *arguments)
        return await asyncio.wait_for(job, PATIENCE)


def _speaker(user_input: conversation.ConversationInput | intent.Intent) -> str:
    return user_input.context.user_id or HOME


def _applied(answer: Rewrite | None) -> bool:
    return answer is not None and answer.applied


def _is_refused(result: conversation.ConversationResult) -> bool:
    return result.response.error_code in _REFUSALS


def _with(function: Callable[..., Any], **named: Any) -> Callable[..., Any]:  # noqa: ANN401
    return lambda *arguments: function(*arguments, **named)


def _spoken(user_input: conversation.ConversationInput, said: str, *, goes_on: bool) -> conversation.ConversationResult:
    """Return what rewriter itself says."""
    response = intent.IntentResponse(language=user_input.language)
    response.async_set_speech(said)
    conversation_id = user_input.conversation_id or uuid.uuid4().hex
    return conversation.ConversationResult(response, conversation_id, continue_conversation=goes_on)
