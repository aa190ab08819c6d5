"""The module for Python in Slicer: one call from a volume and places to synthetic nodes, without the panel."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import NamedTuple

import slicer

from medsynth.scene import checks, nodes
from medsynth.scene.settings import MarkedLesion, Settings
from medsynth.scene.vocabulary import FROM_VOLUME, PRESETS, factor_of, kinds_of, set_defaults
from MedSynthLib import computer, library, networks
from MedSynthLib.synthesis import Synthesis

BREATH_S = 0.01
PLACES = (
    *("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsROINode", "vtkMRMLMarkupsClosedCurveNode"),
    "vtkMRMLSegmentationNode",
)
# What may be set besides: fields of Settings that are no argument of their own.
OTHERS = ("stop", "extent", "background", "sampler", "composition", "filter", "guidance", "device")


class SyntheticNodes(NamedTuple):
    """One result in the scene: the volume, and the segmentation of its lesions (None without any)."""

    volume: object
    segmentation: object


def process(
    reference,
    places=(),
    kinds=None,
    factors=None,
    *,
    preset: str = "lung_ct",
    factor: float | None = None,
    diameters: float | list[float] = 14.0,
    sources=None,
    seed: int = 7,
    variants: int = 1,
    steps: int | None = None,
    onProgress=None,
    **others,
) -> list[SyntheticNodes]:
    """See `MedSynthLogic.process`, which is this."""
    settings = _settings(reference, preset, factor, steps, seed, variants, others)
    with _marked(places) as marks:
        lesions = _lesions(marks, kinds, factors, diameters, sources, PRESETS[preset])
        reason = checks.why_not(settings, lesions)
        if reason:
            raise ValueError(reason)
        return _run(settings, lesions, onProgress or (lambda text, percent: None))


def _settings(reference, preset, factor, steps, seed, variants, others) -> Settings:
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    for name in others:
        if name not in OTHERS:
            raise ValueError(f"unknown setting {name!r}, expected one of {', '.join(OTHERS)}")
    if variants < 1:
        raise ValueError(f"variants must be at least 1, got {variants}")
    settings = Settings(preset=preset, reference=reference, seed=seed, variants=variants)
    set_defaults(settings, PRESETS[preset])
    settings.factor = settings.factor if factor is None else float(factor)
    settings.steps = settings.steps if steps is None else int(steps)
    for name, value in others.items():
        setattr(settings, name, value)
    return settings


def _lesions(marks, kinds, factors, diameters, sources, preset) -> list[MarkedLesion]:
    count = len(marks)
    kinds = _each("kinds", kinds, count, preset.lesion_kinds[0])
    diameters = _each("diameters", diameters, count, 14.0)
    factors = _each("factors", factors, count, None)
    sources = _each("sources", sources, count, None)
    lesions = []
    rows = zip(marks, kinds, diameters, factors, sources, strict=True)
    for where, kind, diameter, factor, source in rows:
        kind = FROM_VOLUME if source is not None else kind
        if kind not in kinds_of(preset):
            listed = ", ".join(kinds_of(preset))
            raise ValueError(f"kind must be one of {listed} for {preset.name}, got {kind!r}")
        own = factor_of(kind) if factor is None else factor
        lesion = MarkedLesion(
            kind, float(own), float(preset.pathology_stop), where, float(diameter)
        )
        if source is not None:
            lesion.sourceVolume, lesion.sourceMask = source
        lesions.append(lesion)
    return lesions


def _each(name: str, given, count: int, usual) -> list:
    """One value for all, or one for each place."""
    if given is None:
        return [usual] * count
    if isinstance(given, (str, int, float)):
        return [given] * count
    # A single (volume, segmentation) is one source, not two.
    if name == "sources" and isinstance(given, tuple):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{name}: expected {count}, one for each place, got {len(given)}")
    return list(given)


@contextmanager
def _marked(places):
    """What marks the places in the scene; points get a mark for the time being."""
    made, marks = [], []
    try:
        for place in places:
            if hasattr(place, "IsA"):
                if not any(place.IsA(name) for name in PLACES):
                    raise ValueError(
                        f"{place.GetName()} marks no place; give a point list, box, closed curve or "
                        "segmentation, or a point (right, anterior, superior) in mm"
                    )
                marks.append(place)
                continue
            point = _point(place)
            node = nodes.new_node("vtkMRMLMarkupsFiducialNode", "MedSynth place")
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            slicer.mrmlScene.AddNode(node)
            made.append(node)
            node.AddControlPointWorld(*point)
            marks.append(node)
        yield marks
    finally:
        for node in made:
            nodes.remove(node)


def _point(place) -> list[float]:
    try:
        point = [float(v) for v in place]
    except TypeError:
        point = []
    if len(point) != 3:
        raise ValueError(
            f"a place is a node, or a point (right, anterior, superior) in mm, got {place!r}"
        )
    return point


def _run(settings, lesions, onProgress) -> list[SyntheticNodes]:
    resources = library.MODULE_FOLDER / "Resources"
    where = computer.chosen()
    if where is None:
        library.ensureDependencies(str(resources / "requirements.txt"))
        networks.ensure(settings.preset)
    elif computer.agreed(where, settings.reference.GetName()):
        library.ensureDependencies(str(resources / "requirements-server.txt"), torch=False)
    else:
        raise RuntimeError("Not run: nothing was sent.")
    ended: list[tuple] = []
    log: list[str] = []
    synthesis = Synthesis(
        *(settings, lesions),
        onProgress=onProgress,
        onFinished=lambda reason, results: ended.append((reason, results)),
        onLog=log.append,
        where=where,
    )
    synthesis.start()
    try:
        while not ended:
            slicer.app.processEvents()
            time.sleep(BREATH_S)
    except BaseException:
        synthesis.cancel()
        raise
    reason, results = ended[0]
    if reason is not None:
        raise RuntimeError(reason)
    return [SyntheticNodes(*result) for result in results]
