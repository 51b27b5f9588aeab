"""Where the lab is and who asks: arguments first, then the environment, then the token file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gpulab.errors import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TOKEN_FILE = Path("~/.config/gpulab/token")
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Connection:
    """An address and perhaps a token."""

    url: str
    token: str | None = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        accepted = {"Accept": "application/json, application/problem+json"}
        return accepted | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    @property
    def trusts_proxies(self) -> bool:
        """A proxy named in the environment is for the outside world, never for this machine."""
        return httpx.URL(self.url).host not in LOOPBACK_HOSTS


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
    address = _checked_url(url or environment.get("GPULAB_URL") or DEFAULT_URL)
    if token is None and token_file is None:
        token = environment.get("GPULAB_TOKEN") or None
    if token is None:
        token = _read_token(token_file or environment.get("GPULAB_TOKEN_FILE") or None)
    return Connection(address, _checked_token(token) if token else None)


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not a URL: {error}") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"the lab's address must look like {DEFAULT_URL}, not {url!r}")
    return str(parsed).rstrip("/")


def _read_token(named: str | Path | None) -> str | None:
    path = Path(named or DEFAULT_TOKEN_FILE).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        if named is None:
            return None
        raise ConfigurationError(f"the token file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the token file {path} cannot be read: {error}") from None


def _checked_token(token: str) -> str:
    token = token.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("the token must be one word of printable ASCII")
    return token
