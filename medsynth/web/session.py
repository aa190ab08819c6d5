"""`python -m medsynth.web.session`: one visitor's process, which only the gateway reaches.

What it needs to know comes as one line of JSON on its standard input, so that no secret is among the words that
`ps` shows. Its standard input stays open as long as the gateway wants it.
"""

from __future__ import annotations

import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

from medsynth import parent, threads

KEY_HEADER = "X-Medsynth-Key"


def main() -> None:
    """Serve one session until the gateway ends it."""
    settings = json.loads(_first_line())
    parent.end_with_it(0)
    os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkOSOpenGLRenderWindow"
    os.environ["WSLINK_READY_MSG"] = ""
    os.environ["WSLINK_HEART_BEAT"] = "30"
    sys.argv = sys.argv[:1]  # trame reads options of its own there
    with (
        threads.one_for_numpy()
    ):  # the preview's products are small, and the browser wants a core too
        import numpy  # noqa: F401
    _serve(settings)


def _first_line() -> bytes:
    line = b""
    # Not sys.stdin: what it reads ahead would be missing to `parent`.
    while not line.endswith(b"\n"):
        line += os.read(0, 1)
    return line


def _serve(settings: dict[str, Any]) -> None:
    from trame.app import get_server

    from medsynth.serve.jobs import JobLimits
    from medsynth.web.desk import Desk
    from medsynth.web.page import write_page
    from medsynth.web.transfer import add_routes
    from medsynth.web.viewer import Viewer

    server = get_server(client_type="vue3")
    viewer = Viewer(server)
    limits = JobLimits(**settings["limits"])
    given = {key: settings[key] for key in ("threads", "own")}
    desk = Desk(server.state, viewer, Path(settings["folder"]), limits=limits, **given)
    write_page(server, desk)
    server.controller.on_server_bind.add(
        lambda found: _guard(found.app, settings["key"], desk, add_routes)
    )
    server.controller.on_server_ready.add(lambda **_: _say(port=server.port))
    server.start(
        host="127.0.0.1",
        port=0,
        timeout=0,
        open_browser=False,
        show_connection_info=False,
        disable_logging=True,
    )


def _guard(app: Any, key: str, desk: Any, add_routes: Any) -> None:
    """Other programs of this computer reach the port as well; they do not know the key."""
    from aiohttp import web

    @web.middleware
    async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, ""), key):
            raise web.HTTPForbidden(text="not here")
        return await handler(request)

    app.middlewares.append(guarded)
    add_routes(app, desk)


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
