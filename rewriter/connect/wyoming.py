"""A proxy for services of the Wyoming protocol (Rhasspy, Home Assistant): `serve`.

It stands before a service that speaks Wyoming and passes on every event. What a service for speech recognition has heard is
rewritten before the client sees it. A request to a service that recognises or handles intents is passed on as it is, and is asked
again in other words only if the service refuses it.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.server import AsyncEventHandler, AsyncServer

from rewriter.connect.dialogue import Dialogue, Turn
from rewriter.errors import RequestError
from rewriter.model.hypothesis import hypothesis

_REQUESTS: Final = ("recognize", "transcript")
_REFUSED: Final = ("not-recognized", "not-handled")
_DONE: Final = ("intent", "handled", "handled-stop")
_UPSTREAM_TIMEOUT = 5.0  # seconds to connect
_log = logging.getLogger(__name__)


def serve(
    artefact: str | Path,
    *,
    upstream: str,
    uri: str = "tcp://127.0.0.1:10390",
    turns: str | Path | None = None,
    user_id: str = "home",
    user_key: str = "user_id",
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        artefact: the artefact folder. It may be missing: then requests pass unchanged, and are kept.
        upstream: the service, such as ``tcp://127.0.0.1:10300`` or ``unix:///run/asr``.
        uri: where to listen. The protocol has no authentication, so another address than this machine's is open to its network.
        turns: folder in which the turns are kept, for `learn`; None to keep none.
        user_id: whose requests they are, where an event does not say.
        user_key: key of an event's ``context`` that says whose request it is.
        ready: is called with the address when it listens.

    Raises:
        RequestError: an address is none that Wyoming knows.

    Example:
        >>> serve("artefact", upstream="tcp://127.0.0.1:10300", turns="turns")  # doctest: +SKIP
    """
    for address in (upstream, uri):
        parts = urlparse(address)
        if parts.scheme not in ("tcp", "unix") or (parts.scheme == "tcp" and parts.port is None):
            raise RequestError(f"an address is tcp://HOST:PORT or unix:///PATH, not {address!r}")
    talk = Dialogue(artefact, turns)

    async def run() -> None:
        server, stopped = AsyncServer.from_uri(uri), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await server.start(partial(_Proxy, talk, upstream, user_id, user_key))
        ready(uri)
        await stopped.wait()
        await server.stop()

    try:
        asyncio.run(run())
    finally:
        talk.close()


class _Proxy(AsyncEventHandler):
    """One connection of a client, and the connection to the service that belongs to it."""

    def __init__(
        self,
        talk: Dialogue,
        upstream: str,
        user_id: str,
        user_key: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(reader, writer)
        self._talk, self._user, self._user_key = talk, user_id, user_key
        self._service = AsyncClient.from_uri(upstream, connect_timeout=_UPSTREAM_TIMEOUT)
        self._back: asyncio.Task[None] | None = None
        self._context: dict[str, Any] = {}  # of the request that is under way
        self._language: str | None = None
        self._asked: Event | None = None  # the request for an intent that is not answered yet
        self._turn: Turn | None = None

    async def handle_event(self, event: Event) -> bool:
        """Pass an event of the client to the service; return whether the connection goes on."""
        if self._back is None:
            try:
                await self._service.connect()
            except (OSError, TimeoutError) as error:
                _log.warning("the service does not answer: %s", error)
                await self.write_event(Error(text=f"the service does not answer: {error}", code="upstream").event())
                return False
            self._back = asyncio.create_task(self._pump())
        self._note(event)
        try:
            await self._service.write_event(event)
        except OSError:
            return False
        return True

    async def disconnect(self) -> None:
        """End the connection to the service, too."""
        if self._back is not None:
            self._back.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._service.disconnect()

    def _note(self, event: Event) -> None:
        """Remember a request: whose it is, and its text."""
        if event.type in ("transcribe", *_REQUESTS):
            self._context = event.data.get("context") or {}
            self._language = event.data.get("language")
        if event.type in _REQUESTS:
            self._asked = event
            self._turn = self._talk.begin(event.data.get("text") or "", **self._known())

    def _known(self, language: str | None = None) -> dict[str, Any]:
        return {"user_id": str(self._context.get(self._user_key) or self._user), "locale": language or self._language}

    async def _pump(self) -> None:
        """Pass the events of the service to the client."""
        with contextlib.suppress(OSError):
            while event := await self._service.read_event():
                if answer := await self._answered(event):
                    await self.write_event(answer)
        await self.stop()

    async def _answered(self, event: Event) -> Event | None:
        """Return the event for the client; None if the service is asked again."""
        if event.type == "transcript" and event.data.get("text"):
            turn = self._talk.hear(event.data["text"], **self._known(event.data.get("language")))
            self._talk.end(turn)
            return Event(event.type, {**event.data, "text": turn.text}, event.payload)
        if self._turn is None or self._asked is None or event.type not in (*_REFUSED, *_DONE):
            return event
        if event.type in _REFUSED and not self._turn.rewritten:
            self._turn = self._talk.retry(self._turn)
            if self._turn.rewritten:
                again = {**self._asked.data, "text": self._turn.text}
                await self._service.write_event(Event(self._asked.type, again, self._asked.payload))
                return None
        self._talk.end(self._turn, "failed" if event.type in _REFUSED else "ok", **_outcome(event))
        self._turn = None
        return event


def _outcome(event: Event) -> dict[str, str | None]:
    """Return what an answer says beside success or failure, as columns of the log."""
    slots = {str(each["name"]): str(each.get("value")) for each in event.data.get("entities") or []}
    found = hypothesis(event.data["name"], slots) if event.type == "intent" else None
    return {"hypothesis": found, "response": event.data.get("text")}
