"""Pipecat: `RewriterProcessor` rewrites what speech recognition heard, and keeps what the functions of the agent made of it."""

from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    FunctionCallResultFrame,
    InterruptionFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from rewriter.connect.dialogue import Dialogue, Turn
from rewriter.connect.functions import Calls


class RewriterProcessor(FrameProcessor):
    """Stands in a pipeline behind speech recognition and before whatever collects the user's words.

    A `TranscriptionFrame` gets the text to understand. The functions that the agent then calls are what it understood: the turn
    is ``ok`` if they succeed, ``failed`` if one fails, and neither if none is called. A user who speaks while the bot does has
    barged in. The turn is kept when the next one begins.

    Args:
        dialogue: what rewrites and keeps the turns; one for all pipelines of a process.
        user_id: whose requests they are, where a frame has no ``user_id``.
        named: what every Pipecat processor takes, such as ``name``.

    Example:
        >>> rewriter = RewriterProcessor(Dialogue("artefact", "turns"))  # doctest: +SKIP
        >>> Pipeline([transport.input(), stt, rewriter, aggregator.user(), llm, tts, transport.output()])  # doctest: +SKIP
    """

    def __init__(
        self,
        dialogue: Dialogue,
        *,
        user_id: str = "anybody",
        **named: Any,  # noqa: ANN401 - whatever the class above takes
    ) -> None:
        super().__init__(**named)
        self._talk, self._user = dialogue, user_id
        self._turn: Turn | None = None
        self._calls = Calls()
        self._speaks = self._interrupts = self._barged = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take note of a frame, and pass it on."""
        await super().process_frame(frame, direction)
        match frame:
            case TranscriptionFrame() if direction is FrameDirection.DOWNSTREAM and frame.text.strip():
                self._hear(frame)
            case FunctionCallResultFrame() if direction is FrameDirection.UPSTREAM:
                self._calls.add(frame.function_name, frame.arguments, failed=frame.error is not None)
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame():
                self._speaks = isinstance(frame, BotStartedSpeakingFrame)
            case InterruptionFrame():
                self._interrupts |= self._speaks
            case EndFrame() | CancelFrame():
                self._end()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Keep the last turn."""
        self._end()
        await super().cleanup()

    def _hear(self, frame: TranscriptionFrame) -> None:
        self._end()
        self._barged, self._interrupts = self._interrupts, False
        language = str(frame.language) if frame.language else None
        self._turn = self._talk.hear(frame.text, user_id=frame.user_id or self._user, locale=language)
        frame.text = self._turn.text

    def _end(self) -> None:
        if self._turn is not None:
            self._talk.end(self._turn, **self._calls.columns(), barge_in=self._barged or None)
        self._turn, self._calls = None, Calls()
