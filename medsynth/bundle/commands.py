"""Evaluation and refinement: commands whose parts are not objects of a config yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medsynth.bundle.options import absolute, check_assignments, check_flag, check_path
from medsynth.cli import app as cli

# Options that name a file or a folder; a config starts them where the user stands.
PATHS = ("weights", "data", "start_from", "imagenet", "low_band")


def refine(
    recipe: str,
    out: str | None,
    *,
    options: Mapping[str, Any],
    assignments: str | Sequence[str] = (),
    flags: Mapping[str, Any],
    progress: str = "auto",
) -> None:
    """`medsynth refine RECIPE -o RUN`.

    Args:
        recipe: the name of a shipped recipe, or its file.
        out: the run's folder; a run that is there goes on.
        options: `data`, `weights`, `minutes`, `stop_at`, `start_from`, `device`, `threads`;
            None leaves the command's.
        assignments: `key=value` lines for `--set`.
        flags: `debug`.
        progress: auto, bar, json or none.

    Raises:
        SystemExit: refused (2), stopped (130) or a bug (1); one line on stderr has said why.
    """
    lines = [("set", line) for line in check_assignments(assignments)]
    _command("refine", recipe, out, [*_given(options), *lines], flags, progress)


def evaluate(
    recipe: str,
    out: str | None,
    *,
    options: Mapping[str, Any],
    flags: Mapping[str, Any],
    progress: str = "auto",
) -> None:
    """`medsynth evaluate RECIPE -o OUT`.

    Args:
        recipe: the name of a shipped recipe, or its file.
        out: the folder of figures.
        options: `data`, `weights`, `factor`, `slices`, `steps`, `sampler`, `seed`, `only`, `unguided`,
            `nodules`, `imagenet`, `low_band`, `threads`; None leaves the command's.
        flags: `reuse`, `overwrite`, `debug`.
        progress: auto, bar, json or none.

    Raises:
        SystemExit: as `refine`.
    """
    given = dict(options)
    check_path("dataset_dir", given.get("data"))
    if isinstance(given.get("only"), (list, tuple)):  # Fire reads `a,b` as a tuple
        given["only"] = ",".join(map(str, given["only"]))
    _command("evaluate", recipe, out, _given(given), flags, progress)


def _given(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    given = {key: value for key, value in options.items() if value is not None}
    return [(key, absolute(key, value) if key in PATHS else value) for key, value in given.items()]


def _command(
    name: str,
    recipe: str | Path,
    out: str | Path | None,
    options: Sequence[tuple[str, Any]],
    flags: Mapping[str, Any],
    progress: str,
) -> None:
    """Run one command of `medsynth`."""
    given = [("out", check_path("out", out)), *options, ("progress", progress)]
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in given]
    arguments += [f"--{flag}" for flag, is_set in flags.items() if check_flag(flag, is_set)]
    code = cli.main([name, *arguments, "--", str(check_path("recipe", recipe))])
    if code:
        raise SystemExit(code)
