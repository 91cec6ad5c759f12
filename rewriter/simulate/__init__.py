"""Worlds with known truth: users, speech channels, assistants."""

from rewriter.simulate.asking import requests
from rewriter.simulate.assistants import Assistant, HomeAssistant, Misrouting, PhraseAssistant
from rewriter.simulate.channels import Channel, Heard, Recording, RecordingChannel
from rewriter.simulate.dialogue import simulate
from rewriter.simulate.household import Household, Phrase
from rewriter.simulate.logs import WORLDS, simulate_log
from rewriter.simulate.situations import Around, Situations
from rewriter.simulate.textchannel import TextChannel
from rewriter.simulate.turn import Turn, write_log
from rewriter.simulate.users import Behaviour, User
from rewriter.simulate.world import Request, Rewriting, Split, World
from rewriter.simulate.worlds import home_world, phrase_world, text_world

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
    "Split",
    "TextChannel",
    "Turn",
    "User",
    "World",
    "home_world",
    "phrase_world",
    "requests",
    "simulate",
    "simulate_log",
    "text_world",
    "write_log",
]
