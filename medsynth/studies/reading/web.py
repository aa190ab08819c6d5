"""The routes of the page: personal links, no truth in any byte, every answer on disk first."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from medsynth.studies.reading.session import ClosedStudy, OutOfTurn, StudySession

PAGE = Path(__file__).with_name("page")
FILES = {"reader.js": "text/javascript", "viewer.js": "text/javascript", "reader.css": "text/css"}
LARGEST_BODY = 16384
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(session: StudySession) -> FastAPI:
    """The web application of one study."""
    app = FastAPI(title="study", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def harden(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await go_on(request)
        response.headers.update(HEADERS)
        return response

    def page(name: str, status: int = 200) -> Response:
        return Response(_file(name), status, media_type="text/html")

    def reply(value: Any, status: int = 200) -> Response:
        return Response(json.dumps(value), status, media_type="application/json")

    known = session.reader

    @app.get("/")
    def front() -> Response:
        return page("link.html", 404)

    @app.get("/r/{token}/")
    def start(token: str) -> Response:
        if known(token) is None:
            return page("link.html", 404)
        if session.is_closed():
            return page("closed.html", 410)
        return page("reader.html")

    @app.get("/r/{token}/static/{name}")
    def static(token: str, name: str) -> Response:
        if known(token) is None or name not in FILES:
            return Response(status_code=404)
        return Response(_file(name), media_type=FILES[name])

    @app.get("/r/{token}/state")
    def state(token: str) -> Response:
        reader = known(token)
        return reply({}, 404) if reader is None else reply(session.state(reader))

    @app.get("/r/{token}/image/{phase}/{position}/{which}")
    def image(token: str, phase: int, position: int, which: int) -> Response:
        reader = known(token)
        data = None if reader is None else session.image(reader, phase, position, which)
        if data is None:
            return Response(status_code=404)
        return Response(data, media_type="application/octet-stream")

    async def body(request: Request) -> dict[str, Any]:
        if int(request.headers.get("content-length") or LARGEST_BODY + 1) > LARGEST_BODY:
            raise ValueError(f"expected at most {LARGEST_BODY} bytes of JSON")
        try:
            value = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise ValueError("expected JSON") from error
        if not isinstance(value, dict):
            raise ValueError("expected a JSON object")
        return value

    async def post(
        token: str, request: Request, act: Callable[[Any, dict[str, Any]], Any]
    ) -> Response:
        reader = known(token)
        if reader is None:
            return reply({}, 404)
        try:
            done = await run_in_threadpool(act, reader, await body(request))
        except ClosedStudy:
            return reply({"status": "closed"}, 410)
        except OutOfTurn as error:
            return reply({"error": str(error)}, 409)
        except ValueError as error:
            return reply({"error": str(error)}, 422)
        return reply({"done": done})

    @app.post("/r/{token}/sign-in")
    async def sign_in(token: str, request: Request) -> Response:
        return await post(token, request, session.sign_in)

    @app.post("/r/{token}/answer")
    async def answer(token: str, request: Request) -> Response:
        return await post(token, request, session.answer)

    @app.post("/r/{token}/undo")
    async def undo(token: str, request: Request) -> Response:
        return await post(token, request, lambda reader, _: session.undo(reader))

    @app.exception_handler(404)
    async def nothing(request: Request, error: Exception) -> Response:
        return page("link.html", 404)

    return app


@functools.cache
def _file(name: str) -> bytes:
    return (PAGE / name).read_bytes()
