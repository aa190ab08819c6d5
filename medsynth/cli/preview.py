"""`medsynth preview`: what a factor keeps of a reference, before any sampling."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.cli.parsers import add_changes, add_out, add_overwrite
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    import numpy as np

    from medsynth.domains import Preset
    from medsynth.pipeline.preprocessing import PreprocessedReference
    from medsynth.request import Request

DESCRIPTION = """\
Show one slice of the reference at several factors: what the low-pass filter keeps is what the
synthesis is bound to, the rest it is free to invent. Nothing is sampled."""

FACTORS = (4, 8, 16, 32)
REQUESTS = (".yaml", ".yml", ".json")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`preview` and its options."""
    parser = subparsers.add_parser(
        "preview", help="show what a factor keeps of a reference", description=DESCRIPTION
    )
    add = parser.add_argument
    add("input", metavar="REQUEST|IMAGE", type=Path, help="request, image file or DICOM folder")
    add_out(parser, "FILE.png")
    add_overwrite(parser, "FILE.png if it is there")
    add(
        "--factors",
        type=_factors,
        metavar="N,N,...",
        help="(default: 4,8,16,32 and the request's own)",
    )
    add("--filter", help="dct, block or bicubic (default: the request's, else dct)")
    add(
        "--slice",
        type=int,
        metavar="N",
        help="counted from 1 (default: the pathology's, else middle)",
    )
    add("--preset", help="domain of an image (default: lung_ct)")
    add("--series-uid", help="which series of a DICOM folder")
    add_changes(parser, "change the request")


def _factors(words: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in words.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected integers such as 4,8,16, got {words}") from None


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the reference, filter one slice, draw."""
    from medsynth.storage.files import check_new_file, new_file

    request, preset = _request_and_preset(args)
    kind = _filter(args, request)
    if args.out.suffix.lower() != ".png":
        raise ValueError(f"{args.out}: expected a name that ends in .png")
    check_new_file(args.out, overwrite=args.overwrite)

    import SimpleITK as sitk

    from medsynth.pipeline.report import write_low_pass
    from medsynth.pipeline.report.axes import axes_of

    preprocessed = _reference(args, request, preset, listener)
    image = preprocessed.reference.image
    for warning in preprocessed.reference.warnings:
        listener(Event("warning", message=warning))
    volume = sitk.GetArrayViewFromImage(image)
    k = _slice(args, request, preprocessed)
    factors = args.factors or _default_factors(request, volume.shape[1:])
    note = f"{args.input.name}   slice {k + 1} of {len(volume)}   filter {kind}"
    with new_file(args.out, overwrite=args.overwrite) as file:
        write_low_pass(
            volume[k],
            low_pass_planes(volume[k], factors, kind=kind, preset=preset),
            spacing_mm=image.GetSpacing(),
            windows=preset.windows,
            path=file,
            note=note,
            axes=axes_of(
                image.GetSize()[:2],
                first_mm=image.TransformIndexToPhysicalPoint((0, 0, k)),
                direction=image.GetDirection(),
                spacing=image.GetSpacing(),
            ),
        )
    data = {"file": str(args.out.absolute()), "slice": k, "factors": list(factors)}
    listener(Event("result", message=f"wrote {args.out}", data=data))
    return 0


def low_pass_planes(
    plane: np.ndarray, factors: tuple[int, ...], *, kind: str, preset: Preset
) -> dict[int, np.ndarray]:
    """`plane` (j, i) in physical units, filtered as guidance filters it: in the network's units."""
    import torch

    from medsynth.diffusion.guidance import low_pass

    filters = {n: low_pass.build(kind, size=plane.shape, factor=n) for n in factors}
    unit = torch.from_numpy(preset.intensity.to_unit(plane))
    return {n: preset.intensity.from_unit(phi(unit).numpy()) for n, phi in filters.items()}


def _request_and_preset(args: argparse.Namespace) -> tuple[Request | None, Preset]:
    from medsynth import domains as presets
    from medsynth.request import load_request

    if args.input.suffix.lower() not in REQUESTS:
        if args.set:
            raise ValueError("--set changes a request, but the input is an image")
        return None, presets.get(args.preset or "lung_ct")
    for option in ("preset", "series_uid"):
        if getattr(args, option) is not None:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} is for an image; a request says it itself")
    request = load_request(args.input, overrides=args.set)
    return request, presets.get(request.preset)


def _filter(args: argparse.Namespace, request: Request | None) -> str:
    from medsynth.request import fields, model

    if args.filter is None:
        return request.filter if request else model.Request.filter
    return fields.one_of(args.filter, "--filter", choices=model.FILTERS)


def _reference(
    args: argparse.Namespace, request: Request | None, preset: Preset, listener: Listener
) -> PreprocessedReference:
    """The reference as the network would see it."""
    from medsynth.images import read_image
    from medsynth.pipeline.preprocessing import load_anatomy, preprocess

    if request is None:
        read = read_image(args.input, series_uid=args.series_uid, listener=listener)
        return preprocess(read, preset)
    return load_anatomy(request, preset=preset, listener=listener)


def _slice(
    args: argparse.Namespace, request: Request | None, preprocessed: PreprocessedReference
) -> int:
    """The slice to show, counted from 0."""
    image = preprocessed.reference.image
    count = image.GetDepth()
    if args.slice is not None:
        if not 1 <= args.slice <= count:
            raise ValueError(f"--slice: expected 1 to {count}, got {args.slice}")
        return args.slice - 1
    for pathology in request.pathologies if request else ():
        if pathology.roi is None:
            from medsynth.pipeline.preprocessing import center_of

            center = center_of(pathology, image, at="pathologies[0]")
            k = round(image.TransformPhysicalPointToContinuousIndex(center)[2])
            return min(max(k, 0), count - 1)
        import numpy as np
        import SimpleITK as sitk

        from medsynth.images import resample_mask
        from medsynth.pipeline.preprocessing import roi_mask

        mask = sitk.GetArrayFromImage(resample_mask(roi_mask(pathology.roi, preprocessed), image))
        return int(np.count_nonzero(mask, axis=(1, 2)).argmax())
    return count // 2


def _default_factors(request: Request | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    own = {request.anatomy.factor, *(p.factor for p in request.pathologies)} if request else set()
    return tuple(sorted(own | {n for n in FACTORS if n <= min(shape)}))
