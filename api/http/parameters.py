"""Parameters that several routes share."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Query

from gpulab.schemas.base import Line

JobId = Annotated[UUID, Path(description="The job's id.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next_cursor` of the previous page, with the same filters.")
]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of one page.")]
MaxPoints = Annotated[
    int | None,
    Query(
        ge=2,
        le=1_000_000,
        description="Reduce each series to at most this many points. The ends and the extremes are kept.",
    ),
]
Shared = Annotated[bool, Query(description="Only what others shared with your team or with the class.")]
LastEventId = Annotated[
    int | None, Header(alias="Last-Event-ID", ge=0, lt=2**63, description="Id of the last event that you received.")
]
Words = Annotated[Line | None, Query()]
OfCourse = Annotated[UUID | None, Query(description="Only of this course, by its id.")]
