"""`python -m medsynth` is the `medsynth` command."""

import sys

from medsynth.cli import main

sys.exit(main())
