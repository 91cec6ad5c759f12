"""Haystack: `RewritingRetriever` stands in the place of a text retriever, and rewrites queries that find nothing."""

from collections.abc import Sequence
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.core.serialization import component_from_dict, component_to_dict, import_class_by_name

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.retrieval import search


@component
class RewritingRetriever:
    """A retriever that asks another one, in better words where there are some, and keeps what was found as turns of a log.

    Args:
        retriever: the other one, which takes ``query`` and returns ``documents``.
        artefact: the artefact folder. It may be missing: then queries pass unchanged, and are kept.
        turns: folder in which the turns are kept, for `learn`; None to keep none.
        user_id: who asks, where a run does not say.
        before: whether queries are rewritten before the first search too, not only where it finds nothing.

    Example:
        >>> pipeline.add_component("retriever", RewritingRetriever(bm25, "artefact", "turns"))  # doctest: +SKIP
        >>> pipeline.run({"retriever": {"query": "runing shoes", "user_id": "ann"}})  # doctest: +SKIP
    """

    def __init__(
        self,
        retriever: Any,  # noqa: ANN401 - any component with a socket `query` is one
        artefact: str,
        turns: str | None = None,
        user_id: str = "anybody",
        before: bool = True,
    ) -> None:
        self.retriever, self.artefact, self.turns, self.user_id, self.before = retriever, artefact, turns, user_id, before
        self._talk = Dialogue(artefact, turns)

    @component.output_types(documents=list[Document], query=str)
    def run(self, query: str, user_id: str | None = None, filters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the documents, and the words with which they were found.

        Args:
            query: as typed.
            user_id: pseudonym of who asks.
            filters: are passed on.
        """
        asked = [query]

        def find(text: str) -> Sequence[Document]:
            asked.append(text)
            more = {"filters": filters} if filters else {}
            return self.retriever.run(query=text, **more)["documents"]

        documents = search(self._talk, find, query, user_id=user_id or self.user_id, before=self.before)
        return {"documents": list(documents), "query": asked[-1]}

    def close(self) -> None:
        """Close the file of turns, so that `learn` reads it."""
        self._talk.close()

    def warm_up(self) -> None:
        """Warm up the other one."""
        if hasattr(self.retriever, "warm_up"):
            self.retriever.warm_up()

    def to_dict(self) -> dict[str, Any]:
        """Return it as Haystack serialises components."""
        inner = component_to_dict(self.retriever, "retriever")
        named = {"artefact": self.artefact, "turns": self.turns, "user_id": self.user_id, "before": self.before}
        return default_to_dict(self, retriever=inner, **named)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "RewritingRetriever":
        """Make it from what `to_dict` returned."""
        inner = data["init_parameters"]["retriever"]
        data["init_parameters"]["retriever"] = component_from_dict(import_class_by_name(inner["type"]), inner, "retriever")
        return default_from_dict(cls, data)
