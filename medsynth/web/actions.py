"""What the controls of the page do: one method of the desk each, and what goes wrong is shown."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable
from typing import Any


class Actions:
    """Makes handlers of the browser's events.

    Args:
        desk: shows what went wrong, and brings the page up to date afterwards.
    """

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.under_way: set[asyncio.Future[None]] = set()

    def of(self, action: Callable[..., Any]) -> Callable[..., None]:
        """A handler that does this."""

        def handler(*values: Any) -> None:
            # Not awaited here: a browser's messages are taken one by one, and Cancel is one of them.
            task = asyncio.ensure_future(self._attempt(action, values))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)

        return handler

    async def _attempt(self, action: Callable[..., Any], values: tuple[Any, ...]) -> None:
        try:
            done = action(*values)
            if inspect.isawaitable(done):
                await done
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            self.desk.fail(self.desk.without_folders(str(error)))
        except Exception as error:
            self._bug(error)
        finally:
            self._refresh()

    def _refresh(self) -> None:
        """What goes wrong here is shown too: the page must never fall silent."""
        try:
            self.desk.refresh()
        except Exception as error:
            self._bug(error)
        self.desk.state.flush()

    def _bug(self, error: Exception) -> None:
        self.desk.fail(f"This is a bug ({type(error).__name__}: {error}).")
        traceback.print_exc()
