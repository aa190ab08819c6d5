"""Destinations: what is refused when added, where they are kept, what a secret may not do."""

import stat

import pytest

from medsynth.pacs import address_book
from medsynth.pacs.credentials import credentials_for
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse_status import judge

DICOM = {"host": "pacs.example", "port": 104, "called_aet": "ARCHIVE"}
HTTPS = "https://pacs.example/dicom-web"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give either"),
        ({**DICOM, "url": HTTPS}, "not both"),
        ({**DICOM, "port": 0}, "port must be"),
        ({**DICOM, "port": 70000}, "port must be"),
        ({**DICOM, "called_aet": "A" * 17}, "16 characters"),
        ({**DICOM, "called_aet": "A\\B"}, "16 characters"),
        ({**DICOM, "called_aet": "  "}, "16 characters"),
        ({**DICOM, "ca_file": "ca.pem"}, "encrypted"),
        ({**DICOM, "tls": True, "cert_file": "c.pem"}, "needs its key"),
        ({**DICOM, "tls": True, "listen_port": 11113}, "certificate of our own"),
        ({**DICOM, "verify": "commitment"}, "--listen-port"),
        ({**DICOM, "auth": "basic", "user": "anna"}, "for DICOMweb"),
        ({**DICOM, "associations": 0}, "associations"),
        ({**DICOM, "timeout_s": 0}, "timeouts"),
        ({"url": "ftp://pacs.example"}, "https://"),
        ({"url": "https://anna:secret@pacs.example"}, "must not hold"),
        ({"url": HTTPS + "?token=1"}, "must not hold"),
        ({"url": HTTPS, "auth": "basic"}, "--user"),
        ({"url": HTTPS, "user": "anna"}, "--user"),
        ({"url": "http://pacs.example/d", "auth": "bearer"}, "clear text"),
        ({"url": HTTPS, "listen_port": 11113}, "not DICOMweb"),
        ({"url": HTTPS, "tls": True}, "leave --tls out"),
    ],
)
def test_a_destination_that_cannot_work_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Destination("archive", **options)


@pytest.mark.parametrize("name", ["", "two words", "a-b", "1st", "x" * 33, "../up"])
def test_names_are_plain(name):
    with pytest.raises(ValueError, match="name is 1 to 32"):
        Destination(name, **DICOM)


def test_the_address_book_gives_back_what_it_got(tmp_path):
    web = Destination("web", url=HTTPS, auth="basic", user="anna")
    address_book.add(web)
    address_book.add(Destination("archive", **DICOM))
    assert address_book.load() == {"web": web, "archive": Destination("archive", **DICOM)}
    assert stat.S_IMODE((tmp_path / "destinations.json").stat().st_mode) == 0o600
    address_book.remove("web")
    assert list(address_book.load()) == ["archive"]


def test_names_that_differ_by_case_alone_would_share_a_secret():
    address_book.add(Destination("archive", **DICOM))
    with pytest.raises(ValueError, match="already a destination"):
        address_book.add(Destination("Archive", **DICOM), replace=True)


def test_an_unknown_destination_names_the_nearest():
    address_book.add(Destination("archive", **DICOM))
    with pytest.raises(ValueError, match="did you mean archive"):
        address_book.find("archve")


def test_a_damaged_address_book_is_an_error_and_is_left_alone(tmp_path):
    path = tmp_path / "destinations.json"
    path.write_text('[{"name": "archive"')
    with pytest.raises(ValueError, match="cannot be read"):
        address_book.add(Destination("archive", **DICOM))
    assert path.read_text() == '[{"name": "archive"'


def test_secrets_come_from_the_environment_and_do_not_show(monkeypatch):
    web = Destination("web", url=HTTPS, auth="basic", user="anna")
    monkeypatch.setenv("MEDSYNTH_PACS_WEB_PASSWORD", "geheim")
    credentials = credentials_for(web)
    assert (credentials.user, credentials.password) == ("anna", "geheim")
    assert "geheim" not in repr(credentials)
    assert "geheim" not in repr(web)


def test_secrets_come_from_a_keyring_when_the_environment_has_none(monkeypatch):
    import keyring

    monkeypatch.setattr(keyring, "get_password", lambda service, name: f"{service}/{name}")
    token = Destination("cloud", url=HTTPS, auth="bearer")
    assert credentials_for(token).token == "medsynth/cloud"


def test_a_missing_or_impossible_secret_is_said_without_it(monkeypatch):
    import keyring

    web = Destination("web", url=HTTPS, auth="basic", user="anna")
    monkeypatch.setattr(keyring, "get_password", lambda service, name: None)
    with pytest.raises(PermissionError, match="MEDSYNTH_PACS_WEB_PASSWORD"):
        credentials_for(web)
    monkeypatch.setenv("MEDSYNTH_PACS_WEB_PASSWORD", "geh\neim")
    with pytest.raises(PermissionError, match="control character") as caught:
        credentials_for(web)
    assert "geh" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, "stored"),
        (0xB000, "stored"),
        (0xB006, "stored"),
        (0xB007, "stored"),
        (0x0111, "stored"),
        (0xA700, "retry"),
        (0xA7FF, "retry"),
        (0xA900, "failed"),
        (0xA9FF, "failed"),
        (0xC000, "failed"),
        (0xCFFF, "failed"),
        (0x0110, "failed"),
        (0x0122, "failed"),
        (0x0124, "failed"),
        (0xFE00, "failed"),
    ],
)
def test_status_codes_by_the_standard(status, verdict):
    answer = judge("1.2", status)
    assert (answer.verdict, answer.status) == (verdict, f"0x{status:04X}")
    assert bool(answer.note) == (status != 0)


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [
        (DICOM, False),
        ({**DICOM, "tls": True}, True),
        ({"url": HTTPS}, True),
        ({"url": "http://localhost/dicom-web"}, False),
    ],
)
def test_what_is_not_encrypted_says_so(options, encrypted):
    destination = Destination(name="archive", **options)
    assert destination.is_encrypted is encrypted
    assert ("NOT encrypted" in destination.describe()) is not encrypted
