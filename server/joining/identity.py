"""What a lab shows to machines that join: a certificate of its own, and the secret of its join line."""

import hashlib
import os
import secrets
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from server.joining.join_line import SECRET_BYTES, Address, JoinLine, JoinLineError, encoded

VALID_DAYS = 36_500
"""The line pins the certificate itself, so that its dates protect nothing."""
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Identity:
    """The files in `folder`. The certificate stays for the life of the lab; the secret can be replaced."""

    folder: Path

    @property
    def certificate_file(self) -> Path:
        """Key and certificate in one file, so that they appear together or not at all."""
        return self.folder / "certificate.pem"

    @property
    def secret_file(self) -> Path:
        return self.folder / "secret"

    @property
    def address_file(self) -> Path:
        """Where the lab was shared last."""
        return self.folder / "address"

    def prepare(self) -> None:
        """Make what is missing. Raises `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not self.certificate_file.exists():
            _write(self.certificate_file, _new_certificate())
        if not self.secret_file.exists():
            self.renew_secret()

    def renew_secret(self) -> None:
        """From now on the old line lets nobody in. Machines that joined stay."""
        _write(self.secret_file, secrets.token_bytes(SECRET_BYTES).hex().encode())

    def shared_at(self, address: Address) -> None:
        _write(self.address_file, str(address).encode())

    @property
    def secret(self) -> str:
        """As it stands now. Raises `OSError` and `ValueError`."""
        return encoded(bytes.fromhex(self.secret_file.read_text(encoding="ascii")))

    @property
    def fingerprint(self) -> bytes:
        pem = self.certificate_file.read_text(encoding="ascii")
        return fingerprint_of(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :]))

    @property
    def line(self) -> JoinLine:
        """Raises `OSError` and `ValueError` where the lab was never shared."""
        try:
            address = Address.parse(self.address_file.read_text(encoding="utf-8"))
        except JoinLineError as error:
            raise ValueError(f"{self.address_file}: {error}") from error
        return JoinLine(address, self.fingerprint, self.secret)


def fingerprint_of(certificate: bytes) -> bytes:
    return hashlib.sha256(certificate).digest()


def server_context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity.certificate_file)
    return context


def client_context() -> ssl.SSLContext:
    """Its user compares the certificate with the pinned one before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _new_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpulab")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and readable by nobody else from its first byte."""
    fresh = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
        file.write(data)
    fresh.replace(path)
