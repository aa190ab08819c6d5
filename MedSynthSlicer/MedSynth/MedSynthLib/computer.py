"""Where the synthesis runs: on this computer, or on a medsynth server (`medsynth serve`).

All of it is a setting of this computer, never of a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import slicer
from slicer.i18n import tr as _

from MedSynthLib import destinations, preferences

HERE, SERVER = "here", "server"
COMPUTER_SETTING = "MedSynth/Computer"
ADDRESS_SETTING = "MedSynth/Server"
CERTIFICATE_SETTING = "MedSynth/ServerCertificate"
AGREED_SETTING = "MedSynth/ServersAgreed"  # addresses to which images were sent already
TOKEN_VARIABLE = "MEDSYNTH_SERVER_TOKEN"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_tokens: dict[str, str] = {}  # of this session, where no keyring keeps them


@dataclass(frozen=True)
class RemoteComputer:
    """A medsynth server, as `medsynth synthesize` wants to know it."""

    address: str
    token: str
    certificate: str = ""

    def arguments(self) -> list[str]:
        """Of the command."""
        certificate = ["--server-certificate", self.certificate] if self.certificate else []
        return ["--server", self.address, *certificate]

    def environment(self) -> dict[str, str]:
        """Of the command's process: a token on a command line could be read by others."""
        return {TOKEN_VARIABLE: self.token}

    @property
    def isLoopback(self) -> bool:
        """Whether it is this computer's own, or a tunnel's end on it."""
        return urlsplit(self.address).hostname in LOOPBACK

    @property
    def isEncrypted(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.address.startswith("https://")


def isServer() -> bool:
    """Whether a server is chosen."""
    return preferences.read(COMPUTER_SETTING) == SERVER


def address() -> str:
    """The server's address, as it was entered."""
    return preferences.read(ADDRESS_SETTING).rstrip("/")


def certificate() -> str:
    """The file with the certificate of a server that signed its own; empty: there is none."""
    return preferences.read(CERTIFICATE_SETTING)


def chosen() -> RemoteComputer | None:
    """The server that runs the synthesis; None: this computer.

    Raises:
        ValueError: a server is chosen, but its address or token is missing.
    """
    return server() if isServer() else None


def server() -> RemoteComputer:
    """The server that was entered.

    Raises:
        ValueError: its address or token is missing.
    """
    if not address():
        raise ValueError(_("Enter the server's address under Advanced, or choose this computer."))
    found = token(address())
    if not found:
        raise ValueError(
            _("Enter the token of {address} under Advanced.").format(address=address())
        )
    return RemoteComputer(address(), found, certificate())


def token(of: str) -> str:
    """Of the server at this address: entered since Slicer's start, or from the keyring."""
    if of in _tokens:
        return _tokens[of]
    try:
        import keyring

        return keyring.get_password("medsynth", _name(of)) or ""
    except Exception:  # no keyring, or one that is locked: whatever it raises, there is no token
        return ""


def keepToken(of: str, text: str) -> bool:
    """Keep it; gives whether it is there after a restart too."""
    _tokens[of] = text
    try:
        destinations.keepSecret(_name(of), text)
    except RuntimeError:
        return False
    return True


def _name(of: str) -> str:
    return f"server {of}"


def agreed(where: RemoteComputer, what: str) -> bool:
    """Whether the user agrees that images leave this computer; asked where there is something to know."""
    known = preferences.read(AGREED_SETTING).split()
    reasons = []
    if where.address not in known:
        reasons.append(_("This is the first time that images are sent to this address."))
    if not (where.isEncrypted or where.isLoopback):
        reasons.append(
            _(
                "The connection is NOT encrypted: who is on the network on the way can read the images and "
                "the token."
            )
        )
    if not reasons:
        return True
    leaves = _(
        "The pixels of {what}, and of every image and mask that the run needs, leave this computer. Their names and DICOM headers do not. The server removes them when the result has been fetched."
    ).format(what=what)
    question = "\n\n".join([_("Run on {address}?").format(address=where.address), leaves, *reasons])
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Run on a server")):
        return False
    preferences.write(AGREED_SETTING, " ".join(dict.fromkeys([*known, where.address])))
    return True
