"""A picture of another kind is warned of before anything is synthesized."""

import numpy as np
import pytest
from PIL import Image

from medsynth import domains
from medsynth.events import ignore
from medsynth.pipeline.plan import prepare
from medsynth.request import parse


@pytest.mark.parametrize(("preset", "warned"), [("brain_ct", False), ("brain_mri", True)])
def test_a_head_ct_is_no_head_mr(tmp_path, preset, warned):
    row, column = np.indices((256, 256))
    reach = np.hypot((row - 128) / 120, (column - 128) / 98)
    head = np.select([reach < 0.88, reach < 1], [110, 255], 0).astype(np.uint8)
    Image.fromarray(head).save(tmp_path / "head.png")
    raw = {"preset": preset, "anatomy": {"image": "head.png", "pixel_mm": 0.8}}
    prepared = prepare(parse(raw, tmp_path), preset=domains.get(preset), listener=ignore)
    found = [note for note in prepared.warnings if "does not look like" in note]
    assert bool(found) == warned
    assert not warned or "it looks like Brain CT" in found[0]
