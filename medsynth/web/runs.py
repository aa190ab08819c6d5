"""What a session runs: helpers and syntheses, one at a time, each a process that Cancel ends."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.request.model import QUALITIES
from medsynth.scene import request
from medsynth.scene.progress import line
from medsynth.serve.jobs import JobLimits, Jobs, ServedJob
from medsynth.web.leaving import seal_of

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

MOST_VARIANTS = 4
MORE = 4  # like a result
WRITTEN = ["nrrd", "dicom", "preview", "report", "nifti"]
FOLLOW_S = 0.2
LARGEST_SEED = 999_999


class Runs:
    """What a visitor does under 3 Run.

    Args:
        desk: the session's.
        threads: of one run; None: what the library finds right.
    """

    def __init__(self, desk: Desk, limits: JobLimits, threads: int | None) -> None:
        self.desk, self.state, self.settings = desk, desk.state, desk.settings
        self.jobs = Jobs(desk.folder, limits, threads=threads)
        self.job: ServedJob | None = None
        self.state.update(
            {
                "qualities": [{"title": q.capitalize(), "value": q} for q in QUALITIES],
                **{"quality": "best", "variants": 1, "seed": 7, "busy": "", "percent": 0},
            }
        )

    def choose_quality(self, quality: str) -> None:
        """More or fewer network calls."""
        if quality in QUALITIES:
            self.state.quality = quality
        self.set_steps()

    def set_steps(self) -> None:
        """The network calls of the chosen quality."""
        self.settings.steps = self.state.steps = QUALITIES[self.state.quality]

    async def synthesize(self) -> None:
        """Run the request for every variant; all of the results, or none."""
        desk, source = self.desk, self.desk.anatomy.source
        desk.done()
        desk.shelf.back()
        self.settings.seed = _whole(self.state.seed, 0, LARGEST_SEED)
        self.settings.variants = _whole(self.state.variants, 1, MOST_VARIANTS)
        folder = desk.new_folder()
        try:
            files = request.write(
                *(self.settings, desk.lesions.all, folder),
                reference=str(source) if source else None,
                has_header=source is not None,
                more={"output": {"write": WRITTEN}},
            )
            await self._all(files, "run")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    async def more_like(self, number: int) -> None:
        """Four more of a result's request, which differ from it and from one another in their seed."""
        asked = self.desk.shelf.entry(number).job.request
        assert asked is not None
        said = json.loads(asked.read_text(encoding="utf-8"))
        used = [int(file.stem.removeprefix("seed_")) for file in asked.parent.glob("seed_*.yaml")]
        first = max(used) + 1
        if first + MORE > LARGEST_SEED:
            raise ValueError(f"seeds end at {LARGEST_SEED}; run with a smaller one")
        files = []
        for seed in range(first, first + MORE):
            files.append(asked.with_name(f"seed_{seed}.yaml"))
            files[-1].write_text(json.dumps({**said, "seed": seed}, indent=1), encoding="utf-8")
        try:
            await self._all(files, f"{MORE} more")
        except BaseException:
            for file in files:
                file.unlink()
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            raise

    async def _all(self, files: list[Path], title: str) -> None:
        done = []
        for number, file in enumerate(files, start=1):
            several = f"Variant {number} of {len(files)}: " if len(files) > 1 else ""
            job = await self._one(file, several)
            done.append((job, await asyncio.to_thread(seal_of, job.out)))
        added = [self.desk.shelf.add(job, seal) for job, seal in done]
        self.desk.lesions.show_marks(False)
        self.desk.shelf.show(added[0])
        self.desk.step(title)
        warnings = [words for job, _ in done for words in job.warnings]
        self.desk.note(warnings)
        many = "s" * (len(done) > 1)
        self.desk.say(
            f"Done: {len(done)} synthetic image{many}." + " See the notes." * bool(warnings)
        )

    async def _one(self, file: Path, prefix: str) -> ServedJob:
        job = ServedJob(file.stem, file.with_suffix(""), request=file)
        job.folder.mkdir()
        await self.follow(job, self.jobs.run(job), prefix)
        return job

    async def helper(self, title: str, command: list[str]) -> ServedJob:
        """Run a module of `medsynth.parent` in a process apart.

        Raises:
            ValueError: it failed, or was canceled; says so.
        """
        job = ServedJob(title, self.desk.folder)
        await self.follow(job, self.jobs.follow(job, command), f"{title}: ")
        job.end("done")
        return job

    async def follow(self, job: ServedJob, running: Coroutine[Any, Any, Any], prefix: str) -> None:
        """Show how far it is; Cancel ends it.

        Raises:
            ValueError: it failed, or was canceled; says so.
        """
        if self.job is not None:
            running.close()
            raise ValueError("Something is running already. Wait for it, or cancel it.")
        self.job = job
        task = asyncio.ensure_future(running)
        try:
            while not task.done():
                self.state.busy, self.state.percent = line(job.progress, prefix)
                self.state.flush()
                await asyncio.wait([task], timeout=FOLLOW_S)
            task.result()
        finally:
            self.job, self.state.busy = None, ""
        if job.state == "canceled":
            raise ValueError("Canceled. Everything is as it was.")
        if job.state == "failed":
            raise ValueError(job.error)

    def cancel(self) -> None:
        """End what is running, and everything it started."""
        if self.job is not None:
            self.job.end("canceled")
            self.state.busy = "Canceling..."


def _whole(value: Any, low: int, high: int) -> int:
    number = int(value or 0)
    if not low <= number <= high:
        raise ValueError(f"expected {low} to {high}, got {number}")
    return number
