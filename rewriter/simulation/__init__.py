"""Worlds with known truth: users, speech channels, assistants."""

from rewriter.simulation.assistants import Assistant, HomeAssistant, Household, Misrouting, Phrase, PhraseAssistant
from rewriter.simulation.channels import Channel, Heard, Recording, RecordingChannel
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.textchannel import TextChannel
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.users import Behaviour, User
from rewriter.simulation.world import Around, Request, Rewriting, Situations, Withheld, World
from rewriter.simulation.worlds import WORLDS, home_world, phrase_world, simulate, text_world

__all__ = [
    "WORLDS",
    "Around",
    "Assistant",
    "Behaviour",
    "Channel",
    "Heard",
    "HomeAssistant",
    "Household",
    "Misrouting",
    "Phrase",
    "PhraseAssistant",
    "Recording",
    "RecordingChannel",
    "Request",
    "Rewriting",
    "Situations",
    "TextChannel",
    "Turn",
    "User",
    "Withheld",
    "World",
    "home_world",
    "phrase_world",
    "requests",
    "simulate",
    "simulate_days",
    "text_world",
    "write_log",
]
