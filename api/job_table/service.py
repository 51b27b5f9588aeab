"""The table of jobs: pages, groups, and the columns that there are."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.answers import service as answers
from api.auth.principal import Principal
from api.context import App
from api.experiments import service as catalogue
from api.http.cursors import decode_name, encode, invalid_cursor
from api.http.problems import InvalidRequest
from api.job_table import fields, statements
from api.job_table.fields import AGGREGATES, CURVE, METRIC, PLAIN, Condition, Field, Order
from api.jobs.listing import service as listing
from api.jobs.service import summary_of
from api.sql.database import Row, TookTooLongError
from gpulab.schemas import FieldRead, FieldsRead, FieldStatistics, JobGroup, JobGroupsRead, JobRow, JobTableRead
from models.composed import Statement

MAX_SECONDS = 10
"""A statement of the table that takes longer is ended."""
WAIT_SECONDS = 30.0
"""How long a reader waits while others' tables are read."""
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What of the table is asked for."""

    filters: listing.JobFilters
    columns: Sequence[Field]
    wanted: Sequence[Condition]
    orders: Sequence[Order] = ()

    def as_mapping(self) -> dict[str, Any]:
        """What every page of one list has in common."""
        orders = [[order.field.text, order.descending] for order in self.orders]
        wanted = [[one.field.text, one.operator, one.value] for one in self.wanted]
        return {**self.filters.as_mapping(), "orders": orders, "wanted": wanted}


async def page(app: App, principal: Principal, question: Question, cursor: str | None, limit: int) -> JobTableRead:
    """One page. Students see their own jobs. Raises `InvalidCursor`, `InvalidRequest`."""
    mapping = question.as_mapping()
    after = None if cursor is None else _position(cursor, mapping, len(question.orders))
    columns = [one.text for one in question.columns]
    listed = await _listed(app, principal, question.filters)
    if listed is None:
        return JobTableRead(columns=columns, items=[], total=0, searched=0, complete=True, next_cursor=None)
    held = await _held(app, principal)
    found = await _read(
        app,
        statements.page,
        filters=listed,
        wanted=question.wanted,
        orders=question.orders,
        columns=[one for one in question.columns if one.aggregate != CURVE],
        held=held,
        after=after,
        limit=limit + 1,
    )
    rows = [row for row in found if row.id is not None]
    curves = await _curves(app, rows[:limit], question.columns, held)
    more = len(rows) > limit
    return JobTableRead(
        columns=columns,
        items=[_row(row, question.columns, curves) for row in rows[:limit]],
        total=found[0].total,
        searched=found[0].searched,
        complete=found[0].searched < statements.MAX_JOBS,
        next_cursor=encode("job-table", mapping, _place(rows[limit - 1], len(question.orders))) if more else None,
    )


async def groups(app: App, principal: Principal, question: Question, by: Sequence[Field]) -> JobGroupsRead:
    """Groups of jobs, with means and spreads. Raises `InvalidRequest`."""
    columns = question.columns
    order = next(iter(question.orders), None)
    if order is not None and order.field not in columns:
        raise InvalidRequest.of(
            "query.sort.0", "groups are sorted by one of the columns", limit={"columns": [one.text for one in columns]},
            value=order.field.text,
        )  # fmt: skip
    said = {"by": [one.text for one in by], "columns": [one.text for one in columns]}
    listed = await _listed(app, principal, question.filters)
    rows: Sequence[Row] = ()
    if listed is not None:
        held = await _held(app, principal)
        rows = await _read(
            app,
            statements.groups,
            filters=listed,
            wanted=question.wanted,
            by=by,
            columns=columns,
            order=order,
            held=held,
        )
    first = rows[0] if rows else None
    return JobGroupsRead(
        **said,
        items=[_group(row._asdict(), len(by), len(columns)) for row in rows],
        groups=first.groups if first else 0,
        total=first.total if first else 0,
        searched=first.searched if first else 0,
        complete=first is None or first.searched < statements.MAX_JOBS,
    )


async def columns(app: App, principal: Principal, filters: listing.JobFilters) -> FieldsRead:
    """The columns that the newest jobs have values for."""
    listed = await _listed(app, principal, filters)
    if listed is None:
        return FieldsRead(items=[])
    found = await _read(app, statements.names, filters=listed)
    metrics = await _read(app, statements.metric_names, filters=listed)
    held = await _held(app, principal)
    known = [
        (Field(_named(row.root, row.path), row.root, tuple(row.path)), row.kinds, row.runs, row.values) for row in found
    ]
    known += [(Field(_of_metric(row.name), METRIC, (row.name,)), ["number"], row.runs, None) for row in metrics]
    return FieldsRead(
        items=[
            FieldRead(name=one.text, kinds=sorted(kinds), runs=runs, values=values)
            for one, kinds, runs, values in known
            if not (held and one.is_answer)
        ]
    )


async def _listed(app: App, principal: Principal, filters: listing.JobFilters) -> dict[str, Any] | None:
    """As `listing.listed_jobs`, with the text; never the lab's own jobs, whose specs hold results of others."""
    found = await listing.listed_jobs(app, principal, filters)
    if found is None:
        return None
    given = {**found, "left_out": catalogue.of_the_lab(), "text": filters.text}
    return {name: value for name, value in given.items() if value is not None}


async def _held(app: App, principal: Principal) -> list[str]:
    """Experiments whose answers the user does not see."""
    assignments = await answers.holding(app, principal)
    if not assignments:
        return []
    slugs = (one.slug for one in catalogue.page().items)
    return [slug for slug in slugs if answers.tells(slug) and answers.first(assignments, experiments=[slug])]


async def _read(app: App, statement: Statement[...], **given: Any) -> Sequence[Row]:
    """A read that may be costly: in the reader's turn, and ended when it takes too long."""
    async with app.table_turns.taken(wait_seconds=WAIT_SECONDS):
        try:
            return await app.database.rows_within(MAX_SECONDS, statement, **given)
        except TookTooLongError:
            raise InvalidRequest.of(
                "query",
                f"the table took longer than {MAX_SECONDS} s to compute; filter it, for example by experiment",
                limit={"seconds": MAX_SECONDS},
            ) from None


async def _curves(
    app: App, rows: Sequence[Row], columns: Sequence[Field], held: Sequence[str]
) -> dict[tuple[UUID, str], list[float | None]]:
    """The points of each curve of the rows."""
    asked = {one.parts[0]: one.is_answer for one in columns if one.aggregate == CURVE}
    if not asked or not rows:
        return {}
    hidden = {row.id for row in rows if row.experiment in held}
    found = await _read(app, statements.curves, job_ids=[row.id for row in rows], metrics=list(asked))
    return {
        (row.job_id, row.name): [
            point if point is not None and abs(point) < float("inf") else None for point in row.points
        ]
        for row in found
        if not (asked[row.name] and row.job_id in hidden)
    }


def _row(row: Row, columns: Sequence[Field], curves: dict[tuple[UUID, str], list[float | None]]) -> JobRow:
    plain = iter([getattr(row, name) for name in row._fields if name.startswith("value_")])
    values = [curves.get((row.id, one.parts[0])) if one.aggregate == CURVE else _shown(next(plain)) for one in columns]
    return JobRow(**summary_of(row).model_dump(), values=values)


def _shown(value: Any) -> Any:
    return value[:SHOWN_CHARACTERS] if isinstance(value, str) else value


def _group(row: dict[str, Any], keys: int, columns: int) -> JobGroup:
    return JobGroup(
        by=[_shown(row[f"by_{at}"]) for at in range(keys)],
        runs=row["runs"],
        columns=[
            FieldStatistics(**{name: row[f"{name}_{at}"] for name in FieldStatistics.model_fields})
            for at in range(columns)
        ],
    )


def _place(row: Row, orders: int) -> str:
    """Where the next page begins, as the cursor holds it."""
    keys = [getattr(row, f"key_{at}") for at in range(3 * orders)]
    return json.dumps([*(str(key) if at % 3 == 1 else key for at, key in enumerate(keys)), str(row.id)])


def _position(cursor: str, mapping: dict[str, Any], orders: int) -> tuple[statements.Position, UUID]:
    """The inverse of `_place`. Raises `InvalidCursor`."""
    try:
        *keys, job = json.loads(decode_name(cursor, "job-table", mapping))
        found = [(int(keys[at]), str(keys[at + 1]), str(keys[at + 2])) for at in range(0, 3 * orders, 3)]
        if len(keys) != 3 * orders or not all(
            fields.is_number(number) and fields.is_storable(words) for _, number, words in found
        ):
            raise ValueError(cursor)
        return found, UUID(job)
    except (ValueError, TypeError, IndexError, AttributeError):
        raise invalid_cursor(cursor) from None


def _named(root: str, path: Sequence[str]) -> str:
    return ".".join([root, *map(_quoted, path)])


def _of_metric(name: str) -> str:
    """A name of a metric may have dots; one that ends like an aggregate says which it means."""
    parts = name.split(".")
    plain = all(PLAIN.fullmatch(part) for part in parts)
    written = name if plain else _quoted(name)
    return f"{METRIC}.{written}.last" if plain and len(parts) > 1 and parts[-1] in AGGREGATES else f"{METRIC}.{written}"


def _quoted(part: str) -> str:
    return part if PLAIN.fullmatch(part) else '"' + re.sub(r'(["\\])', r"\\\1", part) + '"'
