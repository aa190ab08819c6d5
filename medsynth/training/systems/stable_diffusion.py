"""Fine-tuning of a diffusers pipeline on captioned images: LoRA or the whole network.

Malik & Humair fine-tuned Stable Diffusion 2.1 on ChestX-ray14, with captions from labels and from the
positions of boxes. Checkpoints are kept and compared: the loss on images trained on beside the loss on
people held out, which parts where a network learns its images by heart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth import domains
from medsynth.datasets.captions import caption_of
from medsynth.datasets.data import load_slices
from medsynth.events import ignore
from medsynth.generators.diffusers_images import to_gray
from medsynth.networks import diffusers_pipelines
from medsynth.storage.files import replace_text
from medsynth.training import checkpoint
from medsynth.training.recipe import Optimizer, plain
from medsynth.training.resumable import Learner, StopRequests
from medsynth.training.systems import images
from medsynth.training.systems.images import SourceImages
from medsynth.training.systems.recipe import SystemKind, TrainingJob, TrainingSource
from medsynth.training.systems.sheet import write_sheet
from medsynth.training.systems.trainer import SystemTrainer, adamw, check_same_run

FINE_TUNING_STREAM, COMPARING_STREAM = 15, 16
COMPARED = 16  # images whose loss is measured at each checkpoint, trained on and held out
TIMES = 4  # noise levels of each of them
COMPARISON = "checkpoints.csv"
HEADER = ("step", "loss_trained_on", "loss_held_out")


@dataclass(frozen=True)
class StableDiffusionRecipe:
    """Fine-tuning of `pipeline` (a local folder or hub id) on captioned images.

    `lora_rank` 0 trains the whole network. Captions are dropped with probability `caption_dropout`.
    Every `keep_every` steps a checkpoint stays in RUN/checkpoints, with a sheet of `sample_prompts`.
    """

    sources: tuple[TrainingSource, ...]
    pipeline: str = ""
    download: bool = False
    lora_rank: int = 8
    resolution: int = 512
    steps: int = 5000
    batch_size: int = 1
    caption_dropout: float = 0.1
    optimizer: Optimizer = field(
        default_factory=lambda: Optimizer(lr=1e-4, warmup=100, decay=0.1, ema=0.999)
    )
    sample_prompts: tuple[str, ...] = ()
    sample_steps: int = 25
    keep_every: int = 500
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resolution % 8 or self.resolution < 8:
            raise ValueError(f"resolution must be a multiple of 8, got {self.resolution}")
        if self.lora_rank < 0 or self.keep_every < 1:
            raise ValueError("lora_rank must be at least 0 and keep_every at least 1")


class TrainedPart(nn.Module):
    """The parameters of a network that are trained, as a network of its own."""

    def __init__(self, network: nn.Module):
        super().__init__()
        trained = [p for p in network.parameters() if p.requires_grad]
        for index, parameter in enumerate(trained):
            self.register_parameter(f"p{index}", parameter)


def train(recipe: StableDiffusionRecipe, job: TrainingJob) -> Path:
    """Fine-tune, or go on.

    Returns:
        A folder of LoRA weights (for --set lora=...), or of the pipeline (for --model).

    Raises:
        KeyboardInterrupt: the user stopped it.
        ValueError, CheckpointError, MissingExtra: images, a pipeline or a run that cannot be used.
    """
    listener = job.listener or ignore
    if not recipe.pipeline:
        raise ValueError(
            "no pipeline is named and none is shipped; give a folder of one, or a hub id, with --set pipeline=..."
        )
    pipeline = diffusers_pipelines.open_pipeline(
        recipe.pipeline, download=recipe.download, device=job.device
    )
    sources = images.read_sources(recipe.sources, run=job.run, listener=listener)
    trainer = FineTuner(recipe, pipeline, sources, _held_out(sources), job=job)
    trainer.train(limits=job.limits, listener=listener)
    return trainer.result


def _held_out(sources: Sequence[SourceImages]) -> list[tuple[Tensor, str]]:
    """A few images of people held out, only to measure the loss on, and their captions."""
    found = []
    for source in sources:
        entries = source.split.held_out[: COMPARED // len(sources)]
        if not entries:
            continue
        part = replace(source.split, held_out=entries)
        slices = load_slices(source.source.data, preset=source.preset, held_out=True, split=part)
        captions = {e.name: caption_of(e, source.preset) for e in entries}
        for image, name in zip(slices.images, slices.series, strict=True):
            unit = torch.from_numpy(source.preset.intensity.to_unit(image))[None]
            found.append((unit, captions[name]))
    return found[:COMPARED]


class FineTuner(SystemTrainer):
    """Fine-tunes the UNet of `pipeline`; all randomness is of (seed, step)."""

    title = "fine-tuning"

    def __init__(
        self,
        recipe: StableDiffusionRecipe,
        pipeline: Any,
        sources: Sequence[SourceImages],
        held_out: Sequence[tuple[Tensor, str]],
        *,
        job: TrainingJob,
    ):
        self.recipe, self.pipeline, self.sources = recipe, pipeline, sources
        self.held_out, self.device = held_out, job.device
        for frozen in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
            frozen.requires_grad_(False)
        self._prepare()
        self.part = TrainedPart(pipeline.unet)
        scheduler = diffusers_pipelines.library().DDPMScheduler
        self.noising = scheduler.from_config(pipeline.scheduler.config)
        self._texts: dict[str, Tensor] = {}
        optimizer = adamw(self.part, recipe.optimizer)
        super().__init__(
            job.run,
            [Learner("part", self.part, optimizer, "optimizer")],
            steps=recipe.steps,
            rates=recipe.optimizer,
            checkpoint_every=recipe.checkpoint_every,
        )
        self._take_up()

    @property
    def result(self) -> Path:
        """Where what `medsynth generate` takes is written."""
        return self.run / ("lora" if self.recipe.lora_rank else "pipeline")

    def _prepare(self) -> None:
        unet = self.pipeline.unet
        if not self.recipe.lora_rank:
            unet.requires_grad_(True)
            return
        from peft import LoraConfig

        torch.manual_seed(self.recipe.seed)
        rank = self.recipe.lora_rank
        unet.add_adapter(
            LoraConfig(
                r=rank,
                lora_alpha=rank,
                init_lora_weights="gaussian",
                target_modules=["to_k", "to_q", "to_v", "to_out.0"],
            )
        )

    def _progress(self) -> str:
        return f"loss {self._mean_of_last(50):.4f}"

    def _optimize(self, batch: int, requests: Callable[[], StopRequests]) -> StopRequests:
        self._set_learning_rate()
        self._descend(self._loss(*self._batch(batch)), self.recipe.optimizer, cure="optimizer.lr")
        return requests()

    def _batch(self, step: int) -> tuple[Tensor, list[str], Tensor, Tensor]:
        """Images (B, 1, H, W), captions, noise and timesteps of a step."""
        rng = np.random.default_rng((self.recipe.seed, FINE_TUNING_STREAM, step))
        shares = images.shares(self.sources)
        chosen, captions = [], []
        for which in rng.choice(len(self.sources), self.recipe.batch_size, p=shares):
            source = self.sources[which]
            index = int(rng.integers(len(source.words)))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            chosen.append(source.unit(index, generator))
            dropped = rng.random() < self.recipe.caption_dropout
            captions.append("" if dropped else ", ".join(source.words[index]))
        return torch.stack(chosen), captions, *self._noise(len(chosen), rng)

    def _noise(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        side = self.recipe.resolution // self.pipeline.vae_scale_factor
        shape = (count, self.pipeline.unet.config.in_channels, side, side)
        total = self.noising.config.num_train_timesteps
        return (
            torch.randn(shape, generator=generator),
            torch.randint(total, (count,), generator=generator),
        )

    def _loss(self, image: Tensor, captions: Sequence[str], noise: Tensor, t: Tensor) -> Tensor:
        """The mean squared error of what the network predicts: noise or v."""
        noise, t = noise.to(self.device), t.to(self.device)
        latents = self._latents(image.to(self.device))
        noised = self.noising.add_noise(latents, noise, t)
        text = torch.cat([self._text(caption) for caption in captions])
        output = self.pipeline.unet(noised, t, encoder_hidden_states=text).sample
        target = noise
        if self.noising.config.prediction_type == "v_prediction":
            target = self.noising.get_velocity(latents, noise, t)
        return functional.mse_loss(output.float(), target.float())

    @torch.no_grad()
    def _latents(self, image: Tensor) -> Tensor:
        side = self.recipe.resolution
        large = functional.interpolate(image, size=(side, side), mode="bicubic").clamp(-1, 1)
        vae = self.pipeline.vae
        color = diffusers_pipelines.gray_to_color(large)
        return vae.encode(color).latent_dist.mean * vae.config.scaling_factor

    @torch.no_grad()
    def _text(self, caption: str) -> Tensor:
        if caption not in self._texts:
            tokenizer = self.pipeline.tokenizer
            tokens = tokenizer(
                caption,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            self._texts[caption] = self.pipeline.text_encoder(tokens.to(self.device))[0]
        return self._texts[caption]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with its average."""
        current = {k: v.clone() for k, v in self.part.state_dict().items()}
        self.part.load_state_dict(self.ema)
        try:
            yield
        finally:
            self.part.load_state_dict(current)

    def _after_step(self) -> None:
        """A checkpoint to keep now and then, and at the end."""
        if self.step % self.recipe.keep_every and self.step != self.steps:
            return
        folder = self.run / "checkpoints" / f"step-{self.step:07d}"
        with self._averaged():
            self._save(folder)
            self._compare()
            if self.recipe.sample_prompts:
                self._draw(folder / "samples.png")

    def _save(self, folder: Path) -> None:
        """LoRA weights, or the whole pipeline."""
        folder.mkdir(parents=True, exist_ok=True)
        if not self.recipe.lora_rank:
            self.pipeline.save_pretrained(folder)
            return
        from peft.utils import get_peft_model_state_dict

        library = diffusers_pipelines.library()
        state = get_peft_model_state_dict(self.pipeline.unet)
        layers = library.utils.convert_state_dict_to_diffusers(state)
        type(self.pipeline).save_lora_weights(str(folder), unet_lora_layers=layers)

    @torch.no_grad()
    def _compare(self) -> None:
        """The loss on images trained on and on people held out, at the same noise: one more line."""
        trained = []
        for source in self.sources:
            picked = np.linspace(0, len(source.words) - 1, COMPARED // len(self.sources))
            for index in dict.fromkeys(picked.round().astype(int).tolist()):
                trained.append((source.unit(index), ", ".join(source.words[index])))
        row = (self.step, self._mean_loss(trained), self._mean_loss(self.held_out))
        rows = [
            r
            for r in checkpoint.read_table(self.run / COMPARISON, until=self.step)
            if r[0] < self.step
        ]
        checkpoint.write_table(self.run / COMPARISON, HEADER, [*rows, row])

    def _mean_loss(self, part: Sequence[tuple[Tensor, str]]) -> float:
        losses = []
        for image, caption in part:
            # Every image at the same levels: the loss depends on them far more than on the image.
            rng = np.random.default_rng((self.recipe.seed, COMPARING_STREAM))
            for _ in range(TIMES):
                noise, t = self._noise(1, rng)
                losses.append(float(self._loss(image[None], [caption], noise, t)))
        return sum(losses) / len(losses) if losses else math.nan

    @torch.no_grad()
    def _draw(self, path: Path) -> None:
        self.pipeline.set_progress_bar_config(disable=True)
        side, rows = self.recipe.resolution, []
        for index, prompt in enumerate(self.recipe.sample_prompts):
            color = self.pipeline(
                prompt=prompt,
                num_inference_steps=self.recipe.sample_steps,
                width=side,
                height=side,
                generator=torch.Generator().manual_seed(index),
                output_type="np",
            ).images[0]
            rows.append(torch.from_numpy(to_gray(color))[None, None].float() / 127.5 - 1)
        write_sheet([torch.cat(rows)], path)

    def _record(self) -> dict[str, Any]:
        recipe = asdict(self.recipe)
        kept = ("pipeline", "lora_rank", "resolution", "batch_size", "caption_dropout", "seed")
        digest = images.digest(self.sources)
        return {"fine_tuning": {key: recipe[key] for key in kept}, "data_digest": digest}

    def _check_record(self, record: dict[str, Any]) -> None:
        check_same_run(self.run, record, plain(self._record()))

    def _write_results(self) -> None:
        with self._averaged():
            self._save(self.result)
        about = {
            "synthetic": "makes synthetic images only; not for diagnosis",
            "pipeline": self.recipe.pipeline,
            "steps": self.step,
            "data": images.statement(self.recipe.sources),
            "license": images.license_of(self.recipe.sources),
            "presets": [domains.get(s.preset).name for s in self.recipe.sources],
            "split": [s.split.digest for s in self.sources],
        }
        replace_text(self.result / "medsynth.json", json.dumps(about, indent=1) + "\n")


KIND = SystemKind(
    title="Fine-tuning of Stable Diffusion, LoRA or whole",
    recipe=StableDiffusionRecipe,
    train=train,
    name="stable_diffusion",
)
