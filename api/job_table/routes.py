"""The table of jobs."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.auth.principal import ThePrincipal
from api.context import TheApp
from api.http.openapi import problems
from api.http.parameters import Limit, OfCourse, Shared, Words
from api.http.problems import Busy, InvalidCursor, InvalidRequest
from api.http.rendering import readable
from api.http.routing import LabRoute
from api.job_table import fields, service
from api.jobs.listing.service import JobFilters
from gpulab.schemas import FieldsRead, JobGroupsRead, JobTableRead
from gpulab.schemas.base import Tag
from gpulab.states import JobState

router = APIRouter(prefix="/v1/job-table", tags=["jobs"], route_class=LabRoute)

MAX_COLUMNS = 30
MAX_ORDERS = 3
MAX_CONDITIONS = 10
MAX_GROUPED_BY = 3

Texts = Sequence[str]
Columns = Annotated[
    list[str],
    Query(
        max_length=MAX_COLUMNS,
        description="`spec.FIELD`, `result.FIELD`, `metric.NAME` (its last value; also `.min`, `.max` and `.curve`), "
        "or a field of the job such as `seconds`. Put a part with a dot or a space in quotes.",
    ),
]
Sort = Annotated[
    list[str],
    Query(
        max_length=MAX_ORDERS,
        description="Columns to sort by, `-` before one that descends. Runs without a value come last. Default: newest "
        "first.",
    ),
]
Where = Annotated[
    list[str],
    Query(
        max_length=MAX_CONDITIONS,
        description="Conditions such as `spec.lr>=0.01`, `spec.model=mlp`, `result.loss!=null` or `name~test`. "
        "Operators: `= != < <= > >=`, and `~` for a part of a text. Numbers compare with numbers, texts with texts.",
    ),
]
By = Annotated[list[str], Query(min_length=1, max_length=MAX_GROUPED_BY, description="Columns to group by.")]
Place = Annotated[
    str | None, Query(max_length=4000, description="`next_cursor` of the previous page, with the same filters.")
]


def job_filters(
    state: Annotated[list[JobState] | None, Query(max_length=20, description="May be repeated.")] = None,
    experiment: Words = None,
    owner: Annotated[Words, Query(description="Name, e-mail address or id of a user.")] = None,
    tag: Annotated[Tag | None, Query()] = None,
    text: Annotated[Words, Query(description="Part of the name, the experiment or the note.")] = None,
    study: Annotated[UUID | None, Query(description="Runs of this study, reused ones too.")] = None,
    assignment: Annotated[UUID | None, Query(description="Runs handed in for this assignment.")] = None,
    work_on: Annotated[UUID | None, Query(description="Runs that count for this assignment.")] = None,
    earlier: Annotated[
        bool, Query(description="With `work_on`: runs from before the assignment, in place of those since.")
    ] = False,
    course: OfCourse = None,
    shared: Shared = False,
) -> JobFilters:
    return JobFilters(
        tuple(state or ()), experiment, owner, tag, text, study, shared, assignment, work_on, earlier, course
    )


Filters = Annotated[JobFilters, Depends(job_filters)]


@router.get(
    "",
    operation_id="get_job_table",
    response_model=JobTableRead,
    responses=problems(InvalidRequest, InvalidCursor, Busy),
)
async def get_job_table(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    filters: Filters,
    columns: Columns = [],  # noqa: B006 - FastAPI copies it
    sort: Sort = [],  # noqa: B006
    where: Where = [],  # noqa: B006
    cursor: Place = None,
    limit: Limit = 50,
) -> Response:
    """Jobs with columns of any parameter, result or metric, sorted and narrowed by any of them.

    Sorts and conditions look at the newest 20,000 jobs that the other filters find. Students see their own jobs, or
    those shared with them.
    """
    question = service.Question(
        filters, fields.fields(columns, "query.columns"), fields.conditions(where), fields.orders(sort)
    )
    return readable(request, await service.page(app, principal, question, cursor, limit))


@router.get(
    "/groups", operation_id="get_job_groups", response_model=JobGroupsRead, responses=problems(InvalidRequest, Busy)
)
async def get_job_groups(
    request: Request,
    app: TheApp,
    principal: ThePrincipal,
    filters: Filters,
    by: By,
    columns: Columns = [],  # noqa: B006
    sort: Annotated[list[str], Query(max_length=1, description="One of the columns: its mean.")] = [],  # noqa: B006
    where: Where = [],  # noqa: B006
) -> Response:
    """Jobs grouped by any columns, with count, mean, standard deviation, minimum and maximum of others."""
    single = fields.singles(columns, "query.columns")
    question = service.Question(filters, single, fields.conditions(where), fields.orders(sort))
    return readable(request, await service.groups(app, principal, question, fields.singles(by, "query.by")))


@router.get(
    "/fields", operation_id="list_job_fields", response_model=FieldsRead, responses=problems(InvalidRequest, Busy)
)
async def list_job_fields(request: Request, app: TheApp, principal: ThePrincipal, filters: Filters) -> Response:
    """The parameters and results of the newest 1,000 jobs, and the metrics of the newest 100, as columns."""
    return readable(request, await service.columns(app, principal, filters))
