"""Our port is open where the destination sees it, and nowhere else."""

import socket

import pytest
from pacs_servers import free_port

from medsynth.pacs.destination import Destination
from medsynth.pacs.listening import listening, own_address

pytestmark = pytest.mark.pacs


def peer(host="127.0.0.1", **options):
    return Destination("peer", host=host, port=104, called_aet="PEER", **options)


def answers(address, port):
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_the_port_is_open_at_one_address_only():
    """127.0.0.2 is this machine too: a port bound to every interface answers there."""
    port = free_port()
    with listening(peer(listen_port=port), []):
        assert answers("127.0.0.1", port)
        assert not answers("127.0.0.2", port)
    with listening(peer(listen_port=port, listen_host="0.0.0.0"), []):
        assert answers("127.0.0.2", port)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_destination_on_this_machine_sees_loopback(host):
    assert own_address(peer(host)) == "127.0.0.1"


def test_a_port_that_is_taken_is_said_with_its_cure():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConnectionError, match=rf"cannot listen at 127.0.0.1:{port}.*--listen-"),
            listening(peer(listen_port=port), []),
        ):
            pass


def test_an_address_that_is_not_ours_is_refused():
    elsewhere = peer(listen_port=free_port(), listen_host="192.0.2.1")
    with pytest.raises(PermissionError, match="192.0.2.1"), listening(elsewhere, []):
        pass


def test_a_host_without_an_address_is_said():
    with pytest.raises(ConnectionError, match="no way to nowhere.invalid"):
        own_address(peer("nowhere.invalid"))


def test_listen_host_needs_its_port():
    with pytest.raises(ValueError, match="give both"):
        peer(listen_host="127.0.0.1")
