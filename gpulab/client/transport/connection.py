"""Where the lab is and who asks: arguments first, then the environment, then what `gpulab sign-in` saved."""

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gpulab.addresses import PAGES, pasted
from gpulab.errors import ConfigurationError
from gpulab.proxies import is_loopback
from gpulab.version import CLIENT_HEADER, VERSION

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TOKEN_FILE = Path("~/.config/gpulab/token")
ADDRESS_FILE = Path("~/.config/gpulab/address")
LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
MAX_PORT = 65_535
SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Connection:
    """An address and perhaps a token."""

    url: str
    token: str | None = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        accepted = {"Accept": "application/json, application/problem+json", CLIENT_HEADER: VERSION}
        return accepted | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    @property
    def trusts_proxies(self) -> bool:
        """A proxy named in the environment is for the outside world, never for this machine."""
        return not is_loopback(httpx.URL(self.url).host)


def resolve(
    url: str | None = None,
    token: str | None = None,
    token_file: str | Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """`GPULAB_URL`, `GPULAB_TOKEN` and `GPULAB_TOKEN_FILE` fill in what is not given, then what `gpulab sign-in` saved.

    Raises ConfigurationError for an URL that is not http(s), a file that cannot be read, or a token that is not one
    line of printable ASCII.
    """
    address = lab_address(named_address(url, environment) or DEFAULT_URL)
    if token is None and token_file is None:
        token = environment.get("GPULAB_TOKEN") or None
    if token is None:
        token = _read_token(token_file or environment.get("GPULAB_TOKEN_FILE") or None)
    return Connection(address, _checked_token(token) if token else None)


def named_address(url: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The address that the user chose somewhere, if any. Raises ConfigurationError."""
    return url or environment.get("GPULAB_URL") or _saved(ADDRESS_FILE, "address file")


def lab_address(url: str) -> str:
    """The lab's address out of what people paste: an address of its pages, with blanks or quotes around it.

    Raises ConfigurationError.
    """
    given = pasted(url)
    try:
        parsed = httpx.URL(given if "://" in given else f"http://{given}")
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not a URL: {error}") from None
    if parsed.userinfo:
        # The library would send them in the token's place.
        raise ConfigurationError("the lab's address must not contain a user name and password; use a token")
    if parsed.scheme not in SCHEMES or not _is_host(parsed) or (parsed.port or 0) > MAX_PORT:
        raise ConfigurationError(f"the lab's address must look like {DEFAULT_URL}, not {url!r}")
    if "://" not in given and not is_loopback(parsed.host):
        # A token must not be sent unencrypted only because the address has no scheme.
        raise ConfigurationError(
            f"the lab's address must look like https://{given} or http://{given}; {given!r} does not say which"
        )
    return str(parsed.copy_with(path=_above_pages(parsed.path), query=None, fragment=None)).rstrip("/")


def _is_host(url: httpx.URL) -> bool:
    """Whether the resolver takes it: labels of 1 to 63 characters, or an address."""
    host = url.raw_host.decode("ascii")
    # `https:/lab` and an address pasted twice have the scheme where the host should be.
    if host in SCHEMES:
        return False
    return ":" in host or all(LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))


def _above_pages(path: str) -> str:
    """The path without the pages of the lab at its end: `/gpulab/jobs/17` is `/gpulab`."""
    parts = [part for part in path.split("/") if part]
    first = next((index for index, part in enumerate(parts) if part in PAGES), len(parts))
    return "/" + "/".join(parts[:first])


def save(connection: Connection) -> Path:
    """Keep address and token for later commands, readable by their owner only. Returns the folder.

    Raises ConfigurationError.
    """
    try:
        folder = ADDRESS_FILE.expanduser().parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(ADDRESS_FILE.expanduser(), connection.url)
        _write(DEFAULT_TOKEN_FILE.expanduser(), connection.token or "")
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"the address and the token cannot be saved: {error}") from None
    return folder


def forget() -> list[Path]:
    """Remove what `save` kept, and return what there was. Raises ConfigurationError."""
    try:
        found = [path for path in (ADDRESS_FILE.expanduser(), DEFAULT_TOKEN_FILE.expanduser()) if path.exists()]
        for path in found:
            path.unlink()
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"the address and the token cannot be removed: {error}") from None
    return found


def _write(path: Path, line: str) -> None:
    """A new file in place of an old one, which others may be able to read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(line + "\n")


def _read_token(named: str | Path | None) -> str | None:
    if named is None:
        return _saved(DEFAULT_TOKEN_FILE, "token file")
    path = Path(named)
    if (token := _line_of(path, "token file")) is None:
        raise ConfigurationError(f"the token file {path} does not exist")
    if not token:
        raise ConfigurationError(f"the token file {path} is empty")
    return token


def _saved(path: Path, what: str) -> str | None:
    """As `_line_of`, and None if the user of this process has no home folder. Raises ConfigurationError."""
    try:
        path = path.expanduser()
    except RuntimeError:
        return None
    return _line_of(path, what)


def _line_of(path: Path, what: str) -> str | None:
    """What a small file says, or None if it does not exist. Raises ConfigurationError."""
    try:
        data = path.expanduser().read_bytes()
        # As a Windows shell writes it.
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig").strip()
    except FileNotFoundError:
        return None
    # RuntimeError: nobody has the name after `~`.
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"the {what} {path} cannot be read: {error}") from None


def _checked_token(token: str) -> str:
    token = pasted(token)
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("the token must be one word of printable ASCII")
    return token
