"""Copies the walk's screenshots into docs/pictures, small enough for a repository.

python tests/slicer/harness/pictures.py      after   pytest tests/slicer
python tests/slicer/harness/pictures.py slicer_export ...     these alone
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SCREENSHOTS = ROOT / "tests" / "slicer" / "screenshots"
PICTURES = ROOT / "docs" / "pictures"
LARGEST_BYTES = 300_000
PANEL_WIDTH = 460
WHOLE, VIEWS, ABOVE_RESULTS = (0, 0, None, None), (PANEL_WIDTH, 0, None, 576), (0, 0, None, 878)
ABOVE_RESULTS_OF_FILM = (0, 0, None, 925)
RESULTS_ALONE = (0, 612, PANEL_WIDTH, 906)  # the line above names the folder of the machine
SERVER_ALONE = (0, 1326, PANEL_WIDTH, 1516)
# Screenshot: (picture, the part of it that is shown).
WANTED = {
    "real_1_reference": ("slicer_reference", WHOLE),
    "real_2_pathology": ("slicer_pathology", WHOLE),
    "real_3_preview": ("slicer_preview", WHOLE),
    "real_4_running": ("slicer_running", ABOVE_RESULTS),
    "real_5_result": ("slicer_result", VIEWS),
    "real_6_soft": ("slicer_window", VIEWS),
    "real_compare_difference": ("slicer_difference", VIEWS),
    "real_mammogram_result": ("slicer_mammogram", ABOVE_RESULTS_OF_FILM),
    "walk_export": ("slicer_export", RESULTS_ALONE),
    "walk_three_pathologies": ("slicer_three_pathologies", WHOLE),
    "anatomy_lung": ("slicer_anatomy", WHOLE),
    "server": ("slicer_server", SERVER_ALONE),
    "failure_memory": ("slicer_refusal", WHOLE),
    "settings": ("slicer_settings", WHOLE),
}


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, (target, part) in WANTED.items():
        if sys.argv[1:] and target not in sys.argv[1:]:
            continue
        screenshot = SCREENSHOTS / f"{name}.png"
        if not screenshot.is_file():
            raise SystemExit(f"no screenshot {name}; run pytest tests/slicer first")
        # 200 colors of the picture's own, not dithered: gray levels and text stay as they are.
        palette = {"colors": 200, "method": Image.Quantize.MEDIANCUT, "dither": Image.Dither.NONE}
        file = PICTURES / f"{target}.png"
        whole = Image.open(screenshot).convert("RGB")
        left, top, right, bottom = part
        shown = whole.crop((left, top, right or whole.width, bottom or whole.height))
        shown.quantize(**palette).save(file, optimize=True)
        if file.stat().st_size > LARGEST_BYTES:
            raise SystemExit(f"{file} has {file.stat().st_size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
