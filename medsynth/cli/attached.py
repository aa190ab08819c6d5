"""`python -m medsynth.cli.attached COMMAND ...`: a command that ends, with all it started, with its parent."""

from __future__ import annotations

import sys

from medsynth import parent
from medsynth.cli import app


def main() -> int:
    """Run the command."""
    parent.end_with_it(app.STOPPED)
    return app.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
