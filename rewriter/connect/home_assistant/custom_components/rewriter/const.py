"""Names and limits of the integration."""

from typing import Final

DOMAIN: Final = "rewriter"

CONF_AGENT: Final = "agent"
"""Id of the conversation agent that is wrapped."""
CONF_BEFORE: Final = "before"
"""Whether a request may be rewritten before the agent has refused it."""
CONF_COMMAND: Final = "learn_command"
"""The command line of rewriter that learns and forgets; empty for the Python that runs Home Assistant."""
CONF_NIGHTLY: Final = "nightly"
"""Whether to learn every night."""
CONF_ASK: Final = "ask"
"""Whether the agent may ask "did you mean …?"."""
CONF_KEEP_DAYS: Final = "keep_days"
"""How long turns are kept that were learned from."""

DEFAULTS: Final = {CONF_BEFORE: False, CONF_ASK: True, CONF_NIGHTLY: True, CONF_KEEP_DAYS: 28, CONF_COMMAND: ""}

HOME: Final = "home"
"""The user id of whoever speaks to a voice satellite: these requests name no user."""
INTENT_UNDO: Final = "RewriterUndo"

PATIENCE: Final = 3.0
"""Seconds that a request waits for a decision; then the answer of the agent stands as it is."""
SILENCE: Final = 300.0
"""Seconds of silence that end a session, as `sessions.gap_ms` of rewriter."""
UNDO_WITHIN: Final = 120.0
"""Seconds within which "that's not what I meant" is about the last rewrite."""
TALKS: Final = 200
"""Talks (a speaker at a device) that are remembered; the one that was silent longest is dropped."""
