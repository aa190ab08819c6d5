"""The only door: who has the token gets a session, and reaches that session and nothing else.

A session's address holds a name that cannot be guessed; its own port takes nothing but what comes from here.
"""

from __future__ import annotations

import asyncio
import hmac
import html
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import WSMsgType, web

from medsynth import pages
from medsynth.web.session import KEY_HEADER
from medsynth.web.sessions import NoMoreSessions, Session, Sessions

HERE = Path(__file__).parent
COOKIE = "medsynth_web"
WRONG_S = 1.0  # a wrong token takes this long
# Vue compiles the page in the browser, and the views arrive as blobs; nothing comes from elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'unsafe-inline' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FORWARDED = ("content-type", "content-length", "accept", "range", "if-modified-since")
RETURNED = ("content-type", "content-length", "content-disposition", "content-range", "location")
MOST_MESSAGE = 16 << 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """The application.

    Args:
        token: what a visitor has to know.
        hosts: the names under which it may be reached; an empty tuple: any.
    """

    def __init__(self, sessions: Sessions, *, token: str, hosts: tuple[str, ...]) -> None:
        self.sessions, self.token, self.hosts = sessions, token, hosts
        self.client: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 16)
        app.router.add_get("/", self.enter)
        app.router.add_post("/login", self.login)
        app.router.add_get("/s/{session}", self.enter)
        app.router.add_route("*", "/s/{session}/{path:.*}", self.forward)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, _: web.Application) -> None:
        self.client = aiohttp.ClientSession(auto_decompress=False)
        self.sessions.start()

    async def _stop(self, _: web.Application) -> None:
        await self.sessions.stop()
        assert self.client is not None
        await self.client.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign pages must not act through a visitor's browser, and every answer is hardened."""
        host = urlsplit(f"//{request.host}").hostname or ""
        origin = urlsplit(request.headers.get("Origin", "")).netloc
        if (self.hosts and host not in self.hosts) or (origin and origin != request.host):
            return web.Response(status=403, text="not from this page", headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """A new session for who is known; else the question for the token."""
        if token := request.query.get("token", ""):
            return await self._admit(request, token)
        if not self._knows(request.cookies.get(COOKIE, "")):
            return _page("Log in", LOGIN)
        try:
            session = await self.sessions.new()
        except (NoMoreSessions, RuntimeError) as error:
            return _page("Not now", f"<p>{html.escape(str(error))}.</p>", status=503)
        raise web.HTTPSeeOther(f"/s/{session.id}/index.html")

    async def login(self, request: web.Request) -> web.StreamResponse:
        """The token, from the page that asks for it."""
        return await self._admit(request, str((await request.post()).get("token", "")))

    async def _admit(self, request: web.Request, token: str) -> web.StreamResponse:
        if not self._knows(token):
            await asyncio.sleep(WRONG_S)
            return _page("Log in", f"<p>That is not the token.</p>{LOGIN}", status=403)
        response = web.HTTPSeeOther("/")
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        raise response

    def _session(self, request: web.Request) -> Session:
        session = self.sessions.open.get(request.match_info["session"])
        if session is None or not self._knows(request.cookies.get(COOKIE, "")):
            raise web.HTTPNotFound(text=GONE, content_type="text/html")
        session.heard = time.monotonic()
        return session

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """To the session, and its answer back."""
        session = self._session(request)
        assert self.client is not None
        address = f"http://127.0.0.1:{session.port}/{request.match_info['path']}"
        headers = {KEY_HEADER: session.key}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._connect(request, session, address, headers)
        headers |= {k: v for k, v in request.headers.items() if k.lower() in FORWARDED}
        body = request.content if request.can_read_body else None
        try:
            async with self.client.request(
                *(request.method, address),
                params=request.query,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() in RETURNED}
                response = web.StreamResponse(status=answer.status, headers={**kept, **HEADERS})
                await response.prepare(request)
                async for block in answer.content.iter_chunked(1 << 16):
                    session.heard = time.monotonic()
                    await response.write(block)
                await response.write_eof()
                return response
        except aiohttp.ClientError:
            raise web.HTTPBadGateway(text="the session has ended") from None

    async def _connect(
        self, request: web.Request, session: Session, address: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        assert self.client is not None
        ours = web.WebSocketResponse(max_msg_size=MOST_MESSAGE, heartbeat=30)
        await ours.prepare(request)
        session.sockets += 1
        try:
            async with self.client.ws_connect(
                address, headers=headers, max_msg_size=0, heartbeat=30
            ) as theirs:
                await _either(_pass(ours, theirs, session), _pass(theirs, ours, None))
        except aiohttp.ClientError:
            pass  # the session has ended
        finally:
            session.sockets -= 1
            session.heard = time.monotonic()
            await ours.close()
        return ours


async def _either(*running: Any) -> None:
    tasks = [asyncio.ensure_future(one) for one in running]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(source: Any, target: Any, session: Session | None) -> None:
    async for message in source:
        if session is not None:
            session.heard = time.monotonic()
        if message.type == WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await target.send_bytes(message.data)


LOGIN = """<form method="post" action="/login">
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus></label>
<button>Enter</button></form>"""
GONE = '<p>This session has ended; everything of it is gone. <a href="/">Begin a new one</a>.</p>'


def _page(title: str, body: str, *, status: int = 200) -> web.Response:
    text = pages.filled(HERE / "door.html", {"title": title, "body": body})
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def serve(
    gateway: Gateway,
    opened: Any,
    certificate: tuple[Path, Path] | None,
) -> None:
    """Serve on a listening socket until the process is stopped."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*certificate)
    web.run_app(
        *(gateway.app(),),
        sock=opened,
        ssl_context=tls,
        print=None,
        access_log=None,
        shutdown_timeout=3,
    )
