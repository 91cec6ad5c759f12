"""Runs in the environment of the retrieval frameworks: a search in memory of each. It reads a JSON list of ``[text, user]`` from
stdin, with the framework and the folders of artefact and turns as arguments, and prints the titles that each search found.
"""

import asyncio
import json
import sys
from contextvars import ContextVar

TITLES = ("headphones", "laptop", "winter coat")


def langchain(artefact, turns):
    from langchain_core.documents import Document
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    from rewriter.connect.langchain import RewritingRetriever

    class Store(InMemoryVectorStore):
        def _select_relevance_score_fn(self):
            return lambda similarity: similarity

    store = Store.from_documents([Document(title) for title in TITLES], DeterministicFakeEmbedding(size=64))
    close = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"k": 1, "score_threshold": 0.99})
    retriever = RewritingRetriever(retriever=close, artefact=artefact, turns=turns)

    def search(text, user):
        named = {"configurable": {"user_id": user}}
        found = asyncio.run(retriever.ainvoke(text, named)) if text == "laptop" else retriever.invoke(text, named)
        return [each.page_content for each in found]

    return search, retriever.close


def llama_index(artefact, turns):
    from llama_index.core import Document, SimpleKeywordTableIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine

    from rewriter.connect.dialogue import Dialogue
    from rewriter.connect.llama_index import RewritingRetriever

    index = SimpleKeywordTableIndex.from_documents([Document(text=title) for title in TITLES], llm=MockLLM())
    user_id, dialogue = ContextVar("user_id"), Dialogue(artefact, turns)
    inner = index.as_retriever(retriever_mode="simple")
    engine = RetrieverQueryEngine.from_args(RewritingRetriever(inner, dialogue, user_id=user_id.get), llm=MockLLM())

    def search(text, user):
        user_id.set(user)
        return [node.text for node in engine.query(text).source_nodes]

    return search, dialogue.close


def haystack(artefact, turns):
    from haystack import Document, Pipeline
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
    from haystack.core.serialization import allow_deserialization_module
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from rewriter.connect.haystack import RewritingRetriever

    store = InMemoryDocumentStore()
    store.write_documents([Document(content=title) for title in TITLES])
    pipeline = Pipeline()
    pipeline.add_component("retriever", RewritingRetriever(InMemoryBM25Retriever(store), artefact, turns))
    allow_deserialization_module("rewriter.connect.haystack")
    again = Pipeline.from_dict(pipeline.to_dict())
    assert again.get_component("retriever").artefact == artefact

    def search(text, user):
        found = pipeline.run({"retriever": {"query": text, "user_id": user}})["retriever"]
        return [each.content for each in found["documents"]]

    return search, pipeline.get_component("retriever").close


find, done = {"langchain": langchain, "llama_index": llama_index, "haystack": haystack}[sys.argv[1]](*sys.argv[2:])
print(json.dumps([find(*each) for each in json.load(sys.stdin)]))
done()
