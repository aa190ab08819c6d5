"""A blinded reading: sheets of real and synthetic slices for a reader, and the key for afterwards.

    python benchmarks/reading_sheets.py figures/pairs.npz -o reading --preset lung_ct --seed 7
    python benchmarks/reading_sheets.py --score reading

`medsynth evaluate` writes the pairs. Give the reader the sheets and answers.csv (real or synthetic for
every number) and nothing else; key.csv is opened when the answers are written down. Another seed makes
another reading; who has seen one has seen the images.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from medsynth import domains as presets
from medsynth.evaluation import held_out, reading


def main(argv: list[str] | None = None) -> int:
    """Write a reading, or score one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="?", type=Path, help="pairs.npz of medsynth evaluate")
    parser.add_argument("-o", "--out", type=Path, help="folder for the sheets")
    parser.add_argument("--preset", default="lung_ct")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", type=Path, metavar="FOLDER", help="score a reading")
    args = parser.parse_args(argv)
    if bool(args.score) == bool(args.pairs and args.out):
        parser.error("give PAIRS and --out to write a reading, or --score to score one")
    try:
        if args.score:
            print(json.dumps(reading.score(args.score), indent=2))
        else:
            pairs = held_out.load_pairs(args.pairs, made_by={})
            preset = presets.get(args.preset)
            reading.write_reading(pairs, args.out, preset=preset, seed=args.seed)
    except (ValueError, OSError) as error:
        print(f"reading_sheets: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
