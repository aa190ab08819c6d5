"""How much slower sampling becomes beside programs that want every core: quiet and loaded in one run.

`python benchmarks/beside_load.py` on a quiet machine. Each time is of a process of its own; `spinning`
is what OpenMP does unasked, on all cores. The load is this script's own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

NETWORKS = {"chest_xray_256.safetensors": 256, "lung_ct_512.safetensors": 512}
WAYS = ("ours", "passive, all cores", "spinning")
SPIN = "while True: pass"


def main() -> None:
    """Print a table of seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", type=int, default=3, help="busy loops beside us (default: 3)")
    parser.add_argument("--repeats", type=int, default=3, help="(default: 3)")
    parser.add_argument("--steps", type=int, default=20, help="network calls (default: 20)")
    parser.add_argument("--sample", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sample:
        sample(*args.sample, steps=args.steps)
        return
    print(f"load before: {os.getloadavg()[0]:.1f} (the figures want a quiet machine)")
    print("| size | way | threads quiet / loaded | quiet s | loaded s | ratio |")
    print("|---|---|---|---|---|---|")
    for weights, size in NETWORKS.items():
        for way in WAYS:
            print(row(weights, size, way, args), flush=True)


def row(weights: str, size: int, way: str, args: argparse.Namespace) -> str:
    """Quiet and loaded in turn; medians."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    threads = {}
    for _ in range(args.repeats):
        for loaded in (False, True):
            took, threads[loaded] = measured(weights, way, args.load * loaded, args.steps)
            seconds[loaded].append(took)
    quiet, busy = (statistics.median(seconds[loaded]) for loaded in (False, True))
    counts = f"{threads[False]} / {threads[True]}"
    return f"| {size} | {way} | {counts} | {quiet:.2f} | {busy:.2f} | {busy / quiet:.1f} |"


def measured(weights: str, way: str, load: int, steps: int) -> tuple[float, str]:
    """Seconds and threads of one sampling in a process of its own beside `load` busy loops."""
    loops = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(load)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_"))}
    if way != "spinning":
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--steps", str(steps), "--sample", weights, way],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    took, threads = done.stdout.split()[-2:]
    return float(took), threads


def sample(weights: str, way: str, *, steps: int) -> None:
    """One guided slice after a warm-up; prints seconds and threads."""
    import torch

    from medsynth import threads
    from medsynth.diffusion import samplers
    from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
    from medsynth.diffusion.sampling import generators
    from medsynth.diffusion.sampling import sample as synthesize
    from medsynth.networks import load_denoiser, model_store

    denoiser = load_denoiser(model_store.path(weights))
    noise = torch.randn(1, 1, *2 * (NETWORKS[weights],), generator=generators(0, [0])[0])
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", noise.clamp(-1, 1), 8)])
    with threads.using(None if way == "ours" else torch.get_num_threads()) as count:
        denoiser(noise, 500.0)
        started = time.perf_counter()
        synthesize(
            denoiser,
            samplers.build("dpmpp_2m_sde"),
            steps=steps,
            noise=noise,
            conditions=[guidance],
            generators=generators(0, [0]),
        )
        print(time.perf_counter() - started, count)


if __name__ == "__main__":
    main()
