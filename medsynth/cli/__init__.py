"""One file per command, each with `add_parser(subparsers)` and `run(args, listener) -> int`.

Nothing heavy is imported before `run`: `medsynth --help` reads all of these files.
"""
