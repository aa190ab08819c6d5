"""`medsynth bench`: how fast, beside which fidelity, on this machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from medsynth import threads
from medsynth.events import Event, Listener, Stage

DESCRIPTION = """\
Time guided synthesis on this machine: our sampler against a 250-step ILVR loop and DDIM on the same
weights, what guidance adds to the network, the memory of one slice, and how time and memory grow with
the slices of a volume. Figures are ratios in one run; the guidance error stands beside each.

`medsynth bench marks --data FOLDER` marks unmarked images of the preset instead, changes them as people do
(windowing, JPEG, cropping, turning, scaling ...), and says how many marks are found again, and how many
where there are none."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`bench` and its options."""
    parser = subparsers.add_parser(
        "bench", help="measure speed and memory on this machine", description=DESCRIPTION
    )
    parser.add_argument(
        "what", nargs="?", choices=("speed", "marks"), default="speed", help="(default: speed)"
    )
    parser.add_argument(
        "--data", metavar="FOLDER", type=Path, help="marks: images without the mark in their pixels"
    )
    parser.add_argument(
        "--carry-mark",
        action="store_true",
        help="marks: the images carry the product's mark already",
    )
    parser.add_argument("--most", type=int, default=200, help="marks: images taken (default: 200)")
    parser.add_argument("--preset", default="lung_ct", help="domain (default: lung_ct)")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--repeats", type=int, default=3, help="runs per method (default: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="without the slow baselines and the volumes"
    )
    threads.add_option(parser)
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Measure, then print a table."""
    if args.what == "marks":
        return _measure_marks(args, listener)
    if args.data is not None or args.carry_mark:
        raise ValueError("--data and --carry-mark belong to `medsynth bench marks`; leave them out")
    with threads.using(args.threads):
        return _measure(args, listener)


def _measure_marks(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth import domains as presets
    from medsynth.evaluation.mark_survival import measure, middle_slices, table_of

    preset = presets.get(args.preset)
    if args.data is None:
        raise ValueError("medsynth bench marks needs --data FOLDER, images without the mark")
    if args.most < 1:
        raise ValueError(f"--most must be at least 1, got {args.most}")
    files, slices = middle_slices(args.data, preset, most=args.most)
    rows = measure(slices, preset, total=len(files), carry_mark=args.carry_mark, listener=listener)
    if args.json:
        print(json.dumps([row.to_dict() for row in rows], indent=2))
    else:
        print(table_of(rows))
    return 0


def _measure(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth import domains as presets
    from medsynth.evaluation import benchmark
    from medsynth.networks import model_store
    from medsynth.networks.device import choose_device
    from medsynth.networks.domain_weights import check_metadata

    if args.repeats < 1:
        raise ValueError(f"--repeats must be at least 1, got {args.repeats}")
    preset = presets.get(args.preset)
    weights = args.weights or model_store.path(preset.weights)
    check_metadata(weights, preset)
    device = choose_device(args.device)
    options: dict[str, Any] = {"preset": preset, "device": device}
    methods = (benchmark.OURS,) if args.quick else (benchmark.OURS, *benchmark.BASELINES)
    rows = benchmark.run(
        weights, methods=methods, repeats=args.repeats, listener=listener, **options
    )
    cost = benchmark.overhead(weights, **options)
    figures = {
        "machine": machine(device),
        "methods": [row.to_dict() for row in rows],
        "network_seconds_per_call": cost.network,
        "guidance_seconds_per_call": cost.guidance,
        "guidance_overhead": cost.share,
        "sampler_overhead": cost.sampler / cost.network,
        "volumes": [] if args.quick else volumes(weights, listener, chosen=args.threads),
    }
    if args.json:  # nothing else then goes to stdout
        print(json.dumps(figures, indent=2))
        return 0
    print(table(figures))
    listener(Event("result", data=figures))
    return 0


def machine(device: str) -> dict[str, Any]:
    """What the figures stand on."""
    import platform

    import torch

    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else cpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def volumes(
    weights: Path, listener: Listener, *, chosen: int | None = None
) -> list[dict[str, Any]]:
    """Time and peak memory of whole jobs on 1, 4 and 16 slices, each in a process of its own."""
    import tempfile

    found = []
    with Stage("volumes", total=3, listener=listener) as stage:
        for slices in (1, 4, 16):
            with tempfile.TemporaryDirectory() as folder:
                found.append(_job(slices, weights, Path(folder), chosen))
            stage.advance(message=f"{slices} slices")
    return found


def _job(slices: int, weights: Path, folder: Path, chosen: int | None) -> dict[str, Any]:
    request = {
        "preset": "lung_ct",
        "anatomy": {"phantom": {"kind": "thorax", "seed": 3, "slices": slices}},
        "extent": "all",
        "weights": str(weights.resolve()),
    }
    (folder / "request.json").write_text(json.dumps(request))
    code = (
        "import sys; from medsynth.cli import app; code = app.main(sys.argv[1:]);"
        "from medsynth.evaluation.benchmark import peak_memory_bytes;"
        "print(peak_memory_bytes()); sys.exit(code)"
    )
    words = ["synthesize", str(folder / "request.json"), "-o", str(folder / "out")]
    if chosen is not None:
        words.append(f"--threads={chosen}")
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--progress", "none"],
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads((folder / "out" / "result.json").read_text())
    return {
        "slices": slices,
        "sampling_seconds": result["seconds"]["sampling"],
        "peak_bytes": int(done.stdout.split()[-1]),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    ours = figures["methods"][0]["seconds"]
    where = figures["machine"]
    lines = [
        f"{where['device']}, {where['threads']} threads, torch {where['torch']}; one 512 x 512 slice",
        "",
        "| method | NFE | dtype | s / slice | x ours | guidance error |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['method']} | {row['nfe']} | {row['dtype']} | {row['seconds']:.2f} | "
        f"{row['seconds'] / ours:.1f} | {row['guidance_error']:.2%} |"
        for row in figures["methods"]
    ]
    lines += [
        "",
        f"network {1000 * figures['network_seconds_per_call']:.1f} ms a call, guidance "
        f"{1000 * figures['guidance_seconds_per_call']:.2f} ms "
        f"({figures['guidance_overhead']:.2%}), sampler {figures['sampler_overhead']:.2%}",
    ]
    if figures["volumes"]:
        lines += ["", "| slices | sampling s | s / slice | peak memory |", "|---|---|---|---|"]
    lines += [
        f"| {v['slices']} | {v['sampling_seconds']:.1f} | "
        f"{v['sampling_seconds'] / v['slices']:.2f} | {v['peak_bytes'] / 1e9:.2f} GB |"
        for v in figures["volumes"]
    ]
    return "\n".join(lines)
