"""What the scheduler tells waiting jobs, against a real database."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, select

from models import Job
from models.statements import queue

Execute = Callable[..., list[Any]]
TOO_MANY_FOR_PARAMETERS = 30_000


def told(execute: Execute, job_id: UUID) -> tuple[str | None, str | None, int]:
    row = execute(select(Job.wait_reason, Job.message, Job.version).where(Job.id == job_id))[0]
    return row["wait_reason"], row["message"], row["version"]


def test_reason_is_written_once_and_only_where_it_changed(execute: Execute, make_job: Callable[..., UUID]) -> None:
    first, second = make_job(), make_job()
    execute(queue.explain([(first, "no_node", "none is up")]))
    execute(queue.explain([(first, "no_node", "none is up"), (second, "no_gpu", "there is none")]))
    assert told(execute, first) == ("no_node", "none is up", 2)
    assert told(execute, second) == ("no_gpu", "there is none", 2)


def test_any_number_of_jobs_is_told_at_once(execute: Execute, engine: Engine, make_job: Callable[..., UUID]) -> None:
    job_id = make_job()
    others = [(uuid4(), "no_node", "none is up") for _ in range(TOO_MANY_FOR_PARAMETERS)]
    execute(queue.explain([*others, (job_id, "no_node", "none is up")]))
    assert told(execute, job_id)[0] == "no_node"
