"""The roster on the wire."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from gpulab.schemas.base import Incoming, Outgoing
from gpulab.schemas.users import AnId, UserRead

MAX_ROSTER_ROWS = 5000


class RosterImport(Incoming):
    """A class to let in, or to bring up to date."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"csv": "name,email,section,team\nSam,sam@example.org,A,red\n"}]}
    )

    csv: Annotated[str, StringConstraints(min_length=1)] | None = None
    """A table with a heading: `name`, `email`, and if you like `section` and `team`.

    Exports of Canvas' gradebook, Moodle, Gradescope and GitHub Classroom are read as they are; other columns are
    ignored, with a notice. The address says who it is: one that the lab knows is that user, whose other fields take
    the table's values.
    """
    file: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The bytes of the table's file in Base64, in the place of `csv`: UTF-8, UTF-16 or Windows-1252."""
    course_id: AnId | None = None
    """The course that they join; null: the only open one that you teach."""
    dry_run: bool = False
    """True only says what would change."""

    @model_validator(mode="after")
    def _one_table(self) -> "RosterImport":
        if (self.csv is None) == (self.file is None):
            raise ValueError("give the table as csv or as file")
        return self


class RosterChange(Outgoing):
    """One field of one user."""

    field: str
    before: str | None
    after: str | None


class RosterRow(Outgoing):
    """What a line of the table does."""

    line: int
    email: str
    name: str
    action: Literal["create", "change", "keep"]
    changes: list[RosterChange]


class RosterImported(Outgoing):
    dry_run: bool
    created: int
    changed: int
    kept: int
    rows: list[RosterRow]
    missing: list[str]
    """Names of students who are not in the table, namesakes with their addresses; nothing happens to them."""
    notices: list[str] = Field(default_factory=list)
    """How the table was read: its encoding unless that is UTF-8, columns that were ignored, lines that were skipped."""
    tokens_csv: str | None
    """`name,email,token` of everybody who was let in: shown here and never again. Null where there is nobody.

    With names beyond ASCII it begins with a byte order mark, by which spreadsheets know UTF-8.
    """


class GroupRead(Outgoing):
    section: str | None
    team: str | None
    students: list[UUID]


class RosterRead(Outgoing):
    """The class: every student who is let in, by section, team and name."""

    users: list[UserRead]
    groups: list[GroupRead]
    """Each section's teams; null stands for none."""
