"""What somebody must know, and agree to, before anything goes to a destination."""

from __future__ import annotations

from medsynth.pacs.destination import Destination
from medsynth.pacs.outbox import Outbox


def hazards(destination: Destination) -> list[str]:
    """In sentences; none where the connection is encrypted and the address was sent to before."""
    found = []
    if not Outbox().has_sent_to(destination.address):
        found.append("This is the first time that anything is sent to this address.")
    if not destination.is_encrypted:
        found.append(
            "The connection is NOT encrypted: who is on the network on the way can read and change it."
        )
    return found
