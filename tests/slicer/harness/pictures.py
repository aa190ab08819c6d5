"""Copies the walk's screenshots into docs/pictures, small enough for a repository.

python tests/slicer/harness/pictures.py      after   pytest tests/slicer
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SCREENSHOTS = ROOT / "tests" / "slicer" / "screenshots"
PICTURES = ROOT / "docs" / "pictures"
LARGEST_BYTES = 300_000
WANTED = {
    "real_1_reference": "slicer_reference",
    "real_2_pathology": "slicer_pathology",
    "real_3_preview": "slicer_preview",
    "real_4_running": "slicer_running",
    "real_5_result": "slicer_result",
    "real_6_soft": "slicer_window",
    "real_7_export": "slicer_export",
    "real_mammogram_result": "slicer_mammogram",
    "walk_three_pathologies": "slicer_three_pathologies",
    "walk_result_oblique": "slicer_oblique",
    "failure_memory": "slicer_refusal",
}


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, target in WANTED.items():
        screenshot = SCREENSHOTS / f"{name}.png"
        if not screenshot.is_file():
            raise SystemExit(f"no screenshot {name}; run pytest tests/slicer first")
        # 200 colours of the picture's own, not dithered: grey levels and text stay as they are.
        palette = {"colors": 200, "method": Image.Quantize.MEDIANCUT, "dither": Image.Dither.NONE}
        file = PICTURES / f"{target}.png"
        Image.open(screenshot).convert("RGB").quantize(**palette).save(file, optimize=True)
        if file.stat().st_size > LARGEST_BYTES:
            raise SystemExit(f"{file} has {file.stat().st_size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
