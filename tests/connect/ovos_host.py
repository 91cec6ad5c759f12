"""Runs in the environment of OVOS: two skills on the message bus, and a client. It imports nothing of rewriter.

``skills FOLDER`` serves four sentences, and the skill of OVOS that answers whatever nothing else understands. ``talk`` reads a
JSON list of ``[text, user]`` from stdin, says each on the bus, and prints what OVOS spoke as a JSON list.
"""

import json
import sys
import time
from pathlib import Path
from threading import Event

from ovos_bus_client import Message, MessageBusClient
from ovos_bus_client.session import Session
from ovos_skill_fallback_unknown import UnknownSkill
from ovos_utils import wait_for_exit_signal
from ovos_workshop.skills.ovos import OVOSSkill

SENTENCES = {"TurnOff": "turn off the lamp", "TurnOn": "turn on the lamp", "Play": "play music", "Order": "order {food}"}


class Home(OVOSSkill):
    """Knows four sentences."""

    def initialize(self):
        for name in SENTENCES:
            self.register_intent_file(f"{name}.intent", self.do)

    def do(self, message):
        self.speak(f"done {message.data.get('food', '')}".strip())


def bus():
    client = MessageBusClient()
    client.run_in_thread()
    client.connected_event.wait()
    return client


def skills(folder):
    places = Path(folder) / "locale" / "en-US"
    places.mkdir(parents=True, exist_ok=True)
    for name, text in SENTENCES.items():
        (places / f"{name}.intent").write_text(text + "\n")
    client = bus()
    for skill in (
        Home(skill_id="home.tests", bus=client, resources_dir=str(folder)),
        UnknownSkill(skill_id="ovos-skill-fallback-unknown.openvoiceos", bus=client),
    ):
        assert skill.is_fully_initialized
    print("ready", flush=True)
    wait_for_exit_signal()


def talk():
    client, spoken, done = bus(), [], Event()
    client.on("speak", lambda message: spoken.append(message.data["utterance"]))
    client.on("ovos.utterance.handled", lambda message: done.set())
    answers = []
    for text, user in json.load(sys.stdin):
        spoken.clear()
        done.clear()
        session = Session(user).serialize()
        client.emit(Message("recognizer_loop:utterance", {"utterances": [text], "lang": "en-US"}, {"session": session}))
        assert done.wait(60), text
        end = time.monotonic() + 30
        while not spoken and time.monotonic() < end:
            time.sleep(0.05)
        answers.append(list(spoken))
    print(json.dumps(answers))


skills(sys.argv[2]) if sys.argv[1] == "skills" else talk()
