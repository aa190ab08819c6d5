"""What an image system is asked, what it accepts, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

# More images than anybody makes in one folder; beyond it is a slip of the finger.
MOST_IMAGES = 1_000_000
OF_THE_MODEL = "that of the model, named in its header"


@dataclass(frozen=True)
class ImageRequest:
    """Images that are wanted of one system.

    Attributes:
        system: its name.
        count: how many.
        seed: image i is drawn from (seed, i), where the system draws itself.
        prompts: used in turn; none where the system takes none.
        label: a class of the system.
        position: where the finding lies, a word of the system.
        negative_prompt: what shall not be seen.
        preset: the domain that the images belong to.
        model: weights, a folder, or the name of a service's model.
        options: of the system itself, see `Accepts.options`.
    """

    system: str
    count: int = 1
    seed: int = 0
    prompts: tuple[str, ...] = ()
    label: str = ""
    position: str = ""
    negative_prompt: str = ""
    preset: str = ""
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_IMAGES:
            raise ValueError(f"count must be from 1 to {MOST_IMAGES:,}, got {self.count:,}")

    def prompt(self, index: int) -> str:
        """The prompt of image `index`; empty where there are none."""
        return self.prompts[index % len(self.prompts)] if self.prompts else ""


@dataclass(frozen=True)
class Accepts:
    """What a system understands; what is empty or False, it does not.

    Attributes:
        prompts: free text, which is then needed; `vocabulary` says so where only some words are known.
        classes: names of classes.
        positions: words for where a finding lies.
        classes_of_model: it takes classes, and which is known when its model is read.
        presets: domains whose images it makes; none: it does not know domains, any may be named.
        options: names of its own options, each with its meaning.
    """

    prompts: bool = False
    negative_prompt: bool = False
    classes: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    classes_of_model: bool = False
    presets: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def check(self, request: ImageRequest) -> None:
        """Refuse a request that the system cannot follow.

        Raises:
            ValueError: the message says what it can.
        """
        name = request.system
        if self.prompts and not request.prompts:
            raise ValueError(f"{name} makes images from prompts; give --prompt or --prompts FILE")
        if request.prompts and not self.prompts:
            raise ValueError(f"{name} takes no prompt; {self.words()}")
        if request.negative_prompt and not self.negative_prompt:
            raise ValueError(f"{name} takes no negative prompt; {self.words()}")
        if not self.classes_of_model:
            self._check_word("--class", request.label, self.classes, name)
        self._check_word("--position", request.position, self.positions, name)
        if self.presets:
            self._check_word("--preset", request.preset, self.presets, name)
        for key in request.options:
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise ValueError(f"--set {key}: {name} has no such option, expected one of {known}")

    def _check_word(self, option: str, given: str, known: tuple[str, ...], name: str) -> None:
        if not given or given in known:
            return
        if not known:
            raise ValueError(f"{option} {given}: {name} takes none; {self.words()}")
        raise ValueError(f"{option} {given}: {name} knows {', '.join(known)}")

    def words(self) -> str:
        """What can be asked for, in a few words."""
        asked = [
            *(["a prompt"] if self.prompts else []),
            *([f"--class {' | '.join(self.classes)}"] if self.classes else []),
            *(["--class NAME, a word of its model"] if self.classes_of_model else []),
            *([f"--position {' | '.join(self.positions)}"] if self.positions else []),
        ]
        return f"it can be asked for {', '.join(asked) or 'a number of images only'}"


@dataclass(frozen=True)
class SystemEntry:
    """The declaration of a system: `SYSTEM = SystemEntry(...)` at the end of its file.

    `load(request, *, work, listener)` makes it ready, see `medsynth.generators.systems.load`. `license`
    says what may be done with its images; `extra` is the extra of pip that it needs; `running_options`
    only say how a run goes (a waiting time, a limit), so they may change between runs.
    """

    name: str
    title: str
    load: Callable[..., ImageSystem]
    accepts: Accepts
    license: str = OF_THE_MODEL
    extra: str = ""
    running_options: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GeneratedImage:
    """Image `index`, or why there is none.

    Attributes:
        values: (H, W), uint8 or uint16 gray values of a display, or float32 in the preset's units;
            None where the system refused.
        record: what was done, for the image's record.
        preset: its domain; empty: that of the request, if it names one.
        original: the bytes that a service answered with, kept as they are (they may hold its own marks).
        original_suffix: of the file they are kept in.
        refused: why there is no image, in words.
        again: whether a later run shall try it again.
    """

    index: int
    values: np.ndarray | None
    record: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    original: bytes | None = None
    original_suffix: str = ".bin"
    refused: str = ""
    again: bool = False


class ImageSystem(Protocol):
    """Makes images; built for one request."""

    def estimate(self, count: int) -> str:
        """What `count` images will take or cost, in words."""
        ...

    def generate(self, indices: Iterable[int]) -> Iterator[GeneratedImage]:
        """These images, in this order. Image i does not depend on which others are made."""
        ...

    def stored(self, image: GeneratedImage) -> None:
        """Called when `image` and its record are on the disk."""
        ...
