"""Who somebody is whom the university's provider vouches for."""

from typing import Any

from fastapi import Request

from api.auth import Principal, address_of, origin_of
from api.context import Lab
from api.database import Row
from api.problems import OpenIdRefused
from gpulab.states import Role
from models.settings import ApiSettings
from models.statements import audit, people

LONGEST_NAME = 200
NAMES_TRIED = 100


async def principal_of(lab: Lab, request: Request, claims: dict[str, Any]) -> Principal:
    """The person behind the claims: known by the provider's subject, else by the address, else new. Raises
    `OpenIdRefused`.
    """
    try:
        row = await _person(lab, request, claims)
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
        address=address_of(request),
        request_id=request.scope["state"]["request_id"],
    )


async def _person(lab: Lab, request: Request, claims: dict[str, Any]) -> Row:
    subject = f"{lab.openid.issuer} {claims['sub']}"
    row = await lab.database.row(people.by_openid, subject=subject)
    if row is None:
        row = await _first_visit(lab, request, claims, subject)
    if row.disabled_at is not None:
        raise OpenIdRefused("you are shut out of this lab; ask your instructors")
    role = _role(lab.settings, claims)
    if role is Role.INSTRUCTOR and row.role == Role.STUDENT:
        changes = {"role": role.value}
        changed = people.change(row.id, changes, origin_of(request), action="user.changed", only=Role.STUDENT.value)
        row = await lab.database.row(changed) or row
    return row


async def _first_visit(lab: Lab, request: Request, claims: dict[str, Any], subject: str) -> Row:
    """The person whose address it is, or a new one where the address is of a domain that may come."""
    email = str(claims.get("email") or "").strip().lower()
    if not email or claims.get("email_verified") is False:
        raise OpenIdRefused("the provider names no e-mail address of yours that it verified")
    known = await lab.database.row(people.by_email, email=email)
    if known is not None:
        if known.openid_subject is not None:
            raise OpenIdRefused("this address belongs to another account of the provider; ask your instructors")
        linked = people.change(known.id, {"openid_subject": subject}, origin_of(request), action="user.linked")
        row = await lab.database.row(linked)
        assert row is not None  # noqa: S101 - no role changes, so nothing can refuse
        return row
    if email.rpartition("@")[2] not in domains(lab.settings):
        raise OpenIdRefused("nobody in this lab has your address; ask your instructors to add you to the roster")
    return await _admit(lab, request, claims, email, subject)


async def _admit(lab: Lab, request: Request, claims: dict[str, Any], email: str, subject: str) -> Row:
    values = {"email": email, "openid_subject": subject, "role": _role(lab.settings, claims).value}
    wanted = "".join(character for character in str(claims.get("name") or "") if character.isprintable()).strip()
    for number in range(1, NAMES_TRIED):
        name = (wanted or email)[: LONGEST_NAME - 4] + (f" {number}" if number > 1 else "")
        row = await lab.database.row(people.admit({**values, "name": name}, origin_of(request)))
        row = row or await lab.database.row(people.by_openid, subject=subject)
        if row is not None:
            return row
    raise OpenIdRefused("a hundred people are called as you are; ask your instructors to add you to the roster")


def _role(settings: ApiSettings, claims: dict[str, Any]) -> Role:
    """Instructor where the claim that the lab looks at has one of its values; nobody becomes an admin this way."""
    found = claims.get(settings.openid_role_claim) if settings.openid_role_claim else None
    values = found if isinstance(found, list) else [found]
    return Role.INSTRUCTOR if set(map(str, values)) & _listed(settings.openid_instructors) else Role.STUDENT


def domains(settings: ApiSettings) -> set[str]:
    return {domain.lower() for domain in _listed(settings.openid_domains)}


def _listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}
