"""The contract says all that a client must know."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.http.openapi import PROBLEM_MEDIA_TYPE, PROBLEM_REFERENCE
from gpulab.states import NodeFault, NodeState, WaitReason
from models.settings import ApiSettings

OPEN = {"get_health", "get_readiness", "get_metrics", "sign_in", "get_openid", "start_openid", "finish_openid"}


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    settings = ApiSettings(database_url="postgresql://x/x", redis_url="redis://x", artifacts_url="file:///nowhere")
    return create_app(settings).openapi()


def operations(contract: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_contract_is_valid(contract: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(contract).validate()


@pytest.mark.parametrize(
    ("schema", "field", "kind"),
    [("QueueRead", "reason", WaitReason), ("NodeRead", "state", NodeState), ("NodeRead", "fault", NodeFault)],
)
def test_a_client_learns_every_value_of_a_state_or_reason(
    contract: dict[str, Any], schema: str, field: str, kind: type[StrEnum]
) -> None:
    schemas = contract["components"]["schemas"]
    found = schemas[schema]["properties"][field]
    (reference,) = [one["$ref"] for one in [found, *found.get("anyOf", ())] if "$ref" in one]
    assert schemas[reference.rpartition("/")[2]]["enum"] == [member.value for member in kind]


def test_every_refusal_is_a_problem(contract: dict[str, Any]) -> None:
    for method, path, operation in operations(contract):
        refusals = {status: response for status, response in operation["responses"].items() if int(status) >= 400}
        assert refusals, f"{method} {path} documents no refusal"
        for status, response in refusals.items():
            assert response["content"] == {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}, (
                f"{method} {path} {status}"
            )
            assert response["description"].startswith("`"), f"{method} {path} {status} names no problem type"


def test_every_call_but_the_probes_needs_a_token(contract: dict[str, Any]) -> None:
    for _, path, operation in operations(contract):
        secured = operation["operationId"] not in OPEN
        assert bool(operation.get("security")) is secured, path
        refuses = secured or operation["operationId"] == "sign_in"
        assert ("401" in operation["responses"]) is refuses, path
        assert ("503" in operation["responses"]) or not refuses, path
    assert contract["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_operations_are_named_tagged_and_explained(contract: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(contract)]
    tags = {tag["name"] for tag in contract["tags"]}

    assert len(set(names)) == len(names)
    for _, path, operation in operations(contract):
        assert operation["description"].endswith("."), path
        assert set(operation["tags"]) <= tags, path


def test_paths_with_a_job_may_not_find_it(contract: dict[str, Any]) -> None:
    for method, path, operation in operations(contract):
        if "{" in path:
            assert "404" in operation["responses"], f"{method} {path}"


def test_reads_say_that_they_can_be_kept(contract: dict[str, Any]) -> None:
    for method, path, operation in operations(contract):
        if method == "get" and operation["operationId"] not in OPEN and operation["tags"] != ["streams"]:
            assert "304" in operation["responses"], path
            assert "ETag" in operation["responses"]["200"]["headers"], path
            assert any(parameter["name"] == "If-None-Match" for parameter in operation["parameters"]), path


def test_calls_of_the_design_are_all_there(contract: dict[str, Any]) -> None:
    found = {f"{method.upper()} {path}" for method, path, _ in operations(contract)}
    job, study = "/v1/jobs/{job_id}", "/v1/studies/{study_id}"
    assignment = "/v1/assignments/{assignment_id}"
    assert found == {
        "GET /v1/experiments",
        "GET /v1/experiments/{slug}",
        "GET /v1/experiments/{slug}/picture",
        "GET /v1/question-sets",
        "GET /v1/environment",
        "POST /v1/jobs",
        "GET /v1/jobs",
        f"GET {job}",
        f"PATCH {job}",
        f"DELETE {job}",
        "POST /v1/jobs/delete",
        f"DELETE {study}",
        f"GET {study}/effects",
        "POST /v1/users/{user_id}/erase",
        "GET /v1/users/{user_id}/export",
        f"POST {job}/cancel",
        f"POST {job}/retry",
        *(f"GET {job}/{part}" for part in ("metrics", "samples", "logs", "events", "artifacts", "queue", "stream")),
        f"GET {job}/artifacts/{{name}}",
        "POST /v1/estimates",
        "GET /v1/estimates/accuracy",
        "GET /v1/estimates/gpus",
        "GET /v1/estimates/{estimate_id}",
        "POST /v1/programs",
        "GET /v1/programs",
        "GET /v1/programs/{sha256}",
        "GET /v1/programs/{sha256}/archive",
        "GET /v1/programs/{sha256}/files/{path}",
        "GET /v1/programs/{sha256}/diff/{other_sha256}",
        "POST /v1/studies",
        "GET /v1/studies",
        f"GET {study}",
        f"GET {study}/report",
        *(f"POST {study}/{part}" for part in ("cancel", "retry", "seeds")),
        "GET /v1/stream",
        f"PATCH {job}",
        "GET /v1/nodes",
        "GET /v1/gpus",
        "POST /v1/nodes/{name}/drain",
        "POST /v1/nodes/{name}/undrain",
        "DELETE /v1/nodes/{name}",
        "GET /v1/nodes/{name}/events",
        "GET /v1/nodes/{name}/history",
        "GET /v1/timeline",
        "POST /v1/nodes/{name}/token",
        "DELETE /v1/nodes/{name}/token",
        "GET /v1/me",
        "GET /v1/queue",
        *(f"POST {thing}/share" for thing in (job, study)),
        *(f"{method} /v1/users" for method in ("GET", "POST")),
        *(f"{method} /v1/users/{{user_id}}" for method in ("GET", "PATCH")),
        *(f"POST /v1/users/{{user_id}}/{verb}" for verb in ("disable", "enable")),
        *(f"{method} /v1/tokens" for method in ("GET", "POST")),
        "DELETE /v1/tokens/{token_id}",
        *(f"{method} /v1/session" for method in ("POST", "DELETE")),
        "GET /v1/audit",
        "GET /v1/disk",
        "GET /v1/errors",
        "DELETE /v1/lab-hours/{lab_hours_id}",
        "GET /v1/job-table",
        "GET /v1/job-table/fields",
        "GET /v1/job-table/groups",
        "GET /v1/lab-hours",
        "GET /v1/lab-hours/{lab_hours_id}",
        "PATCH /v1/lab-hours/{lab_hours_id}",
        "POST /v1/lab-hours",
        *(f"{method} /v1/courses" for method in ("GET", "POST")),
        *(f"{method} /v1/courses/{{course_id}}" for method in ("GET", "PATCH")),
        *(f"{method} /v1/courses/{{course_id}}/members/{{user_id}}" for method in ("PUT", "DELETE")),
        "GET /v1/banners",
        "POST /v1/banners",
        "DELETE /v1/banners/{banner_id}",
        "GET /v1/me/notifications",
        "PATCH /v1/me/notifications",
        "POST /v1/me/notifications/{channel}/test",
        "GET /v1/openid",
        *(f"GET /v1/openid/{part}" for part in ("start", "callback")),
        *(f"{method} /v1/roster" for method in ("GET", "POST")),
        *(f"{method} /v1/assignments" for method in ("GET", "POST")),
        *(f"{method} {assignment}" for method in ("GET", "PATCH")),
        *(f"{method} {assignment}/submission" for method in ("GET", "POST")),
        *(f"GET {assignment}/{part}" for part in ("overview", "submissions", "work")),
        f"GET {assignment}/students",
        *(f"POST {assignment}/students/{act}" for act in ("extend", "message", "cancel-waiting", "check")),
        f"POST {assignment}/submissions/{{user_id}}/rerun",
        f"POST {assignment}/submissions/{{user_id}}/check",
        *(f"GET {assignment}/{part}" for part in ("grade", "grades", "grades.csv")),
        *(f"{method} {assignment}/grades/{{user_id}}" for method in ("GET", "PUT", "DELETE")),
        f"POST {assignment}/grades/import",
        *(f"{method} {assignment}/reruns" for method in ("GET", "POST")),
        *(f"{method} {assignment}/extensions" for method in ("GET", "POST")),
        f"DELETE {assignment}/extensions/{{extension_id}}",
        f"GET {assignment}/submissions/{{user_id}}/comparison",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_references_stand_alone(contract: dict[str, Any]) -> None:
    def beside(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            if "$ref" in node and len(node) > 1:
                yield node
            for child in node.values():
                yield from beside(child)
        elif isinstance(node, list):
            for child in node:
                yield from beside(child)

    assert list(beside(contract)) == []
    assert contract["components"]["schemas"]["JobCreate"]["properties"]["priority"]["default"] == "normal"


def test_contract_says_where_the_lab_is(contract: dict[str, Any]) -> None:
    assert [server["url"] for server in contract["servers"]] == ["/"]


def test_findings_are_an_object(contract: dict[str, Any]) -> None:
    answers = contract["paths"]["/v1/studies/{study_id}/report"]["get"]["responses"]["200"]["content"]
    types = {media: answer["schema"]["type"] for media, answer in answers.items()}
    assert types == {"text/html": "string", "text/markdown": "string", "application/json": "object"}
