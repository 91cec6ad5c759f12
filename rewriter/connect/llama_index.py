"""LlamaIndex: `RewritingRetriever` stands before a retriever, and rewrites queries that find nothing."""

from collections.abc import Callable, Sequence

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.retrieval import asearch, search


class RewritingRetriever(BaseRetriever):
    """A retriever that asks another one, in better words where there are some, and keeps what was found as turns of a log.

    An embedding that a query brings belongs to its words, so it is left out where these change.

    Args:
        retriever: the other one.
        dialogue: what rewrites and keeps the queries as turns; one for all retrievers of a process.
        user_id: who asks, or what says it, such as the ``get`` of a context variable.
        before: whether queries are rewritten before the first search too, not only where it finds nothing.

    Example:
        >>> retriever = RewritingRetriever(index.as_retriever(), Dialogue("artefact", "turns"))  # doctest: +SKIP
        >>> RetrieverQueryEngine.from_args(retriever)  # doctest: +SKIP
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        dialogue: Dialogue,
        *,
        user_id: str | Callable[[], str] = "anybody",
        before: bool = True,
    ) -> None:
        super().__init__()
        self._retriever, self._talk, self._user, self._before = retriever, dialogue, user_id, before

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        def find(text: str) -> Sequence[NodeWithScore]:
            return self._retriever.retrieve(_said(query_bundle, text))

        return list(search(self._talk, find, query_bundle.query_str, user_id=self._who(), before=self._before))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        async def find(text: str) -> Sequence[NodeWithScore]:
            return await self._retriever.aretrieve(_said(query_bundle, text))

        return list(await asearch(self._talk, find, query_bundle.query_str, user_id=self._who(), before=self._before))

    def _who(self) -> str:
        return self._user() if callable(self._user) else self._user


def _said(query: QueryBundle, text: str) -> QueryBundle:
    return query if text == query.query_str else QueryBundle(text)
