"""What somebody has to agree to before anything goes to a destination."""

import pytest

from medsynth.pacs.destination import Destination
from medsynth.pacs.hazards import hazards
from medsynth.pacs.outbox import Outbox

PLAIN = Destination("Plain", host="pacs", port=104, called_aet="PACS")
SAFE = Destination("Safe", host="pacs", port=2762, called_aet="PACS", tls=True)


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path))


@pytest.mark.parametrize(("destination", "encrypted"), [(PLAIN, False), (SAFE, True)])
@pytest.mark.parametrize("sent", [False, True])
def test_the_first_send_and_an_unencrypted_one_are_said(monkeypatch, destination, encrypted, sent):
    monkeypatch.setattr(Outbox, "has_sent_to", lambda self, address: sent)
    said = hazards(destination)
    assert any("first time" in words for words in said) is not sent
    assert any("NOT encrypted" in words for words in said) is not encrypted
    assert len(said) == (not sent) + (not encrypted)
