"""Runs in the environment of Pipecat: a pipeline with text in the place of speech. It reads a JSON list of ``[text, user]`` from
stdin, with the folders of artefact and turns as arguments, and prints what the agent understood and whether it could do it.
"""

import asyncio
import json
import sys

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EndFrame,
    FunctionCallResultFrame,
    InterruptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.pipecat import RewriterProcessor

COMPLAINT = "that's not what I meant"
NLU = {"turn off the lamp": {"on": False}, "turn on the lamp": {"on": True}, "play music": {"what": "music"}}


class Agent(FrameProcessor):
    """Stands for the language model: calls a function for each sentence that it knows, as Pipecat's services do."""

    def __init__(self):
        super().__init__()
        self.answers = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            known = NLU.get(frame.text)
            called = {"function_name": "home", "tool_call_id": "1", "arguments": known or {"said": frame.text}, "result": "done"}
            await self.broadcast_frame(FunctionCallResultFrame, **called, error=None if known else "unknown")
            self.answers.append([frame.text, bool(known)])
        await self.push_frame(frame, direction)


async def main(artefact, turns):
    dialogue, agent = Dialogue(artefact, turns), Agent()
    worker = PipelineWorker(Pipeline([RewriterProcessor(dialogue, user_id="guest"), agent]), cancel_on_idle_timeout=False)
    runner, started = WorkerRunner(), asyncio.Event()
    worker.add_event_handler("on_pipeline_started", lambda *_: started.set())
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await started.wait()
    for n, (text, user) in enumerate(json.load(sys.stdin), start=1):
        if text == COMPLAINT:  # she says so into the answer
            await worker.queue_frames([BotStartedSpeakingFrame(), InterruptionFrame()])
            await asyncio.sleep(0.1)
        await worker.queue_frame(TranscriptionFrame(text, user, "2026-01-05T08:00:00Z"), FrameDirection.DOWNSTREAM)
        while len(agent.answers) < n:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)  # the result of the function goes upstream
    await worker.queue_frame(EndFrame())
    await running
    print(json.dumps(agent.answers))


logger.remove()
asyncio.run(main(*sys.argv[1:]))
