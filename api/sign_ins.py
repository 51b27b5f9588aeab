"""Failed sign-ins: whoever keeps trying is told to wait, before the database is asked.

Tokens cannot be guessed; this keeps a broken script, or somebody who tries all the same, from loading the lab. Counted
by address and by the beginning of the token, in the memory of one process, at most `KEYS` of them. A token that was
good here lately is always looked up, so that nobody shuts out the others behind one address.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from api.problems import TooManySignIns
from api.tokens import SHOWN_CHARACTERS, digest_of

WINDOW_SECONDS = 60.0
KEYS = 10_000
ADDRESS_FACTOR = 10
"""A class may sit behind one address; each token is one person's."""


class SignIns:
    """`per_minute` failures with one beginning of a token are heard; `ADDRESS_FACTOR` times as many from an address."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures) + len(self._good)

    def check(self, address: str, token: str) -> None:
        """Raises `TooManySignIns` when this caller has to wait."""
        if digest_of(token) in self._good:
            return
        waits = [self._wait(_of_address(address), self._per_minute * ADDRESS_FACTOR)]
        waits.append(self._wait(_of_token(token), self._per_minute))
        if (seconds := max(waits)) > 0:
            raise TooManySignIns(
                "too many sign-ins failed; try again later, with a token that is good",
                headers={"Retry-After": str(math.ceil(seconds))},
            )

    def failed(self, address: str, token: str, *, known: bool) -> None:
        """Count it; one that was good once is held against the token alone."""
        self._good.pop(digest_of(token), None)
        self._count(_of_token(token))
        if not known:
            self._count(_of_address(address))

    def succeeded(self, digest: bytes) -> None:
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > KEYS:
            self._good.popitem(last=False)

    def _wait(self, key: str, most: int) -> float:
        started, count = self._failures.get(key, (0.0, 0))
        return started + WINDOW_SECONDS - self._clock() if count >= most else 0.0

    def _count(self, key: str) -> None:
        now = self._clock()
        started, count = self._failures.get(key, (now, 0))
        self._failures[key] = (now, 1) if now - started >= WINDOW_SECONDS else (started, count + 1)
        self._failures.move_to_end(key)
        if len(self._failures) > KEYS:
            self._failures.popitem(last=False)


def _of_token(token: str) -> str:
    return f"token {token[:SHOWN_CHARACTERS]}"


def _of_address(address: str) -> str:
    """The address; of IPv6 the network, of which one host has every address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address[:100]}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, 64), strict=False)}"
    return f"address {parsed}"
