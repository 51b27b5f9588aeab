"""A certificate for the API: the name that users reach it by, and what is said of files that are none."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gpulab.cli import assemble
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
