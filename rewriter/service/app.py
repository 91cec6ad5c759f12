"""`create_app`: the endpoints, as an ASGI application."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from rewriter import __version__
from rewriter.errors import MissingExtraError, RequestError, RewriterError
from rewriter.messages import caution
from rewriter.online.decisions import DecisionLog
from rewriter.online.rewriter import Rewriter
from rewriter.online.teaching_session import TeachingSessions
from rewriter.result import Taught, Teachable
from rewriter.service.bodies import (
    AnswerRequest,
    Fault,
    FeedbackRequest,
    Health,
    LessonAnswer,
    LessonsRequest,
    PreferenceAnswer,
    PreferencesRequest,
    PreferRequest,
    Removed,
    RewriteAnswer,
    RewriteRequest,
    TalkAnswer,
    TalkRequest,
    TaughtAnswer,
    TeachRequest,
    UnteachRequest,
)
from rewriter.service.console import add_console
from rewriter.service.doorkeeper import MAX_BODY, Doorkeeper
from rewriter.service.metrics import Counting, Metrics
from rewriter.text import unspaced

_ABOUT = """rewriter rewrites requests that a conversational assistant would not understand. Ask it before the NLU, or after the
NLU has refused, and send what it returns. Whatever goes wrong here, send the utterance as it was heard."""


def create_app(
    rewriter: Rewriter,
    *,
    token: str | None = None,
    decisions: DecisionLog | None = None,
    console: Path | None = None,
    max_body: int = MAX_BODY,
) -> FastAPI:
    """Return the service as an ASGI application.

    Args:
        rewriter: what answers. It follows new versions by itself.
        token: what every request but ``/health`` must bring; None for a service that only this machine may use.
        decisions: keeps every decision for the next `learn`; closed when the service ends. None to keep none.
        console: the artefact folder, whose console is shown at ``/console``; None for no console.
        max_body: bytes of a request at most.
    """
    metrics = Metrics()
    app = FastAPI(
        title="rewriter",
        version=__version__,
        description=_ABOUT,
        lifespan=_closing(decisions),
        docs_url=None,  # these pages load their scripts from the network
        redoc_url=None,
        responses={status: {"model": Fault} for status in (400, 401, 403, 413, 422)},
    )
    _add_requests(app, rewriter, metrics, decisions)
    _add_teaching(app, rewriter)
    _add_operations(app, rewriter, metrics, decisions)
    _add_faults(app)
    if console is not None:
        add_console(app, console, acts=token is not None)
    app.add_middleware(Doorkeeper, token=token, max_body=max_body)
    app.add_middleware(Counting, metrics=metrics, paths=frozenset(getattr(route, "path", "") for route in app.routes))
    return app


def _add_requests(app: FastAPI, rewriter: Rewriter, metrics: Metrics, decisions: DecisionLog | None) -> None:
    """Add what an assistant calls."""

    @app.post("/v1/rewrite", response_model=RewriteAnswer, tags=["requests"])
    async def rewrite(body: RewriteRequest) -> Response:
        """Return what to send to the NLU in place of an utterance, and why."""
        since = time.perf_counter()  # a decision takes about a millisecond, less than a thread would
        answer = rewriter.rewrite(
            body.utterance,
            user_id=body.user_id,
            locale=body.locale,
            nbest=body.nbest,
            context=body.context,
            after_failure=body.after_failure,
            household_id=body.household_id,
        )
        metrics.decided(answer, after_failure=body.after_failure, seconds=time.perf_counter() - since)
        if decisions is not None:
            decisions.write(answer, user_id=body.user_id, turn_id=body.turn_id)
        return Plain(asdict(answer))

    @app.post("/v1/feedback", status_code=204, tags=["requests"])
    async def feedback(body: FeedbackRequest) -> Response:
        """Say what became of a decision. A rewrite that was undone is not repeated for this user."""
        await run_in_threadpool(rewriter.feedback, body.rewrite_id, body.value, body.user_id)
        metrics.count_feedback(body.value)
        return Response(status_code=204)


def _add_teaching(app: FastAPI, rewriter: Rewriter) -> None:
    """Add what users say outright (docs/teaching.md)."""

    @app.post("/v1/teach", response_model=TaughtAnswer, tags=["teaching"])
    async def teach(body: TeachRequest) -> Response:
        """Keep what a user teaches: from the next request on, these words mean that."""
        return Plain(_taught(await run_in_threadpool(lambda: rewriter.teach(**dict(body)))))

    @app.post("/v1/answer", response_model=TaughtAnswer | None, tags=["teaching"])
    async def answer(body: AnswerRequest) -> Response:
        """Take what a user says to the question of a teachable moment; return what it taught, or nothing."""
        asked = Teachable(**dict(body.asked))
        taught = await run_in_threadpool(lambda: rewriter.answer(asked, body.answer, user_id=body.user_id))
        return Plain(None if taught is None else _taught(taught))

    @app.post("/v1/prefer", response_model=PreferenceAnswer, tags=["teaching"])
    async def prefer(body: PreferRequest) -> Response:
        """Keep which value of a slot a user prefers: it decides what requests leave open."""
        return Plain(asdict(await run_in_threadpool(lambda: rewriter.prefer(**dict(body)))))

    @app.post("/v1/preferences", response_model=list[PreferenceAnswer], tags=["teaching"])
    async def preferences(body: PreferencesRequest) -> Response:
        """Return what a user said to prefer."""
        return Plain([asdict(each) for each in await run_in_threadpool(rewriter.preferences, body.user_id)])

    talks = TeachingSessions(rewriter)

    @app.post("/v1/talk", response_model=TalkAnswer, tags=["teaching"])
    async def talk(body: TalkRequest) -> Response:
        """Lead a user through teaching, a prompt in and a text out. This process remembers where each talk stands."""
        said, active = await run_in_threadpool(talks.say, body.user_id, body.text, body.locale)
        return Plain({"said": said, "active": active})

    @app.post("/v1/lessons", response_model=list[LessonAnswer], tags=["teaching"])
    async def lessons(body: LessonsRequest) -> Response:
        """Return what a user taught, and what was taught for a household. A POST: proxies log what is in a URL."""
        found = await run_in_threadpool(lambda: rewriter.lessons(body.user_id, household_id=body.household_id))
        return Plain([asdict(each) for each in found])

    @app.post("/v1/unteach", response_model=Removed, tags=["teaching"])
    async def unteach(body: UnteachRequest) -> Response:
        """Remove a lesson or a preference."""
        return Plain({"removed": await run_in_threadpool(rewriter.unteach, body.lesson_id)})


def _taught(found: Taught) -> dict[str, Any]:
    """Return what became of a lesson, with its cautions in words, too."""
    cautions = [asdict(each) | {"text": unspaced(caution(each.code, each.detail))} for each in found.cautions]
    return asdict(found) | {"cautions": cautions}


def _add_operations(app: FastAPI, rewriter: Rewriter, metrics: Metrics, decisions: DecisionLog | None) -> None:
    """Add what those call who run the service."""

    @app.get("/health", response_model=Health, tags=["operations"])
    async def health() -> Response:
        """Say that the service answers. Needs no token."""
        version = rewriter.rewrite("").artefact
        metrics.serves(version)
        return JSONResponse({"status": "ok", "artefact": version})

    @app.get("/metrics", response_class=Response, tags=["operations"])
    async def figures() -> Response:
        """Return the figures of the service in the text format of Prometheus."""
        return Response(metrics.text(decisions.dropped if decisions is not None else 0), media_type=CONTENT_TYPE_LATEST)


def _add_faults(app: FastAPI) -> None:
    """Answer whatever goes wrong with one line of JSON."""

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, fault: RequestValidationError) -> Response:
        first = fault.errors()[0]
        if first["type"] == "json_invalid":
            return _fault(422, 'the body is no JSON; write for example {"utterance": "turn of the lamp"}')
        if tuple(first["loc"]) == ("body",):
            return _fault(422, "the body must be a JSON object, sent with the header content-type: application/json")
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return _fault(422, f"{where}: {first['msg']}" if where else str(first["msg"]))

    @app.exception_handler(RequestError)
    async def refused(_: Request, fault: RequestError) -> Response:
        return _fault(400, str(fault))

    @app.exception_handler(MissingExtraError)
    async def absent(_: Request, fault: MissingExtraError) -> Response:
        return _fault(501, str(fault))

    @app.exception_handler(RewriterError)
    async def broken(_: Request, fault: RewriterError) -> Response:
        return _fault(503, str(fault))

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, fault: HTTPException) -> Response:
        cure = "; /openapi.json lists the paths and their methods" if fault.status_code in (404, 405) else ""
        return _fault(fault.status_code, f"{fault.detail}{cure}")

    @app.exception_handler(Exception)
    async def surprised(_: Request, __: Exception) -> Response:
        return _fault(500, "something failed inside; the log of the service says what")


def _fault(status: int, line: str) -> JSONResponse:
    return Plain({"error": " ".join(line.split())[:500]}, status)


class Plain(JSONResponse):
    """JSON in ASCII: what was heard may hold half a character (a lone surrogate), which UTF-8 cannot write."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - as in the base class
        """Return the bytes of the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def _closing(decisions: DecisionLog | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if decisions is not None:
            await run_in_threadpool(decisions.close)

    return lifespan
