"""`medsynth serve`: synthesis for other programs and computers over HTTP."""

from __future__ import annotations

import argparse
import functools

from medsynth.cli import addresses
from medsynth.cli.parsers import add_command
from medsynth.errors import needs_extra
from medsynth.events import Event, Listener

TOKEN = "MEDSYNTH_SERVE_TOKEN"
OPTIONAL = ("fastapi", "uvicorn")
LINE = "run requests that other programs send over HTTP"
DESCRIPTION = """\
Take requests over HTTP, run them as `medsynth synthesize` does, and give back the files: DICOM, NRRD or NIfTI. Every call
needs a token. Only this computer reaches it unless --host says otherwise; then a token of yours is needed.
What was sent is removed with its job, and everything when the server ends."""

EXAMPLES = """\
examples:
  medsynth serve
  medsynth serve --port 8100 --token-file token.txt
  medsynth serve --host 0.0.0.0 --port 8443 --token-file token.txt --certificate cert.pem --key key.pem"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`serve` and its options."""
    parser = add_command(subparsers, "serve", LINE, DESCRIPTION, EXAMPLES)
    add = addresses.add_options(
        parser, port=8100, variable=TOKEN, files="uploads and results lie while it runs", job="job"
    )
    add("--parallel", 1, "jobs at the same time", whole=True)
    add("--jobs", 8, "waiting or running", whole=True)
    add("--job-memory", 16, "of one job", metavar="GB")
    add("--keep-minutes", 60, "of a result")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Serve until Ctrl-C.

    Raises:
        MissingExtra: the packages of the extra `serve` are not installed.
    """
    from medsynth.http_server import is_loopback

    local = is_loopback(args.host)
    token = addresses.token(args.token_file, TOKEN)
    if token is None and not local:
        raise ValueError(
            f"--host {args.host} can be reached from other computers: give a token by --token-file or "
            f"{TOKEN}"
        )
    certificate = addresses.certificate(args)
    if not local and certificate is None:
        words = (
            f"{args.host} can be reached from other computers, and nothing is encrypted: whoever listens "
            "can read token and images; give --certificate and --key, or put it behind your own TLS"
        )
        listener(Event("warning", message=words))
    with needs_extra("serve", OPTIONAL):
        _serve(args, listener, token)
    return 0


def _serve(args: argparse.Namespace, listener: Listener, token: str | None) -> None:
    from medsynth.serve.jobs import JobLimits
    from medsynth.serve.running import serve

    given = functools.partial(addresses.limit, args)
    limits = JobLimits(
        parallel=int(given("--parallel")),
        jobs=int(given("--jobs")),
        minutes=given("--job-minutes"),
        memory_bytes=int(given("--job-memory") * 1e9),
        upload_bytes=addresses.upload_bytes(args),
        keep_minutes=given("--keep-minutes"),
    )

    def result(address: str, own: str) -> tuple[str, dict[str, str]]:
        words = f"serving on {address} (what it takes: {address}/docs)"
        if token is not None:
            return f"{words}\nCtrl-C ends it.", {}
        return f"{words}\nthe token of this run: {own}\nCtrl-C ends it.", {"token": own}

    addresses.until_stopped(serve, limits, args, token, result, listener)
