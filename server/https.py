"""The certificate under which a lab's API speaks to browsers, if it has one."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509


class CertificateError(Exception):
    """The files cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    certificate: Path
    key: Path

    def name(self) -> str | None:
        """The first host that it is for; None where it names none. Raises `CertificateError`."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
            found = x509.load_pem_x509_certificates(self.certificate.read_bytes())[0]
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return None
        except ssl.SSLError as error:
            raise CertificateError(
                f"{self.certificate} and {self.key} are no certificate and its key ({error.reason or error})"
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CertificateError(f"{self.certificate} or {self.key} cannot be read: {reason}") from error
        hosts = names.get_values_for_type(x509.DNSName)
        return next((host for host in hosts if "*" not in host), None)

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the API's process."""
        return "--certificate", str(self.certificate.absolute()), "--key", str(self.key.absolute())
