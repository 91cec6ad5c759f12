"""How the integration is set up, and what can be changed later."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from typing import Any

import voluptuous as vol
from homeassistant.components.conversation import HOME_ASSISTANT_AGENT
from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult, OptionsFlow
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry
from homeassistant.helpers import selector as sel

from .const import CONF_AGENT, CONF_ASK, CONF_BEFORE, CONF_COMMAND, CONF_KEEP_DAYS, CONF_NIGHTLY, DEFAULTS, DOMAIN
from .learning import own_command

_NEEDS = ("rewriter", "faiss", "lmdb", "rapidfuzz", "jellyfish")
_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_AGENT, default=HOME_ASSISTANT_AGENT): sel.ConversationAgentSelector(),
        vol.Required(CONF_BEFORE, default=DEFAULTS[CONF_BEFORE]): sel.BooleanSelector(),
        vol.Required(CONF_ASK, default=DEFAULTS[CONF_ASK]): sel.BooleanSelector(),
        vol.Required(CONF_NIGHTLY, default=DEFAULTS[CONF_NIGHTLY]): sel.BooleanSelector(),
        vol.Required(CONF_KEEP_DAYS, default=DEFAULTS[CONF_KEEP_DAYS]): sel.NumberSelector(
            sel.NumberSelectorConfig(min=1, max=3650, mode=sel.NumberSelectorMode.BOX)
        ),
        vol.Optional(CONF_COMMAND): sel.TextSelector(),
    }
)


class RewriterFlow(ConfigFlow, domain=DOMAIN):
    """Asks which agent is to be wrapped and how to learn."""

    VERSION = 1

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask once."""
        missing = await self.hass.async_add_executor_job(_missing)
        if missing:
            return self.async_abort(reason="not_installed", description_placeholders={"missing": ", ".join(missing)})
        errors = await _errors(self.hass, user_input)
        if user_input is not None and not errors:
            return self.async_create_entry(title="Rewriter", data={}, options=DEFAULTS | user_input)
        schema = self.add_suggested_values_to_schema(_SCHEMA, user_input or {})
        return self.async_show_form(step_id="user", data_schema=schema, errors=errors)

    @staticmethod
    @callback
    def async_get_options_flow(config_entry: ConfigEntry) -> RewriterOptions:  # noqa: ARG004 - Home Assistant gives it
        """Return the flow that changes the options."""
        return RewriterOptions()


class RewriterOptions(OptionsFlow):
    """Changes what was asked at first."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask again."""
        errors = await _errors(self.hass, user_input)
        if user_input is not None and not errors:
            return self.async_create_entry(data=DEFAULTS | user_input)
        schema = self.add_suggested_values_to_schema(_SCHEMA, user_input or self.config_entry.options)
        return self.async_show_form(step_id="init", data_schema=schema, errors=errors)


def _missing() -> list[str]:
    return [name for name in _NEEDS if importlib.util.find_spec(name) is None]


async def _errors(hass: HomeAssistant, user_input: dict[str, Any] | None) -> dict[str, str]:
    """Return what is wrong with what was entered: an agent that is our own, or a command that is not there."""
    if user_input is None:
        return {}
    entry = entity_registry.async_get(hass).async_get(user_input[CONF_AGENT])
    if entry is not None and entry.platform == DOMAIN:
        return {CONF_AGENT: "own_agent"}
    command = user_input.get(CONF_COMMAND, "")
    try:
        words = shlex.split(command) if command else own_command()
    except ValueError:
        return {CONF_COMMAND: "no_such_command"}
    if command and not (words and await hass.async_add_executor_job(shutil.which, words[0])):
        return {CONF_COMMAND: "no_such_command"}
    return {} if words or not user_input[CONF_NIGHTLY] else {CONF_COMMAND: "cannot_learn"}
