"""MONAI reads transformers for a network of its own: our commands go without, whoever imports the library does not."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [True, False])
def test_transformers_is_left_out_of_our_commands_only(left_out):
    pytest.importorskip("transformers")
    code = (
        "import sys\n"
        "from medsynth import lazy\n"
        f"if {left_out}: lazy.leave_out('transformers')\n"
        "import medsynth.networks.monai_networks\n"
        "print('transformers' in sys.modules)\n"
        "import transformers; print('there')\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert out.stdout.split() == [str(not left_out), "there"]
