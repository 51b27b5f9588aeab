"""Why the jobs that a plan leaves have to wait: what stands in their way once everything is placed.

A reason follows from what a job needs, how long it may run and whose it is. So it is worked out once for each kind of
job, and only on request.
"""

from collections.abc import Mapping

from scheduler.planning.cluster import Ask, Cluster
from scheduler.planning.limits import wait_of
from scheduler.planning.terms import Needs, User, Wait, Waiting


class Reasons:
    """`started` are the jobs of each user that the plan starts; the lab is as the plan leaves it."""

    def __init__(self, cluster: Cluster, asks: Mapping[Needs, Ask], started: Mapping[User, int]) -> None:
        self._cluster = cluster
        self._asks = asks
        self._started = started
        self._rooms: dict[tuple[Ask, float], Wait] = {}
        self._limits: dict[tuple[User, bool], Wait | None] = {}

    def of(self, job: Waiting) -> Wait:
        """What can never be comes first, then the user's limits, then room."""
        ask = self._asks[job.needs]
        if ask.never is not None:
            return ask.never
        key = job.user, ask.count > 0
        if key not in self._limits:
            self._limits[key] = wait_of(job.user, self._started.get(job.user, 0), uses_gpu=ask.count > 0)
        return self._limits[key] or self._room(ask, job.time_limit_seconds)

    def _room(self, ask: Ask, seconds: float) -> Wait:
        found = self._rooms.get((ask, seconds))
        if found is None:
            found = self._rooms[ask, seconds] = self._cluster.obstacle(ask, seconds)
        return found
