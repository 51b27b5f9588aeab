"""What a submission is worth, and who said so. Pure.

Three sources give points: staff by hand, the hidden check, and a re-run within the tolerance. The first of them that
has points counts. The late policy deducts from the points of every source.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from api.assignments.comparison import compare
from api.assignments.late import Lateness, lateness
from api.sql.database import Row
from gpulab.schemas.assignments import CheckRead
from gpulab.schemas.assignments.grades import GradeRead, GradeSourceRead, RubricLineRead
from gpulab.states import FINAL_STATES, JobState

MAX_WORDS = 5000
OF_A_STUDENT = ("user_id", "user", "email", "section", "team", "job_id", "pinned_at", "due_at")


def max_points(assignment: Any) -> float | None:
    """The most that a submission can get: what staff set, or the most that the check or the re-run gives."""
    check = assignment.hidden_check
    given = (None if check is None else float(check["max_points"]), assignment.rerun_points)
    most = max((points for points in given if points is not None), default=None)
    return most if assignment.max_points is None else float(assignment.max_points)


def grade(row: Row, assignment: Row, *, for_staff: bool) -> GradeRead:
    """`row` is one of `api.grades.statements`."""
    sources = list(_sources(row, assignment))
    counting = next((one for one in sources if one.points is not None), None)
    points = None if counting is None else counting.points
    late = _lateness(row, assignment)
    return GradeRead(
        **{name: getattr(row, name) for name in OF_A_STUDENT},
        points=points,
        source=counting and counting.source,
        days_late=late.days,
        deduction=late.deduction,
        deduction_unit=late.unit,
        final_points=None if points is None else late.off(points),
        max_points=max_points(assignment),
        comment=row.grade_comment,
        rubric=rubric(row.grade_rubric),
        of_earlier_run=row.grade_at is not None and row.grade_job_id != row.job_id,
        sources=sources if for_staff else [],
    )


def rubric(lines: Any) -> list[RubricLineRead]:
    return [RubricLineRead(**line) for line in lines or []]


def is_given(found: GradeRead) -> bool:
    """Whether there is anything to show to its student."""
    return found.points is not None or found.comment is not None or bool(found.rubric)


def check_read(row: Row, assignment: Row, *, for_staff: bool) -> CheckRead | None:
    """How the check stands, for those who may see it."""
    if row.check_job_id is None or not (for_staff or assignment.points_released_at is not None):
        return None
    most = _check_points(assignment)
    state, points, words = check_verdict(row, most)
    job_id = row.check_job_id if for_staff else None
    return CheckRead(state=state, points=points, max_points=most, words=words, job_id=job_id)


def check_verdict(row: Row, most: float) -> tuple[str, float | None, str | None]:
    """The state of a check, its points, and what it says or why it failed."""
    state = JobState(row.check_state)
    if state not in FINAL_STATES:
        return "waiting", None, None
    if state is not JobState.SUCCEEDED:
        return "failed", None, row.check_message or state.value
    result: Mapping[str, Any] = row.check_result or {}
    points, words = result.get("points"), result.get("words")
    said = None if words is None else str(words)[:MAX_WORDS]
    if isinstance(points, int | float) and not isinstance(points, bool) and 0 <= points <= most:
        return "done", float(points), said
    return "failed", None, f"the check did not return points between 0 and {most:g}: {str(points)[:100]}"


def rerun_state(row: Row, tolerance: float) -> str | None:
    """`waiting`, `failed`, `same` or `different`; None where it was not run again."""
    if row.rerun_job_id is None:
        return None
    state = JobState(row.rerun_state)
    if state not in FINAL_STATES:
        return "waiting"
    if state is not JobState.SUCCEEDED:
        return "failed"
    differences, _ = compare(row.job_result, row.rerun_result, tolerance)
    return "different" if any(one.judged for one in differences) else "same"


def _sources(row: Row, assignment: Row) -> Iterator[GradeSourceRead]:
    """What each source says, those that win first."""
    if row.grade_at is not None:
        yield GradeSourceRead(
            source="hand",
            state="done",
            points=row.grade_points,
            comment=row.grade_comment,
            by=row.grader,
            at=row.grade_at,
            job_id=row.grade_job_id,
        )
    if row.check_job_id is not None:
        state, points, words = check_verdict(row, _check_points(assignment))
        yield GradeSourceRead(
            source="check",
            state=state,
            points=points,
            comment=words,
            by=row.check_owner,
            at=row.check_finished_at,
            job_id=row.check_job_id,
        )
    if (again := rerun_state(row, assignment.tolerance)) is not None:
        yield GradeSourceRead(
            source="rerun",
            state=again,
            points=_rerun_points(again, assignment.rerun_points),
            comment=None,
            by=row.rerun_owner,
            at=row.rerun_finished_at,
            job_id=row.rerun_job_id,
        )


def _rerun_points(state: str, given: float | None) -> float | None:
    if given is None or state not in {"same", "different"}:
        return None
    return given if state == "same" else 0.0


def _check_points(assignment: Row) -> float:
    check = assignment.hidden_check
    return 0.0 if check is None else float(check["max_points"])


def _lateness(row: Row, assignment: Row) -> Lateness:
    if row.pinned_at is None:
        return Lateness(0, 0.0, assignment.late_deduction_unit)
    return lateness(row.pinned_at, row.due_at, assignment)
