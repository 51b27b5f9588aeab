"""The students of an assignment, all at once: a wall of tiles, and what staff do for many of them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from gpulab.schemas.assignments import StandingState, Text
from gpulab.schemas.base import Incoming, Outgoing
from gpulab.schemas.notifications import BannerText
from gpulab.schemas.users import AnId, Time

MAX_STUDENTS = 1000
MAX_CHECKED_STUDENTS = 25

Students = Annotated[list[AnId], Field(min_length=1, max_length=MAX_STUDENTS)]


class TileRead(Outgoing):
    """One student on the wall."""

    user_id: UUID
    name: str
    section: str | None
    team: str | None
    state: StandingState
    runs: int
    """Since the assignment was created."""
    succeeded: int
    unfinished: int


class WallRead(Outgoing):
    """Where each student stands, in short."""

    states: dict[str, int]
    """How many students are in each state, of all who match section, team and text."""
    students: list[TileRead]
    """Those first who are stuck, then by name; at most 2,000."""


class StudentsOrder(Incoming):
    user_ids: Students


class StudentsExtend(StudentsOrder):
    """A later deadline for each of these students. Who has an even later one keeps it."""

    deadline: Time
    """Later than the assignment's own."""
    reason: Text | None = None
    """For staff alone."""


class StudentsMessage(StudentsOrder):
    """A text on top of every page of these students, until it ends or they dismiss it."""

    text: BannerText
    ends_at: Time


class StudentsCheck(Incoming):
    user_ids: Annotated[list[AnId], Field(min_length=1, max_length=MAX_CHECKED_STUDENTS)]


class NotDone(Outgoing):
    """A student for whom nothing was done."""

    user_id: UUID
    user: str | None
    """Null where no student has the id."""
    reason: str


class StudentsDone(Outgoing):
    """What became of an action on many students."""

    done: int
    """Students for whom it was done."""
    runs: int
    """Runs that were cancelled, or checks that were queued."""
    not_done: list[NotDone]
