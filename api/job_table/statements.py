"""The table's SQL. Every name and value of a client is a bound parameter.

A value that jobs are sorted, filtered or grouped by is computed for at most `MAX_JOBS` jobs, the newest that the
filters of lists find; those filters have indexes. What is only shown is computed for the jobs of one page.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array

from api.job_table.fields import Condition, Field, Order
from api.job_table.values.statements import (
    SORTED_CHARACTERS,
    Position,
    bound,
    is_behind,
    is_met,
    sort_keys,
    statistics_of,
    text_of,
    value_of,
)
from api.jobs.listing.statements import conditions, is_called
from api.jobs.statements import SUMMARY
from models.composed import statement
from models.tables.job import Job
from models.tables.series import MetricChunk
from models.tables.user import User

MAX_JOBS = 20_000
MAX_GROUPS = 200
CURVE_CHUNKS = 32
CURVE_POINTS = 64
NEWEST_WITH_FIELDS = 1000
NEWEST_WITH_METRICS = 100
MAX_NAMES = 500

Filters = Mapping[str, Any]
"""As `conditions` takes them, and `text`."""


@statement(anew=True)
def page(
    filters: Filters,
    *,
    wanted: Sequence[Condition],
    orders: Sequence[Order],
    columns: Sequence[Field],
    held: Sequence[str],
    after: tuple[Position, UUID] | None,
    limit: int,
) -> Select[Any]:
    """Rows of the table. Each has `total` and `searched`; one without an `id` stands for an empty page.

    `held` are experiments whose answers the reader does not see: to them, such a field has no value.
    """
    matched, searched = _matched(filters, wanted, [order.field for order in orders], held)
    keys = [
        key
        for at, order in enumerate(orders)
        for key in sort_keys(matched.c[f"sort_{at}"], descending=order.descending)
    ]
    listed = select(matched.c.id, *(key.label(f"key_{at}") for at, (key, _) in enumerate(keys)))
    if after is not None:
        listed = listed.where(is_behind([*keys, (matched.c.id, True)], [*bound(after[0]), after[1]]))
    directed = [key.desc() if descends else key.asc() for key, descends in keys]
    of_page = listed.order_by(*directed, matched.c.id.desc()).limit(limit).subquery("of_page")
    shown = (value_of(one, held).label(f"value_{at}") for at, one in enumerate(columns))
    # Under separate names: `id` would occur twice otherwise.
    rows = (
        select(*SUMMARY, *shown, *(of_page.c[f"key_{at}"] for at in range(len(keys))))
        .join_from(of_page, Job, Job.id == of_page.c.id)
        .join(User, User.id == Job.owner_id)
        .subquery("found")
    )
    counts = select(
        select(func.count()).select_from(matched).scalar_subquery().label("total"),
        searched.label("searched"),
    ).subquery("counts")
    order = [
        rows.c[f"key_{at}"].desc() if descends else rows.c[f"key_{at}"].asc() for at, (_, descends) in enumerate(keys)
    ]
    return (
        select(counts.c.total, counts.c.searched, *rows.c)
        .select_from(counts.outerjoin(rows, true()))
        .order_by(*order, rows.c.id.desc())
    )


@statement(anew=True)
def groups(
    filters: Filters,
    *,
    wanted: Sequence[Condition],
    by: Sequence[Field],
    columns: Sequence[Field],
    order: Order | None,
    held: Sequence[str],
) -> Select[Any]:
    """For each combination of values of `by`: its jobs, and n, mean, sd, min and max of the numbers of each column.

    At most `MAX_GROUPS`, in the order of the means of a column, or of the values of `by`.
    """
    matched, searched = _matched(filters, wanted, [*by, *columns], held)
    values = [matched.c[f"sort_{at}"] for at in range(len(by) + len(columns))]
    keys, measured = values[: len(by)], values[len(by) :]
    statistics = [statistics_of(one, at) for at, one in enumerate(measured)]
    grouped = (
        select(
            *(key.label(f"by_{at}") for at, key in enumerate(keys)),
            func.count().label("runs"),
            *(one for each in statistics for one in each),
        )
        .group_by(*keys)
        .subquery("grouped")
    )
    directions = [key.asc() for at in range(len(by)) for key, _ in sort_keys(grouped.c[f"by_{at}"], descending=False)]
    if order is not None:
        mean = grouped.c[f"mean_{columns.index(order.field)}"]
        directions.insert(0, mean.desc().nulls_last() if order.descending else mean.asc().nulls_last())
    return (
        select(
            *grouped.c,
            func.count().over().label("groups"),
            func.sum(grouped.c.runs).over().cast(Integer).label("total"),
            searched.label("searched"),
        )
        .order_by(*directions)
        .limit(MAX_GROUPS)
    )


@statement(anew=True)
def names(filters: Filters) -> Select[Any]:
    """Fields of the newest jobs' specs and results, two levels deep: path, kinds, jobs, and how many values."""
    newest = _newest(filters, NEWEST_WITH_FIELDS)
    every = union_all(
        *(
            part
            for root, source in (("spec", Job.spec), ("result", Job.result))
            for part in _pairs(newest, root, source)
        )
    ).subquery("every")
    kind = func.jsonb_typeof(every.c.value)
    beginning = func.left(text_of(every.c.value), SORTED_CHARACTERS)
    return (
        select(
            every.c.root,
            every.c.path,
            func.array_agg(kind.distinct()).label("kinds"),
            func.count().label("runs"),
            func.count(beginning.distinct()).label("values"),
        )
        .where(kind.in_(["number", "string", "boolean"]))
        .group_by(every.c.root, every.c.path)
        .order_by(every.c.root.desc(), every.c.path)
        .limit(MAX_NAMES)
    )


def _pairs(newest: CTE, root: str, source: Any) -> tuple[Select[Any], Select[Any]]:
    """Path and value of each field of a JSON object, and of the fields of those that are objects themselves."""
    first = _each(source, "first")
    second = _each(first.c.value, "second")
    path = cast(array([first.c.key]), ARRAY(Text))
    rows = select(literal(root, Text).label("root")).select_from(newest).join(Job, Job.id == newest.c.id)
    return (
        rows.add_columns(path.label("path"), first.c.value.label("value")).join(first, true()),
        rows.add_columns(func.array_append(path, second.c.key).label("path"), second.c.value.label("value"))
        .join(first, true())
        .join(second, true()),
    )


def _each(source: Any, name: str) -> Any:
    is_object = func.jsonb_typeof(source) == "object"
    pairs = func.jsonb_each(case((is_object, source), else_=cast(literal("{}", Text), JSONB)))
    return pairs.table_valued(column("key", Text), column("value", JSONB), name=name).render_derived().lateral()


@statement(anew=True)
def metric_names(filters: Filters) -> Select[str, int]:
    """Names of what the newest jobs recorded, each with the number of those jobs."""
    newest = _newest(filters, NEWEST_WITH_METRICS)
    return (
        select(MetricChunk.name, func.count(MetricChunk.job_id.distinct()).label("runs"))
        .join(newest, newest.c.id == MetricChunk.job_id)
        .group_by(MetricChunk.name)
        .order_by(MetricChunk.name)
        .limit(MAX_NAMES)
    )


@statement(anew=True)
def curves(job_ids: Sequence[UUID], metrics: Sequence[str]) -> Any:
    """A sketch of each metric of each job: about `CURVE_POINTS` values, from `CURVE_CHUNKS` of its chunks at most."""
    return text(
        """
        WITH numbered AS (
            SELECT id, row_number() OVER of_one AS place, count(*) OVER (PARTITION BY job_id, name) AS chunks
            FROM metric_chunks WHERE job_id = ANY(:job_ids) AND name = ANY(:metrics)
            WINDOW of_one AS (PARTITION BY job_id, name ORDER BY id)
        ), picked AS (
            SELECT id, greatest(2, :points / least(chunks, :most)) AS points FROM numbered
            WHERE place IN (1, chunks) OR (place * :most / chunks) <> ((place - 1) * :most / chunks)
        ), sized AS (
            SELECT c.*, cardinality(c.values) AS length, least(cardinality(c.values), points) AS taken
            FROM picked JOIN metric_chunks c USING (id)
        )
        SELECT job_id, name, array_agg(values[1 + i * (length - 1) / greatest(taken - 1, 1)] ORDER BY id, i) AS points
        FROM sized, LATERAL generate_series(0, taken - 1) AS i GROUP BY job_id, name
        """
    ).bindparams(job_ids=list(job_ids), metrics=list(metrics), points=CURVE_POINTS, most=CURVE_CHUNKS)


def _narrowed(filters: Filters) -> list[ColumnElement[bool]]:
    """`filters` are those of `conditions`, and `text`."""
    given = dict(filters)
    words = given.pop("text", None)
    named = [] if words is None else [is_called(words)]
    return [*conditions(**given), *named]


def _newest(filters: Filters, limit: int) -> CTE:
    listed = select(Job.id).join(User, User.id == Job.owner_id).where(*_narrowed(filters))
    return listed.order_by(Job.id.desc()).limit(limit).cte("newest")


def _matched(
    filters: Filters, wanted: Sequence[Condition], sorted_by: Sequence[Field], held: Sequence[str]
) -> tuple[CTE, ColumnElement[int]]:
    """The jobs that meet all conditions, with the values of `sorted_by`, and how many jobs were looked at."""
    values = [value_of(one, held).label(f"sort_{at}") for at, one in enumerate(sorted_by)]
    asked = [value_of(one.field, held).label(f"where_{at}") for at, one in enumerate(wanted)]
    seen = (
        select(Job.id, *values, *asked)
        .join(User, User.id == Job.owner_id)
        .where(*_narrowed(filters))
        .order_by(Job.id.desc())
        .limit(MAX_JOBS)
        .cte("seen")
        .prefix_with("MATERIALIZED")
    )
    met = [is_met(seen.c[f"where_{at}"], one) for at, one in enumerate(wanted)]
    matched = select(seen.c.id, *(seen.c[one.key] for one in values)).where(*met)
    searched = select(func.count()).select_from(seen).scalar_subquery()
    return matched.cte("matched").prefix_with("MATERIALIZED"), searched
