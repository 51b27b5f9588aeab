"""Where the lab is and who asks: arguments first, then the environment, then the token file."""

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gpulab.addresses import PAGES
from gpulab.errors import ConfigurationError
from gpulab.proxies import is_loopback
from gpulab.version import CLIENT_HEADER, VERSION

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TOKEN_FILE = Path("~/.config/gpulab/token")
QUOTES = "'\"<>\u2018\u2019\u201c\u201d\u200b\ufeff"
"""What surrounds an address or a token that was copied from a page, a letter or a table."""
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
    """`GPULAB_URL`, `GPULAB_TOKEN` and `GPULAB_TOKEN_FILE` fill in what is not given.

    Raises ConfigurationError for an URL that is not http(s), a named token file that cannot be read, or a token that is
    not one line of printable ASCII.
    """
    address = lab_address(url or environment.get("GPULAB_URL") or DEFAULT_URL)
    if token is None and token_file is None:
        token = environment.get("GPULAB_TOKEN") or None
    if token is None:
        token = _read_token(token_file or environment.get("GPULAB_TOKEN_FILE") or None)
    return Connection(address, _checked_token(token) if token else None)


def lab_address(url: str) -> str:
    """The lab's address out of what people paste: an address of its pages, with blanks or quotes around it.

    Raises ConfigurationError.
    """
    given = url.strip().strip(QUOTES).strip()
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


def _read_token(named: str | Path | None) -> str | None:
    path = Path(named or DEFAULT_TOKEN_FILE)
    try:
        path = path.expanduser()
        data = path.read_bytes()
        # As a Windows shell writes it.
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        token = data.decode("utf-16" if wide else "utf-8-sig").strip()
    except FileNotFoundError:
        if named is None:
            return None
        raise ConfigurationError(f"the token file {path} does not exist") from None
    # RuntimeError: the user of this process has no home folder.
    except (OSError, ValueError, RuntimeError) as error:
        if named is None and isinstance(error, RuntimeError):
            return None
        raise ConfigurationError(f"the token file {path} cannot be read: {error}") from None
    if not token and named is not None:
        raise ConfigurationError(f"the token file {path} is empty")
    return token


def _checked_token(token: str) -> str:
    token = token.strip().strip(QUOTES).strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("the token must be one word of printable ASCII")
    return token
