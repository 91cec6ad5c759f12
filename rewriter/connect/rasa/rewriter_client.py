"""A client of `rewriter serve` for Python 3.8 and later, without any package. It never raises."""

import json
import logging
import os
import urllib.request
from typing import Any, Dict

logger = logging.getLogger(__name__)


class RewriterClient:
    """Asks the service what to send in place of an utterance, and tells it what was wrong.

    Args:
        url: of the service.
        timeout: seconds to wait for it.
        token_variable: environment variable that holds its token; without it none is sent.
    """

    def __init__(self, url: str = "http://127.0.0.1:8377", timeout: float = 0.2, token_variable: str = "REWRITER_TOKEN") -> None:  # noqa: S107 - a name
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the address of the service begins with http:// or https://, not {url!r}")
        self._url, self._timeout = url.rstrip("/"), timeout
        self._token = os.environ.get(token_variable, "")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the service is near

    def rewrite(self, utterance: str, **arguments: Any) -> Dict[str, Any]:
        """Return the answer of ``/v1/rewrite``; nothing if there is none, and then the utterance is sent as it is.

        Args:
            utterance: what was heard.
            arguments: ``user_id``, ``locale``, ``after_failure`` and the others; None is no value.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        return self._post("/v1/rewrite", {"utterance": utterance, **given}) or {}

    def undo(self, rewrite_id: str, user_id: str) -> bool:
        """Say that a rewrite was wrong, so that it is not repeated for this user; return whether it was kept."""
        return self._post("/v1/feedback", {"rewrite_id": rewrite_id, "value": -1, "user_id": user_id}) is not None

    def _post(self, path: str, body: Dict[str, Any]) -> Any:
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = "Bearer " + self._token
        try:
            request = urllib.request.Request(self._url + path, json.dumps(body).encode("utf-8"), headers)  # noqa: S310 - see above
            with self._opener.open(request, timeout=self._timeout) as answer:
                raw = answer.read()
            return json.loads(raw) if raw else {}
        except (OSError, ValueError) as error:
            logger.warning("rewriter does not answer: %s", error)
            return None
