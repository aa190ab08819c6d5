"""All metrics of a set of pairs, by name, each beside its floor: what `medsynth evaluate` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medsynth.evaluation.metrics.base import Measured, Metric, MetricInputs
from medsynth.evaluation.names import METRICS
from medsynth.events import Listener, Stage, ignore

EXPLAINED = {
    "floor": "the same figure between two halves of the real slices (alternate slices of each "
    "patient), unless the figure says otherwise",
    "interval": "95 %, bootstrap over slices: blocks of 2 neighbors, within each patient; it says "
    "nothing about other patients. Patients with one or two slices are drawn whole",
}
PlotData = dict[str, dict[str, Any]]


def measure(
    inputs: MetricInputs, *, only: Sequence[str] | None = None, listener: Listener = ignore
) -> tuple[dict[str, dict], PlotData]:
    """The metrics named in `only` (None: all), for JSON, and what their pictures are drawn from.

    Raises:
        ValueError: an unknown name, or slices that leave no place for a patch.
    """
    chosen = [name for name in METRICS if only is None or name in only]
    unknown = set(only or ()) - set(METRICS)
    if unknown:
        raise ValueError(f"no figure {sorted(unknown)[0]!r}, expected some of {', '.join(METRICS)}")
    inputs = replace(inputs, listener=listener)
    metrics: dict[str, Metric] = {name: METRICS[name].load() for name in chosen}
    measured: dict[str, Measured] = {}
    for name in [name for name in chosen if metrics[name].reports_progress]:
        measured[name] = metrics[name].measure(inputs)
    quiet = [name for name in chosen if name not in measured]
    with Stage("figures", total=len(quiet), listener=listener) as stage:
        for name in quiet:
            measured[name] = metrics[name].measure(inputs)
            stage.advance(message=name)
    found = {name: _without_nan(measured[name].record) for name in chosen}
    drawn = {name: m.curves for name, m in measured.items() if m.curves is not None}
    return found, drawn


def _without_nan(value: Any) -> Any:
    """`value` with None for what could not be measured (a tissue that is not there): JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
