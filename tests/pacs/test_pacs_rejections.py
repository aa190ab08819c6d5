"""A server that says no is named as such, however late the caller comes to read the answer."""

import time

import pytest
from pacs_servers import free_port
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from medsynth.pacs.association import EXPLICIT, associate
from medsynth.pacs.destination import Destination

pytestmark = pytest.mark.pacs


@pytest.mark.parametrize("late_s", [0.0, 0.5], ids=["at once", "on a busy machine"])
def test_a_rejection_for_good_is_never_taken_for_an_abort(late_s):
    """Late: the server has rejected and hung up before the caller's thread runs again."""
    server = AE("PACS")
    server.require_called_aet = True
    server.add_supported_context(Verification)
    port = int(free_port())
    running = server.start_server(("127.0.0.1", port), block=False)
    destination = Destination("d", host="127.0.0.1", port=port, called_aet="OTHER", timeout_s=20)
    late = (evt.EVT_REQUESTED, lambda event: time.sleep(late_s))
    try:
        with (
            pytest.raises(PermissionError, match="Called AE title not recognised"),
            associate(destination, [(CTImageStorage, [EXPLICIT])], handlers=[late]),
        ):
            pass
    finally:
        running.shutdown()
