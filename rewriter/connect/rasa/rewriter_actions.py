"""Actions for an action server of Rasa 3.6: ask again what was not understood, and undo what was rewritten wrongly.

``rewriter export rasa DIR`` puts it into a project; docs/rasa.md of rewriter says how to use it. The environment variables
``REWRITER_URL`` and ``RASA_URL`` name the two services where they are not on their usual ports of this machine.
"""

import json
import os
import urllib.request
from typing import Any, Dict, List, Text

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActionExecuted, UserUttered
from rasa_sdk.executor import CollectingDispatcher
from rewriter_client import RewriterClient

REWRITER = RewriterClient(os.environ.get("REWRITER_URL", "http://127.0.0.1:8377"), timeout=1.0)
RASA = os.environ.get("RASA_URL", "http://127.0.0.1:5005")
DECIDED = ("rule", "layer", "scope", "arm", "propensity", "reason")


def user_of(tracker: Tracker) -> Text:
    """Return who speaks: ``user_id`` of the metadata, else the sender."""
    metadata = tracker.latest_message.get("metadata") or {}
    return str(metadata.get("user_id") or tracker.sender_id)


def parsed(text: Text) -> Dict[Text, Any]:
    """Return what Rasa understands of a text; it must run with ``--enable-api``."""
    body = json.dumps({"text": text}).encode("utf-8")
    request = urllib.request.Request(RASA + "/model/parse", body, {"content-type": "application/json"})  # noqa: S310 - set by the operator
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: Dict[Text, Any] = json.loads(answer.read())
    return found


class ActionRewrite(Action):
    """Says a message that was not understood once more, in better words; without better ones it utters ``utter_default``."""

    def name(self) -> Text:
        """Return the name in the domain."""
        return "action_rewrite"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Dict[Text, Any]) -> List[Dict[Text, Any]]:
        """Return the message in better words as an event, which Rasa then answers."""
        latest, user = tracker.latest_message, user_of(tracker)
        decided = latest.get("rewriter") or {}
        said = decided.get("said") or latest.get("text") or ""
        answer = {} if decided.get("sent") else REWRITER.rewrite(said, user_id=user, after_failure=True)
        if not answer.get("applied"):
            dispatcher.utter_message(response="utter_default")
            return []
        kept = {name: answer.get(name) for name in DECIDED}
        kept.update(said=said, sent=answer["text"], rewrite_id=answer["id"], user_id=user, after_failure=True)
        found = parsed(answer["text"])
        found["rewriter"] = kept
        return [ActionExecuted("action_listen"), UserUttered(said, found)]  # rules begin where Rasa listens


class ActionUndoRewrite(Action):
    """Says that the last rewrite of this user was wrong, so that it is not repeated for her."""

    def name(self) -> Text:
        """Return the name in the domain."""
        return "action_undo_rewrite"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Dict[Text, Any]) -> List[Dict[Text, Any]]:
        """Look at the message before the complaint."""
        before = [event for event in tracker.events if event.get("event") == "user"][:-1]
        decided = ((before[-1].get("parse_data") or {}).get("rewriter") or {}) if before else {}
        if decided.get("sent"):
            REWRITER.undo(decided["rewrite_id"], user_of(tracker))
        return []
