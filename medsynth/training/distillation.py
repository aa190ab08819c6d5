"""A distillation as a run: the teacher is kept in its folder, which goes on without the file it began with."""

from __future__ import annotations

from pathlib import Path

from medsynth.diffusion.distillation import DistillationObjective, lessons
from medsynth.diffusion.noise_level import NoiseLevelScale
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.diffusion.schedule import Schedule
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser
from medsynth.storage.files import new_file
from medsynth.training.recipe import Recipe

TEACHER = "teacher.safetensors"  # in the run


def prepared(
    recipe: Recipe,
    schedule: Schedule,
    preconditioning: ResidualPreconditioning | None,
    noise_level: NoiseLevelScale | None,
    run: Path,
    start_from: Path | None,
    device: str,
) -> DistillationObjective | None:
    """What the student of `recipe` is taught; None where the recipe has no `distillation`.

    Args:
        recipe: the student's.
        schedule: as the recipe describes it.
        preconditioning: of its residual scale.
        noise_level: the scale that it is conditioned on, if it is.
        run: its folder, where a new run keeps a copy of its teacher.
        start_from: the weights that a new run begins with; None: the run goes on.
        device: that the teacher computes on.

    Raises:
        CheckpointError: no teacher, or one of another schedule or scale.
    """
    options, lowest = recipe.distillation, recipe.reference.log_snr_min
    if options is None:
        return None
    kept = run / TEACHER
    if start_from is not None:
        run.mkdir(parents=True, exist_ok=True)
        with new_file(kept, overwrite=True) as partial:
            partial.write_bytes(start_from.read_bytes())
    if not kept.exists():
        raise CheckpointError(
            "distillation needs a teacher: begin with --start-from FILE, the weights of an expert"
        )
    teacher = load_denoiser(kept, device=device)
    pairs = {
        "schedule": (teacher.schedule.log_snr_table.tolist(), schedule.log_snr_table.tolist()),
        "residual_std": (teacher.preconditioning, preconditioning),
        "noise_level": (teacher.noise_level, noise_level),
        "reference.log_snr_min": (teacher.conditioned_log_snr_min, lowest),
    }
    other = [name for name, (theirs, ours) in pairs.items() if theirs != ours]
    if other:
        raise CheckpointError(
            f"{kept} has another {', '.join(other)} than the recipe, so that it cannot teach; take these "
            "from its recipe"
        )
    taught = lessons(
        schedule,
        log_snr_min=lowest,
        calls=options.calls,
        teacher_steps=options.teacher_steps,
        begin=options.log_snr_min,
    )
    return DistillationObjective(teacher, taught)
