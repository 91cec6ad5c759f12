"""Runs in the environment of LiveKit Agents: sessions with text in the place of speech. It reads a JSON list of ``[text, user]``
from stdin, with the folders of artefact and turns as arguments, and prints what the agent understood and whether it could do it.
"""

import asyncio
import itertools
import json
import sys

from livekit.agents import AgentSession, APIConnectOptions, function_tool, llm, stt
from livekit.agents.voice.io import AudioInput

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.livekit import RewritingAgent

SENTENCES = ("turn off the lamp", "turn on the lamp", "play music")
answers = []


class Silence(AudioInput):
    """A microphone that hears nothing."""

    async def __anext__(self):
        await asyncio.Event().wait()


class Recogniser(stt.STT):
    """Is there so that the session listens; the agent's own node has the texts."""

    def __init__(self):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, *args, **kwargs):
        raise NotImplementedError


class Model(llm.LLM):
    """Calls a function for each request, as a language model would."""

    def chat(self, *, chat_ctx, tools=None, conn_options=None, **_):
        return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options or APIConnectOptions())


class Stream(llm.LLMStream):
    async def _run(self):
        last = self._chat_ctx.items[-1]
        delta = llm.ChoiceDelta(role="assistant", content="done")
        if isinstance(last, llm.ChatMessage) and last.role == "user":
            called = llm.FunctionToolCall(
                name="home", arguments=json.dumps({"text": last.text_content}), call_id=f"c{len(answers)}"
            )
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[called])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class Agent(RewritingAgent):
    def __init__(self, dialogue, user):
        super().__init__(dialogue, user_id=user, instructions="Be brief.")
        self.heard = asyncio.Queue()

    async def stt_node(self, audio, model_settings):
        while True:
            data = stt.SpeechData(language="en", text=await self.heard.get())
            yield stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])

    @function_tool
    async def home(self, text: str) -> str:
        """Do what is said."""
        answers.append([text, text in SENTENCES])
        if text not in SENTENCES:
            raise llm.ToolError("unknown")
        return "done"


async def main(artefact, turns):
    dialogue = Dialogue(artefact, turns)
    for user, said in itertools.groupby(json.load(sys.stdin), key=lambda each: each[1]):
        agent = Agent(dialogue, user)
        session = AgentSession(llm=Model(), stt=Recogniser(), turn_handling={"turn_detection": "manual"})
        session.input.audio = Silence(label="silence")
        await session.start(agent)
        for text, _ in said:
            executed, before = asyncio.Event(), len(answers)
            session.once("function_tools_executed", lambda _, executed=executed: executed.set())
            agent.heard.put_nowait(text)
            await asyncio.sleep(0.05)
            await session.commit_user_turn(transcript_timeout=10.0)
            await asyncio.wait_for(executed.wait(), 60)
            assert len(answers) == before + 1
            await asyncio.sleep(0.05)
        await session.aclose()
    print(json.dumps(answers))


asyncio.run(main(*sys.argv[1:]))
