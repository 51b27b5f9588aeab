"""How a command finds the user that it is given: by name, by address or by id."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session
from gpulab.cli.users.naming import find_user

USERS = [
    SimpleNamespace(id=UUID(int=1), name="Max Groß", email="max.groß@uni.example"),
    SimpleNamespace(id=UUID(int=2), name="max.gross@uni.example", email="other@uni.example"),
    SimpleNamespace(id=UUID(int=3), name="Zoë", email="zoë@uni.example"),
    SimpleNamespace(id=UUID(int=4), name="Ömer", email=None),
]


def found(text: str) -> int:
    users = SimpleNamespace(search=lambda **_: USERS, get=None)
    session = cast("Session", SimpleNamespace(client=SimpleNamespace(users=users)))
    one: Any = find_user(session, text)
    return int(one.id)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("max.groß@uni.example", 1),
        ("Max.GROß@Uni.Example", 1),
        (" max.groß@uni.example\u200b", 1),
        ("MAX GROSS", 1),
        ("max.gross@uni.example", 2),
        ("zoe\u0308@uni.example", 3),
        ("ZOË", 3),
        ("o\u0308mer", 4),
    ],
)
def test_user_is_found_in_every_case_and_unicode_form(text: str, number: int) -> None:
    assert found(text) == number


def test_user_who_is_not_there_is_not_guessed() -> None:
    with pytest.raises(BadInput, match="no user has the name"):
        found("zoe@uni.example")
