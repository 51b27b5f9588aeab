"""The roster: the whole class let in or changed in one statement, with its events."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    Uuid,
    cast,
    column,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.audit.statements import Origin
from api.users.statements import COLUMNS, is_member, user_target
from gpulab.states import Role
from models.composed import statement
from models.tables.audit import AuditEvent
from models.tables.courses import CourseMember
from models.tables.user import Token, User

STUDENT, INSTRUCTOR = Role.STUDENT.value, Role.INSTRUCTOR.value


@statement
def known(emails: list[str], course_id: UUID, taught: Sequence[UUID] | None) -> Select[*tuple[Any, ...]]:
    """Everybody who has one of the addresses, with their role in the course.

    `elsewhere`: they are in a course that is not `taught`, or teach one. None is an admin, who may change everybody.
    """
    member = CourseMember.user_id == User.id
    elsewhere: ColumnElement[bool] = literal(False)
    if taught is not None:
        is_of_others = or_(CourseMember.role == INSTRUCTOR, CourseMember.course_id != func.all(taught))
        elsewhere = exists().where(member, is_of_others)
    in_course = select(CourseMember.role).where(member, CourseMember.course_id == course_id).scalar_subquery()
    columns = (in_course.label("course_role"), elsewhere.label("elsewhere"))
    return select(*COLUMNS, *columns).where(User.email == func.any(emails))


@statement
def students(
    *, courses: Sequence[UUID] | None = None, section: str | None = None, team: str | None = None
) -> Select[*tuple[Any, ...]]:
    """Students who are let in, by section, team and name; of `courses` where they are given."""
    is_student = User.role == STUDENT if courses is None else is_member(courses, STUDENT)
    statement = select(*COLUMNS).where(is_student, User.disabled_at.is_(None))
    if section is not None:
        statement = statement.where(User.section == section)
    if team is not None:
        statement = statement.where(User.team == team)
    return statement.order_by(User.section.nulls_last(), User.team.nulls_last(), User.name)


@statement(anew=True)
def bring_in(rows: Any, origin: Origin) -> Select[Any]:
    """Let in those of `rows` without a `user_id`, each with a first token, and change the others if they are students.

    `rows` is a JSON list of objects: `user_id`, `name`, `email`, `section`, `team`, `digest` (hexadecimal), `prefix`.
    Returns id and e-mail address of each user made or changed. Raises a unique violation where an address was taken
    meanwhile.
    """
    given = (
        func.jsonb_to_recordset(cast(rows, JSONB))
        .table_valued(
            column("user_id", Uuid),
            *(column(name, Text) for name in ("name", "email", "section", "team", "digest", "prefix")),
            name="given_user",
        )
        .render_derived(with_types=True)
    )
    new = select(given.c.name, given.c.email, literal(STUDENT, Text), given.c.section, given.c.team).where(
        given.c.user_id.is_(None)
    )
    made = (
        insert(User)
        .from_select(["name", "email", "role", "section", "team"], new)
        .returning(User.id, User.email, User.section, User.team, literal("user.created", Text).label("action"))
        .cte("made")
    )
    changed = (
        update(User)
        .where(User.id == given.c.user_id, User.role == STUDENT)
        .values({name: given.c[name] for name in ("name", "section", "team")})
        .returning(User.id, User.email, User.section, User.team, literal("user.changed", Text).label("action"))
        .cte("changed")
    )
    first = (
        insert(Token)
        .from_select(
            ["user_id", "name", "digest", "prefix"],
            select(made.c.id, literal("first", Text), func.decode(given.c.digest, "hex"), given.c.prefix).join_from(
                made, given, given.c.email == made.c.email
            ),
        )
        .returning(Token.id)
        .cte("first_token")
    )
    everybody = union_all(select(*made.c), select(*changed.c)).cte("everybody")
    event = (
        insert(AuditEvent)
        .from_select(
            ["actor_id", "actor", "action", "target", "address", "request_id", "details"],
            select(
                cast(origin.actor_id, Uuid),
                cast(origin.actor, Text),
                everybody.c.action,
                user_target(everybody.c.id),
                cast(origin.address, Text),
                cast(origin.request_id, Text),
                func.jsonb_build_object(
                    *("email", everybody.c.email, "section", everybody.c.section, "team", everybody.c.team),
                    *("by", "roster"),
                ),
            ),
        )
        .cte("audit_event")
    )
    return select(everybody.c.id, everybody.c.email).add_cte(first, event)
