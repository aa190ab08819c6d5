"""The mark in the pixels of a volume: all slices together and each alone; and a map of where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth.events import Listener, Stage, ignore
from medsynth.marking.detection import (
    ALPHA,
    MarkDetection,
    detect,
    independent_slices,
    looked_up,
    scores_of,
    tail,
    turned,
)
from medsynth.marking.keys import MarkKey, reading_keys
from medsynth.marking.pattern import WAVES, frequencies_of
from medsynth.marking.spectrum import SMALLEST, segments

PART = 128  # pixels: side of the parts of a map
WAYS = 2  # slices together, and each alone


@dataclass(frozen=True)
class PixelFinding:
    """The best of all tries; `p_value` is corrected for all of them.

    `found` lists the slices (from 0) that are marked by themselves.
    """

    p_value: float
    key: MarkKey
    best: MarkDetection
    found: tuple[int, ...]

    @property
    def marked(self) -> bool:
        """Whether a mark is there, with at most `ALPHA` false alarms per image."""
        return self.p_value < ALPHA


def look(volume: np.ndarray, *, listener: Listener = ignore) -> PixelFinding | None:
    """What the pixels of `volume` (k, j, i) say; None where slices are too small to tell."""
    if min(volume.shape[1:]) < SMALLEST:
        return None
    keys = reading_keys()
    alone: dict[str, list[MarkDetection]] = {key.identifier: [] for key in keys}
    total = None
    with Stage("looking for the mark", total=len(volume), listener=listener) as stage:
        for plane in volume:
            scores, side = scores_of(plane)
            total = scores if total is None else total + scores
            for key in keys:
                alone[key.identifier].append(detect(scores, side, key))
            stage.advance()
    assert total is not None
    findings = []
    for key in keys:
        together = detect(total, side, key, slices=len(volume))
        findings.append(_best(key, alone[key.identifier], together, tries=WAYS * len(keys)))
    return min(findings, key=lambda finding: finding.p_value)


def _best(
    key: MarkKey, alone: list[MarkDetection], together: MarkDetection, *, tries: int
) -> PixelFinding:
    each = tries * len(alone)
    best = min(alone, key=lambda detection: detection.p_value)
    p = best.p_value * each
    if together.p_value * tries < p:
        best, p = together, together.p_value * tries
    found = tuple(k for k, one in enumerate(alone) if one.p_value < ALPHA / each)
    return PixelFinding(min(p, 1.0), key, best, found)


def map_of(volume: np.ndarray, finding: PixelFinding) -> np.ndarray:
    """-log10 of the p-value of every part of 128 pixels, all marked slices together, (rows, columns).

    Parts overlap by half. Where the mark is, in a marked image; coarse, and no evidence by itself.
    """
    planes = volume[list(finding.found)] if finding.found else volume
    geometry = finding.best.geometry
    asked = [[geometry.scale, np.radians(geometry.turn_deg), geometry.mirrored, geometry.quarter]]
    frequencies = turned(frequencies_of(finding.key, finding.best.band), np.array(asked, float))[0]
    parts = segments(planes.shape[1:], PART)
    columns = len({part[1].start for part in parts})
    totals = [np.sum([scores_of(plane[part])[0] for plane in planes], axis=0) for part in parts]
    sums = np.array([float(looked_up(total, frequencies).sum()) for total in totals])
    alike = np.array([independent_slices(total, len(planes)) for total in totals])
    p = tail(sums, WAVES, 1, slices=len(planes), independent=alike)
    return -np.log10(np.maximum(p, 1e-300)).reshape(-1, columns)
