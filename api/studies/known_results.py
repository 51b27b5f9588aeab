"""The numbers of finished runs, remembered: a final job does not change, and its result may be far larger."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from api.limits.turns import HeavyWork
from api.sql.database import Database, Row
from api.studies import statements
from experiments.studies.outcome import RunOutcome
from experiments.studies.report_job import numbers_alone

KNOWN_RESULTS = 20_000
BATCH_SIZE = 50
"""Whole results in memory at a time."""


class KnownResults:
    def __init__(self, database: Database, heavy: HeavyWork) -> None:
        self._database = database
        self._heavy = heavy
        self._known: OrderedDict[UUID, dict[str, Any] | None] = OrderedDict()

    async def of(self, runs: Sequence[tuple[UUID, RunOutcome]]) -> list[RunOutcome]:
        """The outcomes with their results' numbers; `runs` are jobs and what became of them."""
        # Taken out first: meanwhile another reader may make room.
        known = {job_id: self._known[job_id] for job_id, _ in runs if job_id in self._known}
        unknown = [(job_id, run) for job_id, run in runs if run.state == "succeeded" and job_id not in known]
        for start in range(0, len(unknown), BATCH_SIZE):
            known |= await self._learn(dict(unknown[start : start + BATCH_SIZE]))
        found = await self._heavy.run(_with_results, runs, known)
        while len(self._known) > KNOWN_RESULTS:
            self._known.popitem(last=False)
        return found

    async def _learn(self, runs: dict[UUID, RunOutcome]) -> dict[UUID, dict[str, Any] | None]:
        rows = await self._database.rows(statements.results, job_ids=list(runs))
        learned = await self._heavy.run(_numbers, runs, rows)
        self._known.update(learned)
        return learned


def _numbers(runs: dict[UUID, RunOutcome], rows: Sequence[Row]) -> dict[UUID, dict[str, Any] | None]:
    return {row.id: numbers_alone(runs[row.id].model_copy(update={"result": row.result})).result for row in rows}


def _with_results(
    runs: Sequence[tuple[UUID, RunOutcome]], known: dict[UUID, dict[str, Any] | None]
) -> list[RunOutcome]:
    return [run.model_copy(update={"result": known.get(job_id)}) for job_id, run in runs]
