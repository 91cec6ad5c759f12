"""Rewriter for Home Assistant: wraps a conversation agent, mends what it refuses, and learns from what people say next."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import voluptuous as vol
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import intent
from homeassistant.helpers.event import async_track_time_change
from homeassistant.helpers.typing import ConfigType

from .const import CONF_BEFORE, CONF_COMMAND, CONF_KEEP_DAYS, CONF_NIGHTLY, DEFAULTS, DOMAIN, INTENT_UNDO
from .engine import Engine
from .learning import Learner
from .turns import TurnLog

if TYPE_CHECKING:
    from .conversation import RewritingAgent

_LOGGER = logging.getLogger(__name__)
_NIGHT = {"hour": 3, "minute": 20, "second": 0}
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
_FORGET = vol.Schema({vol.Optional("user_id"): cv.string})


@dataclass
class Home:
    """What an entry holds while it is loaded.

    Attributes:
        engine: answers.
        turns: the log.
        learner: runs the side processes.
        keep_days: how long turns are kept.
        languages: that people spoke since the start; the catalog is made for these.
        agent: the entity.
    """

    engine: Engine
    turns: TurnLog
    learner: Learner
    keep_days: int
    languages: set[str] = field(default_factory=set)
    agent: RewritingAgent | None = None

    async def learn(self) -> dict[str, Any]:
        """Learn from all turns."""
        return await self.learner.learn(sorted(self.languages), self.keep_days, then=self.engine.warm)

    async def forget(self, user_id: str) -> dict[str, Any]:
        """Erase a user."""
        if self.agent is not None:
            self.agent.forget(user_id)
        return await self.learner.forget(user_id)


RewriterEntry: TypeAlias = ConfigEntry[Home]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant gives it
    """Register services and the intent."""

    async def learn(call: ServiceCall) -> dict[str, Any]:
        await _only_admins(hass, call)
        return await _home(hass).learn()

    async def forget(call: ServiceCall) -> dict[str, Any]:
        user_id = call.data.get("user_id") or call.context.user_id
        if user_id is None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="whom")
        if user_id != call.context.user_id:
            await _only_admins(hass, call)
        return await _home(hass).forget(user_id)

    hass.services.async_register(DOMAIN, "learn", learn, vol.Schema({}), supports_response=SupportsResponse.OPTIONAL)
    hass.services.async_register(DOMAIN, "forget", forget, _FORGET, supports_response=SupportsResponse.OPTIONAL)
    intent.async_register(hass, UndoHandler())
    return True


async def async_setup_entry(hass: HomeAssistant, entry: RewriterEntry) -> bool:
    """Set the agent up. The first time it learns what can be said in this home."""
    options = DEFAULTS | dict(entry.options)
    folder = Path(hass.config.path(DOMAIN))
    turns = TurnLog(folder / "turns")
    learner = Learner(hass, folder, turns, options[CONF_COMMAND])
    engine = Engine(learner.artefact, before=options[CONF_BEFORE])
    entry.runtime_data = Home(engine, turns, learner, int(options[CONF_KEEP_DAYS]), {hass.config.language})
    await hass.config_entries.async_forward_entry_setups(entry, [Platform.CONVERSATION])
    entry.async_on_unload(entry.add_update_listener(_reload))

    await hass.async_add_executor_job(engine.warm)

    async def learn(*_: Any) -> None:  # noqa: ANN401 - the time
        try:
            await entry.runtime_data.learn()
        except HomeAssistantError as error:
            _LOGGER.warning("Nothing was learned: %s", error)

    if options[CONF_NIGHTLY] and learner.can_learn:
        entry.async_on_unload(async_track_time_change(hass, learn, **_NIGHT))
    if learner.can_learn and not await hass.async_add_executor_job((learner.artefact / "CURRENT").exists):
        entry.async_create_background_task(hass, learn(), "rewriter learns what can be said")
    return True


async def async_unload_entry(hass: HomeAssistant, entry: RewriterEntry) -> bool:
    """Take the agent down."""
    return await hass.config_entries.async_unload_platforms(entry, [Platform.CONVERSATION])


async def _reload(hass: HomeAssistant, entry: RewriterEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)


def _home(hass: HomeAssistant) -> Home:
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        return entry.runtime_data
    raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_set_up")


async def _only_admins(hass: HomeAssistant, call: ServiceCall) -> None:
    """Let only administrators, and Home Assistant itself, go on."""
    user = await hass.auth.async_get_user(call.context.user_id) if call.context.user_id else None
    if call.context.user_id and (user is None or not user.is_admin):
        raise Unauthorized(context=call.context)


class UndoHandler(intent.IntentHandler):
    """The intent "that's not what I meant", for custom sentences and for agents with tools."""

    intent_type = INTENT_UNDO
    description = "The user says that the last request was not understood as it was meant; it is not taken so again"

    async def async_handle(self, intent_obj: intent.Intent) -> intent.IntentResponse:
        """Take back the last rewrite of the speaker."""
        agent = _home(intent_obj.hass).agent
        response = intent_obj.create_response()
        response.async_set_speech("" if agent is None else await agent.async_undo(intent_obj))
        return response
