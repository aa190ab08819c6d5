"""The OUT folder: what the request's exporters write, and the two records of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from medsynth import request as requests
from medsynth.domains.methods import EXPORTERS
from medsynth.events import Event, Listener, Stage
from medsynth.pipeline.exporters.base import Exporter, ExportInputs
from medsynth.records.result import Result


def write(
    inputs: ExportInputs,
    folder: Path,
    *,
    record: dict[str, Any],
    seconds: dict[str, float],
    listener: Listener,
) -> Result:
    """Write everything into `folder`; returns what result.json says.

    Exporters that show the result come after those that add to it.
    """
    exporters: list[Exporter] = [EXPORTERS[name].load() for name in inputs.request.write]
    ordered = sorted(exporters, key=lambda exporter: (exporter.shows_result, exporter.rank))
    with Stage("writing", total=len(exporters) + 1, listener=listener) as stage:
        result = Result(checkpoint=inputs.checkpoint, seconds=seconds, **record)
        for exporter in ordered:
            shown = replace(inputs, result=result) if exporter.shows_result else inputs
            added = exporter.write(shown, folder)
            if added is not None:
                for note in added.warnings:
                    listener(Event("warning", message=note))
                result = replace(
                    result,
                    dicom={**result.dicom, **added.dicom},
                    warnings=(*result.warnings, *added.warnings),
                )
            stage.advance(message=exporter.title)
        requests.write(inputs.request, folder / "request.yaml")
        # The seconds of this stage are still running: what is recorded is what is over.
        result = replace(result, seconds=dict(seconds))
        result.write(folder / "result.json", shown=requests.shown_paths(inputs.request))
        stage.advance(message="records")
    return result
