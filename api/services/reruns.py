"""Running again what somebody handed in, and holding the two results together."""

from uuid import UUID

from api.auth import Principal
from api.context import Lab
from api.problems import SubmissionNotFound
from api.services import assignments, jobs
from api.services.comparison import compare, differing_versions
from gpulab.schemas import JobRead
from gpulab.schemas.assignments import ComparisonRead
from gpulab.states import FINAL_STATES, JobState
from models.statements import assignments as statements

LONGEST_NAME = 200


async def rerun(lab: Lab, principal: Principal, assignment_id: UUID, user_id: UUID) -> JobRead:
    """A job of the staff's own with the recorded spec and seed, linked to the one handed in by `retry_of`.

    Raises `AssignmentNotFound`, `SubmissionNotFound`.
    """
    pinned = await assignments.submission(lab, assignment_id, user_id)
    made = await jobs.retry(lab, principal, pinned.job_id)
    await lab.database.execute(statements.rerun(assignment_id, user_id, pinned.job_id, made.id))
    return made


async def comparison(
    lab: Lab, principal: Principal, assignment_id: UUID, user_id: UUID, tolerance: float | None
) -> ComparisonRead:
    """The re-run beside the run handed in. Raises `AssignmentNotFound`, `SubmissionNotFound`."""
    assignment = await assignments.get(lab, assignment_id)
    submission = await assignments.submission(lab, assignment_id, user_id)
    if submission.rerun_job_id is None:
        raise SubmissionNotFound("what was handed in has not been run again yet")
    pinned = await jobs.get(lab, principal, submission.job_id)
    again = await jobs.get(lab, principal, submission.rerun_job_id)
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
