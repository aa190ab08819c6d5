"""Encrypted connections, by both ways: the good one works, each bad one is refused with its reason."""

import ssl
import subprocess
from types import SimpleNamespace

import pytest
from pacs_faults import line
from pacs_objects import files_of, make_out, pixels_of
from pacs_servers import DICOMWEB_PLUGIN, medsynth, orthanc, storescp

pytestmark = pytest.mark.pacs


@pytest.fixture(scope="module")
def certificates(tmp_path_factory, needs_tool):
    """An authority, a server and a client that it vouches for, and a stranger's authority."""
    openssl = needs_tool("openssl", "openssl")
    needs_tool("Orthanc", "orthanc")
    if not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian package orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("certificates")

    def run(*arguments):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "stranger"):
        subject = ["-subj", f"/CN={ca}", "-days", "2"]
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key"]
        run("req", "-x509", *key, "-out", f"{ca}.pem", *subject)
    for name, ca, alternative in (
        ("server", "ca", "DNS:localhost"),
        ("client", "ca", "DNS:client"),
        ("foreign", "stranger", "DNS:client"),
    ):
        (folder / "san").write_text(f"subjectAltName={alternative}\n")
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]
        run("req", *key, "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2"]
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", "san", "-out", f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def server(certificates, tmp_path_factory):
    """Wants a certificate of its client, for DICOM and for the web."""
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates / "server.pem"),
        "DicomTlsPrivateKey": str(certificates / "server.key"),
        "DicomTlsTrustedCertificates": str(certificates / "ca.pem"),
        "DicomTlsRemoteCertificateRequired": True,
    }
    # Debian's Orthanc 1.10 dies of every HTTPS connection: a relay does the TLS before its web port.
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with (
        orthanc(tmp_path_factory.mktemp("orthanc"), **settings) as server,
        line(server.http_port, context=context) as web,
    ):
        yield SimpleNamespace(
            dicom_port=server.dicom_port, http_port=web.port, pixels=server.pixels
        )


@pytest.fixture(scope="module")
def refuser(certificates, server, tmp_path_factory):
    """The same certificates for the bad connections: Orthanc 1.10's DICOM port dies of them."""
    folder = certificates
    options = ["+tls", str(folder / "server.key"), str(folder / "server.pem")]
    options += ["+cf", str(folder / "ca.pem"), "--require-peer-cert"]
    with storescp(tmp_path_factory.mktemp("storescp"), *options) as port:
        yield SimpleNamespace(dicom_port=port, http_port=server.http_port)


@pytest.fixture(scope="module")
def plain(certificates, tmp_path_factory):
    with orthanc(tmp_path_factory.mktemp("plain")) as server:
        yield server


class Sender:
    def __init__(self, home, certificates, out):
        self.home, self.certificates, self.out = home, certificates, out

    def add(self, server, way, *, host="localhost", tls=True, ca="ca", own="client", timeout=5):
        options = ["--settle", 0, "--timeout", timeout, "--replace"]
        if tls:
            options += ["--ca", self.certificates / f"{ca}.pem"]
            if own:
                options += ["--cert", self.certificates / f"{own}.pem"]
                options += ["--key", self.certificates / f"{own}.key"]
        if way == "dimse":
            options += ["--tls"] if tls else []
            where = ["--host", host, "--port", server.dicom_port, "--aet", "ORTHANC"]
        else:
            scheme = "https" if tls else "http"
            where = ["--url", f"{scheme}://{host}:{server.http_port}/dicom-web"]
        added = medsynth(self.home, "pacs", "add", "safe", *where, *options)
        assert added.returncode == 0, added.stderr

    def refused(self):
        """What `test` and `send` say; neither may succeed."""
        tested = medsynth(self.home, "pacs", "test", "safe")
        sent = medsynth(self.home, "send", self.out, "--to", "safe", "--attempts", 1)
        assert (tested.returncode, sent.returncode) == (2, 3), tested.stdout
        assert "0 of 4 objects are verified" in sent.stdout
        return tested.stderr + sent.stderr


@pytest.fixture
def sender(tmp_path, certificates):
    return Sender(tmp_path / "home", certificates, make_out(tmp_path / "out", 3))


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_mutual_tls_delivers(way, sender, server):
    sender.add(server, way, timeout=60)  # it does answer, however busy the machine is
    tested = medsynth(sender.home, "pacs", "test", "safe")
    assert tested.returncode == 0, tested.stderr
    sent = medsynth(sender.home, "send", sender.out, "--to", "safe")
    assert sent.returncode == 0, sent.stderr
    assert pixels_of(files_of(sender.out)).items() <= server.pixels().items()


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_an_unknown_authority_is_refused(way, sender, refuser):
    sender.add(refuser, way, ca="stranger")
    said = sender.refused()
    assert "certificate of" in said
    assert "is not accepted" in said
    assert "--ca" in said


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_wrong_host_name_is_refused(way, sender, refuser):
    sender.add(refuser, way, host="127.0.0.1")
    assert "mismatch" in sender.refused()


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_no_client_certificate_is_refused_by_the_server_and_explained(way, sender, refuser):
    sender.add(refuser, way, own="")
    said = sender.refused()
    assert "--cert" in said or "refuses our certificate" in said or "handshake" in said.lower()


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_strangers_client_certificate_is_refused(way, sender, refuser):
    sender.add(refuser, way, own="foreign")
    said = sender.refused()
    assert "certificate" in said


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_plain_port_is_not_talked_to_in_clear(way, sender, plain):
    sender.add(plain, way)
    assert "plain port" in sender.refused()
    assert plain.uids() == set()


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_plain_text_to_a_tls_port_says_what_to_change(way, sender, refuser):
    sender.add(refuser, way, tls=False)
    said = sender.refused()
    assert "TLS" in said


def test_an_encrypted_key_is_refused_and_nobody_is_asked(sender, refuser, certificates):
    target = certificates / "locked.key"
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:geheim", "-in", "client.key"]
    subprocess.run(
        [*command, "-out", target.name], cwd=certificates, check=True, capture_output=True
    )
    (certificates / "locked.pem").write_bytes((certificates / "client.pem").read_bytes())
    sender.add(refuser, "dimse", own="locked")
    assert "without a passphrase" in sender.refused()


def test_nothing_switches_verification_off():
    from medsynth.pacs.destination import Destination
    from medsynth.pacs.tls import client_context
    from medsynth.pacs.web_session import client_for

    pacs = Destination("safe", host="pacs.example", port=2762, called_aet="A", tls=True)
    context = client_context(pacs)
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    session = client_for(Destination("web", url="https://pacs.example"))._session
    assert session.verify is True
    assert session.max_redirects == 0
    assert session.trust_env is False
