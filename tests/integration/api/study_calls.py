"""What tests of studies over HTTP share: an order, and the calls that submit, read and finish its runs."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select

from gpulab.schemas import StudyRead
from gpulab.states import FailureCause, JobState
from models import StudyRun
from models.statements import leases
from tests.integration.api.seeds import NODE, Seeds

GRID = {"experiment": "dropout-linear", "base": {"method": "closed_form"}, "grid": {"dropout": [0.1, 0.5]}}
SEEDED = {**GRID, "seeds": [0, 1]}


async def submitted(client: httpx.AsyncClient, expected: int = 201, **order: object) -> StudyRead:
    answer = await client.post("/v1/studies", json=order or SEEDED)
    assert answer.status_code == expected, answer.text
    return StudyRead.model_validate_json(answer.content)


async def read(client: httpx.AsyncClient, study: StudyRead) -> StudyRead:
    return StudyRead.model_validate_json((await client.get(f"/v1/studies/{study.id}")).content)


def jobs_of(seeds: Seeds, study: StudyRead) -> list[UUID]:
    with seeds.engine.begin() as connection:
        found = select(StudyRun.job_id).where(StudyRun.study_id == study.id).order_by(StudyRun.position)
        return list(connection.execute(found).scalars())


def finish(seeds: Seeds, job_id: UUID, result: dict[str, Any] | None = None) -> None:
    """Run a job to its end, with this result or as failed."""
    seeds.run(job_id)
    state, cause = (JobState.SUCCEEDED, None) if result is not None else (JobState.FAILED, FailureCause.ERROR)
    message = "" if result is not None else "it broke"
    statement = leases.finish(
        seeds.tokens[job_id], state, actor=f"node:{NODE}", cause=cause, result=result, message=message
    )
    with seeds.engine.begin() as connection:
        connection.execute(statement).one()


def count(seeds: Seeds, table: Any) -> int:
    with seeds.engine.begin() as connection:
        found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found
