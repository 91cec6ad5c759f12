"""Rasa 3.6: a graph component that rewrites messages before the NLU, and a channel that tells it who speaks.

``rewriter export rasa DIR`` puts it into a project; docs/rasa.md of rewriter says how to use it.
"""

from typing import Any, Dict, List, Optional, Text

from rasa.core.channels.rest import RestInput
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rewriter_client import RewriterClient

KEY = "rewriter"
DECIDED = ("rule", "layer", "scope", "arm", "propensity", "reason")


def decision(answer: Dict[Text, Any], user: Optional[Text]) -> Dict[Text, Any]:
    """Return what a tracker keeps of a decision, so that ``rewriter import rasa`` can read it."""
    kept = {name: answer.get(name) for name in DECIDED}
    kept.update(said=answer["source"], rewrite_id=answer["id"], user_id=user)
    kept["sent"] = answer["text"] if answer["applied"] else None
    return kept


@DefaultV1Recipe.register([DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR], is_trainable=False)
class QueryRewriter(GraphComponent):
    """Puts the text to understand in the place of what the user said. It stands first in the pipeline.

    As a component that is not trained it does not run over training data. The message of the tracker keeps what was said, and its
    ``parse_data`` what was parsed, with the decision under ``rewriter``.
    """

    def __init__(self, config: Dict[Text, Any]) -> None:
        self._client = RewriterClient(config["url"], config["timeout"], config["token_variable"])
        self._user_key, self._locale = config["user_key"], config["locale"]

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        """Return the settings: address of the service, seconds to wait, where the token is, key of the user, locale."""
        return {
            "url": "http://127.0.0.1:8377",
            "timeout": 0.2,
            "token_variable": "REWRITER_TOKEN",
            "user_key": "user_id",
            "locale": None,
        }

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "QueryRewriter":
        """Make the component, as Rasa asks for it."""
        return cls(config)

    def process(self, messages: List[Message]) -> List[Message]:
        """Rewrite messages; those that begin with a slash are commands and stay."""
        for message in messages:
            said = message.get(TEXT)
            if said and not said.startswith("/"):
                self._rewrite(message, said)
        return messages

    def _rewrite(self, message: Message, said: Text) -> None:
        user = (message.get("metadata") or {}).get(self._user_key)
        answer = self._client.rewrite(said, user_id=user, locale=self._locale, turn_id=message.get("message_id"))
        if answer:
            message.set(KEY, decision(answer, user), add_to_output=True)
            if answer["applied"]:
                message.set(TEXT, answer["text"], add_to_output=True)


class UserRest(RestInput):
    """The channel ``rest``, which gives the sender to the component as ``user_id``; Rasa's own does not say who speaks."""

    def get_metadata(self, request: Any) -> Optional[Dict[Text, Any]]:
        """Return the metadata of a request, and its sender."""
        given = request.json or {}
        metadata = dict(given.get("metadata") or {})
        metadata.setdefault("user_id", given.get("sender"))
        return metadata
