"""Jobs whose files wait, since the artifact store does not take them."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on

from gpulab.states import JobState
from models.composed import statement
from models.event import JobEvent
from models.job import Job

FILES_WAIT = "job.files_wait"
FILES_STORED = "job.files_stored"


@statement
def held_up() -> Select[*tuple[Any, ...]]:
    """Running jobs with files that wait: the event that says why. What was said last of a job's files counts."""
    said = (
        select(JobEvent.job_id, JobEvent.type, JobEvent.message)
        .join(Job, Job.id == JobEvent.job_id)
        .where(Job.state == JobState.RUNNING, JobEvent.type.in_([FILES_WAIT, FILES_STORED]))
        .ext(distinct_on(JobEvent.job_id))
        .order_by(JobEvent.job_id, JobEvent.id.desc())
        .subquery()
    )
    return select(said.c.job_id, said.c.message).where(said.c.type == FILES_WAIT)
