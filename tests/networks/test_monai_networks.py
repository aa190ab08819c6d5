"""MONAI reads packages for parts of its own: our commands go without, whoever imports the library does not."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from medsynth.lazy import READ_BY_MONAI

pytestmark = pytest.mark.slow
CODE = """
import json, sys
from medsynth import lazy
if {left_out}: lazy.leave_out()
import medsynth.networks.monai_networks
print(json.dumps([name for name in lazy.READ_BY_MONAI if name in sys.modules]))
import pandas, matplotlib
"""


@pytest.mark.parametrize("left_out", [True, False])
def test_packages_are_left_out_of_our_commands_only(left_out):
    words = [sys.executable, "-c", CODE.format(left_out=left_out)]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    # A torchvision that cannot be imported beside this PyTorch is not there afterwards either.
    here = [name for name in READ_BY_MONAI if find_spec(name) and name != "torchvision"]
    read = [name for name in json.loads(out.stdout) if name != "torchvision" or left_out]
    assert read == ([] if left_out else here)
