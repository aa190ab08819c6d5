"""The routes: a request in, a job; its progress; its files out. Every one of them needs the token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import html
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from medsynth import __version__, pages
from medsynth.domains import PRESETS
from medsynth.serve import upload
from medsynth.serve.jobs import Full, JobLimits, Jobs, ServedJob

# Of the module: FastAPI looks annotations up there.
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
PAGE = Path(__file__).with_name("page.html")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
DESCRIPTION = (
    "A job is a request of `medsynth synthesize`. Results are synthetic images, marked as such, and not for "
    "diagnosis. Every call but this page and /openapi.json needs the header `Authorization: Bearer TOKEN`."
)
BODY = {
    "parameters": [
        {
            "name": "Job-Id",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"},
            "description": "What the job is to be called; it can then be removed before the answer comes",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": {
                "schema": {"type": "string", "format": "binary"},
                "x-meaning": "request.yaml or request.json at the top, and the files that it names by "
                "paths relative to it",
            },
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    },
}


def make_app(root: Path, limits: JobLimits, *, token: str, threads: int | None = None) -> FastAPI:
    """The web application; its jobs' files are in `root`."""
    jobs = Jobs(root, limits, threads=threads)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        jobs.start()
        yield
        await jobs.stop()

    app = FastAPI(
        title="medsynth serve",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's page would be loaded from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _harden(app)
    _add_page(app)
    _add_routes(app, jobs, token)
    return app


def _harden(app: FastAPI) -> None:
    @app.middleware("http")
    async def harden(request: Request, go_on: Any) -> Response:
        response: Response = await go_on(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _add_routes(app: FastAPI, jobs: Jobs, token: str) -> None:
    def allowed(given: Credentials) -> None:
        shown = given.credentials if given is not None else ""
        if not hmac.compare_digest(shown.encode(), token.encode()):
            words = "the token is missing or wrong; send the header Authorization: Bearer TOKEN"
            raise HTTPException(401, words, {"WWW-Authenticate": "Bearer"})

    def found(job: str) -> ServedJob:
        if job not in jobs.jobs:
            raise HTTPException(404, "no such job; results are kept for a while only")
        return jobs.jobs[job]

    guarded: dict[str, Any] = {"dependencies": [Depends(allowed)]}

    @app.get("/v1/server", summary="Version, presets, limits and jobs under way", **guarded)
    async def server() -> dict[str, Any]:
        limits = {key: getattr(jobs.limits, key) for key in jobs.limits.__dataclass_fields__}
        states = [job.state for job in jobs.jobs.values()]
        counts = {state: states.count(state) for state in sorted(set(states))}
        return {
            "medsynth": __version__,
            "presets": list(PRESETS),
            "limits": limits,
            "jobs": counts,
        }

    @app.post("/v1/jobs", summary="Run a request", status_code=202, openapi_extra=BODY, **guarded)
    async def submit(request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in upload.TYPES:
            raise HTTPException(
                415, f"expected Content-Type {', '.join(upload.TYPES)}, got {kind!r}"
            )
        try:
            name = request.headers.get("job-id", "")
            return (await jobs.submit(request.stream(), kind, name)).public()
        except Full as error:
            raise HTTPException(429, str(error), {"Retry-After": "30"}) from None
        except upload.TooLarge as error:
            raise HTTPException(413, str(error)) from None
        except (TimeoutError, asyncio.TimeoutError):
            raise HTTPException(408, "the upload came too slowly") from None
        except (ValueError, OSError) as error:
            raise HTTPException(422, str(error)) from None

    @app.get("/v1/jobs", summary="All jobs", **guarded)
    async def every() -> list[dict[str, Any]]:
        return [job.public() for job in jobs.jobs.values()]

    @app.get(
        "/v1/jobs/{job}", summary="State, progress, warnings, and the files of a result", **guarded
    )
    async def one(job: str) -> dict[str, Any]:
        return found(job).public()

    @app.delete(
        "/v1/jobs/{job}", summary="Cancel a job, and remove its files", status_code=204, **guarded
    )
    async def remove(job: str) -> None:
        await jobs.remove(found(job))

    @app.get("/v1/jobs/{job}/result.zip", summary="The whole result", **guarded)
    async def everything(job: str) -> Response:
        return FileResponse(_done(found(job)).archive, filename=f"{job}.zip")

    @app.get("/v1/jobs/{job}/files/{name:path}", summary="One file of the result", **guarded)
    async def file(job: str, name: str) -> Response:
        # Only what the list names: no path is made of what came in.
        if name not in _done(found(job)).public()["files"]:
            raise HTTPException(
                404, f"the result has no file {name[:80]!r}; the job lists its files"
            )
        return FileResponse(found(job).out / name)


def _done(job: ServedJob) -> ServedJob:
    if job.state != "done":
        raise HTTPException(409, f"the job is {job.state}, not done")
    return job


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        schema = app.openapi()
        rows = []
        for path, methods in schema["paths"].items():
            for method, said in methods.items():
                answers = ", ".join(sorted(said["responses"]))
                cells = (method.upper(), path, said["summary"], answers)
                rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
        parts = {
            "version": html.escape(__version__),
            "description": html.escape(DESCRIPTION),
            "rows": "".join(f"<tr>{row}</tr>\n" for row in rows),
        }
        return Response(pages.filled(PAGE, parts), media_type="text/html")
