"""The gate that keeps pynetdicom's reader from taking answers that a sender waits for."""

import threading
import time

from medsynth.pacs.event_loop import ReaderGate


def test_clear_returns_only_when_the_reader_stands_still():
    gate, inside, passes = ReaderGate(patience_s=120), threading.Event(), []
    stop = threading.Event()

    def reader():
        while not stop.is_set():
            gate.wait()
            inside.set()
            time.sleep(0.002)  # between leaving wait() and reaching the queue
            passes.append(1)
            inside.clear()

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    for _ in range(50):
        gate.clear()
        assert not inside.is_set()
        before = len(passes)
        time.sleep(0.001)
        assert len(passes) == before
        gate.set()
    stop.set()
    gate.set()
    thread.join()


def test_a_dead_reader_is_not_waited_for():
    gate = ReaderGate(patience_s=0.05)
    began = time.monotonic()
    gate.clear()
    assert time.monotonic() - began < 60
    assert not gate.is_set()


def test_pynetdicom_still_has_what_the_gate_replaces():
    """The gate takes the place of a private attribute; another pynetdicom may have another."""
    from pynetdicom import AE
    from pynetdicom.association import Association

    association = Association(AE(), "requestor")
    assert isinstance(association._reactor_checkpoint, threading.Event)
    assert association._is_paused is False
