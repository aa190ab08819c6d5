"""Images (200 of them with MEDSYNTH_IMAGES=200) through a service with every fault, killed on the way: none paid twice, none lost."""

import os
import random
import subprocess
import sys
import time

import pytest
from image_service import KEY, ImageService, image_service
from PIL import Image

pytest.importorskip("openai", reason="needs the package openai (extra image-api)")
pytestmark = [pytest.mark.slow, pytest.mark.pacs]

COUNT = int(os.environ.get("MEDSYNTH_IMAGES", "60"))
KILLS = int(os.environ.get("MEDSYNTH_KILLS", "3"))
# Prompts are moderated by what they say, everything else by chance.
REFUSED = "a forbidden prompt"


def faults(rng):
    names = ["429", "500", "hang", "truncated", "no picture", "closed"] + [None] * 30

    def fault(number, prompt):
        return "refused" if prompt == REFUSED else rng.choice(names)

    return fault


def command(url, out, prompts):
    words = ["generate", "image_api", "-o", out, "--prompts", prompts, "--count", COUNT]
    options = [f"base_url={url}", "unanswered=repeat", "timeout_s=0.5", "price=1", "max_cost=10000"]
    words += [word for option in options for word in ("--set", option)]
    return [sys.executable, "-m", "medsynth", *map(str, words)]


def made(out):
    return len(list(out.glob("records/*.json")))


def test_none_is_paid_twice_and_none_is_lost(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(["chest x-ray"] * 9 + [REFUSED]))
    rng = random.Random(20261128)
    service = ImageService(fault=faults(rng), hang_s=0.8)
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    out = tmp_path / "out"
    with image_service(service) as url:
        for _ in range(KILLS):
            before = made(out)
            run = subprocess.Popen(command(url, out, prompts), env=environment)
            while made(out) <= before and run.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
            run.kill()
            run.wait()
        last = subprocess.run(
            command(url, out, prompts), env=environment, capture_output=True, text=True
        )
    assert last.returncode == 0, last.stderr
    refused = COUNT // 10
    pictures = sorted(out.glob("images/*.png"))
    assert len(pictures) == COUNT - refused
    for picture in pictures:
        with Image.open(picture) as image:
            image.load()
    assert len(service.paid) == COUNT - refused
    assert set(service.paid.values()) == {1}
    assert not list(out.rglob(".partial-*"))
    files = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in last.stderr
