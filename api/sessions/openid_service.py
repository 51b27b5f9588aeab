"""The user behind a sign-in at the university's provider."""

from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from fastapi import Request

from api.audit import statements as audit
from api.auth.principal import Principal, address_of, origin_of
from api.auth.standing import Standing
from api.context import App
from api.http.problems import OpenidRefused
from api.sessions import openid_claims
from api.sessions.openid_claims import Address, FoundRole, Statement
from api.sql.database import Row
from api.users import statements as users
from gpulab.states import Role
from models.settings import ApiSettings

if TYPE_CHECKING:
    from api.sessions.openid import OpenId

MAX_NAME_LENGTH = 200
SHUT_OUT = "your account in this lab is disabled; ask your instructors"

log = structlog.get_logger()


async def principal_of(app: App, provider: "OpenId", request: Request, statement: Statement) -> Principal:
    """The user behind the statement: known by the provider's subject, else by the address, else new. Raises
    `OpenidRefused`.
    """
    try:
        row = await _user(app, provider, request, statement)
    except OpenidRefused as refused:
        why = {"why": refused.detail}
        await app.database.execute(
            audit.note, origin=origin_of(request), action="session.refused", target=None, details=why
        )
        raise
    return Principal(
        id=row.id,
        name=row.name,
        standing=Standing(Role(row.role), row.team),
        max_queued=row.max_queued,
        token_id=None,
        token_name=None,
        token_expires_at=None,
        address=address_of(request.scope),
        request_id=request.scope["state"]["request_id"],
    )


async def _user(app: App, provider: "OpenId", request: Request, statement: Statement) -> Row:
    # The issuer stands before it: another provider's subject is another user.
    subject = f"{provider.issuer} {openid_claims.subject(statement.id_token)}"
    found = openid_claims.role(statement, app.settings.openid_role_claim, provider.instructors)
    row = await app.database.row(users.by_openid, subject=subject)
    if row is None:
        row = await _first_visit(app, request, statement, subject, found.role)
    if row.disabled_at is not None:
        raise OpenidRefused(SHUT_OUT)
    if found.role is Role.INSTRUCTOR and row.role == Role.STUDENT:
        changes = {"role": found.role.value}
        changed = await app.database.row(
            users.change,
            user_id=row.id,
            values=changes,
            origin=origin_of(request),
            action="user.changed",
            only=Role.STUDENT.value,
        )
        row = changed or row
    _log_missing_role(found, row.id, Role(row.role))
    return row


def _log_missing_role(found: FoundRole, user_id: UUID, role: Role) -> None:
    """Most students are no instructors, which needs no warning; a missing claim, or an instructor without it, does."""
    if found.reason is None:
        return
    told = log.warning if found.misconfigured or role is Role.INSTRUCTOR else log.info
    told("openid.no_instructor_role", user_id=str(user_id), role=role.value, reason=found.reason)


async def _first_visit(app: App, request: Request, statement: Statement, subject: str, role: Role) -> Row:
    """The user whose address it is, or a new one where the address is of a domain that may come."""
    optional = app.settings.openid_email_verified_optional
    address = openid_claims.address(statement, verification_optional=optional)
    known = await app.database.row(users.by_email, email=address.email)
    if known is not None:
        return await _link(app, request, known, address, subject)
    if address.email.rpartition("@")[2] not in domains(app.settings):
        raise OpenidRefused("no user of this lab has your address; ask your instructors to add you to the roster")
    return await _admit(app, request, statement, address, subject, role)


async def _link(app: App, request: Request, known: Row, address: Address, subject: str) -> Row:
    """Let the provider's subject be the user with the address from now on."""
    if known.disabled_at is not None:
        raise OpenidRefused(SHUT_OUT)
    if not address.verified and known.role != Role.STUDENT:
        # The same answer as for any address without the claim, so that it does not reveal who is staff.
        raise openid_claims.unverified("nothing")
    linked = await app.database.row(
        users.link,
        user_id=known.id,
        subject=subject,
        email=address.email,
        students_only=not address.verified,
        origin=origin_of(request),
    )
    # A second request of the same browser may have been quicker.
    row = linked or await app.database.row(users.by_openid, subject=subject)
    if row is None:
        raise OpenidRefused(
            "this address belongs to another account of the provider; ask your instructors to unlink it"
        )
    return row


async def _admit(app: App, request: Request, statement: Statement, address: Address, subject: str, role: Role) -> Row:
    values = {"email": address.email, "openid_subject": subject, "role": role.value}
    name = openid_claims.display_name(statement, address.email, MAX_NAME_LENGTH)
    row = await app.database.row(users.admit, values={**values, "name": name}, origin=origin_of(request))
    # A second request of the same browser may have been quicker.
    row = row or await app.database.row(users.by_openid, subject=subject)
    if row is None:
        raise OpenidRefused("another sign-in with your address happened at the same time; try again")
    return row


def domains(settings: ApiSettings) -> set[str]:
    return {domain.lower() for domain in openid_claims.listed(settings.openid_domains)}
