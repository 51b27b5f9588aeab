"""Users: who is asking, who there is, and what staff change of them. Every change leaves its audit event."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Float,
    LargeBinary,
    Select,
    Text,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert
from sqlalchemy.sql.elements import SQLCoreOperations

from api.audit.statements import Origin, audited
from gpulab.states import Role
from models.composed import statement
from models.tables.courses import Course, CourseMember
from models.tables.user import BrowserSession, Token, User

ADMIN = Role.ADMIN.value
INSTRUCTOR = Role.INSTRUCTOR.value
NOW = func.now()
"""By the clock of the database."""
COLUMNS = tuple(
    User.__table__.c[name]
    for name in (
        "id",
        "name",
        "email",
        "role",
        "section",
        "team",
        "weight",
        "max_running",
        "max_queued",
        "max_gpu_hours",
        "max_gib_hours",
        "created_at",
        "disabled_at",
        "erasure",
        "anonymised_at",
    )
)
"""What is shown of a user."""

GOOD_TOKEN = Token.revoked_at.is_(None) & or_(Token.expires_at.is_(None), Token.expires_at > func.now())
ENABLED = User.disabled_at.is_(None)
_MEMBERSHIP = func.jsonb_build_object(
    *("id", CourseMember.course_id, "role", CourseMember.role, "archived", Course.archived_at.is_not(None))
)
_COURSES = (
    select(
        func.coalesce(
            func.jsonb_agg(
                aggregate_order_by(_MEMBERSHIP, CourseMember.joined_at.desc(), CourseMember.course_id), type_=JSONB
            ),
            cast(literal("[]", Text), JSONB),
        )
    )
    .join_from(CourseMember, Course)
    .where(CourseMember.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
)
_TAUGHT = (
    select(CourseMember.course_id)
    .where(CourseMember.user_id == User.id, CourseMember.role == INSTRUCTOR)
    .correlate(User)
)
_TEACHES_ALL = ~select(Course.id).where(Course.id.not_in(_TAUGHT)).correlate(User).exists()
STANDING = (User.role, User.team, _COURSES.label("courses"), _TEACHES_ALL.label("teaches_all"))
WHO = (User.id, User.name, User.max_queued, *STANDING)


@statement
def bearers(digests: Sequence[bytes]) -> Select[*tuple[Any, ...]]:
    """Of each token its owner, its name and expiry, and whether it is `good` now; no row for one never made."""
    return (
        select(
            Token.digest,
            *WHO,
            Token.id.label("token_id"),
            Token.name.label("token_name"),
            Token.expires_at,
            _left_seconds(Token.expires_at),
            (GOOD_TOKEN & ENABLED).label("good"),
        )
        .join(User, User.id == Token.user_id)
        .where(Token.digest == func.any(digests))
    )


@statement
def sessions(digests: Sequence[bytes]) -> Select[*tuple[Any, ...]]:
    """As `bearers`, for sessions that are good now; no row for any other."""
    return (
        select(
            BrowserSession.digest,
            *WHO,
            BrowserSession.token_id,
            Token.name.label("token_name"),
            BrowserSession.expires_at,
            _left_seconds(func.least(BrowserSession.expires_at, Token.expires_at)),
            true().label("good"),
        )
        .join_from(BrowserSession, User, User.id == BrowserSession.user_id)
        .outerjoin(Token, Token.id == BrowserSession.token_id)
        .where(
            BrowserSession.digest == func.any(digests),
            BrowserSession.revoked_at.is_(None),
            BrowserSession.expires_at > func.now(),
            ENABLED,
            or_(BrowserSession.token_id.is_(None), GOOD_TOKEN),
        )
    )


@statement
def good_digests() -> Select[Any]:
    """Of every token and session that is good now, in one array."""
    tokens = select(Token.digest).join(User, User.id == Token.user_id).where(GOOD_TOKEN & ENABLED)
    open_now = (
        select(BrowserSession.digest)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.revoked_at.is_(None), BrowserSession.expires_at > func.now(), ENABLED)
    )
    good = union_all(tokens, open_now).subquery()
    return select(func.coalesce(func.array_agg(good.c.digest), cast([], ARRAY(LargeBinary))))


def _left_seconds(end: SQLCoreOperations[Any]) -> ColumnElement[Any]:
    """By the database's clock; null for what has no end."""
    return cast(func.extract("epoch", end - func.now()), Float(53)).label("left_seconds")


@statement
def by_id(user_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*COLUMNS).where(User.id == user_id)


@statement
def page(
    *,
    limit: int,
    before: UUID | None = None,
    role: str | None = None,
    section: str | None = None,
    team: str | None = None,
    text: str | None = None,
    courses: Sequence[UUID] | None = None,
) -> Select[*tuple[Any, ...]]:
    """Newest first, at most `limit`, older than `before`; members of `courses` where they are given."""
    conditions: list[ColumnElement[bool]] = []
    if before is not None:
        conditions.append(User.id < before)
    if role is not None:
        conditions.append(User.role == role)
    if courses is not None:
        conditions.append(is_member(courses))
    if section is not None:
        conditions.append(User.section == section)
    if team is not None:
        conditions.append(User.team == team)
    if text is not None:
        words = func.lower(text)
        conditions.append(or_(func.strpos(func.lower(User.name), words) > 0, func.strpos(User.email, words) > 0))
    return select(*COLUMNS).where(*conditions).order_by(User.id.desc()).limit(limit)


def is_member(courses: Any, role: str | None = None) -> ColumnElement[bool]:
    """Whether the user is a member of one of the courses, in the role if one is given."""
    found = exists().where(CourseMember.user_id == User.id, CourseMember.course_id == func.any(courses))
    return found if role is None else found.where(CourseMember.role == role)


@statement
def called(text: str) -> Select[UUID]:
    """Everybody who has that name, e-mail address or id."""
    return select(User.id).where(
        or_(User.name == text, User.email == func.lower(text), cast(User.id, Text) == func.lower(text))
    )


@statement
def by_name(name: str) -> Select[*tuple[Any, ...]]:
    """Everybody who is called so."""
    return select(*COLUMNS).where(User.name == name)


@statement(anew=True)
def create(values: Mapping[str, Any], token: Mapping[str, Any], origin: Origin) -> Select[Any]:
    """A user with a first token (`name`, `digest`, `prefix`, `expires_at`). No row where the address is taken."""
    made = insert(User).values(**values).on_conflict_do_nothing().returning(*COLUMNS).cte("made")
    first = (
        insert(Token)
        .from_select(
            ["user_id", *token],
            select(made.c.id, *(literal(value, Token.__table__.c[name].type) for name, value in token.items())),
        )
        .returning(Token.id)
        .cte("first_token")
    )
    told = {name: value for name, value in values.items() if value is not None}
    return audited(made, origin, "user.created", user_target(made.c.id), told).add_cte(first)


@statement(anew=True)
def admit(values: Mapping[str, Any], origin: Origin) -> Select[Any]:
    """A user without a token, whose identity the caller has verified. No row where a value that is unique is taken."""
    made = insert(User).values(**values).on_conflict_do_nothing().returning(*COLUMNS).cte("made")
    return audited(made, origin, "user.created", user_target(made.c.id), values)


@statement(anew=True)
def link(user_id: UUID, subject: str, email: str, *, students_only: bool, origin: Origin) -> Select[Any]:
    """Let the provider's subject be this user. No row where they have one already or lost the address meanwhile."""
    condition = (User.id == user_id) & (User.email == email) & User.openid_subject.is_(None) & ENABLED
    if students_only:
        condition &= User.role == Role.STUDENT.value
    changed = update(User).where(condition).values(openid_subject=subject).returning(*COLUMNS).cte("changed")
    told = {"openid_subject": subject, "email_verified": not students_only}
    return audited(changed, origin, "user.linked", user_target(changed.c.id), told)


@statement(anew=True)
def change(
    user_id: UUID, values: Mapping[str, Any], origin: Origin, *, action: str, only: str | None = None
) -> Select[Any]:
    """Change a user, where their role is still `only` if that is given. No row: it is not, or no admin would be left.

    `values` may hold an SQL expression; the event has the other values.
    """
    condition = User.id == user_id if only is None else (User.id == user_id) & (User.role == only)
    if values.get("role", ADMIN) != ADMIN or values.get("disabled_at") is not None:
        condition &= or_(User.role != ADMIN, User.disabled_at.is_not(None), _another_admin(user_id))
    changed = update(User).where(condition).values(**values).returning(*COLUMNS).cte("changed")
    told = {name: value for name, value in values.items() if not isinstance(value, ColumnElement)}
    return audited(changed, origin, action, user_target(changed.c.id), told)


def _another_admin(user_id: UUID) -> ColumnElement[bool]:
    """Whether an admin besides this one could still sign in.

    Every admin's row is locked, in one order: of two who take each other's role away, the second waits and is refused.
    """
    admins = select(User.id).where(User.role == ADMIN, ENABLED).order_by(User.id).with_for_update().cte("admins")
    # An array is worked out once, before the UPDATE looks at a row.
    others = func.array(select(admins.c.id).where(admins.c.id != user_id).scalar_subquery())
    return func.cardinality(others) > 0


@statement(anew=True)
def ensure_admin(name: str) -> Select[Any]:
    """The admin of that name: made if there is none, let in again if they were shut out. Nobody's role changes."""
    return _ensured(name, ADMIN)


@statement(anew=True)
def ensure_user(name: str, role: str) -> Select[Any]:
    """A user of that name and role, made if there is none."""
    return _ensured(name, role)


def _ensured(name: str, role: str) -> Select[Any]:
    known = select(User.id).where(User.name == name, User.role == role).order_by(User.id).limit(1).cte("known")
    again = (
        update(User)
        .where(User.id == select(known.c.id).scalar_subquery())
        .values(disabled_at=None)
        .returning(User.id)
        .cte("again")
    )
    new = select(literal(name, Text), literal(role, Text)).where(~exists(select(known.c.id)))
    made = insert(User).from_select(["name", "role"], new).returning(User.id).cte("made")
    return select(union_all(select(again.c.id), select(made.c.id)).subquery().c.id)


def user_target(user_id: ColumnElement[Any]) -> ColumnElement[str]:
    """How the audit names a user."""
    return literal("user:", Text).concat(cast(user_id, Text))


@statement
def by_email(email: str) -> Select[*tuple[Any, ...]]:
    return select(*COLUMNS, User.openid_subject).where(User.email == email)


@statement
def by_openid(subject: str) -> Select[*tuple[Any, ...]]:
    return select(*COLUMNS).where(User.openid_subject == subject)
