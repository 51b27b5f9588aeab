"""`Client.users`: users, tokens, the class and its assignments."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from gpulab.client import own_data
from gpulab.client.students import Students
from gpulab.client.submission import plain
from gpulab.client.transport.http import PAGE_LIMIT, pages, path_of
from gpulab.schemas import (
    AuditEventRead,
    AuditPage,
    ErasureRead,
    JobRead,
    JobsDeleted,
    StudyRead,
    TokenCreated,
    TokenPage,
    TokenRead,
    UserCreated,
    UserPage,
    UserRead,
)
from gpulab.schemas.assignments import (
    AssignmentPage,
    AssignmentRead,
    ComparisonRead,
    ExtensionList,
    ExtensionRead,
    OverviewRead,
    StandingRead,
    SubmissionPage,
    SubmissionRead,
    WorkRead,
)
from gpulab.schemas.assignments.grades import (
    GradeDetail,
    GradePage,
    GradeRead,
    GradesImported,
    RerunsRead,
    RerunsStarted,
)
from gpulab.schemas.roster import RosterImported, RosterRead


class Users(Students):
    """Users, tokens, the class and its assignments. Most calls are for instructors and admins; others get Forbidden."""

    def search(
        self,
        *,
        role: str | None = None,
        section: str | None = None,
        team: str | None = None,
        text: str | None = None,
        course: UUID | str | None = None,
        limit: int | None = None,
    ) -> Iterator[UserRead]:
        """Users, newest first, at most `limit`; fetched page by page while you iterate. For staff."""
        filters = {"role": role, "section": section, "team": team, "text": text, "course": course}
        return self._http.items(UserPage, path_of("users"), limit, **filters)

    def get(self, user_id: UUID | str) -> UserRead:
        """One user. Raises NotFound."""
        return self._http.get(UserRead, path_of("users", user_id))

    def create_user(
        self,
        name: str,
        *,
        role: str | None = None,
        email: str | None = None,
        section: str | None = None,
        team: str | None = None,
        token_expires_at: datetime | date | str | None = None,
        course_id: UUID | str | None = None,
    ) -> UserCreated:
        """Add a user, to `course_id` if you teach several courses.

        `token` is their first token; it is never shown again.

        Raises Conflict if the name is taken.
        """
        fields = plain(name=name, role=role, email=email, section=section, team=team)
        body = {**fields, **plain(token_expires_at=token_expires_at, course_id=course_id)}
        return self._http.change(UserCreated, "POST", path_of("users"), body)

    def change_user(self, user_id: UUID | str, **changes: Any) -> UserRead:
        """Change `role`, `email`, `section`, `team`, `weight`, or the limits `max_running`, `max_queued`,
        `max_gpu_hours` and `max_gib_hours`; None removes a value. `forget_sign_in=True` forgets the account with which
        they sign in.
        """
        return self._http.change(UserRead, "PATCH", path_of("users", user_id), changes)

    def disable_user(self, user_id: UUID | str) -> UserRead:
        """Disable a user: their tokens and sessions stop working."""
        return self._http.change(UserRead, "POST", path_of("users", user_id, "disable"))

    def enable_user(self, user_id: UUID | str) -> UserRead:
        """Enable a user again."""
        return self._http.change(UserRead, "POST", path_of("users", user_id, "enable"))

    def tokens(self, user_id: UUID | str | None = None, *, limit: int | None = None) -> Iterator[TokenRead]:
        """Your tokens, or those of `user_id` if you are staff: names and first characters, never the tokens."""
        return self._http.items(TokenPage, path_of("tokens"), limit, user_id=user_id)

    def create_token(
        self, name: str, *, expires_at: datetime | date | str | None = None, user_id: UUID | str | None = None
    ) -> TokenCreated:
        """Create a token for you, or for a user you manage. `token` is never shown again."""
        body = plain(name=name, expires_at=expires_at, user_id=user_id)
        return self._http.change(TokenCreated, "POST", path_of("tokens"), body)

    def revoke_token(self, token_id: UUID | str) -> None:
        """End a token, and every session that was opened with it."""
        # Ending twice is ending once.
        self._http.send("DELETE", path_of("tokens", token_id))

    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        sign_ins: bool | None = None,
        since: datetime | date | str | None = None,
        until: datetime | date | str | None = None,
        limit: int | None = None,
    ) -> Iterator[AuditEventRead]:
        """Who did what, newest first. `sign_ins` chooses sign-ins alone, or all other events. For staff."""
        filters = plain(actor=actor, action=action, target=target, sign_ins=sign_ins, since=since, until=until)
        return self._http.items(AuditPage, path_of("audit"), limit, **filters)

    def roster(
        self, *, section: str | None = None, team: str | None = None, course: UUID | str | None = None
    ) -> RosterRead:
        """The class, by section, team and name. For staff."""
        return self._http.get(RosterRead, path_of("roster"), section=section, team=team, course=course)

    def import_roster(
        self, table: str | bytes, *, dry_run: bool = False, course_id: UUID | str | None = None
    ) -> RosterImported:
        """Add a class from a table (`name,email,section,team`), or only say what would change.

        A file's bytes are read as UTF-8, UTF-16 or Windows-1252. The answer's `notices` say how, and what was ignored.
        Raises InvalidRequest, whose `errors` name every wrong line.
        """
        body = {**_table(table), "dry_run": dry_run, **plain(course_id=course_id)}
        return self._http.change(RosterImported, "POST", path_of("roster"), body)

    def assignments(self, *, course: UUID | str | None = None, limit: int | None = None) -> Iterator[AssignmentRead]:
        """Assignments of your courses, newest first."""
        return self._http.items(AssignmentPage, path_of("assignments"), limit, course=course)

    def create_assignment(
        self,
        name: str,
        deadline: datetime | date | str,
        *,
        templates: Sequence[str] = (),
        experiments: Sequence[str] = (),
        description: str | None = None,
        tolerance: float | None = None,
        max_points: float | None = None,
        rerun_points: float | None = None,
        late_days: int | None = None,
        late_deduction: float | None = None,
        late_deduction_unit: str | None = None,
        answers_after_deadline: bool | None = None,
        course_id: UUID | str | None = None,
    ) -> AssignmentRead:
        """Create an assignment; templates or experiments say which runs belong to it. For staff.

        A date is the end of that day, and a time without an offset is in the lab's time zone. Late work is accepted for
        `late_days` (None sets no limit), and each day that has begun takes `late_deduction` off the points.
        """
        body = plain(
            name=name,
            deadline=deadline,
            templates=list(templates),
            experiments=list(experiments),
            description=description,
            tolerance=tolerance,
            max_points=max_points,
            rerun_points=rerun_points,
            late_days=late_days,
            late_deduction=late_deduction,
            late_deduction_unit=late_deduction_unit,
            answers_after_deadline=answers_after_deadline,
            course_id=course_id,
        )
        return self._http.change(AssignmentRead, "POST", path_of("assignments"), body)

    def change_assignment(self, assignment_id: UUID | str, **fields: Any) -> AssignmentRead:
        """Change fields of an assignment, as `PATCH /v1/assignments/{id}` takes them. For staff."""
        return self._http.change(AssignmentRead, "PATCH", path_of("assignments", assignment_id), fields)

    def extend(
        self,
        assignment_id: UUID | str,
        deadline: datetime | date | str,
        *,
        user_id: UUID | str | None = None,
        section: str | None = None,
        reason: str | None = None,
    ) -> ExtensionRead:
        """Give one user or one section a later deadline; a second one for the same replaces the first. For staff."""
        body = plain(deadline=deadline, user_id=user_id, section=section, reason=reason)
        return self._http.change(ExtensionRead, "POST", path_of("assignments", assignment_id, "extensions"), body)

    def extensions(self, assignment_id: UUID | str) -> list[ExtensionRead]:
        """The later deadlines of an assignment, newest first. For staff."""
        return self._http.get(ExtensionList, path_of("assignments", assignment_id, "extensions")).items

    def end_extension(self, assignment_id: UUID | str, extension_id: UUID | str) -> None:
        """Take a later deadline back. For staff."""
        self._http.send("DELETE", path_of("assignments", assignment_id, "extensions", extension_id))

    def check(self, assignment_id: UUID | str, user_id: UUID | str) -> SubmissionRead:
        """Run the hidden check of a student's submission again. For staff."""
        path = path_of("assignments", assignment_id, "submissions", user_id, "check")
        return self._http.change(SubmissionRead, "POST", path)

    def grades(self, assignment_id: UUID | str, *, limit: int | None = None) -> Iterator[GradeRead]:
        """The class by name, with the points, whose they are, and what each source says. For staff."""
        return self._http.items(GradePage, path_of("assignments", assignment_id, "grades"), limit)

    def grade_table(self, assignment_id: UUID | str, columns: str = "lab") -> str:
        """The grades as CSV: for a spreadsheet (`lab`), or in the columns of `canvas`, `moodle` or `gradescope`."""
        path = path_of("assignments", assignment_id, "grades.csv")
        return self._http.send("GET", path, query={"columns": columns}).content.decode()

    def own_grade(self, assignment_id: UUID | str) -> GradeRead:
        """Your grade. Raises NotFound until grades are released."""
        return self._http.get(GradeRead, path_of("assignments", assignment_id, "grade"))

    def grade(self, assignment_id: UUID | str, user_id: UUID | str) -> GradeDetail:
        """A student's grade, what each source says, and all grades by hand. For staff."""
        return self._http.get(GradeDetail, path_of("assignments", assignment_id, "grades", user_id))

    def give_grade(
        self,
        assignment_id: UUID | str,
        user_id: UUID | str,
        *,
        points: float | None = None,
        comment: str | None = None,
        rubric: Mapping[str, float] | None = None,
    ) -> GradeDetail:
        """Grade by hand, in the place of the one before. With a rubric, its sum is the points. For staff."""
        lines = [{"text": text, "points": value} for text, value in (rubric or {}).items()]
        body = {**plain(points=points, comment=comment), "rubric": lines}
        return self._http.change(GradeDetail, "PUT", path_of("assignments", assignment_id, "grades", user_id), body)

    def remove_grade(self, assignment_id: UUID | str, user_id: UUID | str) -> None:
        """Take the grade by hand back: the check or the re-run counts again. For staff."""
        self._http.send("DELETE", path_of("assignments", assignment_id, "grades", user_id))

    def import_grades(self, assignment_id: UUID | str, table: str | bytes, *, dry_run: bool = False) -> GradesImported:
        """Grades by hand from a table (`email,points,comment`), or only say what would change. For staff.

        Raises InvalidRequest, whose `errors` name every wrong line; then nothing has changed.
        """
        path = path_of("assignments", assignment_id, "grades", "import")
        return self._http.change(GradesImported, "POST", path, {**_table(table), "dry_run": dry_run})

    def run_all_again(self, assignment_id: UUID | str, *, everyone: bool = False) -> Iterator[RerunsStarted]:
        """Run submissions again: those without a good re-run, or `everyone`. One answer for each part. For staff."""
        path, after = path_of("assignments", assignment_id, "reruns"), None
        while True:
            body = {"everyone": everyone, "after": after}
            part = self._http.change(RerunsStarted, "POST", path, body)
            yield part
            if part.next_after is None or part.stopped_by is not None:
                return
            after = str(part.next_after)

    def reruns(self, assignment_id: UUID | str) -> RerunsRead:
        """How the re-runs of an assignment stand. For staff."""
        return self._http.get(RerunsRead, path_of("assignments", assignment_id, "reruns"))

    def overview(
        self,
        assignment_id: UUID | str,
        *,
        state: str | None = None,
        section: str | None = None,
        team: str | None = None,
        text: str | None = None,
    ) -> OverviewRead:
        """Where each student stands; those who are stuck come first. `text` is part of a name or address. For staff."""
        among = {"state": state, "section": section, "team": team, "text": text}

        def read(cursor: str | None) -> OverviewRead:
            path = path_of("assignments", assignment_id, "overview")
            return self._http.get(OverviewRead, path, **among, limit=PAGE_LIMIT, cursor=cursor)

        students: dict[UUID, StandingRead] = {}
        for page in pages(read):
            # A student whose state changes meanwhile may come twice.
            students |= {student.user_id: student for student in page.students}
        # The counts are the last page's.
        return page.model_copy(update={"students": list(students.values())})

    def assignment(self, assignment_id: UUID | str) -> AssignmentRead:
        """One assignment, with what you handed in. Raises NotFound."""
        return self._http.get(AssignmentRead, path_of("assignments", assignment_id))

    def work(self, assignment_id: UUID | str) -> WorkRead:
        """Your work on an assignment: which part has a run already, and which runs you can hand in."""
        return self._http.get(WorkRead, path_of("assignments", assignment_id, "work"))

    def pin(self, assignment_id: UUID | str, job_id: UUID | str) -> SubmissionRead:
        """Hand in a successful run of yours; it replaces an earlier one. Raises Conflict after the deadline."""
        path = path_of("assignments", assignment_id, "submission")
        return self._http.change(SubmissionRead, "POST", path, {"job_id": str(job_id)})

    def submission(self, assignment_id: UUID | str) -> SubmissionRead:
        """What you handed in. Raises NotFound."""
        return self._http.get(SubmissionRead, path_of("assignments", assignment_id, "submission"))

    def submissions(self, assignment_id: UUID | str, *, limit: int | None = None) -> Iterator[SubmissionRead]:
        """What the class handed in, by name. For staff."""
        return self._http.items(SubmissionPage, path_of("assignments", assignment_id, "submissions"), limit)

    def rerun(self, assignment_id: UUID | str, user_id: UUID | str) -> JobRead:
        """Run a student's submission again, with its spec and seed. For staff."""
        path = path_of("assignments", assignment_id, "submissions", user_id, "rerun")
        return self._http.change(JobRead, "POST", path)

    def comparison(
        self, assignment_id: UUID | str, user_id: UUID | str, *, tolerance: float | None = None
    ) -> ComparisonRead:
        """The re-run beside what was handed in. For staff."""
        path = path_of("assignments", assignment_id, "submissions", user_id, "comparison")
        return self._http.get(ComparisonRead, path, tolerance=tolerance)

    def export(
        self, user_id: UUID | str, to: str | Path, *, on_progress: Callable[[int], object] | None = None
    ) -> Path:
        """Write all that a user has into a zip: runs, metrics, files, programs, released grades. Yours, or for admins.

        `manifest.json` in it says what was left out. `on_progress` gets the bytes there are so far.
        """
        return own_data.export(self._http, user_id, Path(to), on_progress)

    def erase(self, user_id: UUID | str, mode: str, *, dry_run: bool = False) -> ErasureRead:
        """`anonymise` a user, or `delete` them with all that is theirs; it cannot be undone. For admins.

        With `dry_run` it only counts what it is about. The lab carries it out within minutes.
        """
        body = {"mode": mode, "dry_run": dry_run}
        return self._http.change(ErasureRead, "POST", path_of("users", user_id, "erase"), body)

    def delete_jobs(self, job_ids: Sequence[UUID | str]) -> JobsDeleted:
        """Delete runs that are over, with all they recorded. Those that stay are named with the reason."""
        return own_data.delete_runs(self._http, job_ids)

    def change_job(self, job_id: UUID | str, **changes: Any) -> JobRead:
        """Change `name`, `tags` or `note` of a job; None takes the name or the note away."""
        return self._http.change(JobRead, "PATCH", path_of("jobs", job_id), changes)

    def share_job(self, job_id: UUID | str, audience: str | None) -> JobRead:
        """Let `team` or `class` read a job; None makes it private again."""
        return self._http.change(JobRead, "POST", path_of("jobs", job_id, "share"), {"audience": audience})

    def share_study(self, study_id: UUID | str, audience: str | None) -> StudyRead:
        """Let `team` or `class` read a study and its runs; None makes it private again."""
        return self._http.change(StudyRead, "POST", path_of("studies", study_id, "share"), {"audience": audience})


def _table(table: str | bytes) -> dict[str, str]:
    return {"csv": table} if isinstance(table, str) else {"file": b64encode(table).decode("ascii")}
