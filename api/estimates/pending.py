"""How many questions about memory a user has without an answer: each takes a worker's time from those of others."""

from collections import defaultdict
from uuid import UUID

from api.http.problems import TooManyEstimates
from api.sql.database import Database
from models.statements.memory import estimates
from models.tables.estimate import PENDING

RETRY_AFTER_SECONDS = 2


class PendingEstimates:
    """Of one API process."""

    def __init__(self, database: Database, *, of_user: int) -> None:
        self._database = database
        self._of_user = of_user
        self._asked: defaultdict[UUID, set[UUID]] = defaultdict(set)
        """Of each user, those that had no answer when last looked at."""

    async def note(self, user_id: UUID, estimate_id: UUID) -> None:
        """The user asks. Raises `TooManyEstimates`."""
        asked = self._asked[user_id]
        if len(asked | {estimate_id}) > self._of_user:
            rows = await self._database.rows(estimates.known, estimate_ids=list(asked))
            asked.intersection_update({row.id for row in rows if row.state == PENDING})
        if len(asked | {estimate_id}) > self._of_user:
            raise TooManyEstimates(
                f"{len(asked)} of your estimates have no answer yet, which is the limit; wait until some are answered",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        asked.add(estimate_id)
