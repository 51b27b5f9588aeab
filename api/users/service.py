"""Users: which roles may change which users, and what the API shows of a user."""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any
from uuid import UUID

from api.audit.statements import Origin
from api.auth.principal import Principal
from api.auth.token_secrets import digest_of, new_token, prefix_of
from api.context import App
from api.courses import statements as courses
from api.courses.access import check_manages_account, course_of_staff, courses_read, shares_course
from api.deadlines import check_in_future
from api.http.cursors import paged
from api.http.problems import AlreadyTaken, Forbidden, LastAdmin, UserErased, UserNotFound
from api.sql.database import Row
from api.users import statements
from gpulab.schemas import MeRead, UserCreate, UserCreated, UserPage, UserRead, UserUpdate
from gpulab.states import Role

FIRST_TOKEN = "first"  # noqa: S105 - its name
LIMITS = ("weight", "max_running", "max_queued", "max_gpu_hours", "max_gib_hours")
ALLOWANCES = ("email", "section", "team", *LIMITS)


async def me(app: App, principal: Principal) -> MeRead:
    return MeRead(**await facts_of(app, principal))


async def facts_of(app: App, principal: Principal) -> dict[str, Any]:
    """The fields of a `MeRead`."""
    row = await app.database.row(statements.by_id, user_id=principal.id)
    assert row is not None  # noqa: S101 - they are signed in, and only who is shut out is deleted
    return {
        "id": principal.id,
        "name": principal.name,
        "role": principal.role,
        "token_name": principal.token_name,
        "token_expires_at": principal.token_expires_at,
        "teaches": principal.is_staff,
        **{name: getattr(row, name) for name in ALLOWANCES},
    }


async def page(
    app: App,
    principal: Principal,
    course_id: UUID | None,
    filters: dict[str, str | None],
    cursor: str | None,
    limit: int,
) -> UserPage:
    """One page of the users of the principal's courses, newest first. Raises `InvalidCursor`."""
    narrowed = courses_read(principal, course_id)

    def fetch(before: UUID | None, most: int) -> Awaitable[Sequence[Row]]:
        return app.database.rows(statements.page, before=before, limit=most, courses=narrowed, **filters)

    rows, next_cursor = await paged("users", {"course": course_id, **filters}, cursor, limit, fetch)
    return UserPage(items=[read(row) for row in rows], next_cursor=next_cursor)


async def get(app: App, principal: Principal, user_id: UUID) -> UserRead:
    """Raises `UserNotFound`, also if a student requests another user."""
    return read(await visible(app, principal, user_id))


async def visible(app: App, principal: Principal, user_id: UUID) -> Row:
    """The user's row. Raises as `get`."""
    allowed = principal.id == user_id or (principal.is_staff and await shares_course(app, principal, user_id))
    row = await app.database.row(statements.by_id, user_id=user_id) if allowed else None
    if row is None:
        raise UserNotFound(f"no user that you can see has the id {user_id}")
    return row


def check_may_manage(principal: Principal, role: Role) -> None:
    """Admins manage everybody, instructors manage students. Raises `Forbidden`."""
    if not (principal.is_admin or (principal.is_staff and role is Role.STUDENT)):
        raise Forbidden(f"as {principal.role} you may not manage a user with the role {role}")


async def managed(app: App, principal: Principal, user_id: UUID) -> Row:
    """The row of a user whose account the principal may change. Raises `UserNotFound`, `Forbidden`."""
    row = await visible(app, principal, user_id)
    check_may_manage(principal, Role(row.role))
    await check_manages_account(app, principal, row)
    return row


async def create(app: App, principal: Principal, order: UserCreate) -> UserCreated:
    """A user with a first token, in a course. Raises `Forbidden`, `AlreadyTaken`, and as `course_of_staff`."""
    check_may_manage(principal, order.role)
    if not principal.sees_all:
        usual = UserCreate.model_fields
        _refuse_limits(name for name in LIMITS if getattr(order, name) != usual[name].default)
    if order.token_expires_at is not None:
        await check_in_future(app, "token_expires_at", order.token_expires_at)
    course_id = None
    if order.role is not Role.ADMIN or order.course_id is not None:
        course_id = await course_of_staff(app, principal, order.course_id)
    values = order.model_dump(exclude={"token_expires_at", "course_id"}) | {"role": order.role.value}
    row, token = await insert(app, values, order.token_expires_at, principal.origin)
    if course_id is not None:
        role = Role.STUDENT if order.role is Role.STUDENT else Role.INSTRUCTOR
        await app.database.rows(courses.join, course_id=course_id, user_ids=[row.id], role=role.value)
    return UserCreated(**read(row).model_dump(), token=token)


async def insert(app: App, values: dict[str, Any], expires_at: Any, origin: Origin) -> tuple[Row, str]:
    """The user's row and the token, which is shown only once. Raises `AlreadyTaken`."""
    token = new_token()
    first = {"name": FIRST_TOKEN, "digest": digest_of(token), "prefix": prefix_of(token), "expires_at": expires_at}
    if values.get("email") is None:
        await _refuse_taken_name(app, values["name"])
    row = await app.database.row(statements.create, values=values, token=first, origin=origin)
    if row is None:
        await _refuse_taken_email(app, values["email"])
        raise AlreadyTaken("another user had this address for a moment; try again")
    return row, token


async def change(app: App, principal: Principal, user_id: UUID, order: UserUpdate) -> UserRead:
    """Raises `UserNotFound`, `Forbidden`, `AlreadyTaken`, `LastAdmin`."""
    row = await managed(app, principal, user_id)
    values = order.model_dump(exclude_unset=True)
    if values.pop("forget_sign_in", False):
        values["openid_subject"] = None
    for name in ("role", "weight"):
        if values.get(name, ...) is None:
            del values[name]
    if not principal.sees_all:
        _refuse_limits(values)
    if "role" in values:
        check_may_manage(principal, values["role"])
        values["role"] = values["role"].value
    if not values:
        return read(row)
    if (email := values.get("email")) is not None:
        await _refuse_taken_email(app, email, but=user_id)
    return await _change(app, principal, row, values, "user.changed")


def _refuse_limits(names: Iterable[str]) -> None:
    """Raises `Forbidden` for what would take from users of other courses."""
    if given := [name for name in names if name in LIMITS]:
        raise Forbidden(f"in a lab with several courses, only admins set {', '.join(given)}")


async def disable(app: App, principal: Principal, user_id: UUID) -> UserRead:
    """Shut a user out; again changes nothing. Raises `UserNotFound`, `Forbidden`, `LastAdmin`."""
    row = await managed(app, principal, user_id)
    if row.disabled_at is not None:
        return read(row)
    return await _change(app, principal, row, {"disabled_at": statements.NOW}, "user.disabled")


async def enable(app: App, principal: Principal, user_id: UUID) -> UserRead:
    """Let a user in again. Raises `UserNotFound`, `Forbidden`, `UserErased`."""
    row = await managed(app, principal, user_id)
    if row.erasure is not None or row.anonymised_at is not None:
        raise UserErased(f"{row.name} is anonymised or is being deleted; nobody can sign in as them again")
    if row.disabled_at is None:
        return read(row)
    return await _change(app, principal, row, {"disabled_at": None}, "user.enabled")


async def _change(app: App, principal: Principal, row: Row, values: dict[str, Any], action: str) -> UserRead:
    # An instructor may not change a user who is no longer a student.
    only = None if principal.is_admin else Role.STUDENT.value
    changed = await app.database.row(
        statements.change, user_id=row.id, values=values, origin=principal.origin, action=action, only=only
    )
    if changed is None and only is not None:
        raise Forbidden(f"{row.name} is no longer a student")
    if changed is None:
        raise LastAdmin(f"{row.name} is the last admin who can sign in; add another admin first")
    return read(changed)


async def _refuse_taken_email(app: App, email: str, but: UUID | None = None) -> None:
    row = await app.database.row(statements.by_email, email=email)
    if row is not None and row.id != but:
        raise AlreadyTaken.of("email", "another user has it already", value=email)


async def _refuse_taken_name(app: App, name: str) -> None:
    """For a user without an address, who could not be distinguished from the other."""
    if await app.database.rows(statements.by_name, name=name):
        raise AlreadyTaken.of(
            "name", "another user has this name; add an email address to distinguish the two", value=name
        )


def read(row: Row) -> UserRead:
    return UserRead(**{column.name: getattr(row, column.name) for column in statements.COLUMNS})
