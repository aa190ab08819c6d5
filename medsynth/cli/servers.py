"""Which `medsynth serve` a command runs on: `--server`, its token and its certificate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.cli import addresses

if TYPE_CHECKING:
    from medsynth.serve.client import Server

TOKEN = "MEDSYNTH_SERVER_TOKEN"


def add_options(parser: argparse.ArgumentParser, words: str) -> None:
    """Address, token and certificate of a server; `words` say what it is for."""
    add = parser.add_argument
    add("--server", metavar="URL", help=f"{words}, such as https://host:8443")
    add(
        "--server-token-file",
        metavar="FILE",
        type=Path,
        help=f"the server's token is its first line; else it is in {TOKEN}",
    )
    add(
        "--server-certificate",
        metavar="PEM",
        type=Path,
        help="of a server that signed its own certificate",
    )


def chosen(args: argparse.Namespace, *, timeout_s: float = 30.0) -> Server:
    """The server of these options.

    Raises:
        ValueError: no token, or what `Server` says.
    """
    from medsynth.serve.client import Server

    token = addresses.token(args.server_token_file, TOKEN)
    if token is None:
        raise ValueError(f"a server needs its token: give --server-token-file or {TOKEN}")
    return Server(args.server, token, certificate=args.server_certificate, timeout_s=timeout_s)
