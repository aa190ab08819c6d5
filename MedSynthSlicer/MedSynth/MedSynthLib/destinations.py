"""The destinations of this user, from the library's own address book (standard library and pydicom)."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from MedSynthLib import library, preferences

SETTING = "MedSynth/Destination"
BOOK = (
    "MedSynth/Destinations"  # announced when one was added or removed; the address book keeps them
)


def book():
    """The library's address book: load, add, remove.

    Raises:
        RuntimeError: this Slicer lacks what it is written in.
    """
    library.libraryFolder()
    try:
        from medsynth.pacs import address_book
    except ImportError as error:
        raise RuntimeError(_("Destinations cannot be read: {error}.").format(error=error)) from None
    return address_book


def find(name: str):
    """The destination of that name.

    Raises:
        ValueError: it is not there (any more), or the file is damaged.
    """
    if not name:
        raise ValueError(_("Choose a destination first; Destinations... adds one."))
    known = book().load()
    if name not in known:
        raise ValueError(
            _("No destination is called {name}. Destinations... shows those there are.").format(
                name=name
            )
        )
    return known[name]


def hazards(destination) -> list[str]:
    """What the user must know, and agree to, before anything goes there."""
    from medsynth.pacs.hazards import hazards as known

    return known(destination)


def confirmed(destination, what: str) -> bool:
    """Whether the user agrees to send; asked only where there is something to know."""
    reasons = hazards(destination)
    if not reasons:
        return True
    return slicer.util.confirmOkCancelDisplay(
        "\n\n".join(
            [
                _("Send {what} to {name}?\n{describe}").format(
                    what=what, name=destination.name, describe=destination.describe()
                ),
                *reasons,
            ]
        ),
        windowTitle=_("Send to a PACS"),
    )


def remember(name: str) -> None:
    """The destination that is offered first next time."""
    preferences.write(SETTING, name)


def remembered() -> str:
    """The destination that was chosen last."""
    return preferences.read(SETTING)


def keepSecret(name: str, secret: str) -> None:
    """Put a password or token into the operating system's keyring, where `send` looks for it.

    Raises:
        RuntimeError: there is no keyring.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise RuntimeError(_("The package keyring is missing, which keeps passwords.")) from None
    try:
        keyring.set_password("medsynth", name, secret)
    except (KeyringError, RuntimeError, OSError) as error:
        raise RuntimeError(
            _("This computer's keyring did not take the password: {error}").format(error=error)
        ) from None
