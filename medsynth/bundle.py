"""What the configs of `monai_bundle/` point to: the `medsynth` commands, as MONAI starts them.

Each option of a config goes to the command's option of that name. Checks, progress, refusals, Ctrl-C
and results are therefore the command's own, and the classes that run are the same.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from medsynth.cli import app as cli

if TYPE_CHECKING:
    from medsynth.networks import PatchUNet

MONAI_PROGRAM = ("monai", "bundle", "__main__.py")
# Options of the commands that name a file or a folder; a config starts them where the user stands.
PATHS = ("weights", "data", "start_from", "imagenet", "low_band")


def network(*, preset: str, weights: str | None = None) -> PatchUNet:
    """The network of a weights file (default: the one shipped for `preset`), float32, on the CPU.

    For MONAI's tools on networks; `synthesize` loads its own, in the number format that is fastest.

    Raises:
        ValueError: no such preset.
        CheckpointError: the weights are missing or damaged.
    """
    from medsynth import domains as presets
    from medsynth.networks import load_network, model_store

    return load_network(Path(weights or model_store.path(presets.get(preset).weights)))[0]


def synthesize(
    request: str | None,
    out: str | None,
    *,
    changes: Mapping[str, Any],
    assignments: str | Sequence[str] = (),
    threads: int | None = None,
    flags: Mapping[str, Any],
    progress: str = "auto",
) -> None:
    """`medsynth synthesize REQUEST -o OUT`.

    Args:
        request: the request's file.
        out: the folder to make.
        changes: values that replace the request's, by key; None leaves the request's.
        assignments: `key=value` lines for `--set`.
        threads: of the CPU; None leaves the command's.
        flags: `overwrite`, `dry_run`, `debug`.
        progress: auto, bar, json or none.

    Raises:
        SystemExit: refused (2), stopped (130) or a bug (1); one line on stderr has said why.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    assigned = [f"{key}={json.dumps(_absolute(key, value))}" for key, value in given.items()]
    _command(
        "synthesize",
        _path("request", request),
        ("out", _path("out", out)),
        # JSON is YAML: the command reads the value as it was given here.
        *(("set", line) for line in (*assigned, *_lines(assignments))),
        *((("threads", threads),) if threads is not None else ()),
        ("progress", progress),
        flags=flags,
    )


def train(
    recipe: str,
    out: str | None,
    *,
    options: Mapping[str, Any],
    assignments: str | Sequence[str] = (),
    flags: Mapping[str, Any],
    progress: str = "auto",
) -> None:
    """`medsynth train RECIPE -o RUN`; as one of several processes where torchrun started them.

    Args:
        recipe: the name of a shipped recipe, or its file.
        out: the run's folder; a run that is there goes on.
        options: `data`, `minutes`, `stop_at`, `start_from`, `device`, `threads`; None leaves the
            command's.
        assignments: `key=value` lines for `--set`.
        flags: `debug`.
        progress: auto, bar, json or none.

    Raises:
        SystemExit: as `synthesize`.
    """
    _teach("train", recipe, out, options, assignments, flags, progress)


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
        SystemExit: as `synthesize`.
    """
    _teach("refine", recipe, out, options, assignments, flags, progress)


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
        SystemExit: as `synthesize`.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(given.get("only"), (list, tuple)):  # Fire reads `a,b` as a tuple
        given["only"] = ",".join(map(str, given["only"]))
    _command(
        "evaluate",
        _path("recipe", recipe),
        ("data", _path("dataset_dir", options.get("data"))),
        ("out", _path("out", out)),
        *((key, _absolute(key, value)) for key, value in given.items() if key != "data"),
        ("progress", progress),
        flags=flags,
    )


def check_processes(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse `multi_gpu_train.json` without torchrun, where it would do nothing.

    Raises:
        SystemExit: (2) there are no other processes.
    """
    if int(environment.get("WORLD_SIZE", 1)) < 2:
        _refuse(
            "multi_gpu_train.json needs at least 2 processes, got 1; start it by "
            "`torchrun --nproc_per_node N -m monai.bundle run ...`, or leave it out"
        )


def check_options(options: Iterable[str], *, argv: Sequence[str] | None = None) -> None:
    """Refuse an option of `python -m monai.bundle run` that would do nothing.

    MONAI takes any option and adds it to the config; a misspelt one would be ignored, and of one that
    is given twice all but the last. `options` are the config's; MONAI's own and ids inside the config
    (`network_def::weights`) are let through. A config that another program runs is not checked.

    Raises:
        SystemExit: (2) an unknown option, with the nearest match, or one given twice.
    """
    argv = sys.argv if argv is None else argv
    if not argv or Path(argv[0]).parts[-3:] != MONAI_PROGRAM:
        return
    from monai.bundle import run

    monai_options = [
        p.name for p in inspect.signature(run).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    known, seen = (*options, *monai_options), set()
    for name in _option_names(argv[1:]):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean --{near[0]}?" if near else f"expected --{', --'.join(options)}"
            _refuse(f"unknown option --{name}; {cure}")
        if name in seen:
            _refuse(f"--{name} is given twice, and MONAI would take only the last; give it once")
        seen.add(name)


def _option_names(arguments: Sequence[str]) -> Iterable[str]:
    """Names of the options in a command line for Fire, which ends them with a bare `--`."""
    for argument in arguments:
        if argument == "--":
            return
        option = re.match(r"--?([A-Za-z_][\w-]*)(?![\w:#-])", argument)
        if option:
            yield option[1].replace("-", "_")


def _teach(
    command: str,
    recipe: str,
    out: str | None,
    options: Mapping[str, Any],
    assignments: str | Sequence[str],
    flags: Mapping[str, Any],
    progress: str,
) -> None:
    """What train and refine have in common: a recipe, a run and changes to the recipe."""
    given = {key: value for key, value in options.items() if value is not None}
    _command(
        command,
        _path("recipe", recipe),
        ("out", _path("out", out)),
        *((key, _absolute(key, value)) for key, value in given.items()),
        *(("set", line) for line in _lines(assignments)),
        ("progress", progress),
        flags=flags,
    )


def _command(name: str, subject: str, *options: tuple[str, Any], flags: Mapping[str, Any]) -> None:
    """Run one command line of `medsynth`."""
    arguments = [name, *(f"--{_dashed(key)}={value}" for key, value in options)]
    for flag, is_set in flags.items():
        if not isinstance(is_set, bool):
            _refuse(f"--{flag} must be True or False, got {is_set!r}")
        arguments += [f"--{_dashed(flag)}"] * is_set
    code = cli.main([*arguments, "--", subject])
    if code:
        raise SystemExit(code)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _path(option: str, value: Any) -> str:
    """The path given for `option`."""
    if value is None:
        _refuse(f"--{option} is not given")
    if not isinstance(value, (str, Path)):
        # Fire reads `--out 7` as a number, and `--out 1e3` as another one than was meant.
        _refuse(f"--{option} was read as {value!r}, expected a path; write it as ./NAME")
    return str(value)


def _absolute(key: str, value: Any) -> Any:
    """`value`, or where a path that the user gave lies; a request's own start at its folder."""
    return str(Path(_path(key, value)).expanduser().absolute()) if key in PATHS else value


def _lines(assignments: Any) -> list[str]:
    lines = [assignments] if isinstance(assignments, str) else assignments
    if not isinstance(lines, (list, tuple)) or not all(isinstance(line, str) for line in lines):
        _refuse(f"--set must be KEY=VALUE or a list of such, got {assignments!r}")
    return list(lines)


def _refuse(message: str) -> NoReturn:
    print(f"medsynth: error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(cli.REFUSED)
