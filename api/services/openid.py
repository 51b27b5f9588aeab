"""Who somebody is whom the university's provider vouches for."""

from uuid import UUID

import structlog
from fastapi import Request

from api import openid_claims
from api.auth import Principal, address_of, origin_of
from api.context import Lab
from api.database import Row
from api.openid_claims import Address, FoundRole, Statement
from api.problems import OpenIdRefused
from gpulab.states import Role
from models.settings import ApiSettings
from models.statements import audit, people

LONGEST_NAME = 200
SHUT_OUT = "you are shut out of this lab; ask your instructors"

log = structlog.get_logger()


async def principal_of(lab: Lab, request: Request, statement: Statement) -> Principal:
    """The person behind the statement: known by the provider's subject, else by the address, else new. Raises
    `OpenIdRefused`.
    """
    try:
        row = await _person(lab, request, statement)
    except OpenIdRefused as refused:
        await lab.database.execute(audit.note(origin_of(request), "session.refused", None, {"why": refused.detail}))
        raise
    return Principal(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        team=row.team,
        max_queued=row.max_queued,
        token_id=None,
        token_name=None,
        token_expires_at=None,
        address=address_of(request.scope),
        request_id=request.scope["state"]["request_id"],
    )


async def _person(lab: Lab, request: Request, statement: Statement) -> Row:
    # The issuer stands before it: another provider's subject is another person.
    subject = f"{lab.openid.issuer} {openid_claims.subject(statement.id_token)}"
    found = openid_claims.role(statement, lab.settings.openid_role_claim, lab.openid.instructors)
    row = await lab.database.row(people.by_openid, subject=subject)
    if row is None:
        row = await _first_visit(lab, request, statement, subject, found.role)
    if row.disabled_at is not None:
        raise OpenIdRefused(SHUT_OUT)
    if found.role is Role.INSTRUCTOR and row.role == Role.STUDENT:
        changes = {"role": found.role.value}
        changed = people.change(row.id, changes, origin_of(request), action="user.changed", only=Role.STUDENT.value)
        row = await lab.database.row(changed) or row
    _log_missing_role(found, row.id, Role(row.role))
    return row


def _log_missing_role(found: FoundRole, user_id: UUID, role: Role) -> None:
    """Most students are none, which is no news; a claim that nobody sends, or an instructor without it, is."""
    if found.reason is None:
        return
    told = log.warning if found.misconfigured or role is Role.INSTRUCTOR else log.info
    told("openid.no_instructor_role", user_id=str(user_id), role=role.value, reason=found.reason)


async def _first_visit(lab: Lab, request: Request, statement: Statement, subject: str, role: Role) -> Row:
    """The person whose address it is, or a new one where the address is of a domain that may come."""
    optional = lab.settings.openid_email_verified_optional
    address = openid_claims.address(statement, verification_optional=optional)
    known = await lab.database.row(people.by_email, email=address.email)
    if known is not None:
        return await _link(lab, request, known, address, subject)
    if address.email.rpartition("@")[2] not in domains(lab.settings):
        raise OpenIdRefused("nobody in this lab has your address; ask your instructors to add you to the roster")
    return await _admit(lab, request, statement, address, subject, role)


async def _link(lab: Lab, request: Request, known: Row, address: Address, subject: str) -> Row:
    """Let the provider's subject be the person with the address from now on."""
    if known.disabled_at is not None:
        raise OpenIdRefused(SHUT_OUT)
    if not address.verified and known.role != Role.STUDENT:
        # As for any address without the claim: who staff is, is nobody's business here.
        raise openid_claims.unverified("nothing")
    linked = people.link(
        known.id, subject, address.email, students_only=not address.verified, origin=origin_of(request)
    )
    # A second request of the same browser may have been quicker.
    row = await lab.database.row(linked) or await lab.database.row(people.by_openid, subject=subject)
    if row is None:
        raise OpenIdRefused(
            "this address belongs to another account of the provider; ask your instructors to let the lab forget it"
        )
    return row


async def _admit(lab: Lab, request: Request, statement: Statement, address: Address, subject: str, role: Role) -> Row:
    values = {"email": address.email, "openid_subject": subject, "role": role.value}
    name = openid_claims.display_name(statement, address.email, LONGEST_NAME)
    row = await lab.database.row(people.admit({**values, "name": name}, origin_of(request)))
    # A second request of the same browser may have been quicker.
    row = row or await lab.database.row(people.by_openid, subject=subject)
    if row is None:
        raise OpenIdRefused("somebody came with your address in this moment; try again")
    return row


def domains(settings: ApiSettings) -> set[str]:
    return {domain.lower() for domain in openid_claims.listed(settings.openid_domains)}
