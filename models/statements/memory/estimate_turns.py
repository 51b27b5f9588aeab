"""Which question about memory a worker takes up next: users take turns.

The user who was served longest ago, or never, is next. So a user's only question does not wait for the many of another
user. A question that several users ask has one owner: the user with the fewest pending questions.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, cast, column, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from models.composed import statement
from models.tables.estimate import PENDING, PROGRAM, Estimate
from models.tables.node import Node

MAX_ATTEMPTS = 3


def next_like(estimate_id: UUID, node: str) -> Select[Any]:
    """The id of the waiting question that is next, among those for the same software as this one; it stays locked.

    Questions about programs have a separate queue, and a node takes those for which it has the data sets.
    """
    of_user = func.row_number().over(partition_by=Estimate.owner_id, order_by=(Estimate.asked_at, Estimate.id))
    this = aliased(Estimate)
    software = select(this.software).where(this.id == estimate_id).scalar_subquery()
    is_program = select(this.family == PROGRAM).where(this.id == estimate_id).scalar_subquery()
    there = select(func.to_jsonb(Node.datasets, type_=JSONB)).where(Node.name == node).scalar_subquery()
    needed = func.coalesce(datasets_of(Estimate), cast([], JSONB))
    waiting = (
        select(Estimate.id, Estimate.owner_id, Estimate.asked_at, of_user.label("place"))
        .where(
            is_waiting(Estimate),
            Estimate.software == software,
            (Estimate.family == PROGRAM) == is_program,
            func.coalesce(there, cast([], JSONB)).contains(needed),
        )
        .cte("waiting")
    )
    # By user, not by question: a user may have thousands.
    user = select(waiting.c.owner_id).distinct().subquery()
    earlier = aliased(Estimate)
    served_at = select(func.max(earlier.claimed_at)).where(earlier.owner_id == user.c.owner_id).scalar_subquery()
    turn = select(user.c.owner_id, served_at.label("served_at")).subquery()
    return (
        select(Estimate.id)
        .join(waiting, waiting.c.id == Estimate.id)
        .outerjoin(turn, turn.c.owner_id == waiting.c.owner_id)
        .where(is_waiting(Estimate))
        .order_by(waiting.c.place, turn.c.served_at.asc().nulls_first(), waiting.c.asked_at, waiting.c.id)
        .limit(1)
        # Of two workers that choose at once, each gets another question.
        .with_for_update(of=Estimate, skip_locked=True)
    )


@statement
def take_over(questions: Any) -> Any:
    """Make the users who ask now the owners of questions that wait, if they have fewer pending than the owners have.

    `questions` is a JSON list of objects with `id` and `owner_id`. It skips locked rows and so never
    waits.
    """
    given = (
        func.jsonb_to_recordset(cast(questions, JSONB))
        .table_valued(*(column(name, Estimate.__table__.c[name].type) for name in ("id", "owner_id")), name="given")
        .render_derived(with_types=True)
    )
    theirs = (
        select(Estimate.id, given.c.owner_id)
        .join(given, given.c.id == Estimate.id)
        .where(
            is_waiting(Estimate),
            Estimate.owner_id != given.c.owner_id,
            _pending_of(given.c.owner_id) < _pending_of(Estimate.owner_id),
        )
        .with_for_update(of=Estimate, skip_locked=True)
        .cte("theirs")
    )
    return update(Estimate).where(Estimate.id == theirs.c.id).values(owner_id=theirs.c.owner_id).returning(Estimate.id)


def datasets_of(estimate: type[Estimate]) -> Any:
    """Those that a program reads, as a JSON list; null of what the catalogue trains."""
    return estimate.workload["spec"]["datasets"]


def is_waiting(estimate: type[Estimate]) -> ColumnElement[bool]:
    """Pending, and no worker is at it."""
    return and_(
        estimate.state == PENDING,
        estimate.attempts < MAX_ATTEMPTS,
        or_(estimate.expires_at.is_(None), estimate.expires_at < func.now()),
    )


def _pending_of(owner_id: Any) -> Any:
    other = aliased(Estimate)
    pending = select(func.count()).where(other.owner_id == owner_id, other.state == PENDING)
    return pending.correlate_except(other).scalar_subquery()
