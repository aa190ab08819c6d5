"""Each row of the fault table, by servers that misbehave on demand; sent by the library's own loop.

Rows that real servers show are in test_pacs_orthanc.py, test_pacs_dcmtk.py and test_pacs_tls.py.
"""

import threading

import pytest
from pacs_faults import storage_scp, stow_reply, stow_server, wait_until
from pacs_objects import CT, make_out
from pacs_servers import free_port

from medsynth.pacs.collect import collect
from medsynth.pacs.delivery import Patience, deliver
from medsynth.pacs.destination import Destination
from medsynth.pacs.outbox import Outbox

pytestmark = pytest.mark.pacs

QUICK = Patience(attempts=3, first_wait_s=0.05, longest_wait_s=0.1)


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path / "outbox")


@pytest.fixture
def out(tmp_path):
    return make_out(tmp_path / "out", 6)


def faulty(port, **options):
    defaults = {"associations": 1, "timeout_s": 60, "settle_s": 0}
    return Destination(
        "faulty", host="127.0.0.1", port=port, called_aet="FAULTY", **{**defaults, **options}
    )


def web(url, **options):
    return Destination("web", url=url, associations=1, timeout_s=60, settle_s=0, **options)


def send(outbox, out, destination, *, patience=QUICK):
    """Deliver `out`; returns the outcome, the job and every warning."""
    said = []
    job = outbox.enqueue(collect(out), destination, source=out)
    with outbox.open(job.id) as opened:
        outcome = deliver(opened, destination, patience=patience, listener=said.append)
    return outcome, outbox.find(job.id), [e.message for e in said if e.kind == "warning"]


# no server, association limit -> retries with back-off, keeps the job


def test_no_server_is_retried_and_the_job_waits(outbox, out):
    outcome, job, warnings = send(outbox, out, faulty(free_port()))
    assert "Connection refused" in outcome.trouble
    assert "attempts in a row: 3" in outcome.trouble
    assert len(warnings) == 2
    assert job.counts() == {"queued": 7}
    assert job.notes[-1][1] == outcome.trouble


def test_a_server_that_comes_back_gets_everything(outbox, out):
    port, pauses = free_port(), []
    with pytest.MonkeyPatch.context(), storage_scp(port=free_port()):
        server = storage_scp(port=port)

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                server.__enter__()

        patience = Patience(attempts=6, first_wait_s=1.0, longest_wait_s=30.0, sleep=sleep)
        outcome, job, _ = send(outbox, out, faulty(port), patience=patience)
        server.__exit__(None, None, None)
    assert outcome.is_complete
    # Back-off: each pause is longer than the one before it, 1, 2, 4 s less up to a quarter.
    assert 0.75 <= pauses[0] <= 1.0 < 1.5 <= pauses[1] <= 2.0 < 3.0 <= pauses[2] <= 4.0


def test_an_association_limit_is_waited_out(outbox, out, caplog):
    waited = []
    with storage_scp(limit=1) as (port, archive):

        def sleep(seconds):
            """However long a busy machine takes to end an association; then it has room again."""
            waited.append(seconds)
            wait_until(lambda: not archive.server.active_associations)

        patience = Patience(attempts=20, sleep=sleep)
        outcome, job, _ = send(outbox, out, faulty(port, associations=4), patience=patience)
    assert outcome.is_complete
    # The limit was met; on a busy machine the one that got in may have sent everything meanwhile.
    assert waited or "Local limit exceeded" in caplog.text
    assert set(archive.received.values()) == {1}


# SEG class refused -> sends the images, reports the SEG


def test_a_refused_seg_class_does_not_stop_the_images(outbox, out):
    with storage_scp(classes=(CT,)) as (port, archive):
        outcome, job, _ = send(outbox, out, faulty(port))
    assert outcome.counts == {"verified": 6, "failed": 1}
    assert not outcome.is_complete
    (seg,) = job.in_state("failed")
    assert seg.is_segmentation
    assert "Segmentation Storage" in job.progress[seg.uid].note
    assert len(archive.kept) == 6


def test_images_go_before_the_seg(outbox, out):
    with storage_scp() as (port, archive):
        outcome, job, _ = send(outbox, out, faulty(port, associations=4))
    assert outcome.is_complete
    (seg,) = (i.uid for i in job.instances.values() if i.is_segmentation)
    assert archive.order[-1] == seg


# 0xA700 -> retries later, stops the batch after a few


def test_out_of_resources_ends_the_round_and_is_tried_later(outbox, out):
    with storage_scp(lambda event, number: 0xA700 if 2 <= number <= 4 else 0x0000) as (port, got):
        outcome, job, warnings = send(outbox, out, faulty(port))
    assert outcome.is_complete
    assert len(warnings) == 1
    assert "0xA700" in warnings[0]
    assert got.order[4] == got.order[1]  # 1 stored, 3 refused, then a new round from the first
    assert got.associations == 4  # two rounds of images, SEG, C-FIND


def test_a_server_without_room_keeps_the_job_waiting(outbox, out):
    with storage_scp(lambda event, number: 0xA700) as (port, got):
        outcome, job, _ = send(outbox, out, faulty(port))
    assert "0xA700" in outcome.trouble
    assert job.counts() == {"queued": 7}
    assert len(got.order) == QUICK.attempts * QUICK.refusals


# 0xA9xx, 0xCxxx, 0x0124 -> marks the instance failed, goes on


@pytest.mark.parametrize("status", [0xA900, 0xC001, 0x0124, 0x0122, 0x0110])
def test_a_refused_instance_fails_and_the_rest_goes_on(outbox, out, status):
    with storage_scp(lambda event, number: status if number == 3 else 0x0000) as (port, got):
        outcome, job, _ = send(outbox, out, faulty(port))
    assert outcome.counts == {"verified": 6, "failed": 1}
    (failed,) = job.in_state("failed")
    assert job.progress[failed.uid].status == f"0x{status:04X}"
    assert got.received[failed.uid] == 1


# 0xB000, B006, B007 -> stored, with the note


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_stored_with_its_note(outbox, out, status):
    with storage_scp(lambda event, number: status if number == 3 else 0x0000) as (port, _):
        outcome, job, _ = send(outbox, out, faulty(port))
    assert outcome.is_complete
    noted = [p for p in job.progress.values() if p.status == f"0x{status:04X}"]
    assert len(noted) == 1
    assert len(noted[0].note) > len("; verified by C-FIND")


# abort or kill in mid-send -> unknown means not stored: reconnect, resend


def test_an_abort_in_mid_send_is_sent_again(outbox, out):
    with storage_scp(lambda event, number: None if number == 3 else 0x0000) as (port, got):
        outcome, job, warnings = send(outbox, out, faulty(port))
    assert outcome.is_complete
    assert got.received[got.order[2]] == 2
    assert sum(got.received.values()) == 8
    assert "whether it stored the object is unknown" in warnings[0]


# peer hangs -> every timeout set


def test_a_peer_that_hangs_is_left_after_the_timeout(outbox, out):
    release = threading.Event()

    def behave(event, number):
        if number == 2:
            release.wait(120)
        return 0x0000

    with storage_scp(behave) as (port, got):
        # On a busy machine quick answers may be late too: then those objects go again.
        patience = Patience(attempts=20, first_wait_s=0.05, longest_wait_s=0.1)
        outcome, job, _ = send(outbox, out, faulty(port, timeout_s=1), patience=patience)
        release.set()
    assert outcome.is_complete  # and the peer still hung
    assert got.received[got.order[1]] >= 2


def test_a_port_that_accepts_and_says_nothing_is_left_after_the_timeout(outbox, out):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        patience = Patience(attempts=1)
        outcome, _, _ = send(outbox, out, faulty(port, timeout_s=0.5), patience=patience)
    assert "ended the association before accepting it" in outcome.trouble


# success is not proof


def test_0000_for_dropped_objects_is_caught_and_sent_again_once(outbox, out):
    dropped = set()

    def behave(event, number):
        uid = event.request.AffectedSOPInstanceUID
        if number in (2, 3):
            dropped.add(uid)
        if uid in dropped:
            archive.kept.pop(uid, None)
        return 0x0000

    with storage_scp(behave) as (port, archive):
        real_store = archive.kept

        class Forgetful(dict):
            def __setitem__(self, uid, content):
                if uid not in dropped:
                    super().__setitem__(uid, content)

        archive.kept = Forgetful(real_store)
        outcome, job, warnings = send(outbox, out, faulty(port))
    assert outcome.counts == {"verified": 5, "failed": 2}
    for uid in dropped:
        assert archive.received[uid] == 2
        assert "C-FIND does not find it" in job.progress[uid].note


def test_a_server_that_cannot_be_asked_leaves_the_job_stored_not_verified(outbox, out):
    with storage_scp(find=False) as (port, _):
        outcome, job, _ = send(outbox, out, faulty(port))
    assert "neither storage commitment nor C-FIND" in outcome.trouble
    assert outcome.counts == {"stored": 7}
    assert not outcome.is_complete


# same UID with new content -> content under a UID never changes


def test_a_changed_copy_in_the_outbox_is_not_sent(outbox, out):
    destination = faulty(free_port())
    job = outbox.enqueue(collect(out), destination, source=out)
    victim = next(iter(job.instances.values()))
    path = job.path_of(victim)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with storage_scp(port=destination.port) as (_, got):
        with outbox.open(job.id) as opened:
            outcome = deliver(opened, destination, patience=QUICK)
        assert outcome.counts == {"verified": 6, "failed": 1}
        assert victim.uid not in got.received
        note = outbox.find(job.id).progress[victim.uid].note
        assert "medsynth send of the same folder mends it" in note
        # The folder that it came from is whole: sending it again is all that is needed.
        outcome, job, _ = send(outbox, out, destination)
    assert outcome.is_complete
    assert got.received[victim.uid] == 1


# STOW-RS: HTTP 200, nothing stored, nothing failed


def store_all(datasets, request):
    uids = [d.SOPInstanceUID for d in datasets]
    return 200, stow_reply(uids), uids


def test_stow_stores_and_verifies(outbox, out):
    with stow_server(store_all) as (url, service):
        outcome, job, _ = send(outbox, out, web(url))
    assert outcome.is_complete
    assert set(service.sent.values()) == {1}


@pytest.mark.parametrize("body", [{}, b"", b"fine", stow_reply([])])
def test_http_200_that_names_nothing_is_not_success(outbox, out, body):
    with stow_server(lambda datasets, request: (200, body, [])) as (url, _):
        outcome, job, _ = send(outbox, out, web(url))
    assert "does not name the object" in outcome.trouble
    assert job.counts() == {"queued": 7}


def test_http_200_that_names_objects_it_drops_is_caught(outbox, out):
    def behave(datasets, request):
        uids = [d.SOPInstanceUID for d in datasets]
        return 200, stow_reply(uids), uids[1:]

    with stow_server(behave) as (url, _):
        outcome, job, _ = send(outbox, out, web(url))
    assert outcome.counts == {"verified": 5, "failed": 2}
    assert {job.progress[i.uid].note for i in job.in_state("failed")} == {
        "the server said stored (0x0000), QIDO-RS does not find it"
    }


def test_http_202_with_a_failed_instance_fails_that_one(outbox, out):
    def behave(datasets, request):
        uids = [d.SOPInstanceUID for d in datasets]
        if len(uids) == 1:
            return store_all(datasets, request)
        return 202, stow_reply(uids[1:], {uids[0]: 0xC000}), uids[1:]

    with stow_server(behave) as (url, _):
        outcome, job, _ = send(outbox, out, web(url))
    assert outcome.counts == {"verified": 6, "failed": 1}
    assert job.progress[job.in_state("failed")[0].uid].status == "0xC000"


# STOW 401 / 400 / 409


@pytest.mark.parametrize("code", [401, 403, 404, 302])
def test_a_configuration_error_is_told_at_once(outbox, out, code):
    with stow_server(lambda datasets, request: (code, {}, [])) as (url, service):
        outcome, job, warnings = send(outbox, out, web(url))
    assert ("redirects" if code == 302 else f"HTTP {code}") in outcome.trouble
    assert service.requests == 1
    assert warnings == []
    assert job.counts() == {"queued": 7}  # answered: nothing is on its way
    told = [progress for progress in job.progress.values() if progress.note]
    assert len(told) == 6
    assert {progress.note for progress in told} == {outcome.trouble}


@pytest.mark.parametrize("code", [401, 403, 404, 408, 429, 500, 502, 503])
def test_what_a_web_server_answered_is_not_on_its_way(outbox, out, code):
    """Also where it cannot be asked what it has."""
    with stow_server(lambda datasets, request: (code, {}, [])) as (url, service):
        service.find_code = 503
        outcome, job, _ = send(outbox, out, web(url), patience=Patience(1, sleep=lambda s: None))
    assert str(code) in outcome.trouble
    assert job.counts() == {"queued": 7}


def test_400_for_one_bad_part_keeps_the_good_ones_and_asks_before_resending(outbox, out):
    """The server stores the parts before the bad one and then refuses the request as a whole."""
    images = sorted((out / "dicom/image").glob("*.dcm"))
    bad = collect(out)[2].uid
    assert len(images) == 6

    def behave(datasets, request):
        uids = [d.SOPInstanceUID for d in datasets]
        if bad in uids:
            return 400, {"Message": "part is corrupt"}, uids[: uids.index(bad)]
        return store_all(datasets, request)

    with stow_server(behave) as (url, service):
        outcome, job, _ = send(outbox, out, web(url))
    assert outcome.counts == {"verified": 6, "failed": 1}
    assert "part is corrupt" in job.progress[bad].note
    assert job.progress[bad].status == "HTTP 400"
    first_two = [i.uid for i in collect(out)[:2]]
    assert [service.sent[uid] for uid in first_two] == [1, 1]  # there already: not sent again
    assert service.sent[bad] == 2


def test_409_names_what_it_refuses(outbox, out):
    def behave(datasets, request):
        return 409, stow_reply([], {d.SOPInstanceUID: 0xA900 for d in datasets}), []

    with stow_server(behave) as (url, service):
        outcome, job, _ = send(outbox, out, web(url))
    assert outcome.counts == {"failed": 7}
    assert {p.status for p in job.progress.values()} == {"0xA900"}
    assert service.requests == 2  # images, SEG: nothing is sent twice


@pytest.mark.parametrize("code", [503, 429, 500])
def test_a_busy_web_server_is_tried_again(outbox, out, code):
    def behave(datasets, request):
        return (code, {}, []) if request == 1 else store_all(datasets, request)

    with stow_server(behave) as (url, _):
        outcome, _, _ = send(outbox, out, web(url))
    assert outcome.is_complete


def test_a_job_is_not_sent_to_an_address_that_was_changed(outbox, out):
    first, second = faulty(free_port()), faulty(free_port())
    job = outbox.enqueue(collect(out), first, source=out)
    with outbox.open(job.id) as opened, pytest.raises(ValueError, match="was made for"):
        deliver(opened, second, patience=QUICK)
