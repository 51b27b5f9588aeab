"""Whose jobs are which, remembered: the owner of a job never changes."""

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from api.database import Database
from models.statements import jobs

KNOWN_OWNERS = 20_000


class Owners:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[UUID, UUID] = OrderedDict()

    async def of(self, job_ids: Iterable[UUID]) -> dict[UUID, UUID]:
        asked = set(job_ids)
        unknown = asked - self._known.keys()
        if unknown:
            rows = await self._database.rows(jobs.owners, job_ids=list(unknown))
            self._known.update((row.id, row.owner_id) for row in rows)
        found = {job_id: self._known[job_id] for job_id in asked if job_id in self._known}
        while len(self._known) > KNOWN_OWNERS:
            self._known.popitem(last=False)
        return found
