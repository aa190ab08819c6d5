"""What made the images of a set: the weights and the versions, and whether going on would mix them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medsynth.events import Event, Listener
from medsynth.records.result import software_versions
from medsynth.storage.files import sha256

# Of all that `result.json` records, what is known to change the bits of an image.
SHAPING = ("medsynth", "torch", "SimpleITK", "numpy")
SHOWN = 12


def versions_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The versions in an image's result.json, in the order of `SHAPING`."""
    said = record.get("versions") or {}
    return tuple(str(said.get(name, "not stated")) for name in SHAPING)


def in_words(versions: Iterable[str]) -> str:
    """Such versions, for people."""
    return ", ".join(f"{name} {version}" for name, version in zip(SHAPING, versions, strict=True))


def check_not_mixed(items: Iterable[Path], weights: Sequence[Path], *, listener: Listener) -> None:
    """Before a set goes on: that one network makes all of it; other versions are warned of.

    Args:
        items: the folders of the images that are there.
        weights: what the next images would be made with (the weights, and those of their expert);
            empty: the generator needs none.

    Raises:
        ValueError: the images that are there were made with other weights.
    """
    networks: Counter[tuple[tuple[str, str], ...]] = Counter()
    programs: Counter[tuple[str, ...]] = Counter()
    for item in items:
        record = json.loads((item / "result.json").read_text(encoding="utf-8"))
        programs[versions_of(record)] += 1
        networks[_network_of(record)] += 1
    _refuse_other_weights(networks, weights)
    _warn_of_other_versions(programs, listener)


def _network_of(record: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of the weights of an image, and of their expert."""
    main = record.get("checkpoint")
    expert = (main or {}).get("expert")
    return tuple((each["name"], each["sha256"]) for each in (main, expert) if each)


def _refuse_other_weights(
    networks: Counter[tuple[tuple[str, str], ...]], weights: Sequence[Path]
) -> None:
    if not networks:
        return
    now = tuple((path.name, sha256(path)) for path in weights)
    for there, images in networks.items():
        if [digest for _, digest in there] != [digest for _, digest in now]:
            raise ValueError(
                f"{images} images of this set were made with {_named(there)}, the next would be made "
                f"with {_named(now)}: two networks in one set. Go on with the weights (and the version "
                "of medsynth) that it was begun with, or make another set and join the two with "
                "`medsynth dataset merge`"
            )


def _named(network: Iterable[tuple[str, str]]) -> str:
    words = " and ".join(f"{name} ({digest[:SHOWN]})" for name, digest in network)
    return f"the weights {words}" if words else "no weights"


def _warn_of_other_versions(programs: Counter[tuple[str, ...]], listener: Listener) -> None:
    ours = software_versions()
    now = tuple(ours[name] for name in SHAPING)
    for versions, images in programs.items():
        if versions != now:
            listener(
                Event(
                    "warning",
                    message=f"{images} images of this set were made with {in_words(versions)}, the next "
                    f"are made with {in_words(now)}: should one be made again, its last bits may "
                    "differ; the card of the set names both",
                )
            )
