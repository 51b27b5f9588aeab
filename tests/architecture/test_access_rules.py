"""Every operation of the contract has a rule of who may do it; tests/integration/api/test_access.py tries each."""

from api.app import create_app
from api.routing import LabRoute
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


def test_routes_are_closed_and_audited_unless_they_say_otherwise() -> None:
    assert not LabRoute.is_open
    assert not LabRoute.audits_itself
