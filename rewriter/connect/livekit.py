"""LiveKit Agents: `RewritingAgent` rewrites the user's turn before the language model sees it, and keeps what became of it."""

from typing import Any

from livekit.agents import Agent
from livekit.agents.llm import ChatContext, ChatMessage
from livekit.agents.voice import FunctionToolsExecutedEvent

from rewriter.connect.dialogue import Dialogue, Turn
from rewriter.connect.functions import Calls


class RewritingAgent(Agent):
    """An agent whose user's turns are rewritten; derive yours from it in place of ``Agent``.

    The functions that the model then calls are what it understood: the turn is ``ok`` if they succeed, ``failed`` if one fails,
    and neither if none is called. A user who speaks into the answer has barged in. The turn is kept when the next one begins, and
    when the agent leaves.

    Args:
        dialogue: what rewrites and keeps the turns; one for all sessions of a process.
        user_id: whose requests they are: the identity of the participant.
        locale: BCP 47; None for the commonest of the log.
        named: what ``Agent`` takes, such as ``instructions``.

    Example:
        >>> agent = RewritingAgent(Dialogue("artefact", "turns"), user_id="ann", instructions="Be brief.")  # doctest: +SKIP
        >>> await session.start(agent, room=ctx.room)  # doctest: +SKIP
    """

    def __init__(
        self,
        dialogue: Dialogue,
        *,
        user_id: str = "anybody",
        locale: str | None = None,
        **named: Any,  # noqa: ANN401 - whatever the class above takes
    ) -> None:
        super().__init__(**named)
        self._rewriting, self._who, self._spoken = dialogue, user_id, locale
        self._heard: Turn | None = None
        self._called = Calls()
        self._barged = False

    async def on_enter(self) -> None:
        """Listen to what the functions of the agent return."""
        await super().on_enter()
        self.session.on("function_tools_executed", self._executed)

    async def on_exit(self) -> None:
        """Keep the last turn."""
        self.session.off("function_tools_executed", self._executed)
        self._keep()
        await super().on_exit()

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        """Put the text to understand in the place of what was heard. Pictures and sounds of the message stay."""
        self._keep()
        if said := (new_message.text_content or "").strip():
            self._heard = self._rewriting.hear(said, user_id=self._who, locale=self._spoken)
            before = [item for item in turn_ctx.items if isinstance(item, ChatMessage) and item.role == "assistant"]
            self._barged = bool(before) and before[-1].interrupted
            if self._heard.rewritten:
                new_message.content = [self._heard.text, *(part for part in new_message.content if not isinstance(part, str))]
        await super().on_user_turn_completed(turn_ctx, new_message)

    def _executed(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            self._called.add(call.name, call.arguments, failed=output is not None and output.is_error)

    def _keep(self) -> None:
        if self._heard is not None:
            self._rewriting.end(self._heard, **self._called.columns(), barge_in=self._barged or None)
            self._heard, self._called = None, Calls()
