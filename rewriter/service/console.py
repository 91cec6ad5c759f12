"""The console in the service: the page, and what it asks for. It needs the extra ``learn``, which is imported when it is used."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import Field, StrictBool, StrictStr
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response

from rewriter.errors import MissingExtraError, RequestError
from rewriter.service.bodies import Body

_HEADERS = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class AskRequest(Body):
    """A request that is tried."""

    text: StrictStr
    user_id: StrictStr | None = None
    locale: StrictStr | None = None
    after_failure: StrictBool = False


class GraphRequest(Body):
    """The rule whose graph is wanted."""

    rule: StrictStr


class ReviewRequest(Body):
    """What a person decides about a rule that serves everybody."""

    rule: StrictStr
    choice: Literal["approve", "block", "edit"]
    text: Annotated[StrictStr, Field(max_length=1_000, description="What to send instead, for edit.")] = ""
    note: Annotated[StrictStr, Field(max_length=1_000)] = ""


def add_console(app: FastAPI, root: Path, *, acts: bool) -> None:
    """Add the page and its endpoints.

    Args:
        app: the service.
        root: the artefact folder.
        acts: whether people may decide about rules. Without a token they may not: anybody on the machine could.
    """
    one_at_a_time = asyncio.Lock()  # reading and writing review.csv are two steps

    @app.get("/console", response_class=HTMLResponse, include_in_schema=False)
    async def console() -> Response:
        page = await run_in_threadpool(_page, root, acts)
        return HTMLResponse(page, headers=_HEADERS)

    @app.post("/console/ask", include_in_schema=False)
    async def ask(body: AskRequest) -> Response:
        return JSONResponse(await run_in_threadpool(_answer, root, body))

    @app.post("/console/graph", include_in_schema=False)
    async def graph(body: GraphRequest) -> Response:
        return JSONResponse({"svg": await run_in_threadpool(_graph, root, body.rule)})

    @app.post("/console/review", tags=["operations"])
    async def review(body: ReviewRequest) -> Response:
        """Approve, block or edit a rule; it counts from the next request on. Only with a token."""
        if not acts:
            raise RequestError("decisions need a token: set REWRITER_TOKEN for the service")
        async with one_at_a_time:
            return JSONResponse(await run_in_threadpool(_review, root, body))


def _page(root: Path, acts: bool) -> str:
    try:
        from rewriter.operate.console import page  # noqa: PLC0415
        from rewriter.operate.console.content import content  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the console needs {error.name}: pip install 'rewriter[learn]'") from error
    return page.html(content(root), asks=True, acts=acts)


def _answer(root: Path, body: AskRequest) -> dict[str, Any]:
    from rewriter.operate.console.page import answer  # noqa: PLC0415
    from rewriter.operate.explain import explain  # noqa: PLC0415

    found = explain(root, body.text, user_id=body.user_id, locale=body.locale, after_failure=body.after_failure)
    return answer(found)


def _graph(root: Path, rule_id: str) -> str:
    from rewriter.operate.console.page import drawn  # noqa: PLC0415
    from rewriter.operate.review import rules  # noqa: PLC0415

    rule = next((rule for rule in rules(root) if rule.rule == rule_id), None)
    return drawn(root, rule.source, rule.locale) if rule is not None else ""


def _review(root: Path, body: ReviewRequest) -> dict[str, str]:
    from rewriter.operate.review import decide  # noqa: PLC0415

    if body.choice == "edit" and not body.text.strip():
        raise RequestError("edit needs the text to send instead")
    if body.choice == "block":  # of a rule that was edited: what was written is not to be sent either
        decide(root, "approve", [body.rule])
    (line,) = decide(root, body.choice, [body.rule], text=body.text, note=body.note)
    return {"choice": line.choice, "source": line.source, "target": line.target}
