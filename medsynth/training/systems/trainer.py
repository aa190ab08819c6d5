"""What the trainers of all image systems share: rates, the check of a loss, a step, and the same run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from medsynth.errors import CheckpointError
from medsynth.events import Listener, ignore
from medsynth.training.learning_rate import update_average
from medsynth.training.recipe import Optimizer
from medsynth.training.resumable import ResumableTrainer
from medsynth.training.stopping import Limits


class SystemTrainer(ResumableTrainer[int]):
    """A training whose steps need nothing but their number; all randomness is of (seed, step).

    Raises:
        CheckpointError: when it is built: its folder holds another training.
    """

    header: ClassVar[tuple[str, ...]] = ("step", "loss")
    device: str
    dtype: torch.dtype

    def train(self, *, limits: Limits | None = None, listener: Listener = ignore) -> None:
        """To the last step or the limit.

        Raises:
            KeyboardInterrupt: the user stopped it.
            ValueError: a loss is no longer a number; the checkpoint before stays.
        """
        self._train(
            lambda last: range(self.step, last),
            limits=limits,
            listener=listener,
            after_step=self._after_step,
        )

    @property
    def done(self) -> bool:
        """Whether the last step is."""
        return self.step >= self.steps

    def _after_step(self) -> None:
        """What else is done after each step: nothing."""

    def _set_learning_rate(self) -> None:
        """That of this step, for every optimizer."""
        rate = self.learning_rate(self.step)
        for learner in self.learners:
            for group in learner.optimizer.param_groups:
                group["lr"] = rate

    def _fast(self) -> torch.autocast:
        """Computing in bfloat16 where the hardware does."""
        kind = self.device.split(":")[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def _check_loss(self, loss: Tensor, *, cure: str) -> None:
        """Before anything moves; `cure` is the key of the recipe that should be lower.

        Raises:
            ValueError: the loss is no number.
        """
        if not math.isfinite(float(loss.detach())):
            raise ValueError(
                f"the loss is not finite at step {self.step + 1}; the checkpoint before stays; begin "
                f"another run with a lower {cure}"
            )

    def _clear_gradients(self) -> None:
        for learner in self.learners:
            learner.optimizer.zero_grad()

    def _count_step(self, *losses: Tensor | float, ema: float) -> None:
        """Within `_moving`, once the networks have moved: the average follows, and the step is done."""
        state = self.learners[0].network.state_dict()
        update_average(self.ema, state, step=self.step, ema=ema)
        self.step += 1
        numbers = (float(v.detach()) if isinstance(v, Tensor) else v for v in losses)
        self.losses.append((self.step, *numbers))

    def _descend(self, loss: Tensor, options: Optimizer, *, cure: str) -> None:
        """One whole step of the only network."""
        (learner,) = self.learners
        self._check_loss(loss, cure=cure)
        self._clear_gradients()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), options.clip_norm)
        with self._moving():
            learner.optimizer.step()
            self._count_step(loss, ema=options.ema)

    def _mean_of_last(self, count: int) -> float:
        """The mean of the first loss over the last `count` steps."""
        recent = [row[1] for row in self.losses[-count:]]
        return sum(recent) / len(recent)


def adamw(
    network: nn.Module, options: Optimizer, *, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.AdamW:
    """AdamW on all parameters of `network` at the recipe's learning rate."""
    return torch.optim.AdamW(
        network.parameters(), lr=options.lr, betas=betas, weight_decay=options.weight_decay
    )


def check_same_run(
    run: Path, record: dict[str, Any], wanted: dict[str, Any], *, free: tuple[str, ...] = ()
) -> None:
    """Refuse to go on with the record of another run; `free` may differ.

    Raises:
        CheckpointError: it is of another run.
    """
    for key, value in wanted.items():
        if key in free:
            continue
        earlier = record.get(key)
        if isinstance(value, dict):
            if not isinstance(earlier, dict):
                raise CheckpointError(f"{run} holds another training; choose another folder")
            check_same_run(run, earlier, value, free=free)
        elif earlier != value:
            raise CheckpointError(
                f"{run} holds a training with {key} {earlier!r}, now it is {value!r}; choose another folder"
            )
