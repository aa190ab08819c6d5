"""One press of Run: the variants one after another, each in its own process.

Nothing enters the scene before the last variant is done, so a run that is cancelled or fails leaves the
scene as it was. What goes into the synthesis is temporary; each result is written where results are kept
(`folders`), so that neither a restart nor a later variant's failure takes a finished one away.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from medsynth.scene import progress, projection, request, results
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import folders, networks
from MedSynthLib.process import Process


class Synthesis:
    """Runs `medsynth synthesize` for every variant.

    Args:
        onProgress: called with a text and a share from 0 to 100 (or None while it is unknown).
        onFinished: called once with (reason or None, list of (volume, segmentation)).
        onLog: called with every line the processes write, and every warning.
        where: the server that runs it (computer.RemoteComputer); None: this computer.
    """

    def __init__(self, parameters, pathologies, *, onProgress, onFinished, onLog, where=None):
        self.where = where
        self.onProgress, self.onFinished, self.onLog = onProgress, onFinished, onLog
        self.reference, self.preset = parameters.reference, PRESETS[parameters.preset]
        self.shown: dict[str, str] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="MedSynth-", dir=slicer.app.temporaryPath))
        self.process = self.kept = None
        self.done: list[Path] = []
        self.warnings = 0
        try:
            self.waiting = request.write(
                *(parameters, pathologies, self.folder),
                # A server has networks of its own.
                more={} if where else networks.requestKeys(self.preset.name),
            )
            self.shown = projection.anatomy_keys(self.reference, self.preset)
            self.kept = folders.newRunFolder(self.preset.name)
        except Exception:
            self._removeFiles()
            raise
        self.total = len(self.waiting)

    def start(self) -> None:
        """Start the first variant.

        Raises:
            RuntimeError: the Python to run it with is not there.
        """
        try:
            self._next()
        except Exception:
            self._removeFiles()
            raise

    def cancel(self) -> None:
        """End the process tree; `onFinished("cancelled", [])` follows."""
        self.waiting = []
        self.process.cancel()

    def _next(self) -> None:
        file = self.waiting.pop(0)
        self.out = self.kept / file.stem
        arguments = ["synthesize", str(file), "-o", str(self.out), "--progress", "json"]
        arguments += self.where.arguments() if self.where else []
        self.process = Process(
            arguments,
            self._finished,
            onEvent=self._event,
            onLog=self.onLog,
            environment=self.where.environment() if self.where else None,
        )
        self.onProgress(self._prefix() + "starting", None)
        self.process.start()

    def _prefix(self) -> str:
        return (
            _("Variant {number} of {total}: ").format(number=len(self.done) + 1, total=self.total)
            if self.total > 1
            else ""
        )

    def _event(self, event: dict) -> None:
        stage, message = event.get("stage", ""), event.get("message", "")
        if event["kind"] == "progress":
            done, total = event.get("done", 0), event.get("total", 0)
            text = f"{self._prefix()}{stage} {done} of {total}{progress.time_left(event.get('seconds_left'))}"
            self.onProgress(text, 100 * done / total if total else None)
        elif event["kind"] == "stage":
            self.onProgress(f"{self._prefix()}{stage}", None)
        elif message:
            self.onLog(f"{event['kind']}: {message}")
            self.warnings += event["kind"] == "warning"
            if event["kind"] == "estimate":
                self.onProgress(self._prefix() + message, None)

    def _finished(self, reason: str | None) -> None:
        if reason is not None:
            self._removeFiles()
            if self.done:
                self.onLog(f"{len(self.done)} finished before it ended: {self.kept}")
            self.onFinished(reason, [])
            return
        self.done.append(self.out)
        try:
            if self.waiting:
                self._next()
                return
            self._removeFiles()
            results = self._load()
        except RuntimeError as error:
            self._removeFiles()
            self.onFinished(str(error), [])
            return
        self.onFinished(None, results)

    def _load(self) -> list:
        if self.reference is None or not slicer.mrmlScene.IsNodePresent(self.reference):
            raise RuntimeError(
                _(
                    "The reference was removed while the synthesis ran. The results are in {kept}."
                ).format(kept=self.kept)
            )
        loaded = [results.add_result(out, self.reference, self.preset) for out in self.done]
        for volume, _segmentation in loaded:
            projection.set_own(volume, self.shown)
        return loaded

    def _removeFiles(self) -> None:
        """The images that went in, which may be a patient's, and a folder that got no result."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.kept is not None and not any(self.kept.iterdir()):
            self.kept.rmdir()
