"""Servers that answer anything at all: one clear error each, and nothing that a terminal obeys."""

import json

import pytest
from pacs_faults import storage_scp, stow_reply, stow_server
from pacs_objects import make_out
from pydicom import Dataset

from medsynth.cli.app import is_for_the_user, one_line
from medsynth.pacs import dicomweb_fetch, dimse_fetch
from medsynth.pacs.collect import collect
from medsynth.pacs.delivery import link_to
from medsynth.pacs.destination import Destination
from medsynth.pacs.dicomweb import named_in
from medsynth.pacs.dimse_status import judge
from medsynth.pacs.fetch import Incoming, Series, search
from medsynth.pacs.text import items_of, plain, value_of

pytestmark = pytest.mark.pacs

DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
UID = {"vr": "UI", "Value": ["1.2.3"]}
ODD = {
    "nothing": b"",
    "html": b"<html>login</html>",
    "cut off": b'[{"00080018": {"vr": "UI", "Val',
    "deep": DEEP,
    "deep object": DEEP_OBJECT,
    "deep value": b'[{"0020000D": ' + DEEP + b"}]",
    "no list": b"7",
    "null": b"null",
    "text": b'"studies"',
    "list of text": b'["a", "b"]',
    "list of null": b"[null]",
    "list of lists": b"[[]]",
    "empty object": b"[{}]",
    "attribute is text": json.dumps(
        [dict.fromkeys(("0020000D", "0020000E", "00080018"), "x")]
    ).encode(),
    "value is null": json.dumps([{"0020000D": {"vr": "UI", "Value": None}}]).encode(),
    "value is empty": json.dumps([{"0020000D": {"vr": "UI", "Value": []}}]).encode(),
    "value is an object": json.dumps([{"0020000D": {"vr": "UI", "Value": {"a": 1}}}]).encode(),
    "value holds null": json.dumps([{"0020000D": {"vr": "UI", "Value": [None]}}]).encode(),
    "no UID": json.dumps([{"0020000D": {"vr": "UI", "Value": ["../../etc"]}}]).encode(),
    "huge number": b"[" + b"9" * 100_000 + b"]",
    "wrong bytes": b'[{"0020000D": "\xff\xfe"}]',
    "NaN": b"[NaN]",
}
SERIES = Series("1.2.3", "1.2.3.4")


def store_all(datasets, request):
    uids = [d.SOPInstanceUID for d in datasets]
    return 200, stow_reply(uids), uids


def web(url):
    return Destination("web", url=url, associations=1, timeout_s=5, settle_s=0)


def said_by(action):
    """The line that the user sees; empty when the action ends well."""
    error = None
    try:
        action()
    except Exception as raised:  # noqa: BLE001 - which types come is what is tested
        error = raised
    if error is None:
        return ""
    assert is_for_the_user(error), repr(error)
    assert isinstance(error, OSError), repr(error)  # not a ValueError of some parser
    return one_line(error)


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_odd_answers_to_queries_are_one_clear_error(body, tmp_path):
    instances = collect(make_out(tmp_path / "out", 1, size=8, seg=False))
    with stow_server(store_all) as (url, service):
        service.find = lambda series: body
        peer = web(url)
        incoming = Incoming(tmp_path, {"1.2.3"}, None)
        actions = [
            lambda: dicomweb_fetch.search(peer, patient="A", study=""),
            lambda: dicomweb_fetch.classes_of(peer, SERIES),
            lambda: dicomweb_fetch.retrieve(peer, SERIES, incoming),
            lambda: link_to(peer).check(),
            lambda: link_to(peer).held(instances),
        ]
        said = [said_by(action) for action in actions]
    assert body in (b"",) or url in said[0], said
    assert url in said[2], said  # no object came, and it says so


REPLIES = {
    **ODD,
    "sequence is text": json.dumps({"00081199": {"vr": "LO", "Value": ["x"]}}).encode(),
    "items are text": json.dumps({"00081199": {"vr": "SQ", "Value": ["x"]}}).encode(),
    "unknown VR": json.dumps({"00081199": {"vr": "QQ", "Value": ["x"]}}).encode(),
    "reason is text": json.dumps(
        {
            "00081198": {
                "vr": "SQ",
                "Value": [{"00081155": UID, "00081197": {"vr": "LO", "Value": ["x"]}}],
            }
        }
    ).encode(),
}


@pytest.mark.parametrize("code", [200, 400, 409, 500])
@pytest.mark.parametrize("body", REPLIES.values(), ids=REPLIES)
def test_odd_answers_to_a_store_prove_nothing_and_raise_nothing(body, code, tmp_path):
    instances = collect(make_out(tmp_path / "out", 1, size=8, seg=False))
    with (
        stow_server(lambda datasets, request: (code, body, [])) as (url, _),
        link_to(web(url)).open(instances) as channel,
    ):
        (answer,) = channel.send([(instances[0], tmp_path / "out/dicom/image/0001.dcm")])
    assert answer.verdict != "stored"
    assert answer.uid == instances[0].uid


def test_a_reason_that_is_no_number_is_a_failure_of_an_unknown_kind():
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    item.FailureReason = [1, 2]
    reply = Dataset()
    reply.FailedSOPSequence = [item]
    assert named_in(reply, "1.2.3").verdict == "failed"


EVIL = "CT\x1b]0;owned\x07\x1b[2J\r\nmedsynth: all verified\u202e\x9b31m"


def is_tame(text):
    return all(c.isprintable() or c == " " for c in text)


def test_what_a_terminal_would_obey_is_spelled_out(tmp_path):
    assert is_tame(plain(EVIL))
    assert "\\x1b]0;owned" in plain(EVIL)
    assert is_tame(judge("1.2", 0xA700, comment=EVIL).note)
    match = [{"0020000D": UID, "0020000E": UID, "0008103E": {"vr": "LO", "Value": [EVIL]}}]
    with stow_server(store_all) as (url, service):
        service.find = lambda series: match
        (found,) = search(web(url), patient="A")
        assert is_tame(found.describe())
        service.find_code = 503
        service.find = lambda series: {"Message": EVIL}
        assert is_tame(said_by(lambda: search(web(url), patient="A")))


def test_answers_to_c_find_may_lack_anything(tmp_path):
    def match(**values):
        found = Dataset()
        for keyword, value in values.items():
            setattr(found, keyword, value)
        return found

    empty, wrong = match(QueryRetrieveLevel="STUDY"), match(StudyInstanceUID="x")
    for answer in (empty, wrong):
        with storage_scp() as (port, archive):
            archive.matches = [answer]
            peer = Destination("faulty", host="127.0.0.1", port=port, called_aet="FAULTY")
            line = said_by(lambda peer=peer: dimse_fetch.search(peer, patient="A", study=""))
            assert "without a valid StudyInstanceUID" in line
            line = said_by(lambda peer=peer: dimse_fetch.classes_of(peer, SERIES))
            assert "without a valid SOPInstanceUID" in line


def test_values_that_cannot_be_decoded_are_empty():
    class Damaged(Dataset):
        def get(self, *args):
            raise NotImplementedError("unknown VR QQ")

    assert value_of(Damaged(), "Modality") == ""
    assert list(items_of(Damaged(), "FailedSOPSequence")) == []


@pytest.mark.parametrize("patient", ["*", "1*", "A?", "A\\B", " ", "", "\x1b[2J", "A" * 65])
def test_a_pacs_is_not_listed_as_a_whole(patient):
    nowhere = Destination("nowhere", host="127.0.0.1", port=1, called_aet="NOWHERE")
    with pytest.raises(ValueError, match="a PACS is not listed as a whole"):
        search(nowhere, patient=patient)


@pytest.mark.parametrize("study", ["*", "1.2.*", "1.2\\1.3", "x"])
def test_a_study_is_named_by_one_uid(study):
    nowhere = Destination("nowhere", host="127.0.0.1", port=1, called_aet="NOWHERE")
    with pytest.raises(ValueError, match="must be one Study Instance UID"):
        search(nowhere, study=study)
