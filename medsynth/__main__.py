"""`python -m medsynth` is the `medsynth` command."""

import sys

from medsynth.cli.app import main

sys.exit(main())
