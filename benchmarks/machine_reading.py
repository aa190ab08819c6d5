"""Two networks read a study of `medsynth study` over its own page: a patch network and a whole-slice one.

python benchmarks/machine_reading.py --real SERIES ... --synthetic ITEMS ... --links PATCH_LINK WHOLE_SLICE_LINK

SERIES are folders of CT slices, ITEMS folders with `image.nrrd` and `result.json`: what the networks are trained
on; nothing of it may be in the study. Each then answers at its link as a person would: it receives the
bytes that a browser receives and says from 0 (surely real) to 100 (surely synthetic). What it sees:
the slices at the study's grid, in the lung and the soft tissue window, and their finest detail.
"""

import argparse
import json
import secrets
import time
import urllib.request
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch.nn import functional

from medsynth.domains import get
from medsynth.evaluation.patches import windowed
from medsynth.evaluation.small_network import scale_of, small_network
from medsynth.images import read_image
from medsynth.studies.reading.pixels import HU, RawImage, from_bytes, on_grid

# Patches for the one, the slice at half of its size for the other.
PATCH, PER_SLICE, WHOLE = 48, 8, 128
STEPS, BATCH = 200, 12
WINDOWS = ("lung", "soft tissue")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True)
    parser.add_argument("--side", type=int, default=512, help="of the study's grid (default: 512)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--links",
        nargs=2,
        required=True,
        help="of the patch network and of the whole-slice network",
    )
    args = parser.parse_args()
    real = np.stack([p for folder in args.real for p in slices_of(folder, args.side)])
    made = np.stack([one_slice(folder / "image.nrrd", args.side) for folder in args.synthetic])
    real = real[np.linspace(0, len(real) - 1, len(made)).round().astype(int)]
    print(f"training on {len(real)} real and {len(made)} synthetic slices", flush=True)
    for link, whole in zip(args.links, (False, True), strict=True):
        network = train(channels(real), channels(made), whole=whole, seed=args.seed)
        answers = read_study(link, lambda plane, n=network, w=whole: score(n, plane, whole=w))
        print(f"{'whole-slice' if whole else 'patch'} network: {answers} answers", flush=True)


def slices_of(folder: Path, side: int) -> list[np.ndarray]:
    """The middle seven tenths of a series, as a study draws them."""
    image = read_image(folder).image
    values = sitk.GetArrayFromImage(image)
    first, last = int(0.15 * len(values)), int(0.85 * len(values))
    return [gridded(values[k], image, side) for k in range(first, last, 2)]


def one_slice(path: Path, side: int) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    return gridded(sitk.GetArrayFromImage(image)[0], image, side)


def gridded(plane: np.ndarray, image: sitk.Image, side: int) -> np.ndarray:
    """On the study's grid by the study's own path."""
    x, y = image.GetSpacing()[:2]
    return on_grid(RawImage(plane[None].astype(np.float32), (x, y), HU), side)[0]


def channels(planes: np.ndarray) -> torch.Tensor:
    """(N, 4, side, side): both windows, and their finest detail, where networks betray themselves."""
    windows = [w for w in get("lung_ct").windows if w.name in WINDOWS]
    seen = [windowed(planes, w) for w in windows]
    fine = [plane - ndimage.gaussian_filter(plane, (0, 1, 1)) for plane in seen]
    return torch.from_numpy(np.stack([*seen, *fine], axis=1))


def views(planes: torch.Tensor, generator: torch.Generator, *, whole: bool) -> torch.Tensor:
    """What a network sees of slices: the whole at half its size, or a patch within the body."""
    if whole:
        return functional.interpolate(planes, size=(WHOLE, WHOLE), mode="area")
    side, found = planes.shape[2], []
    for plane in planes:
        for attempt in range(40):
            row, column = torch.randint(side - PATCH, (2,), generator=generator).tolist()
            patch = plane[:, row : row + PATCH, column : column + PATCH]
            if (patch[0] > 0).float().mean() > 0.5 or attempt == 39:
                break
        found.append(patch)
    return torch.stack(found)


def train(real: torch.Tensor, made: torch.Tensor, *, whole: bool, seed: int) -> torch.nn.Module:
    """Real (0) against synthetic (1), batches of both in equal parts."""
    generator = torch.Generator().manual_seed(seed)
    mean, std = scale_of(views(real, generator, whole=whole))
    network = small_network(4, 1, generator, widths=(16, 32, 64, 64))
    network.register_buffer("mean", mean)
    network.register_buffer("std", std)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    labels = torch.cat([torch.zeros(BATCH), torch.ones(BATCH)])
    for step in range(STEPS):
        parts = [p[torch.randint(len(p), (BATCH,), generator=generator)] for p in (real, made)]
        seen = (torch.cat([views(p, generator, whole=whole) for p in parts]) - mean) / std
        if torch.rand((), generator=generator) < 0.5:
            seen = seen.flip(3)
        loss = functional.binary_cross_entropy_with_logits(network(seen)[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 60 == 59:
            print(f"  step {step + 1}: loss {float(loss):.3f}", flush=True)
    return network.eval()


@torch.inference_mode()
def score(network: torch.nn.Module, plane: np.ndarray, *, whole: bool) -> float:
    """How surely synthetic a slice is, 0 to 1: the mean over its views."""
    generator = torch.Generator().manual_seed(1)
    times = 1 if whole else 2 * PER_SLICE
    seen = views(channels(plane[None]).repeat(times, 1, 1, 1), generator, whole=whole)
    logits = network((seen - network.get_buffer("mean")) / network.get_buffer("std"))
    return float(torch.sigmoid(logits.mean()))


def read_study(link: str, scored) -> int:
    """Sign in, then answer until the page says that it is done."""
    base, count = link.rstrip("/"), 0
    while True:
        state = json.loads(get_bytes(f"{base}/state"))
        if state["status"] == "sign in":
            said = {"role": "other", "experience_years": "0", "ai_knowledge": "nothing"}
            post(f"{base}/sign-in", {k: said[k] for k in state["fields"]})
            continue
        if state["status"] != "reading":
            return count
        started = time.monotonic()
        phase, position = state["phase"], state["position"]
        data = get_bytes(f"{base}/image/{phase}/{position}/0")
        side = int(np.sqrt(len(data) / 2))
        answer = round(100 * scored(from_bytes(data, (1, side))[0]))
        given = {"phase": phase, "position": position, "nonce": secrets.token_hex(8)}
        given |= {"answer": str(answer), "seconds": round(time.monotonic() - started, 3)}
        post(f"{base}/answer", given)
        count += 1


def get_bytes(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as reply:
        return reply.read()


def post(url: str, record: dict) -> None:
    data = json.dumps(record).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        reply.read()


if __name__ == "__main__":
    main()
