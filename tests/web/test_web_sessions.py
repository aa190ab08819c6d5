"""Sessions: who gets in, what one sees of another, and what is left of one that ended."""

import signal

import psutil
import pytest
from served_page import begin, get, until

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def server(serve):
    return serve("--sessions", 2, "--gone-minutes", 30)


def listening(processes):
    """The ports at which they can be reached."""
    return {c.laddr.port for p in processes for c in p.net_connections() if c.status == "LISTEN"}


def test_without_the_token_there_is_only_the_question_for_it(server):
    status, _, body = get(f"{server.address}/")
    assert status == 200
    assert "<form" in body
    assert get(f"{server.address}/login", data=b"token=wrong")[0] == 403
    assert get(f"{server.address}/?token=wrong")[0] == 403
    assert get(f"{server.address}/login", data=f"token={server.token}".encode())[0] == 303


def test_pages_of_elsewhere_are_refused(server):
    foreign = {"Origin": "http://evil.example"}
    assert get(f"{server.address}/", cookie=server.token, headers=foreign)[0] == 403
    # A name of elsewhere that was made to lead here.
    rebound = {"Host": "evil.example"}
    assert get(f"{server.address}/", cookie=server.token, headers=rebound)[0] == 403


def test_sessions_are_apart_and_end_without_a_trace(server):
    one, two = begin(server), begin(server)
    assert one != two
    assert get(f"{one}index.html", cookie=server.token)[0] == 200
    assert get(f"{one}index.html")[0] == 404  # the address alone is not enough
    assert get(f"{server.address}/", cookie=server.token)[0] == 503  # both places are taken
    processes = until(lambda: len(server.sessions()) == 3 and server.sessions())  # and a spare
    ports = until(lambda: len(found := listening(processes)) == 3 and found)
    for port in ports:  # another program of this computer does not know the key
        assert get(f"http://127.0.0.1:{port}/index.html")[0] == 403
    hers = {p.cwd() for p in processes}
    assert len(hers) == 3
    victim = processes[0]
    folder = victim.cwd()
    victim.send_signal(signal.SIGKILL)
    until(lambda: not any(f.is_relative_to(folder) for f in server.folder.rglob("*")))
    gone = [a for a in (one, two) if get(f"{a}index.html", cookie=server.token)[0] == 404]
    assert len(gone) == 1
    assert get(f"{server.address}/", cookie=server.token)[0] == 303  # its place is free again


def test_a_killed_server_leaves_no_process_and_no_file(serve):
    server = serve()
    begin(server)
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert len(family) >= 2
    server.process.kill()
    server.process.wait()
    psutil.wait_procs(family, timeout=60)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    until(lambda: not [p for p in server.folder.iterdir() if p.is_dir()])
