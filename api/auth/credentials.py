"""Who holds which token or session: looked up once, and remembered for as long as every change of it would be heard.

Any change of a user, a token or a session notifies (a trigger of its table sees to that), and then all is forgotten.
Where the connection that listens is down, or did not prove lately that it hears, every request asks the database.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from api.limits.shared_answer import SharedAnswer
from api.live.hub import Hub
from api.sql.database import Database, Row
from api.users import statements as users
from models.composed import Statement

KNOWN = 10_000
GOOD_SECONDS = 1.0
"""How old the list of all good credentials may be."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What was shown: the SHA-256 of a token or of a session's cookie."""

    digest: bytes
    of_session: bool

    @property
    def statement(self) -> Statement[...]:
        return users.sessions if self.of_session else users.bearers


async def good_ones(database: Database, credentials: Iterable[Credential]) -> dict[Credential, Row]:
    """The rows of those that are good, as the database has them now."""
    asked = set(credentials)
    found: dict[Credential, Row] = {}
    for of_session in (False, True):
        kind = {credential.digest: credential for credential in asked if credential.of_session is of_session}
        if kind:
            statement = next(iter(kind.values())).statement
            rows = await database.rows(statement, digests=list(kind))
            found |= {kind[row.digest]: row for row in rows if row.good}
    return found


class Credentials:
    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub
        self._known: dict[Credential, tuple[Row, float]] = {}
        """Each good one's row, and until when it is good by the clock of this process."""
        self._users_version = -1
        self._good: SharedAnswer[frozenset[bytes]] = SharedAnswer(GOOD_SECONDS)

    async def row(self, credential: Credential) -> Row | None:
        """Its owner, and whether it is `good`; None for one that was never made, or for a session that is over."""
        found = self._remembered(credential)
        return found if found is not None else await self._look_up(credential)

    def remembers(self, credential: Credential) -> bool:
        """Whether it is known to be good without a look into the database."""
        return self._remembered(credential) is not None

    async def was_good(self, credential: Credential) -> bool:
        """Whether it was good a moment ago. The database is asked once for that, however many ask."""
        return credential.digest in await self._good.get(self._all_good)

    async def _all_good(self) -> frozenset[bytes]:
        return frozenset(await self._database.scalar(users.good_digests))

    def _remembered(self, credential: Credential) -> Row | None:
        if not self._hub.hears_all:
            return None
        if self._users_version != self._hub.users_version:
            self._known.clear()
            self._users_version = self._hub.users_version
        row, good_until = self._known.get(credential, (None, 0.0))
        return row if time.monotonic() < good_until else None

    async def _look_up(self, credential: Credential) -> Row | None:
        # Before the question: an answer that a change overtook is not kept.
        asked_at, version = time.monotonic(), self._hub.users_version
        row = await self._database.row_after_reconnecting(credential.statement, digests=[credential.digest])
        if row is not None and row.good and version == self._users_version == self._hub.users_version:
            if len(self._known) >= KNOWN:
                self._known.clear()
            left_seconds = float("inf") if row.left_seconds is None else row.left_seconds
            self._known[credential] = (row, asked_at + left_seconds)
        return row
