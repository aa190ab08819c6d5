"""What laying out a set costs: milliseconds an image of each layout and of the pages, and the memory.

    python benchmarks/dataset_layouts.py SET --copies 500 -o /tmp/large

makes a set of so many images from the ones of SET (files shared, rows and records of their own), writes each
layout of it in a process of its own, and says time an image and the highest memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from medsynth.factory import layouts
from medsynth.factory.store import ITEMS, PLAN, RECORD, ROWS, open_set


def multiply(source: Path, out: Path, count: int) -> None:
    """`out` becomes a set of `count` images, those of `source` over and over."""
    dataset = open_set(source)
    items = list(dataset.items())
    (out / ITEMS).mkdir(parents=True)
    shutil.copy(source / PLAN, out / PLAN)
    with open(out / ROWS, "w", encoding="utf-8") as rows:
        for number in range(count):
            item, name = items[number % len(items)], f"{number:06d}"
            home = out / ITEMS / name
            home.mkdir()
            for file in item.folder.iterdir():
                if file.is_file() and file.name != RECORD:
                    os.link(file, home / file.name)
            record = dict(item.record) | {"created": f"2026-01-01T00:00:{number % 60:02d}+00:00"}
            (home / RECORD).write_text(json.dumps(record | {"copy": number}), encoding="utf-8")
            row = json.loads(item.row.to_json()) | {"id": name}
            rows.write(json.dumps(row) + "\n")


def measure(folder: Path, name: str) -> None:
    """Write one layout, or the pages, and print what it took."""
    from medsynth.events import ignore
    from medsynth.factory.converting import convert
    from medsynth.factory.finish import context_for
    from medsynth.factory.pages.writing import write_pages

    dataset = open_set(folder)
    count = sum(1 for _ in dataset.items())
    start = time.perf_counter()
    if name == "pages":
        write_pages(dataset, context_for(dataset), listener=ignore)
    else:
        convert(folder, name)
    each = (time.perf_counter() - start) / count * 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:12} {count:6} images  {each:7.1f} ms an image  {peak:6.0f} MB at most", flush=True
    )


def main() -> None:
    """Make the set, then each layout in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--layouts", default=",".join((*layouts.LAYOUTS, "pages")))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.out, args.measure)
        return
    multiply(args.set, args.out, args.copies)
    for name in args.layouts.split(","):
        words = [sys.executable, __file__, str(args.set), "-o", str(args.out), "--measure", name]
        subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
