"""How many threads compute, and how they wait for each other.

OpenMP's threads spin while they wait for the last of them. Where other programs want the cores too,
the last one stands in the scheduler's queue behind its own spinning partners, and sampling takes ten
times as long. So threads sleep while they wait. Their number does not follow the load: results differ
in the last bits between numbers of threads, and a seed shall repeat on a busy machine too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, MutableMapping

WAIT_POLICY = "OMP_WAIT_POLICY"
# OpenBLAS, and MKL where NumPy was built with it, read theirs when they are loaded.
NUMPY_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
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
        help="threads that compute on the CPU (default: OMP_NUM_THREADS, else one for each core)",
    )


def choose(wanted: int | None = None) -> int:
    """The number of threads: `wanted`, else what PyTorch chose: OMP_NUM_THREADS or the cores.

    Raises:
        ValueError: `wanted` is no number of threads.
    """
    if wanted is not None:
        if not 1 <= wanted <= MOST:
            raise ValueError(
                f"threads must be from 1 to {MOST}, got {wanted}; leave it out to use every core"
            )
        return wanted
    import torch

    return torch.get_num_threads()


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


@contextlib.contextmanager
def one_for_numpy(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """NumPy's matrix products take one thread if NumPy is imported for the first time within this.

    For a program of small products, in which a second thread would mostly wait for the first one. What the
    program starts is not concerned.
    """
    before = {name: environment.get(name) for name in NUMPY_THREADS}
    environment.update(dict.fromkeys(NUMPY_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del environment[name]
            else:
                environment[name] = value
