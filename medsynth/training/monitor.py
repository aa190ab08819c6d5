"""What a training run shows while it runs: RUN/index.html, sample sheets, TensorBoard events.

It looks on: no random number of the training is drawn here.
"""

from __future__ import annotations

import base64
import html
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medsynth.datasets.data import Slices
from medsynth.marking import png_chunks
from medsynth.storage.files import replace_text
from medsynth.training import sample_sheet
from medsynth.training.curves import draw_curves
from medsynth.training.trainer import Trainer

SECONDS_BETWEEN_PAGES = 60.0
REFRESH_SECONDS = 30
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{refresh}
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em;
  color: #222; background: #fff; }}
img {{ max-width: 100%; }}
progress {{ width: 100%; }}
pre {{ background: #f4f4f4; padding: 1em; overflow: auto; }}
</style></head><body>
<h1>{title}</h1>
<p><progress value="{step}" max="{steps}"></progress></p>
<p>{state}</p>
<img alt="Loss over the steps and by noise level" src="{curves}">
{samples}
<details><summary>Recipe</summary><pre>{recipe}</pre></details>
</body></html>
"""
SHEET = """<h2>Samples at step {step}</h2>
<p>Averaged weights, fixed seeds. For each window ({windows}): a real {kind} slice; an image guided by
its low-pass image, factor {factor}; an unguided image. Synthetic: not for diagnosis.</p>
<img alt="Real, guided and unguided images" src="{image}">"""


class Monitor:
    """Called after every step of `trainer`; writes what is due.

    `held_out` are the slices that guide the samples; without them training slices do.
    """

    def __init__(self, trainer: Trainer, *, held_out: Slices | None = None):
        self.trainer, self.options = trainer, trainer.recipe.samples
        self.kind = "training" if held_out is None else "held-out"
        images = (held_out or trainer.slices).images
        self.references = sample_sheet.chosen(images, self.options.count)
        if factor := trainer.recipe.low_pass_factor:
            self.references = sample_sheet.low_pass_images(
                self.references, factor, preset=trainer.preset
            )
        self.first_step, self.started = trainer.step, time.monotonic()
        self.written = -SECONDS_BETWEEN_PAGES
        self.events = _event_writer(trainer)

    def __call__(self, trainer: Trainer) -> None:
        """Write what is due after this step."""
        if self.events:
            step, loss, rate = trainer.losses[-1]
            self.events.add_scalar("loss", loss, step)
            self.events.add_scalar("learning_rate", rate, step)
        sampled = self.options.every and trainer.step % self.options.every == 0
        if sampled:
            self.sample()
        if sampled or time.monotonic() - self.written > SECONDS_BETWEEN_PAGES:
            self.write()

    def close(self) -> None:
        """The page as it stays, and the last events."""
        if self.trainer.losses:
            self.write(running=False)
        if self.events:
            self.events.close()

    def sample(self) -> None:
        """RUN/samples/STEP.png."""
        trainer, preset = self.trainer, self.trainer.preset
        guided, unguided = sample_sheet.synthesize(
            trainer.denoiser(), self.references, preset=preset, options=self.options
        )
        picture = sample_sheet.draw(self.references, guided, unguided, preset=preset)
        folder = trainer.run / "samples"
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{trainer.step:07d}.png", pnginfo=png_chunks())
        if self.events:
            pixels = np.asarray(picture)[None]
            self.events.add_image("real, guided, unguided", pixels, trainer.step)

    def write(self, *, running: bool = True) -> None:
        """RUN/index.html and RUN/curves.png."""
        self.written = time.monotonic()
        trainer = self.trainer
        by_level = trainer.level_log.rows + trainer.level_log.pending(trainer.step)
        draw_curves(trainer.losses, trainer.run / "curves.png", by_level=by_level)
        page = PAGE.format(
            refresh=f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' * running,
            title=html.escape(f"Training {trainer.run.name}"),
            step=trainer.step,
            steps=trainer.recipe.steps,
            state=html.escape(self._state(running)),
            curves=_embedded(trainer.run / "curves.png"),
            samples=self._samples(),
            recipe=html.escape(yaml.safe_dump(trainer.recipe.to_dict(), sort_keys=False)),
        )
        replace_text(trainer.run / "index.html", page)

    def _state(self, running: bool) -> str:
        trainer = self.trainer
        recent = np.mean([row[1] for row in trainer.losses[-100:]])
        words = [f"Step {trainer.step} of {trainer.recipe.steps}", f"loss {recent:.4g}"]
        words.append(f"learning rate {trainer.losses[-1][2]:.3g}")
        done = trainer.step - self.first_step
        if running and done:
            each = (time.monotonic() - self.started) / done
            left = each * (trainer.recipe.steps - trainer.step)
            words += [f"{each:.2f} s a step", f"{_clock(left)} left to the end of the recipe"]
        elif not running:
            words.append("not running" if trainer.step < trainer.recipe.steps else "finished")
        return "; ".join(words) + f". Written {time.strftime('%Y-%m-%d %H:%M:%S')}."

    def _samples(self) -> str:
        sheets = sorted((self.trainer.run / "samples").glob("*.png"))
        if not sheets:
            return ""
        return SHEET.format(
            step=int(sheets[-1].stem),
            windows=html.escape(", ".join(w.name for w in self.trainer.preset.windows)),
            kind=self.kind,
            factor=self.options.factor,
            image=_embedded(sheets[-1]),
        )


def _event_writer(trainer: Trainer) -> Any | None:
    """TensorBoard's, where it is installed (the extra `train`)."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    # What an interrupted run wrote beyond its checkpoint is not shown.
    return SummaryWriter(str(trainer.run / "tensorboard"), purge_step=trainer.step + 1)


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
