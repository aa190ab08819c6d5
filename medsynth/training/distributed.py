"""Several processes that train one network, as torchrun starts them.

The recipe's batch is the whole batch: each process takes its share, so that the number of processes
changes the speed and not the result.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class DistributedContext:
    """Process `rank` of `size`. Alone, nothing here communicates."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's samples of a batch of `count`, in the order of the ranks.

        Raises:
            ValueError: fewer samples than processes.
        """
        if count < self.size:
            raise ValueError(
                f"a batch of {count} cannot be shared by {self.size} processes; raise batch_size in "
                f"the recipe's phases or start at most {count} (--nproc_per_node)"
            )
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum of the processes' `values`, the same everywhere."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wrapped(self, network: nn.Module) -> nn.Module:
        """`network`, or one whose backward pass averages the gradients over the processes."""
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        devices = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, gradient_as_bucket_view=True)

    def assert_same(self, value: str, *, what: str) -> None:
        """Refuse to go on where the processes see different things.

        Raises:
            ValueError: they do.
        """
        if self.size == 1:
            return
        values: list[str | None] = [None] * self.size
        dist.all_gather_object(values, value)
        if len(set(values)) > 1:
            raise ValueError(f"the processes see different {what}: {values}; give all the same")


@contextlib.contextmanager
def joined(
    device: str, environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[DistributedContext, str]]:
    """The world that torchrun made, and this process's device; alone where it made none.

    gloo between CPUs, NCCL between GPUs, of which every process gets one.

    Raises:
        ValueError: more processes on this machine than GPUs.
    """
    size = int(environment.get("WORLD_SIZE", 1))
    if size == 1:
        yield DistributedContext(), device
        return
    local_rank = int(environment.get("LOCAL_RANK", 0))
    if device == "cuda":
        there = torch.cuda.device_count()
        if local_rank >= there:
            raise ValueError(
                f"process {local_rank + 1} of this machine finds {there} CUDA devices; use "
                f"--nproc_per_node {there}, or --device cpu"
            )
        device = f"cuda:{local_rank}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield DistributedContext(dist.get_rank(), dist.get_world_size()), device
        # The first process still writes: gloo can abort one that leaves while another is connected.
        dist.barrier()
    finally:
        dist.destroy_process_group()
