"""LangChain: `RewritingRetriever` stands before a retriever, and rewrites queries that find nothing."""

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import RunnableConfig, ensure_config
from pydantic import PrivateAttr

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.retrieval import asearch, search


class RewritingRetriever(BaseRetriever):
    """A retriever that asks another one, in better words where there are some, and keeps what was found as turns of a log.

    Who asks stands in the configuration of a call: ``{"configurable": {"user_id": "ann"}}``, or ``{"metadata": …}``.

    Attributes:
        retriever: the other one.
        artefact: the artefact folder. It may be missing: then queries pass unchanged, and are kept.
        turns: folder in which the turns are kept, for `learn`; None to keep none.
        user_id: who asks, where a call does not say.
        before: whether queries are rewritten before the first search too, not only where it finds nothing.

    Example:
        >>> retriever = RewritingRetriever(retriever=shop, artefact="artefact", turns="turns")  # doctest: +SKIP
        >>> retriever.invoke("runing shoes", {"configurable": {"user_id": "ann"}})  # doctest: +SKIP
    """

    retriever: BaseRetriever
    artefact: str
    turns: str | None = None
    user_id: str = "anybody"
    before: bool = True
    _talk: Dialogue = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - the protocol of pydantic
        """Open the artefact."""
        super().model_post_init(context)
        self._talk = Dialogue(self.artefact, self.turns)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002, ANN401
        """Search, as every retriever does."""
        return super().invoke(input, _named(config), **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002, ANN401
        """Search, as every retriever does."""
        return await super().ainvoke(input, _named(config), **kwargs)

    def close(self) -> None:
        """Close the file of turns, so that `learn` reads it."""
        self._talk.close()

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        def find(text: str) -> Sequence[Document]:
            return self.retriever.invoke(text, {"callbacks": run_manager.get_child()})

        return list(search(self._talk, find, query, user_id=self._who(run_manager), before=self.before))

    async def _aget_relevant_documents(self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun) -> list[Document]:
        async def find(text: str) -> Sequence[Document]:
            return await self.retriever.ainvoke(text, {"callbacks": run_manager.get_child()})

        return list(await asearch(self._talk, find, query, user_id=self._who(run_manager), before=self.before))

    def _who(self, run: CallbackManagerForRetrieverRun | AsyncCallbackManagerForRetrieverRun) -> str:
        return str((run.metadata or {}).get("user_id") or self.user_id)


def _named(config: RunnableConfig | None) -> RunnableConfig:
    """Return a configuration whose metadata, which alone reaches a retriever, says who asks."""
    whole = ensure_config(config)
    user = (whole.get("configurable") or {}).get("user_id")
    return whole if user is None else RunnableConfig(**{**whole, "metadata": {"user_id": user, **(whole.get("metadata") or {})}})
