"""The networks: found on this computer, or fetched once after the user agreed to what it is.

Builds of the extension do not hold them. A checkout does, and another Python brings its own. Size,
checksum and license come from the library's own index.
"""

from __future__ import annotations

import json
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import folders, library

ADDRESS = library.MODULE_FOLDER / "Resources" / "networks.json"  # where builds fetch them


def folder() -> Path:
    """Where fetched networks are, and where one may be put by hand."""
    return Path(folders.defaultResultsFolder()) / "networks"


def shipped(name: str) -> dict:
    """What the library's index says about the network in the file `name`; nothing, if it does not know it."""
    index = library.libraryFolder() / "medsynth" / "networks" / "index.json"
    if not index.is_file():
        return {}
    return json.loads(index.read_text(encoding="utf-8")).get(Path(name).stem, {})


def known(name: str) -> dict | None:
    """Where to fetch the network in the file `name`, its size, checksum and license; None: unknown."""
    entry = shipped(name)
    if not ADDRESS.is_file() or not entry:
        return None
    address = json.loads(ADDRESS.read_text(encoding="utf-8"))["address"]
    return {**entry, "url": f"{address}/{name}"}


def files(preset: str) -> list[str]:
    """The weights of a preset, those of the expert that they call for fine detail, and its network of few calls."""
    weights, few = PRESETS[preset].weights, PRESETS[preset].few_calls
    more = (shipped(weights).get("expert"), few and shipped(few.expert) and few.expert)
    return [weights, *(f"{name}.safetensors" for name in more if name)]


def find(preset: str) -> Path | None:
    """The weights of a preset on this computer, where all that they need is beside them."""
    needed = files(preset)
    places = (library.libraryFolder() / "monai_bundle" / "models", folder())
    complete = (f for f in places if all((f / name).is_file() for name in needed))
    return next((place / needed[0] for place in complete), None)


def requestKeys(preset: str) -> dict:
    """The request's `weights`, where the library would not find them itself."""
    path = find(preset)
    if library.configuredPython() or path is None or path.parent != folder():
        return {}
    return {"weights": str(path)}


def ensure(preset: str) -> None:
    """Fetch the weights of a preset where they are missing, after asking.

    Raises:
        RuntimeError: the user declined, nobody knows where they are, or what came is not them.
    """
    if library.configuredPython() or find(preset) is not None:
        return
    for name in files(preset):
        if not (folder() / name).is_file():
            _ensure(preset, name)


def _ensure(preset: str, name: str) -> None:
    """Fetch the one in the file `name`."""
    network, target = known(name), folder()
    if network is None:
        raise RuntimeError(
            _("The network of {preset} is not on this computer. Put {name} into {target}.").format(
                preset=preset, name=name, target=target
            )
        )
    if not slicer.util.confirmOkCancelDisplay(question(preset, network), _("Fetch a network")):
        raise RuntimeError(
            _(
                "The network of {preset} was not fetched. Press Run again to fetch it, or put {name} into {target}."
            ).format(preset=preset, name=name, target=target)
        )
    target.mkdir(parents=True, exist_ok=True)
    fetch(network, target / name)


def question(preset: str, network: dict) -> str:
    """What the user agrees to."""
    return _(
        "The network for {preset} is not on this computer. Fetch it now ({value:.0f} MB)?\n\nFrom: {value2}\n\nLicense of the weights: {value3}."
    ).format(
        preset=preset,
        value=network["size"] / 1000000.0,
        value2=network["url"],
        value3=network["license"],
    )


def fetch(network: dict, path: Path) -> None:
    """Download a network; it gets its name only when its checksum is right.

    Raises:
        RuntimeError: it did not come, or something else came.
    """
    from medsynth.storage.files import new_file

    try:
        with new_file(path, overwrite=True) as partial:
            arrived = slicer.util.downloadFile(
                network["url"],
                str(partial),
                checksum=f"SHA256:{network['sha256']}",
            )
            if not arrived:
                raise RuntimeError(
                    f"{network['url']} could not be fetched, or is not what it should be."
                )
    except OSError as error:
        raise RuntimeError(f"{network['url']} could not be fetched: {error}") from None
