"""What preview.png and report.html show of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from medsynth import request as requests
from medsynth.diffusion.guidance import low_pass
from medsynth.domains import Preset
from medsynth.pipeline.exporters.base import ExportInputs
from medsynth.pipeline.report.data import ReportInput


class LowPassSlices:
    """phi_n of the reference, slice by slice on demand: the report shows few of them."""

    def __init__(self, volume: np.ndarray, *, factor: int, kind: str, preset: Preset):
        self.volume, self.preset = volume, preset
        self.phi = low_pass.build(kind, size=volume.shape[1:], factor=factor)

    def __len__(self) -> int:
        return len(self.volume)

    def __getitem__(self, k: int) -> np.ndarray:
        """Slice k in physical units, (j, i)."""
        unit = torch.from_numpy(self.preset.intensity.to_unit(self.volume[k]))
        return self.preset.intensity.from_unit(self.phi(unit).numpy())


def report_input(inputs: ExportInputs) -> ReportInput:
    """Pictures, request and record of an image that has its result."""
    assert inputs.result is not None
    reference = inputs.prepared.reference
    before = sitk.GetArrayViewFromImage(reference.image)
    request = inputs.request
    shown = requests.shown_paths(request)
    factors = sorted({request.anatomy.factor, *(p.factor for p in request.pathologies)})
    return ReportInput(
        title=f"{inputs.preset.title}: {Path(reference.source).name or reference.source}",
        reference=before,
        result=inputs.volume,
        spacing_mm=reference.image.GetSpacing(),
        windows=inputs.preset.windows,
        units=inputs.preset.units,
        low_pass={
            n: LowPassSlices(before, factor=n, kind=request.filter, preset=inputs.preset)
            for n in factors
        },
        masks=tuple(sitk.GetArrayViewFromImage(mask) > 0 for mask in inputs.masks),
        request=shown(requests.to_dict(request)),
        record=shown(inputs.result.to_dict()),
    )
