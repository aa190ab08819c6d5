"""`medsynth info`: versions, devices, presets, networks and optional parts, for a bug report too."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medsynth.cli import servers
from medsynth.events import Event, Listener

DESCRIPTION = "Show versions, devices, presets, networks and which optional parts are installed."

# What each pip extra brings, by the module that shows that it is there.
EXTRAS = {
    "pacs": ("pynetdicom", "dicomweb_client", "keyring"),
    "train": ("tensorboard",),
    "eval": ("sklearn",),
    "bundle": ("fire", "jsonschema"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "studies": ("fastapi", "uvicorn", "sqlalchemy", "statsmodels", "krippendorff"),
    "utility": ("timm",),
}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`info` and its options."""
    parser = subparsers.add_parser(
        "info", help="show versions, devices, presets and networks", description=DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    servers.add_options(
        parser, "show what this `medsynth serve` has instead of what this computer has"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Collect and print."""
    if args.server is not None:
        return _of_server(args, listener)
    facts = collect()
    as_json = args.json or args.progress == "json"
    print(json.dumps(facts) if as_json else "\n".join(_lines(facts)))
    return 0


def _of_server(args: argparse.Namespace, listener: Listener) -> int:
    """Whether a server answers, and what it says of itself."""
    server = servers.chosen(args, timeout_s=10.0)
    about = server.about()
    busy = sum(number for state, number in about["jobs"].items() if state in ("waiting", "running"))
    words = f"{server.address} answers: medsynth {about['medsynth']}, {busy} jobs under way"
    listener(Event("result", message=words, data=about))
    return 0


def collect() -> dict[str, Any]:
    """All that the command shows, as plain values."""
    from medsynth.domains import PRESETS
    from medsynth.domains.lesion_kinds import titled
    from medsynth.domains.methods import (
        COMPOSITIONS,
        CONDITIONS,
        EXPORTERS,
        FILTERS,
        GENERATORS,
        SAMPLERS,
    )
    from medsynth.networks import model_store
    from medsynth.records.result import software_versions

    return {
        "versions": software_versions(),
        "devices": devices(),
        "presets": {
            preset.name: {
                "title": preset.title,
                "grid": list(preset.grid),
                "weights": preset.weights,
                "weights_there": model_store.locate(preset.weights) is not None,
                "pathologies": list(preset.lesion_kinds),
                "pathology_titles": [titled(kind) for kind in preset.lesion_kinds],
                "phantoms": list(preset.phantoms),
            }
            for preset in PRESETS.values()
        },
        "samplers": SAMPLERS.titles,
        "compositions": COMPOSITIONS.titles,
        "filters": FILTERS.titles,
        "conditions": CONDITIONS.titles,
        "generators": GENERATORS.titles,
        "exporters": EXPORTERS.titles,
        "networks_folders": [str(folder) for folder in model_store.folders()],
        "networks": networks(model_store.folders()),
        "extras": {name: all(find_spec(m) for m in modules) for name, modules in EXTRAS.items()},
    }


def devices() -> list[dict[str, Any]]:
    """The CPU and every CUDA device: memory, cores, and what the networks would compute in."""
    import psutil
    import torch

    from medsynth.networks.checkpoint import fastest_dtype

    found = [
        {
            "name": "cpu",
            "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "free_gb": round(psutil.virtual_memory().available / 1e9, 1),
            "computes_in": str(fastest_dtype("cpu")).removeprefix("torch."),
        }
    ]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            {
                "name": f"cuda:{index} {torch.cuda.get_device_name(index)}",
                "memory_gb": round(total / 1e9, 1),
                "free_gb": round(free / 1e9, 1),
                "computes_in": str(fastest_dtype("cuda")).removeprefix("torch."),
            }
        )
    return found


def networks(folders: list[Path]) -> list[dict[str, Any]]:
    """The weights files in `folders`, each with what its header says, or why it cannot be read.

    Of files with one name, the one that would be used: that of the first folder.
    """
    from medsynth.errors import CheckpointError
    from medsynth.networks import read_metadata

    found = []
    files = {file.name: file for f in reversed(folders) for file in f.glob("*.safetensors")}
    for path in sorted(files.values(), key=lambda file: file.name):
        entry: dict[str, Any] = {"file": str(path), "mb": round(path.stat().st_size / 1e6, 1)}
        try:
            entry["card"] = read_metadata(path)
        except CheckpointError as error:
            entry["error"] = str(error)
        found.append(entry)
    return found


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"{name:<12} {version}" for name, version in facts["versions"].items()]
    lines += ["", "devices"]
    for device in facts["devices"]:
        cores = f"{device['cores']} cores, " if "cores" in device else ""
        lines.append(
            f"  {device['name']}: {cores}{device['memory_gb']} GB ({device['free_gb']} free), "
            f"computes in {device['computes_in']}"
        )
    lines += ["", "presets"]
    for name, preset in facts["presets"].items():
        grid = " x ".join(str(side) for side in preset["grid"])
        there = "" if preset["weights_there"] else ", not there: train them, or name others"
        lines.append(f"  {name}: {preset['title']}, {grid}, weights {preset['weights']}{there}")
        if preset["pathologies"]:
            named = zip(preset["pathologies"], preset["pathology_titles"], strict=True)
            lines.append("    pathologies: " + ", ".join(f"{kind} ({t})" for kind, t in named))
        if preset["phantoms"]:
            lines.append(f"    phantoms: {', '.join(preset['phantoms'])}")
    lines += ["", "samplers"]
    lines += [f"  {name}: {title}" for name, title in facts["samplers"].items()]
    for kind in ("compositions", "filters", "conditions", "generators", "exporters"):
        lines += ["", kind, *(f"  {name}: {title}" for name, title in facts[kind].items())]
    lines += ["", f"networks in {', '.join(facts['networks_folders'])}"]
    lines += [_network_line(network) for network in facts["networks"]] or ["  none"]
    lines += ["", "optional parts"]
    for name, there in facts["extras"].items():
        cure = "installed" if there else f'not installed: pip install "medsynth-slicer[{name}]"'
        lines.append(f"  {name}: {cure}")
    return lines


def _network_line(network: dict[str, Any]) -> str:
    name = f"  {Path(network['file']).name} ({network['mb']} MB)"
    if "error" in network:
        return f"{name}: {network['error']}"
    metadata = network["card"]
    facts = (
        f"{key} {metadata[key]}"
        for key in ("preset", "prediction_type", "steps")
        if key in metadata
    )
    return f"{name}: {', '.join(facts)}; license {metadata.get('license', 'not stated')}"
