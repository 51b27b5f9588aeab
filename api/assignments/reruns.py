"""Runs a submission again and compares the two results."""

from uuid import UUID

from api.assignments import service, statements
from api.assignments.comparison import compare, differing_versions
from api.auth.principal import Principal
from api.context import App
from api.http.problems import SubmissionNotFound
from api.jobs import service as jobs
from gpulab.schemas import JobRead
from gpulab.schemas.assignments import ComparisonRead
from gpulab.states import FINAL_STATES, JobState

MAX_NAME_LENGTH = 200


async def rerun(app: App, principal: Principal, assignment_id: UUID, user_id: UUID) -> JobRead:
    """A job of the staff's own with the recorded spec and seed, linked to the one handed in by `retry_of`.

    Raises as `service.taught`, `SubmissionNotFound`.
    """
    await service.taught(app, principal, assignment_id, changing=True)
    pinned = await service.submission(app, principal, assignment_id, user_id)
    made = await jobs.retry(app, principal, pinned.job_id)
    await app.database.execute(
        statements.rerun,
        assignment_id=assignment_id,
        user_id=user_id,
        job_id=pinned.job_id,
        rerun_job_id=made.id,
    )
    return made


async def comparison(
    app: App, principal: Principal, assignment_id: UUID, user_id: UUID, tolerance: float | None
) -> ComparisonRead:
    """The re-run beside the run handed in. Raises `AssignmentNotFound`, `SubmissionNotFound`."""
    assignment = await service.taught(app, principal, assignment_id)
    submission = await service.submission(app, principal, assignment_id, user_id)
    if submission.rerun_job_id is None:
        raise SubmissionNotFound("the submission has not been run again yet")
    pinned = await jobs.get(app, principal, submission.job_id)
    again = await jobs.get(app, principal, submission.rerun_job_id)
    within = assignment.tolerance if tolerance is None else tolerance
    done = again.state is JobState.SUCCEEDED
    differences, judged = compare(pinned.result, again.result, within) if done else ([], 0)
    different = any(difference.judged for difference in differences)
    return ComparisonRead(
        pinned_job_id=pinned.id,
        again_job_id=again.id,
        again_state=again.state,
        verdict=("different" if different else "same")
        if done
        else ("failed" if again.state in FINAL_STATES else "waiting"),
        tolerance=within,
        seed=again.seed,
        compared=judged,
        differences=differences,
        versions=differing_versions(pinned.versions, again.versions) if again.state in FINAL_STATES else [],
    )
