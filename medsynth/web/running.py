"""One gateway: its folder, which nobody else can enter and nothing outlives, and its address."""

from __future__ import annotations

from medsynth import http_server
from medsynth.serve.running import ServerPlace
from medsynth.web.sessions import SessionLimits, Sessions

LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(limits: SessionLimits, place: ServerPlace, *, own: bool) -> None:
    """Serve until the process is stopped.

    Args:
        own: whether visitors are offered what belongs to this user: destinations, saved lesions.

    Raises:
        OSError: the port is taken, or nothing can be written there.
    """
    from medsynth.web import gateway

    # By other names than these, a page of elsewhere could be made to be this one (DNS rebinding).
    hosts = LOCAL if http_server.is_loopback(place.host) else ()
    with place.opened("medsynth-web") as (root, opened):
        sessions = Sessions(root, limits, threads=place.threads, own=own)
        door = gateway.Gateway(sessions, token=place.token, hosts=hosts)
        place.ready(opened.getsockname()[1])
        gateway.serve(door, opened, place.certificate)
