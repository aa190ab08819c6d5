"""How many threads compute, and how they wait for each other.

OpenMP's threads spin while they wait for the last of them. Where other programs want the cores too,
the last one stands in the scheduler's queue behind its own spinning partners, and sampling takes ten
times as long. So threads sleep while they wait, and only as many compute as there are idle cores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, MutableMapping

WAIT_POLICY = "OMP_WAIT_POLICY"
# How long the load is looked at.
LOOK_SECONDS = 0.2
# More threads than cores only repeat the rounding of a larger machine; beyond this it is a slip.
MOST = 256


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep at barriers; the user's own setting stays.

    OpenMP reads it when PyTorch is imported: later it changes nothing in this process.
    """
    environment.setdefault(WAIT_POLICY, "PASSIVE")


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--threads`, of every command that samples or trains."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="threads that compute on the CPU (default: OMP_NUM_THREADS, else as many as there are "
        "idle cores when the command starts)",
    )


def idle_cores() -> float:
    """How many of the cores that this process may use are idle now."""
    import psutil

    busy = psutil.cpu_percent(interval=LOOK_SECONDS, percpu=True)
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    return sum(1 - busy[core] / 100 for core in mine if core < len(busy))


def choose(wanted: int | None = None) -> int:
    """The number of threads: `wanted`, else the user's OMP_NUM_THREADS, else the idle cores.

    Raises:
        ValueError: `wanted` is no number of threads.
    """
    import torch

    if wanted is not None:
        if not 1 <= wanted <= MOST:
            raise ValueError(
                f"threads must be from 1 to {MOST}, got {wanted}; leave it out to use the idle cores"
            )
        return wanted
    most = torch.get_num_threads()
    if most == 1 or "OMP_NUM_THREADS" in os.environ:
        return most
    return max(1, min(most, round(idle_cores())))


@contextlib.contextmanager
def using(wanted: int | None = None) -> Iterator[int]:
    """Compute with `choose(wanted)` threads; afterwards the process has those it had before."""
    import torch

    chosen, before = choose(wanted), torch.get_num_threads()
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)
