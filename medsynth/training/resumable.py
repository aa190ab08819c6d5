"""What every trainer shares: it stops between two steps, saves all it has learned, and goes on exactly there."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from medsynth.events import Listener, Stage, ignore
from medsynth.training import checkpoint
from medsynth.training.learning_rate import learning_rate
from medsynth.training.recipe import Optimizer as OptimizerOptions
from medsynth.training.recipe import Refinement
from medsynth.training.stopping import Interrupt, Limits

Batch = TypeVar("Batch")
# Of Ctrl-C, and of the minutes: whether either wants the training to stop.
StopRequests = list[bool]


@dataclass(frozen=True)
class Learner:
    """A network and its optimizer, under the names of their tensors in a checkpoint."""

    name: str
    network: nn.Module
    optimizer: Optimizer
    optimizer_name: str

    def tensors(self) -> dict[str, Tensor]:
        """All that either has learned."""
        return checkpoint.named(self.name, self.network.state_dict()) | checkpoint.named(
            self.optimizer_name, checkpoint.optimizer_tensors(self.optimizer)
        )

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` gave."""
        self.network.load_state_dict(checkpoint.below(f"{self.name}.", tensors))
        state = checkpoint.below(f"{self.optimizer_name}.", tensors)
        checkpoint.load_optimizer(self.optimizer, self.network, state)


def learners(
    players: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> list[Learner]:
    """A learner for each of `players`, with the optimizer of its name."""
    return [Learner(n, p, optimizers[n], f"{n}_optimizer") for n, p in players.items()]


class ResumableTrainer(ABC, Generic[Batch]):
    """A training in the folder `run`, of `learners`, of whose first an average is kept.

    A subclass does a step (`_optimize`), says which run this is (`_record`, `_check_record`) and what
    else it saves. All it learns outside of `learners` is in `_more_tensors`.
    """

    title: ClassVar[str]
    header: ClassVar[tuple[str, ...]]  # of losses.csv; the step comes first

    def __init__(
        self,
        run: Path,
        learners: Sequence[Learner],
        *,
        steps: int,
        rates: OptimizerOptions | Refinement,
        checkpoint_every: int,
    ):
        self.run, self.learners = run, tuple(learners)
        self.steps, self.rates, self.checkpoint_every = steps, rates, checkpoint_every
        state = self.learners[0].network.state_dict()
        self.ema = {name: value.detach().clone() for name, value in state.items()}
        self.step = 0
        self.losses: list[tuple[float, ...]] = []
        self._between_steps = True
        run.mkdir(parents=True, exist_ok=True)

    @property
    def weights(self) -> Path:
        """What the run is for, ready to sample with."""
        return self.run / "weights.safetensors"

    def learning_rate(self, step: int) -> float:
        """As the recipe wants it at `step`."""
        return learning_rate(step, steps=self.steps, schedule=self.rates)

    def _train(
        self,
        batches: Callable[[int], Iterable[Batch]],
        *,
        limits: Limits | None,
        listener: Listener = ignore,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """A step for each of `batches(last)`, to the recipe's end or the limit.

        Raises:
            KeyboardInterrupt: the user stopped it.
        """
        limits = limits or Limits()
        last = min(self.steps, limits.step or self.steps)
        stop, interrupt = [False, False], Interrupt()
        with (
            interrupt.listening(),
            self._saved_at_the_end(),
            Stage(self.title, total=last - self.step, listener=listener) as stage,
        ):
            for batch in batches(last):
                stop = self._optimize(batch, lambda: [interrupt.requested, limits.over])
                stage.advance(message=self._progress(), step=self.step)
                if self.step % self.checkpoint_every == 0:
                    self.save()
                after_step()
                if any(stop):
                    break
        if stop[0]:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _saved_at_the_end(self) -> Iterator[None]:
        """A checkpoint however the training ends, except in the middle of a step."""
        try:
            yield
        finally:
            if self._between_steps:
                self.save()

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """The part of a step that is done wholly or not at all; after an error nothing is saved."""
        self._between_steps = False
        yield
        self._between_steps = True

    def save(self) -> None:
        """Write the checkpoint, the losses and the weights; each file replaces its older self."""
        tensors = checkpoint.named("ema", self.ema) | self._more_tensors()
        for learner in self.learners:
            tensors |= learner.tensors()
        checkpoint.save(self.run, tensors, {"step": self.step, **self._record()})
        checkpoint.write_table(self.run / "losses.csv", self.header, self.losses)
        self._write_results()

    def _take_up(self) -> None:
        """Go on with the run that the folder holds, if it holds one."""
        if not checkpoint.exists(self.run):
            return
        record = checkpoint.read_record(self.run)
        self._check_record(record)
        tensors = checkpoint.read_tensors(self.run, record)
        for learner in self.learners:
            learner.load(tensors)
        for name, value in checkpoint.below("ema.", tensors).items():
            self.ema[name].copy_(value)
        self.step = record["step"]
        self.losses = checkpoint.read_table(self.run / "losses.csv", until=self.step)
        self._load_more(tensors)

    @abstractmethod
    def _optimize(self, batch: Batch, requests: Callable[[], StopRequests]) -> StopRequests:
        """One step, between whose parts nothing is saved; whether to stop after it."""

    @abstractmethod
    def _progress(self) -> str:
        """The last losses in words."""

    @abstractmethod
    def _record(self) -> dict[str, Any]:
        """Which run this is."""

    @abstractmethod
    def _check_record(self, record: dict[str, Any]) -> None:
        """Raises CheckpointError where `record` is of another run."""

    @abstractmethod
    def _write_results(self) -> None:
        """The weights, and what shows how they are."""

    def _more_tensors(self) -> dict[str, Tensor]:
        return {}

    def _load_more(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `_more_tensors` gave."""
