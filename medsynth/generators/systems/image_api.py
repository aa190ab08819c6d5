"""A hosted text-to-image service that speaks OpenAI's images protocol (POST /images/generations).

Ali et al. and K. H. Ali asked DALL-E 2 and 3 for chest radiographs, CT and brain slices by words. Only the
prompt, the model's name and the size leave this machine: no image, no header, no name of a file. What
was asked is journaled before each call, so that nothing that may have been paid for is asked for
twice unless the user says so.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.events import Event
from medsynth.generators.systems.base import Accepts, GeneratedImage, ImageRequest, SystemEntry

if TYPE_CHECKING:
    from medsynth.events import Listener
    from medsynth.generators.hosted_images import CallOutcome, Service

MODEL = "gpt-image-1"
SIZE = "1024x1024"
# Waits between tries that were certainly not paid: 1 s, doubled up to a minute.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
JOURNAL = "calls.journal"

OPTIONS = {
    "base_url": "the service's address, such as https://api.openai.com/v1 (default)",
    "size": f"what the service calls it, such as {SIZE} (default)",
    "quality": "what the service calls it; left out by default",
    "price": "what one image costs, in the service's currency: the service does not tell",
    "max_cost": "the most that all images of this folder may cost together; needs price",
    "patience_s": "how long one image is tried again while the service is busy (default: 300)",
    "timeout_s": "how long an answer may take (default: 180)",
    "unanswered": "what becomes of calls whose answer was lost: skip (default; they may have been paid "
    "for) or repeat (with the same Idempotency-Key, for services that honor it)",
}


def load(request: ImageRequest, *, work: Path, listener: Listener) -> HostedImages:
    """The system, ready; `medsynth.generators.systems.load` says what is raised."""
    from medsynth.generators.hosted_images import Service

    options = _Options(request)
    options.check_cost(request.count)
    service = Service(
        base_url=str(request.options.get("base_url", "https://api.openai.com/v1")),
        timeout_s=options.number("timeout_s", 180.0),
    )
    return HostedImages(request, options, service, work=work, listener=listener)


class _Options:
    """The options as numbers and words, checked."""

    def __init__(self, request: ImageRequest):
        self.given = request.options
        self.price = self.number("price", None)
        self.max_cost = self.number("max_cost", None)
        self.patience_s = self.number("patience_s", 300.0)
        self.unanswered = str(self.given.get("unanswered", "skip"))
        if self.unanswered not in ("skip", "repeat"):
            raise ValueError(f"--set unanswered={self.unanswered}: expected skip or repeat")
        if self.max_cost is not None and self.price is None:
            raise ValueError("--set max_cost needs --set price=..., what one image costs")

    def number(self, key: str, default: float | None) -> Any:
        """A number of at least 0.

        Raises:
            ValueError: it is none.
        """
        value = self.given.get(key, default)
        if value is None or (
            isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
        ):
            return value
        raise ValueError(f"--set {key}={value}: expected a number of at least 0")

    def check_cost(self, calls: int) -> None:
        """Refuse more calls than the limit pays for.

        Raises:
            ValueError: they would cost more than `max_cost`.
        """
        if self.max_cost is None or self.price is None or calls * self.price <= self.max_cost:
            return
        paid = int(self.max_cost / self.price) if self.price else calls
        raise ValueError(
            f"{calls} calls at {self.price:g} cost {calls * self.price:g}, above --set "
            f"max_cost={self.max_cost:g}, which pays for {paid}; ask for fewer images, or raise it"
        )


class HostedImages:
    """Asks for one image after another; see `OPTIONS`."""

    def __init__(
        self,
        request: ImageRequest,
        options: _Options,
        service: Service,
        *,
        work: Path,
        listener: Listener,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.request, self.options, self.service = request, options, service
        self.listener, self._sleep = listener, sleep
        self._calls = CallJournal(work / JOURNAL)

    def estimate(self, count: int) -> str:
        """How many calls, and what they cost where the price is known."""
        open_calls = len(self._calls.unanswered)
        lost = f"; {open_calls} earlier calls had no answer" if open_calls else ""
        if self.options.price is None:
            return f"{count} calls of {self.service.base_url}; their price is not known, see --set price{lost}"
        total = count * self.options.price
        return f"{count} calls of {self.service.base_url}, {total:g} at {self.options.price:g} each{lost}"

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """See `ImageSystem`.

        Raises:
            PermissionError, ValueError: the service refuses the key, the model or the request itself;
                every other image would be refused too.
            ConnectionError: it stays unreachable or busy beyond `patience_s`.
        """
        for index in indices:
            if index in self._calls.unanswered and self.options.unanswered == "skip":
                yield self._lost(index, "an earlier call for it had no answer")
                continue
            yield self._one(index)

    def stored(self, image: GeneratedImage) -> None:
        """The image is safe: its call is closed."""
        if image.values is not None or (image.refused and not image.again):
            self._calls.close(image.index)

    def _one(self, index: int) -> GeneratedImage:
        prompt = self.request.prompt(index)
        started, wait = time.monotonic(), FIRST_WAIT_S
        while True:
            self._check_limit()
            self._calls.open(index)
            answer = self.service.ask(
                prompt,
                model=self.request.model or MODEL,
                size=str(self.request.options.get("size", SIZE)),
                quality=self.request.options.get("quality"),
                idempotency_key=self._calls.key(index, prompt),
            )
            if answer.kind in ("image", "refused"):
                return self._made(index, prompt, answer)
            if answer.kind == "unpaid":
                self._calls.withdraw(index)
            elif self.options.unanswered == "skip":
                return self._lost(index, answer.words)
            wait = self._wait(answer, wait, until=started + self.options.patience_s)

    def _check_limit(self) -> None:
        """No call beyond what may be paid; every call counts that the service did not say is free."""
        self.options.check_cost(self._calls.paid + 1)

    def _wait(self, answer: CallOutcome, wait: float, *, until: float) -> float:
        pause = answer.retry_after_s if answer.retry_after_s is not None else wait
        if time.monotonic() + pause > until:
            raise ConnectionError(
                f"{self.service.base_url}: {answer.words}; run the same command again later: what is "
                "there is kept"
            )
        self.listener(Event("warning", message=f"{answer.words}; again in {pause:.0f} s"))
        self._sleep(pause)
        return min(2 * wait, LONGEST_WAIT_S)

    def _made(self, index: int, prompt: str, answer: CallOutcome) -> GeneratedImage:
        record = {
            "prompt": prompt,
            "model": self.request.model or MODEL,
            "service": self.service.base_url,
            **answer.record,
        }
        if answer.kind == "refused":
            return GeneratedImage(index, None, record, refused=answer.words)
        return GeneratedImage(
            index,
            answer.values,
            record,
            original=answer.original,
            original_suffix=answer.suffix,
        )

    def _lost(self, index: int, words: str) -> GeneratedImage:
        why = f"{words}; it may have been paid for, so it is not asked for again (--set unanswered=repeat)"
        record = {"prompt": self.request.prompt(index)}
        return GeneratedImage(index, None, record, refused=why, again=True)


class CallJournal:
    """Which calls were made, and which of them had an answer that is on the disk."""

    def __init__(self, path: Path):
        from medsynth.storage import journal

        contents = journal.read(path) if path.exists() else None
        self._open: set[int] = set()
        self._paid = 0
        self._run = ""
        for record in contents.records if contents else ():
            self._take(record)
        self._journal = journal.Journal(
            path, end=contents.end if contents else 0, checksum=contents.checksum if contents else 0
        )
        if not self._run:
            import uuid

            self._write({"run": uuid.uuid4().hex})

    @property
    def unanswered(self) -> frozenset[int]:
        """Images that were asked for, and whose answer never came to the disk."""
        return frozenset(self._open)

    @property
    def paid(self) -> int:
        """Calls that were, or may have been, paid for."""
        return self._paid

    def key(self, index: int, prompt: str) -> str:
        """The same for every try of one image, another for every other image and folder."""
        text = f"{self._run}|{index}|{prompt}"
        return "medsynth-" + hashlib.sha256(text.encode()).hexdigest()[:40]

    def open(self, index: int) -> None:
        """A call begins; on the disk before it is made."""
        self._write({"open": index})

    def withdraw(self, index: int) -> None:
        """The service said that it made nothing."""
        self._write({"withdraw": index})

    def close(self, index: int) -> None:
        """The answer is on the disk."""
        self._write({"close": index})

    def _write(self, record: dict[str, Any]) -> None:
        self._journal.append(record, durable=True)
        self._take(record)

    def _take(self, record: dict[str, Any]) -> None:
        if "run" in record:
            self._run = record["run"]
        if "open" in record:
            self._open.add(record["open"])
            self._paid += 1
        for kind in ("withdraw", "close"):
            if kind in record:
                self._open.discard(record[kind])
        if "withdraw" in record:
            self._paid -= 1


SYSTEM = SystemEntry(
    name="image_api",
    title="Hosted text-to-image service",
    load=load,
    accepts=Accepts(prompts=True, options=OPTIONS),
    license="the terms of the service that made them",
    extra="image-api",
    running_options=("price", "max_cost", "patience_s", "timeout_s", "unanswered"),
)
