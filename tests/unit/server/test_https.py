"""A certificate for the API: the name that users reach it by, and what is said of files that are none."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from typer.testing import CliRunner

import gpulab
from gpulab.cli import assemble
from gpulab.client.transport.http import _hint
from server.https import Certificate, CertificateError
from server.up import LabOptions, LocalLab


def made(folder: Path, *names: str, stem: str = "lab") -> Certificate:
    found = Certificate(folder / f"{stem}.pem", folder / f"{stem}.key")
    alternatives = ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)] if names else []
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=lab", "-out", found.certificate, "-keyout", found.key, *alternatives],
        check=True, capture_output=True,
    )  # fmt: skip
    return found


@contextmanager
def https_server(certificate: Certificate) -> Iterator[int]:
    """A server that is no lab; yields its port."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("lab.example.edu", "other"), "lab.example.edu"),
        (("*.example.edu", "lab"), "lab"),
        (("*.x",), None),
        ((), None),
    ],
)
def test_name_is_the_first_that_is_no_pattern(tmp_path: Path, names: tuple[str, ...], name: str | None) -> None:
    assert made(tmp_path, *names).name() == name


def test_lab_is_reached_by_the_name_of_its_certificate(tmp_path: Path) -> None:
    certificate = made(tmp_path, "lab.example.edu")
    lab = LocalLab(LabOptions(tmp_path, certificate=certificate), print)
    lab._port, lab._certificate_name = 8000, certificate.name()
    assert (lab.url, lab._local_url) == ("https://lab.example.edu:8000", "https://127.0.0.1:8000")


def test_what_is_no_certificate_or_not_its_key_is_named(tmp_path: Path) -> None:
    good, other = made(tmp_path, "lab"), made(tmp_path, "other", stem="other")
    text = tmp_path / "text.pem"
    text.write_text("nonsense")
    for certificate, key in ((good.certificate, other.key), (text, good.key), (good.certificate, tmp_path / "none")):
        with pytest.raises(CertificateError) as caught:
            Certificate(certificate, key).name()
        assert str(certificate) in str(caught.value)
        assert str(key) in str(caught.value)


def test_key_with_a_password_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    good = made(tmp_path, "lab")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", good.key, "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(CertificateError):
        Certificate(good.certificate, locked).name()


def test_one_without_the_other_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(assemble(), ["up", "--data", str(tmp_path / "lab"), "--certificate", "x.pem"])
    assert (done.exit_code, "--key" in done.output) == (2, True)
    assert not (tmp_path / "lab").exists()


def asked(address: str) -> list[object]:
    with gpulab.Client(address, token="glab_x", retry_seconds=0) as client:
        return list(client.nodes())


def test_client_accepts_the_certificate_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = made(tmp_path, "localhost")
    with https_server(certificate) as port:
        with pytest.raises(gpulab.ConfigurationError, match=r"not accepted: self-signed certificate\. .*SSL_CERT_FILE"):
            asked(f"https://localhost:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
        with pytest.raises(gpulab.ServerError, match="HTTP 501"):
            asked(f"https://localhost:{port}")


def test_address_with_the_wrong_scheme_is_suspected() -> None:
    cut = httpx.RemoteProtocolError("Server disconnected without sending a response.")
    assert _hint(cut, "http://lab") == " (it may speak https:// and not http://)"
    assert _hint(cut, "https://lab") == ""


def test_file_of_certificates_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(gpulab.ConfigurationError, match="SSL_CERT_FILE has no certificates that can be read"):
        gpulab.Client("https://localhost:1", token="glab_x")
