"""What commands that serve pages or requests have in common: who may reach them, where files lie, what one may take."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth import threads
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.serve.running import ServerPlace

SHORTEST_TOKEN = 16


def add_options(
    parser: argparse.ArgumentParser, *, port: int, variable: str, files: str, job: str
) -> Callable[..., None]:
    """Address, token, certificate, folder and limits; `add_limit` of this parser, for more of them.

    Args:
        port: the usual one.
        variable: of the environment, which may hold the token instead.
        files: what lies in the folder, and for how long.
        job: what a job is called.
    """
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="(default: 127.0.0.1, this computer)")
    add("--port", metavar="N", type=int, default=port, help=f"0: any free one (default: {port})")
    add(
        "--token-file",
        metavar="FILE",
        type=Path,
        help=f"the token is its first line; else it is in {variable}, else a new one is made and shown",
    )
    add("--certificate", metavar="PEM", type=Path, help="for https, with --key")
    add("--key", metavar="PEM", type=Path, help="for https, with --certificate")
    where = f"where {files} (default: the system's temporary folder)"
    add("--folder", metavar="DIR", type=Path, help=where)
    add_limit(parser, "--job-minutes", 60, f"of one {job}")
    add_limit(parser, "--upload", 2048, "of one upload", metavar="MB")
    threads.add_option(parser)
    return functools.partial(add_limit, parser)


def add_limit(
    parser: argparse.ArgumentParser,
    option: str,
    usual: float,
    of: str,
    *,
    metavar: str = "N",
    whole: bool = False,
) -> None:
    """A limit of what one may take: a number above 0, see `limit`.

    Args:
        of: what it is a limit of.
        whole: whether it is a whole number.
    """
    kind = int if whole else float
    words = f"{of} (default: {usual:g})"
    parser.add_argument(option, metavar=metavar, type=kind, default=usual, help=words)


def limit(args: argparse.Namespace, option: str) -> float:
    """What was given for an option of `add_limit`.

    Raises:
        ValueError: it is none above 0.
    """
    value = getattr(args, option.removeprefix("--").replace("-", "_"))
    if not value > 0:
        raise ValueError(f"{option} must be above 0, got {value:g}")
    return value


def certificate(args: argparse.Namespace) -> tuple[Path, Path] | None:
    """Certificate and key, both or none.

    Raises:
        ValueError, FileNotFoundError: one of them is missing.
    """
    if bool(args.certificate) != bool(args.key):
        raise ValueError("--certificate and --key belong together")
    for path in (args.certificate, args.key):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"no such file: {path}")
    return (args.certificate, args.key) if args.certificate else None


def folder(args: argparse.Namespace) -> Path | None:
    """Where files lie; None: in the system's folder for temporary files.

    Raises:
        NotADirectoryError: there is none of that name.
    """
    if args.folder is not None and not args.folder.is_dir():
        raise NotADirectoryError(f"--folder {args.folder} is no folder; make it first")
    return args.folder


def upload_bytes(args: argparse.Namespace) -> int:
    """The most of one upload."""
    return int(limit(args, "--upload") * 1e6)


def token(file: Path | None, variable: str) -> str | None:
    """The token that is given, or None.

    Raises:
        ValueError: it is too short to be a secret.
    """
    words = os.environ.get(variable, "") if file is None else ""
    if file is not None:
        with file.open(encoding="utf-8") as opened:
            words = opened.readline(1000)
    words = words.strip()
    if not words and file is None:
        return None
    if len(words) < SHORTEST_TOKEN or not words.isascii() or not words.isprintable():
        raise ValueError(
            f"{file or variable}: a token has at least {SHORTEST_TOKEN} ASCII characters; "
            'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    return words


def until_stopped(
    serve: Callable[[Any, ServerPlace], None],
    limits: Any,
    args: argparse.Namespace,
    token: str | None,
    result: Callable[[str, str], tuple[str, dict[str, str]]],
    listener: Listener,
) -> None:
    """Serve with the options of the command until Ctrl-C.

    Args:
        token: None: a new one is made.
        result: from address and token what is said once it can be reached, and its data.
    """
    from medsynth.serve.running import ServerPlace

    own, pem = token or secrets.token_urlsafe(32), certificate(args)

    def ready(port: int) -> None:
        address = url(args.host, port, tls=pem is not None)
        words, data = result(address, own)
        listener(Event("result", message=words, data={"address": address, "port": port, **data}))

    place = ServerPlace(own, args.host, args.port, ready, pem, folder(args), args.threads)
    with contextlib.suppress(KeyboardInterrupt):
        serve(limits, place)


def url(host: str, port: int, *, tls: bool) -> str:
    """Where to reach it."""
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{named}:{port}"
