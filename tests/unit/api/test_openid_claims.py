"""What the lab believes of a provider's claims."""

from typing import Any

import pytest

from api.http.problems import OpenidRefused
from api.sessions import openid_claims
from api.sessions.openid_claims import Address, Statement
from gpulab.states import Role

TEACHERS = frozenset({"teachers", "CN=Staff,OU=Uni"})
ROLES: list[tuple[str, Any, Role]] = [
    ("groups", {"groups": ["students", "teachers"]}, Role.INSTRUCTOR),
    ("groups", {"groups": "teachers"}, Role.INSTRUCTOR),
    ("groups", {"groups": "students  teachers"}, Role.INSTRUCTOR),
    ("groups", {"groups": ["CN=Staff,OU=Uni"]}, Role.INSTRUCTOR),
    ("groups", {"groups": ["guest teachers"]}, Role.STUDENT),
    ("groups", {"groups": ["Teachers"]}, Role.STUDENT),
    ("groups", {"groups": "teachers2"}, Role.STUDENT),
    ("groups", {"groups": []}, Role.STUDENT),
    ("groups", {"groups": {"teachers": True}}, Role.STUDENT),
    ("groups", {"groups": [["teachers"]]}, Role.STUDENT),
    ("groups", {"groups": None}, Role.STUDENT),
    ("groups", {}, Role.STUDENT),
    ("realm_access.roles", {"realm_access": {"roles": ["teachers"]}}, Role.INSTRUCTOR),
    ("realm_access.roles", {"realm_access": ["teachers"]}, Role.STUDENT),
    ("realm_access.roles", {"realm_access.roles": "teachers"}, Role.INSTRUCTOR),
    ("https://uni.example/groups", {"https://uni.example/groups": ["teachers"]}, Role.INSTRUCTOR),
    ("https://uni.example/a.roles", {"https://uni.example/a": {"roles": "teachers"}}, Role.INSTRUCTOR),
    ("groups", {"_claim_names": {"groups": "src1"}}, Role.STUDENT),
    ("groups", {"_claim_names": 5}, Role.STUDENT),
    ("groups", {"_claim_names": ["groups"]}, Role.STUDENT),
    ("", {"groups": ["teachers"]}, Role.STUDENT),
]


@pytest.mark.parametrize(("path", "claims", "role"), ROLES)
def test_role_comes_from_the_claim_alone_and_a_missing_one_has_its_reason(
    path: str, claims: dict[str, Any], role: Role
) -> None:
    for statement in (Statement(claims), Statement({}, claims)):
        found = openid_claims.role(statement, path, TEACHERS)
        assert found.role is role
        assert (found.reason is None) == (role is Role.INSTRUCTOR or path == "")


def test_signed_claim_goes_before_userinfo() -> None:
    found = openid_claims.role(Statement({"groups": ["students"]}, {"groups": ["teachers"]}), "groups", TEACHERS)
    assert (found.role, found.misconfigured) == (Role.STUDENT, False)


VERIFIED = {"email": "a@uni.example", "email_verified": True}


@pytest.mark.parametrize(
    ("id_token", "userinfo"),
    [
        (VERIFIED, {}),
        ({}, VERIFIED),
        ({"email": "a@uni.example"}, VERIFIED),
        ({"email": "A@Uni.Example", "email_verified": True}, {"email": "b@uni.example", "email_verified": False}),
    ],
)
def test_address_is_verified_by_the_source_that_names_it(id_token: dict[str, Any], userinfo: dict[str, Any]) -> None:
    found = openid_claims.address(Statement(id_token, userinfo), verification_optional=False)
    assert found == Address("a@uni.example", verified=True)


@pytest.mark.parametrize(
    ("id_token", "userinfo"),
    [
        ({"email_verified": True}, {"email": "a@uni.example"}),
        ({"email": "a@uni.example"}, {"email": "b@uni.example", "email_verified": True}),
        ({"email": "a@uni.example", "email_verified": "true"}, VERIFIED),
        ({"email": ["a@uni.example"], "email_verified": True}, {}),
        ({"email": "a@uni.example, b@uni.example", "email_verified": True}, {}),
        ({"email": "a@uni.example\N{ZERO WIDTH SPACE}", "email_verified": True}, {}),
        ({"email": "\N{FULLWIDTH LATIN SMALL LETTER A}@uni.example", "email_verified": True}, {}),
        ({}, {}),
    ],
)
def test_address_that_nobody_verified_is_refused(id_token: dict[str, Any], userinfo: dict[str, Any]) -> None:
    with pytest.raises(OpenidRefused):
        openid_claims.address(Statement(id_token, userinfo), verification_optional=False)


@pytest.mark.parametrize("sub", [None, "", 5, True, ["u1"], "x" * 256])
def test_subject_is_a_string_of_the_standard(sub: Any) -> None:
    with pytest.raises(OpenidRefused):
        openid_claims.subject({"sub": sub})


def test_list_in_a_setting_may_be_json() -> None:
    assert openid_claims.listed("a, b ,") == {"a", "b"}
    assert openid_claims.listed('["CN=Staff,OU=Uni"]') == {"CN=Staff,OU=Uni"}
    with pytest.raises(ValueError, match="list of strings"):
        openid_claims.listed("[1]")


@pytest.mark.parametrize("sub", ["", None, 7, ["u1"], "x" * 256, "a\0b", "a\nb", "\ud800", "a\u202eb"])
def test_subject_that_the_lab_cannot_keep_is_refused(sub: Any) -> None:
    with pytest.raises(OpenidRefused, match="printable characters"):
        openid_claims.subject({"sub": sub})


@pytest.mark.parametrize("sub", ["u1", "248289761001", "auth0|5f7c8ec7", "CN=Ada, O=Uni", "émile", "x" * 255])
def test_subject_is_any_printable_string(sub: str) -> None:
    assert openid_claims.subject({"sub": sub}) == sub
