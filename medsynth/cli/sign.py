"""`medsynth sign FILE...`: signed statements that files are synthetic, inside the files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from medsynth.cli.parsers import add_command, add_files, key_alone
from medsynth.events import Event, Listener, Stage

DESCRIPTION = """\
Sign files that are marked as synthetic: DICOM objects by a digital signature (PS3.15, Creator RSA profile),
PNG and JPEG pictures by a C2PA manifest. Whoever has the file can tell that it was not changed since, and
whose certificate signed it. Files are replaced; folders are signed with all that is in them. The key is that
of MEDSYNTH_SIGNING_KEY, or signing.pem in medsynth's folder of settings; without one, pictures are signed with
a certificate that is made up, and DICOM objects are refused. Needs the extra c2pa."""

EXAMPLES = """\
examples:
  medsynth sign --new-key "Radiology, Example Hospital"
  medsynth sign out
  medsynth sign picture.png"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`sign` and its options."""
    parser = add_command(
        subparsers, "sign", "sign files that are marked as synthetic", DESCRIPTION, EXAMPLES
    )
    add_files(parser, "DICOM, PNG, JPEG, or folders of them")
    parser.add_argument(
        "--new-key",
        metavar="NAME",
        help="make an RSA key with a self-made certificate for NAME, which no authority vouches for",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Sign every file, or make a key."""
    from medsynth.marking import signing_key

    wanted = args.new_key is not None
    if key_alone(args.files, wanted, verb="sign", option="--new-key NAME"):
        made = signing_key.make_signing_key(args.new_key)
        listener(Event("result", message=f"wrote {made}; keep a copy of it, and give it to nobody"))
        return 0
    from medsynth.verification.signing import sign_file

    files = list(_files(args.files))
    with Stage("signing", total=len(files), listener=listener) as stage:
        for file in files:
            sign_file(file)
            stage.advance(message=file.name)
    own = signing_key.own_signing_key()
    by = f"as {own.name}" if own else "with a self-made certificate, which says nothing about who"
    listener(Event("result", message=f"signed {len(files)} file{'s' * (len(files) > 1)} {by}"))
    return 0


def _files(given: list[Path]) -> Iterator[Path]:
    from medsynth.verification.signing import is_signable

    for path in given:
        if path.is_dir():
            found = [each for each in sorted(path.rglob("*")) if is_signable(each)]
            if not found:
                raise FileNotFoundError(f"{path} holds no DICOM, PNG or JPEG file to sign")
            yield from found
        elif not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there; give a DICOM, PNG or JPEG file, or a folder"
            )
        else:
            yield path
