"""The reasons that the scheduler gives waiting jobs, against a real database."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, select

from gpulab.states import WaitReason
from models import Job
from models.statements import queue

Execute = Callable[..., list[Any]]
TOO_MANY_FOR_PARAMETERS = 30_000


def explained(execute: Execute, job_id: UUID) -> tuple[str | None, str | None, int]:
    row = execute(select(Job.wait_reason, Job.message, Job.version).where(Job.id == job_id))[0]
    return row["wait_reason"], row["message"], row["version"]


def test_reason_is_written_once_and_only_where_it_changed(execute: Execute, make_job: Callable[..., UUID]) -> None:
    first, second = make_job(), make_job()
    execute(queue.explain([(first, WaitReason.NO_NODE, "none is up")]))
    execute(queue.explain([(first, WaitReason.NO_NODE, "none is up"), (second, WaitReason.NO_GPU, "there is none")]))
    assert explained(execute, first) == (WaitReason.NO_NODE, "none is up", 2)
    assert explained(execute, second) == (WaitReason.NO_GPU, "there is none", 2)


def test_many_jobs_are_explained_in_one_statement(
    execute: Execute, engine: Engine, make_job: Callable[..., UUID]
) -> None:
    job_id = make_job()
    others = [(uuid4(), WaitReason.NO_NODE, "none is up") for _ in range(TOO_MANY_FOR_PARAMETERS)]
    execute(queue.explain([*others, (job_id, WaitReason.NO_NODE, "none is up")]))
    assert explained(execute, job_id)[0] == WaitReason.NO_NODE
