"""`serve`: opens an artefact and answers over HTTP until the process is told to end."""

import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from prometheus_client import disable_created_metrics

from rewriter.errors import RewriterError
from rewriter.online.decisions import DecisionLog
from rewriter.online.rewriter import Rewriter
from rewriter.service.app import create_app
from rewriter.service.doorkeeper import token_for

PORT = 8377
_WAITING = 1_000  # connections at once; more are answered 503
_BACKLOG = 2_048


def serve(
    root: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    deadline_ms: float | None = None,
    decisions: str | Path | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Answer requests over HTTP until SIGTERM or SIGINT (docs/service.md). New versions are served as they are published.

    The token is read from the environment variable REWRITER_TOKEN. Without one, only this machine is served.

    Args:
        root: the artefact folder.
        host: address to listen at.
        port: 0 for any that is free.
        deadline_ms: how long the online layer may take, milliseconds; None for no limit.
        decisions: folder in which every decision is kept for the next `learn` (`rewriter.DecisionLog`); None to keep none.
        ready: called with the URL once requests are accepted.

    Raises:
        ConfigError: other machines can reach the host and there is no token, or the token is short.
        ArtefactError: the artefact is missing or damaged.
        RewriterError: the port is in use or the host is no address of this machine.
    """
    token = token_for(host)
    rewriter = Rewriter.open(root, deadline_ms=deadline_ms)
    kept = None if decisions is None else DecisionLog(decisions, artefact=root)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asked for
    with _listening(host, port) as listener:
        at, number = listener.getsockname()[:2]
        app = create_app(rewriter, token=token, decisions=kept, console=Path(root))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, limit_concurrency=_WAITING, timeout_keep_alive=15
        )
        server = uvicorn.Server(config)
        gc.collect()
        gc.freeze()  # what is open now stays; looking for garbage among it took some requests tens of milliseconds
        if ready is not None:
            ready(f"http://{f'[{at}]' if ':' in at else at}:{number}")
        with suppress(KeyboardInterrupt):  # uvicorn raises it again, when it has ended
            server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that connections wait from here on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
        raise RewriterError(f"cannot listen at {host}:{port}: {reason}; name another with --host and --port") from error
