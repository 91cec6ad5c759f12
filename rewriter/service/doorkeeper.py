"""`Doorkeeper`: what may come in. It stands before the endpoints, and looks at the head and the size of each request."""

import base64
import binascii
import hmac
import ipaddress
import os
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rewriter.errors import ConfigError

TOKEN: Final = "REWRITER_TOKEN"  # noqa: S105 - the name of the variable
"""Environment variable that holds the token."""
OPEN: Final = frozenset({"/health"})
"""Paths that need no token: whoever restarts the service must be able to ask whether it lives."""
MAX_BODY: Final = 64 * 1024
"""Bytes of a request at most: a long utterance with five hearings and a context of hundreds of values fits."""
_LEAST_TOKEN = 16  # characters


def token_for(host: str) -> str | None:
    """Return the token of the environment; None for a service without one, which only this machine can reach.

    Args:
        host: the address to listen at.

    Raises:
        ConfigError: other machines can reach the host and there is no token, or the token is short.
    """
    token = os.environ.get(TOKEN) or None
    cure = f"set it, for example by {TOKEN}=$(openssl rand -hex 32)"
    if token is None and not is_loopback(host):
        raise ConfigError(f"other machines can reach {host}, and {TOKEN} is not set; {cure}, or serve on 127.0.0.1")
    if token is not None and len(token) < _LEAST_TOKEN:
        raise ConfigError(f"{TOKEN} has {len(token)} characters, and needs at least {_LEAST_TOKEN}; {cure}")
    return token


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Doorkeeper:
    """Middleware that turns away requests before anything reads them.

    - 401: there is a token, and the request does not bring it (`Authorization: Bearer TOKEN`, or Basic with it as password, which
      is what a browser asks for). It is compared in constant time.
    - 403: a web page of another site has sent it; or, without a token, its `Host` is no name of this machine, as after DNS
      rebinding. Else any page in a browser on this machine could use the service.
    - 413: the body is longer than `max_body`.

    Args:
        app: what stands behind.
        token: None if none is needed.
        max_body: bytes.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, max_body: int = MAX_BODY) -> None:
        self._app, self._token, self._max_body = app, None if token is None else token.encode(), max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        messages: Sequence[Message] = ()
        if refusal is None:
            messages, refusal = await self._body(headers, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        waiting = iter(messages)

        async def replayed() -> Message:
            return next(waiting, None) or await receive()

        await self._app(scope, replayed, send)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _refused(403, f"a page of {origin[:100]!r} may not use this service")
        if self._token is None:
            if is_loopback(urlsplit(f"//{host}").hostname or ""):
                return None
            return _refused(403, f"this service answers only to 127.0.0.1 and localhost, not to {host[:100]!r}")
        if path in OPEN or hmac.compare_digest(_brought(headers.get("authorization", "")), self._token):
            return None
        answer = _refused(401, f"send the token of the service, Authorization: Bearer ${TOKEN}")
        answer.headers["www-authenticate"] = 'Basic realm="rewriter", charset="UTF-8"'
        return answer

    async def _body(self, headers: Headers, receive: Receive) -> tuple[list[Message], JSONResponse | None]:
        """Receive the body, and no more of it than may be; return its messages."""
        limit = _refused(413, f"the body is longer than {self._max_body} bytes")
        if int(headers.get("content-length") or 0) > self._max_body:  # the server has checked that it is a number
            return [], limit
        messages: list[Message] = []
        size, more = 0, True
        while more:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            if size > self._max_body:
                return [], limit
        return messages, None


def _brought(authorization: str) -> bytes:
    """Return the token of an `Authorization` header, empty where there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def _refused(status: int, error: str) -> JSONResponse:
    return JSONResponse({"error": error}, status)
