"""Limits of failed sign-ins. A client that keeps trying has to wait, and the database is not asked.

Tokens cannot be guessed. This keeps a broken script or an attacker from loading the lab with attempts. Counted
by address and by the beginning of the token. A good token is let in all the same (`api.auth.principal`), so that nobody
shuts out the others behind one address.
"""

import ipaddress
import math

from api.auth.token_secrets import SHOWN_CHARACTERS
from api.http.problems import TooManySignIns
from api.limits.buckets import Buckets

ADDRESS_FACTOR = 10
"""A class may sit behind one address; each token is one user's."""


class SignIns:
    """Failures with one beginning of a token fill one bucket, those from an address another, a larger one."""

    def __init__(self, by_token: Buckets, by_address: Buckets) -> None:
        self._by_token = by_token
        self._by_address = by_address

    def __len__(self) -> int:
        return len(self._by_token) + len(self._by_address)

    def check(self, address: str, token: str) -> None:
        """Raises `TooManySignIns` when this caller has to wait."""
        of_address = self._by_address.wait_seconds(network_of(address))
        if (seconds := max(of_address, self._by_token.wait_seconds(token[:SHOWN_CHARACTERS]))) > 0:
            raise TooManySignIns(
                "too many sign-ins failed; try again later with a valid token",
                headers={"Retry-After": str(math.ceil(seconds))},
            )

    def failed(self, address: str, token: str, *, known: bool) -> None:
        """Count it; one that was good once is held against the token alone."""
        self._by_token.take(token[:SHOWN_CHARACTERS])
        if not known:
            self._by_address.take(network_of(address))


def network_of(address: str) -> str:
    """The address; of IPv6 the network, of which one host has every address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    return str(ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed)
