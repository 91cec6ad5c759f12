"""Runs in the environment of Wyoming: a service for speech and intents, and a client. It imports nothing of rewriter.

``service URI`` serves: audio that is its own transcript, and an NLU of four sentences. ``talk URI`` reads a JSON list of
``[kind, text, user]`` from stdin and prints the answers as a JSON list; a kind is ``asr``, ``intent`` or ``handle``.
"""

import asyncio
import json
import sys

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.handle import Handled, NotHandled
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.intent import Entity, Intent, NotRecognized, Recognize
from wyoming.server import AsyncEventHandler, AsyncServer

NLU = {"turn off the lamp": "TurnOff", "turn on the lamp": "TurnOn", "switch everything off": "AllOff", "play music": "Play"}
BY = Attribution("tests", "https://example.org")
INFO = Info(asr=[AsrProgram("echo", BY, True, None, "1", [AsrModel("echo", BY, True, None, "1", ["en"])])])


class Service(AsyncEventHandler):
    """Hears what the audio says, and knows four sentences."""

    heard = b""

    async def handle_event(self, event):
        if Describe.is_type(event.type):
            await self.write_event(INFO.event())
        elif AudioChunk.is_type(event.type):
            self.heard += AudioChunk.from_event(event).audio
        elif AudioStop.is_type(event.type):
            await self.write_event(Transcript(self.heard.decode()).event())
            self.heard = b""
        elif Recognize.is_type(event.type):
            name = NLU.get(event.data["text"])
            found = Intent(name, [Entity("name", "lamp")] if "lamp" in event.data["text"] else [], "done")
            await self.write_event((found if name else NotRecognized("sorry")).event())
        elif Transcript.is_type(event.type):
            known = event.data["text"] in NLU
            await self.write_event((Handled("done") if known else NotHandled("sorry")).event())
        return True


async def ask(uri, kind, text, user):
    context = {"user_id": user}
    async with AsyncClient.from_uri(uri) as client:
        if kind == "describe":
            await client.write_event(Describe().event())
        elif kind == "asr":
            await client.write_event(Transcribe(language="en", context=context).event())
            await client.write_event(AudioStart(16000, 2, 1).event())
            await client.write_event(AudioChunk(16000, 2, 1, text.encode()).event())
            await client.write_event(AudioStop().event())
        else:
            request = Recognize(text, context) if kind == "intent" else Transcript(text, context, "en")
            await client.write_event(request.event())
        answer = await asyncio.wait_for(client.read_event(), 60)
        return [answer.type, answer.data] if answer else None


async def main(what, uri):
    if what == "service":
        await AsyncServer.from_uri(uri).run(Service)
    else:
        print(json.dumps([await ask(uri, *each) for each in json.load(sys.stdin)]))


asyncio.run(main(*sys.argv[1:]))
