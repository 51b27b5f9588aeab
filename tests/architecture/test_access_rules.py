"""Every operation of the contract has a rule of who may do it; tests/integration/api/test_access.py tries each."""

import re
from pathlib import Path

from api.app import create_app
from api.audit import recording as auditing
from api.http.routing import LabRoute
from models.settings import ApiSettings
from tests.access_rules import RULES, Rule


def operations() -> dict[str, bool]:
    """Each operation, and whether the contract asks for a sign-in."""
    nowhere = "postgresql://nowhere/nothing"
    app = create_app(ApiSettings(database_url=nowhere, redis_url="redis://nowhere", artifacts_url="memory://"))
    return {
        operation["operationId"]: bool(operation.get("security"))
        for methods in app.openapi()["paths"].values()
        for operation in methods.values()
    }


def test_every_operation_has_a_rule_and_every_rule_an_operation() -> None:
    assert sorted(operations()) == sorted(RULES), "say in tests/access_rules.py who may use the new route"


def test_all_but_the_open_operations_ask_for_a_sign_in() -> None:
    asking = {name for name, asks in operations().items() if asks}
    assert asking == {name for name, rule in RULES.items() if rule is not Rule.OPEN}


def test_actions_of_the_audit_have_one_scheme_and_stand_in_the_documentation() -> None:
    """A route that changes something and has no action does not load."""
    assert auditing.ACTIONS.keys() <= operations().keys()
    written = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", section("The audit", Path("docs/api.md"))))
    stated = {action for path in ("api", "models") for file in Path(path).rglob("*.py") for action in said(file)}
    assert written == {*auditing.ACTIONS.values(), *stated}


def section(title: str, page: Path) -> str:
    return page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def said(file: Path) -> list[str]:
    """Actions that stand in the statements that make the change: of users, grades, and of what is deleted or noted."""
    elsewhere = r"token\.(?:created|revoked)|(?:job|study)\.deleted|job\.note_changed"
    return re.findall(rf'"((?:user|session|grade)\.[a-z]+|{elsewhere})"', file.read_text())


def test_routes_are_closed_and_audited_unless_they_say_otherwise() -> None:
    assert not LabRoute.is_open
    assert not LabRoute.audits_itself
