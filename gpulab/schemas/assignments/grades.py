"""Grades on the wire: what a submission is worth, who said so, and how a table of corrections comes in."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from gpulab.schemas.base import Incoming, Line, Outgoing
from gpulab.schemas.users import AnId

MAX_POINTS = 1_000_000
MAX_RUBRIC_LINES = 50
MAX_COMMENT_LENGTH = 5000
Points = Annotated[float, Field(ge=0, le=MAX_POINTS, allow_inf_nan=False)]
Comment = Annotated[str, StringConstraints(min_length=1, max_length=MAX_COMMENT_LENGTH)]
DeductionUnit = Literal["percent", "points"]
GradeSource = Literal["hand", "check", "rerun"]
"""Who gives points: staff by hand, the hidden check, a re-run within the tolerance. The first that has some counts."""
GradeColumns = Literal["lab", "canvas", "moodle", "gradescope"]
"""Whose columns a table of grades has."""


class RubricLine(Incoming):
    """One line of a rubric; its points may be negative."""

    text: Line
    points: Annotated[float, Field(ge=-MAX_POINTS, le=MAX_POINTS, allow_inf_nan=False)]


class GradeOrder(Incoming):
    """A grade by hand, in the place of the one before. It wins over the hidden check and the re-run."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"points": 8.5, "comment": "The last plot has no axis labels."}]}
    )

    points: Points | None = None
    """Before the late deduction. Without points and rubric, those of the check or the re-run count."""
    comment: Comment | None = None
    rubric: Annotated[list[RubricLine], Field(max_length=MAX_RUBRIC_LINES)] = Field(default_factory=list)
    """Its sum is the points, which are left out then."""


class RubricLineRead(Outgoing):
    text: str
    points: float


class GradeSourceRead(Outgoing):
    """What one source says about the submission as it stands."""

    source: GradeSource
    state: Literal["waiting", "done", "failed", "same", "different"]
    """`same` and `different` are of a re-run."""
    points: float | None
    comment: str | None
    by: str | None
    """The name of the user who graded it, set the check, or ran it again."""
    at: datetime | None
    """Null until it is final."""
    job_id: UUID | None


class GradeRead(Outgoing):
    """What a student's work on an assignment is worth."""

    user_id: UUID
    user: str
    email: str | None
    section: str | None
    team: str | None
    job_id: UUID | None
    """The run that was handed in; null where nothing was."""
    pinned_at: datetime | None
    due_at: datetime
    """The student's deadline."""
    points: float | None
    """Before the late deduction; null where no source gives any."""
    source: GradeSource | None
    """Whose points they are."""
    days_late: int
    deduction: float
    """What the late days cost, in `deduction_unit`."""
    deduction_unit: DeductionUnit
    final_points: float | None
    """After the late deduction."""
    max_points: float | None
    comment: str | None
    rubric: list[RubricLineRead]
    of_earlier_run: bool
    """Whether the grade by hand is of a run that another one has replaced since."""
    sources: list[GradeSourceRead] = Field(default_factory=list)
    """What each source says. For staff."""


class GradePage(Outgoing):
    items: list[GradeRead]
    """Every student of the class who is not disabled, by name."""
    next_cursor: str | None


class GradeChangeRead(Outgoing):
    """A grade by hand as it was given, or taken back."""

    at: datetime
    by: str
    from_table: bool
    """Whether it came with a table of corrections."""
    removed: bool
    job_id: UUID | None
    points: float | None
    comment: str | None
    rubric: list[RubricLineRead]


class GradeDetail(GradeRead):
    history: list[GradeChangeRead]
    """Grades by hand, newest first."""


class GradesImport(Incoming):
    """A table of corrections. Nothing is written if a line is wrong."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"csv": "email,points,comment\nada@example.org,9,Well done\n"}]}
    )

    csv: Annotated[str, StringConstraints(min_length=1)] | None = None
    """A table with a heading: `email` or `name`, and `points` or `comment`; other columns are ignored, with a notice.

    An empty cell leaves what is there, and `-` empties a comment. Points are those before the late deduction.
    """
    file: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The bytes of the table's file in Base64, in the place of `csv`: UTF-8, UTF-16 or Windows-1252."""
    dry_run: bool = False
    """True only says what would change."""

    @model_validator(mode="after")
    def _one_table(self) -> "GradesImport":
        if (self.csv is None) == (self.file is None):
            raise ValueError("give the table as csv or as file")
        return self


class GradeRow(Outgoing):
    """What a line of the table does."""

    line: int
    user_id: UUID
    user: str
    email: str | None
    action: Literal["change", "keep"]
    points_before: float | None
    points_after: float | None
    comment_before: str | None
    comment_after: str | None


class GradesImported(Outgoing):
    dry_run: bool
    changed: int
    kept: int
    rows: list[GradeRow]
    notices: list[str] = Field(default_factory=list)


class RerunsOrder(Incoming):
    """Run submissions again, a part at a time: call again with `after` until `next_after` is null."""

    everyone: bool = False
    """True also runs again what has a re-run already; false those without one, or whose re-run failed."""
    after: AnId | None = None
    """The `next_after` of the answer before."""


class RerunsStarted(Outgoing):
    started: int
    remaining: int
    """Submissions that this call did not reach."""
    next_after: UUID | None
    stopped_by: str | None
    """Why it ended early, such as a full queue; the next call goes on."""


class RerunsRead(Outgoing):
    """How the re-runs of an assignment stand."""

    submissions: int
    missing: int
    """Those that were not run again."""
    waiting: int
    same: int
    different: int
    failed: int
