"""`medsynth web`: the whole job in a browser."""

from __future__ import annotations

import argparse
import functools

from medsynth.cli import addresses
from medsynth.cli.parsers import add_command
from medsynth.errors import needs_extra
from medsynth.events import Listener

TOKEN = "MEDSYNTH_WEB_TOKEN"
OPTIONAL = ("aiohttp", "trame", "trame_slicer", "slicer", "slicer_core", "vtk", "vtkmodules")
LINE = "make synthetic images in a browser"
DESCRIPTION = """\
Open an image, say where a lesion goes and what it is, see what a factor keeps, run, compare, download: in a browser, on
3D Slicer's core. Only this computer reaches it unless --host says otherwise; then a token of yours and a certificate are
needed. Every visitor has a process and a folder of their own, which are gone when the visitor is."""

EXAMPLES = """\
examples:
  medsynth web
  medsynth web --host 0.0.0.0 --port 8443 --token-file token.txt --certificate cert.pem --key key.pem"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`web` and its options."""
    parser = add_command(subparsers, "web", LINE, DESCRIPTION, EXAMPLES)
    add = addresses.add_options(
        parser, port=8200, variable=TOKEN, files="images lie while a session lasts", job="run"
    )
    add("--sessions", 4, "at the same time", whole=True)
    add("--session-minutes", 480, "of one")
    add("--idle-minutes", 60, "without a word")
    add("--gone-minutes", 2, "without a browser")
    add("--session-memory", 16, "of one", metavar="GB")
    parser.add_argument(
        "--own",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="offer your destinations (medsynth pacs) and your saved lesions to whoever has the token "
        "(default: only where no other computer reaches it)",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Serve until Ctrl-C.

    Raises:
        MissingExtra: the packages of the extra `web` are not installed.
    """
    from medsynth.http_server import is_loopback

    token = addresses.token(args.token_file, TOKEN)
    certificate = addresses.certificate(args)
    if not is_loopback(args.host) and (token is None or certificate is None):
        raise ValueError(
            f"--host {args.host} can be reached from other computers: give a token by --token-file or {TOKEN}, and "
            "--certificate with --key; or leave --host and put your own proxy with login and TLS before it"
        )
    with needs_extra("web", OPTIONAL):
        _serve(args, listener, token)
    return 0


def _serve(args: argparse.Namespace, listener: Listener, token: str | None) -> None:
    import importlib.util

    for package in OPTIONAL[:4]:  # a visitor would meet them late
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    from medsynth.http_server import is_loopback
    from medsynth.serve.jobs import JobLimits
    from medsynth.web.running import serve
    from medsynth.web.sessions import SessionLimits

    given = functools.partial(addresses.limit, args)
    memory = int(given("--session-memory") * 1e9)
    job = JobLimits(
        minutes=given("--job-minutes"),
        memory_bytes=memory,
        upload_bytes=addresses.upload_bytes(args),
    )
    limits = SessionLimits(
        sessions=int(given("--sessions")),
        minutes=given("--session-minutes"),
        idle_minutes=given("--idle-minutes"),
        gone_minutes=given("--gone-minutes"),
        memory_bytes=memory,
        job=job,
    )

    def result(address: str, own: str) -> tuple[str, dict[str, str]]:
        link = address if token is not None else f"{address}/?token={own}"
        return f"open {link}\nCtrl-C ends it, and all sessions with it.", {"link": link}

    offered = is_loopback(args.host) if args.own is None else args.own
    serving = functools.partial(serve, own=offered)
    addresses.until_stopped(serving, limits, args, token, result, listener)
