"""`medsynth pacs add / list / test / remove`: the destinations that objects may be sent to."""

from __future__ import annotations

import argparse

from medsynth.cli.parsers import add_command
from medsynth.events import Event, Listener

LINE = "add, list, test and remove the destinations for send and fetch"
PAGE = "The destinations of this user. Nothing is ever sent to any other."
EXAMPLES = """\
examples:
  medsynth pacs add archive --host pacs.example.org --port 104 --aet ARCHIVE
  medsynth pacs add archive_tls --host pacs.example.org --port 2762 --aet ARCHIVE --tls --ca ca.pem
  medsynth pacs add web --url https://pacs.example.org/dicom-web --auth basic --user anna
  medsynth pacs test archive

Passwords and tokens are never options: set MEDSYNTH_PACS_<NAME>_PASSWORD or
MEDSYNTH_PACS_<NAME>_TOKEN in the environment, or keep them in a keyring:
  keyring set medsynth <NAME>"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`pacs` and its actions."""
    parser = add_command(subparsers, "pacs", LINE, PAGE, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_add(actions)
    actions.add_parser("list", help="every destination, one line each")
    for name, text in (
        ("test", "connect (C-ECHO or a QIDO query) and explain what is wrong"),
        ("remove", "forget a destination; its jobs stay in the outbox"),
    ):
        actions.add_parser(name, help=text).add_argument("name", metavar="NAME")


def _add_add(actions: argparse._SubParsersAction) -> None:
    add = actions.add_parser("add", help="add a destination", epilog="See medsynth pacs --help.")
    add.add_argument("name", metavar="NAME", help="how you will call it")
    dicom = add.add_argument_group("DICOM (C-STORE)")
    dicom.add_argument("--host", default="", help="name or IP address of the PACS")
    dicom.add_argument("--port", type=int, default=0, help="its DICOM port, often 104 or 11112")
    dicom.add_argument("--aet", default="", help="its AE title")
    dicom.add_argument("--calling-aet", default="MEDSYNTH", help="ours (default: MEDSYNTH)")
    dicom.add_argument("--tls", action="store_true", help="encrypt; the certificate is verified")
    dicom.add_argument(
        "--listen-port",
        type=int,
        default=0,
        help="port of ours for storage commitment reports and for C-MOVE (default: none)",
    )
    dicom.add_argument(
        "--listen-host",
        default="",
        metavar="ADDRESS",
        help="address of ours at which that port is open (default: the one that the PACS sees; "
        "0.0.0.0: every network)",
    )
    web = add.add_argument_group("DICOMweb (STOW-RS)")
    web.add_argument("--url", default="", help="root of the service, e.g. https://host/dicom-web")
    web.add_argument("--auth", choices=("none", "basic", "bearer"), default="none")
    web.add_argument("--user", default="", help="for --auth basic")
    both = add.add_argument_group("both")
    both.add_argument("--ca", default="", help="PEM file of the authority to trust")
    both.add_argument("--cert", default="", help="PEM file of our certificate (mutual TLS)")
    both.add_argument("--key", default="", help="PEM file of its key, without a passphrase")
    both.add_argument("--associations", type=int, default=4, help="connections at once (default 4)")
    both.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for an answer")
    both.add_argument(
        "--verify",
        choices=("auto", "commitment", "query", "retrieve"),
        default="auto",
        help="proof of storage: storage commitment, a query for the UIDs, or fetching every object "
        "back and comparing its pixels (auto: commitment with --listen-port, else a query)",
    )
    both.add_argument(
        "--settle",
        type=float,
        default=8.0,
        help="seconds the archive may take to show what it has stored (default 8)",
    )
    both.add_argument("--replace", action="store_true", help="change an existing destination")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Do the action."""
    return {"add": _add, "list": _list, "test": _test, "remove": _remove}[args.action](
        args, listener
    )


def _add(args: argparse.Namespace, listener: Listener) -> int:
    from pathlib import Path

    from medsynth.pacs import address_book
    from medsynth.pacs.destination import Destination

    def absolute(path: str) -> str:
        if path and not Path(path).is_file():
            raise FileNotFoundError(f"no file {path}")
        return str(Path(path).resolve()) if path else ""

    destination = Destination(
        name=args.name,
        host=args.host,
        port=args.port,
        called_aet=args.aet,
        calling_aet=args.calling_aet,
        url=args.url.rstrip("/"),
        tls=args.tls,
        ca_file=absolute(args.ca),
        cert_file=absolute(args.cert),
        key_file=absolute(args.key),
        auth=args.auth,
        user=args.user,
        associations=args.associations,
        verify=args.verify,
        listen_port=args.listen_port,
        listen_host=args.listen_host,
        timeout_s=args.timeout,
        settle_s=args.settle,
    )
    address_book.add(destination, replace=args.replace)
    message = f"added {destination.name}: {destination.describe()}"
    if destination.auth != "none":
        from medsynth.pacs.credentials import variable

        message += (
            f"\nkeep its secret in the environment as {variable(destination)} or in a keyring "
            f"(keyring set medsynth {destination.name})"
        )
    message += f"\nnow try: medsynth pacs test {destination.name}"
    listener(Event("result", message=message))
    return 0


def _list(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.pacs import address_book

    known = address_book.load()
    lines = [f"{name}: {known[name].describe()}" for name in sorted(known)]
    listener(
        Event(
            "result",
            message="\n".join(lines) or "no destinations; medsynth pacs add --help shows how",
            data={name: known[name].describe() for name in sorted(known)},
        )
    )
    return 0


def _test(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.pacs import address_book
    from medsynth.pacs.delivery import link_to

    destination = address_book.find(args.name)
    said = link_to(destination).check()
    listener(Event("result", message=f"{args.name} ({destination.describe()}): {said}"))
    return 0


def _remove(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.pacs import address_book

    address_book.remove(args.name)
    listener(Event("result", message=f"removed {args.name}"))
    return 0
