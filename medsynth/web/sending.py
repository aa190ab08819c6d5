"""A result goes to a destination of who runs the server: asked for what is dangerous, marks verified, delivery verified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from medsynth.web.leaving import check_seal

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

REFUSED = "Sending from this page is switched off (medsynth web --own switches it on)."


class Sending:
    """The question before a result leaves, and its answer.

    Args:
        desk: the session's.
        offered: whether the address book of who runs the server is offered here.
    """

    def __init__(self, desk: Desk, offered: bool) -> None:
        self.desk, self.state, self.offered = desk, desk.state, offered
        self.state.update({"can_send": offered, "destinations": []})
        self._ask(0)

    def _ask(
        self, number: int, name: str = "", says: str = "", hazards: list[str] | None = None
    ) -> None:
        self.state.update({"send_number": number, "send_to": name, "send_says": says})
        self.state.update({"send_hazards": hazards or [], "send_agreed": False})

    def ask(self, number: int) -> None:
        """Show the question where a result is to go."""
        self.desk.shelf.entry(number)
        known = sorted(self._book())
        self.state.destinations = known
        self._ask(number)
        if len(known) == 1:
            self.choose(known[0])

    def close(self) -> None:
        """Do not send."""
        self._ask(0)

    def choose(self, name: str) -> None:
        """A destination, and what to know of it."""
        from medsynth.pacs.hazards import hazards

        destination = self._find(name)
        self._ask(self.state.send_number, name, destination.describe(), hazards(destination))

    async def send(self) -> None:
        """Verify the marks of the result, send it, and ask the destination whether it has it.

        Raises:
            ValueError: no destination, a danger that nobody agreed to, or what stopped it.
        """
        from medsynth.pacs.hazards import hazards
        from medsynth.pacs.outbox import Outbox

        number, name, agreed = self.state.send_number, self.state.send_to, self.state.send_agreed
        entry, destination = self.desk.shelf.entry(number), self._find(name)
        if hazards(destination) and agreed is not True:
            raise ValueError("Say first that you have read what is dangerous about it.")
        self._ask(0)
        self._say(number, f"On its way to {name}...")
        try:
            out = str(entry.job.out)
            await self.desk.runs.helper("Verifying its marks", ["medsynth.web.leaving", out])
            await asyncio.to_thread(check_seal, entry.job.out, entry.seal)
            command = ["medsynth.cli.attached", "send", out, "--to", name, "--progress", "json"]
            done = await self.desk.runs.helper(f"To {name}", command)
        except BaseException as error:
            self._say(number, f"Not all of it is verified at {name}." if str(error) else "")
            raise
        # Every object is verified there: of the copies in the outbox nothing is needed any more.
        await asyncio.to_thread(Outbox().forget, done.data["job"])
        self._say(number, f"Verified at {name}.")
        self.desk.note(done.warnings)
        self.desk.say(f"Sent. {done.said}.")

    def _say(self, number: int, text: str) -> None:
        self.desk.shelf.say_sent(number, text)
        self.state.flush()

    def _book(self) -> dict[str, Any]:
        from medsynth.pacs import address_book

        if not self.offered:
            raise ValueError(REFUSED)
        known = address_book.load()
        if not known:
            raise ValueError(
                "There is no destination yet. Add one in a terminal: medsynth pacs add NAME --host HOST --port PORT --aet AET"
            )
        return known

    def _find(self, name: str) -> Any:
        known = self._book()
        if name not in known:
            raise ValueError("Choose a destination first.")
        return known[name]
