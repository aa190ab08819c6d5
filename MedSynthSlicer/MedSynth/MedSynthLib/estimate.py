"""What a run will take, said before it is pressed: the library's own dry run, in the background.

The dry run measures the network on this computer. It runs only where everything it needs is installed
already, a moment after the last change; steps and variants are then only arithmetic.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import findings, nodes, request
from MedSynthLib import library, networks
from MedSynthLib.process import Process

DELAY_MS = 1200
DEVICES = {"cpu": "the processor", "cuda": "the graphics card"}


class Estimator:
    """Asks for estimates, one at a time.

    Args:
        pathologies: gives the pathologies' parameter nodes.
        onEstimate: called with (sentence, whether it is a refusal).
    """

    def __init__(self, *, requirementsFile: str, pathologies, onEstimate):
        self.requirementsFile, self.pathologies = requirementsFile, pathologies
        self.onEstimate = onEstimate
        self.parameters = self.process = self.asked = self.estimate = self.written = None
        self.folder = None
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(DELAY_MS)
        self.timer.connect("timeout()", self._start)

    def ask(self, parameters) -> None:
        """Say what these settings take, soon; at once where it is known."""
        self.parameters = parameters
        asked = _key(parameters, self.pathologies())
        if asked == self.asked:
            if self.estimate is not None:
                self._say()
            return
        self.cancel()
        self.asked = asked
        self.onEstimate("", False)
        self.timer.start()

    def cancel(self) -> None:
        """Forget what was asked, and end what is under way."""
        self.timer.stop()
        process, self.process = self.process, None
        self.asked = self.estimate = None
        if process is not None:
            process.cancel()

    def close(self) -> None:
        """Cancel, and remove the files."""
        self.cancel()
        self.parameters = self.written = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None

    def _start(self) -> None:
        there = library.configuredPython() or networks.find(self.parameters.preset)
        if not there or not library.isReady(self.requirementsFile):
            self.onEstimate(_("Time and memory stand here once the packages are installed."), False)
            return
        try:
            file = self._write()
            arguments = ["synthesize", str(file), "-o", str(self.folder / "out"), "--dry-run"]
            process = Process(
                [*arguments, "--progress", "json"],
                lambda reason: self._finished(process, reason),
                onEvent=lambda event: self._event(process, event),
            )
            process.start()
        except (ValueError, RuntimeError, OSError) as error:
            self.onEstimate(str(error), True)
            return
        self.process = process
        self.onEstimate(_("Estimating time and memory..."), False)

    def _write(self) -> Path:
        if self.folder is None:
            folder = tempfile.mkdtemp(prefix="MedSynthEstimate-", dir=slicer.app.temporaryPath)
            self.folder = Path(folder)
        reference = self.parameters.reference
        image = reference.GetID(), reference.GetImageData().GetMTime(), _matrix(reference)
        if image != self.written:  # a large CT takes its time to write; settings change more often
            nodes.write_volume(reference, self.folder / "reference.nrrd")
            self.written = image
        return request.write(
            self.parameters,
            self.pathologies(),
            self.folder,
            reference="reference.nrrd",
            more=networks.requestKeys(self.parameters.preset),
        )[0]

    def _event(self, process, event: dict) -> None:
        if process is self.process and event["kind"] == "estimate":
            self.estimate = {"steps": self.parameters.steps, "message": event.get("message", "")}
            self.estimate |= event.get("data") or {}
            self._say()

    def _finished(self, process, reason: str | None) -> None:
        if process is not self.process:
            return
        self.process = None
        if reason is not None and reason != "cancelled":
            self.onEstimate(reason, True)

    def _say(self) -> None:
        parameters, estimate = self.parameters, self.estimate
        if "seconds" not in estimate:  # a library that says it in words only
            self.onEstimate(estimate["message"], False)
            return
        share = parameters.steps / estimate["steps"] * parameters.variants
        self.onEstimate(sentence(estimate, estimate["seconds"] * share, parameters), False)


def sentence(estimate: dict, seconds: float, parameters) -> str:
    """`About 4 min on the processor: 12 slices, 20 steps, 2 variants. 1.2 GB of memory, ...`."""
    device = DEVICES.get(str(estimate.get("device", "")).split(":")[0], "")
    device = f" on {device}" if device else ""
    slices, variants = estimate["slices"], parameters.variants
    amount = f"{slices} slice{'s' * (slices != 1)}, {parameters.steps} steps"
    amount += f", {variants} variants" if variants > 1 else ""
    disk = variants * estimate["disk_bytes"] / 1e6
    memory = f"{estimate['memory_bytes'] / 1e9:.1f} GB of memory, {disk:.0f} MB on disk"
    return _("About {duration}{device}: {amount}. {memory}.").format(
        duration=duration(seconds), device=device, amount=amount, memory=memory
    )


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _key(parameters, pathologies) -> tuple:
    """Everything an estimate depends on, but for steps and variants."""
    names = ("preset", "factor", "stop", "extent", "background", "sampler", "composition")
    names += ("filter", "guidance", "device")
    reference = parameters.reference
    key = [getattr(parameters, name) for name in names]
    key += [reference.GetID(), reference.GetImageData().GetMTime(), _matrix(reference)]
    key += findings.state(reference)
    for p in pathologies:
        nodes = [p.where, p.sourceVolume, p.sourceMask]
        key += [p.kind, p.diameter, p.factor, p.stop, *[_place(node) for node in nodes]]
    return (*key, library.configuredPython())


def _place(node):
    if node is None or not node.IsA("vtkMRMLMarkupsNode"):
        return node and (node.GetID(), node.GetMTime())
    points = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
    size = tuple(node.GetSize()) if node.IsA("vtkMRMLMarkupsROINode") else ()
    return node.GetID(), points.tobytes(), size


def _matrix(reference) -> bytes:
    return nodes.ijk_to_ras(reference).tobytes()
