"""Whatever is wrong with a request: a clear problem, a line in the log, and nothing changed."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from gpulab.schemas import Problem
from gpulab.states import Role
from tests.integration.api.seeds import ORDER, SeededUser, Seeds, body, long_ago

JSON = {"Content-Type": "application/json"}


def problem_of(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    assert problem.instance == f"/requests/{answer.headers['x-request-id']}"
    return problem


def raw_spec(text: str) -> bytes:
    return b'{"experiment":"dropout-linear","spec":' + text.encode() + b"}"


BAD_BODIES: dict[str, tuple[bytes, int, str, str | None]] = {
    "unknown experiment": (body(experiment="nope"), 422, "unknown-experiment", "experiment"),
    "experiment as a path": (body(experiment="../../etc/passwd"), 422, "unknown-experiment", "experiment"),
    "missing experiment": (b'{"spec":{}}', 422, "invalid-request", "experiment"),
    "unknown field": (body(colour="red"), 422, "invalid-request", "colour"),
    "unknown field of the spec": (body(spec={"colour": 1}), 422, "invalid-spec", "spec.colour"),
    "word for a number": (body(spec={"dropout": "0.5"}), 422, "invalid-spec", "spec.dropout"),
    "boolean for a number": (body(spec={"iterations": True}), 422, "invalid-spec", "spec.iterations"),
    "boolean for a seed": (body(seed=True), 422, "invalid-request", "seed"),
    "text for a seed": (body(seed="1"), 422, "invalid-request", "seed"),
    "over a limit": (body(spec={"iterations": 10**6}), 422, "invalid-spec", "spec.iterations"),
    "rule over fields": (body(spec={"x": [[1.0], [2.0]], "y": [1.0]}), 422, "invalid-spec", "spec.y"),
    "list for an object": (body(spec=[]), 422, "invalid-request", "spec"),
    "NaN": (raw_spec('{"dropout":NaN}'), 400, "malformed-body", None),
    "Infinity": (raw_spec('{"dropout":Infinity}'), 400, "malformed-body", None),
    "-Infinity": (raw_spec('{"dropout":-Infinity}'), 400, "malformed-body", None),
    "overflowing number": (raw_spec('{"dropout":1e999}'), 422, "invalid-request", "spec.dropout"),
    "huge integer": (raw_spec('{"iterations":' + "9" * 40 + "}"), 422, "invalid-request", "spec.iterations"),
    "integer of 5000 digits": (raw_spec('{"iterations":' + "9" * 5000 + "}"), 400, "malformed-body", None),
    "repeated key": (b'{"experiment":"a","experiment":"b"}', 400, "malformed-body", None),
    "empty list": (body(spec={"x": [], "y": []}), 422, "invalid-spec", "spec.x"),
    "huge list": (body(spec={"x": [[1.0]] * 5000}), 422, "invalid-spec", "spec.x"),
    "too many tags": (body(tags=["t"] * 21), 422, "invalid-request", "tags"),
    "deep object": (raw_spec('{"a":' * 40 + "1" + "}" * 40), 400, "malformed-body", None),
    "rather deep object": (raw_spec('{"a":' * 20 + "1" + "}" * 20), 422, "invalid-request", "spec"),
    "very deep list": (raw_spec("[" * 100_000), 400, "malformed-body", None),
    "control character in a name": (body(name="a\nb"), 422, "invalid-request", "name"),
    "NUL in a name": (body(name="a\0b"), 422, "invalid-request", "name"),
    "NUL in the spec": (body(spec={"method": "a\0b"}), 422, "invalid-request", "spec.method"),
    "NUL in a key": (body(spec={"a\0b": 1}), 422, "invalid-request", "spec.a\\u0000b"),
    "half a surrogate pair": (raw_spec('{"method":"\\ud800"}'), 422, "invalid-request", "spec.method"),
    "half a surrogate pair in a key": (raw_spec('{"\\ud800":1}'), 422, "invalid-request", "spec.\\ud800"),
    "tag as a path": (body(tags=["../x"]), 422, "invalid-request", "tags.0"),
    "empty name": (body(name=""), 422, "invalid-request", "name"),
    "GPU for a CPU experiment": (body(gpus=1), 422, "invalid-request", "gpus"),
    "no time": (body(time_limit_seconds=0), 422, "invalid-request", "time_limit_seconds"),
    "too much time": (body(time_limit_seconds=10**9), 422, "invalid-request", "time_limit_seconds"),
    "unknown priority": (body(priority="now"), 422, "invalid-request", "priority"),
    "not JSON": (b"experiment=dropout-linear", 400, "malformed-body", None),
    "half JSON": (b'{"experiment":', 400, "malformed-body", None),
    "empty": (b"", 400, "malformed-body", None),
    "not UTF-8": (b'{"experiment":"\xff"}', 400, "malformed-body", None),
    "a list": (b"[]", 422, "invalid-request", "body"),
    "null": (b"null", 422, "invalid-request", "body"),
    "10 MB": (body(name="x" * 10_000_000), 413, "body-too-large", None),
}


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_bad_submission_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, seeds: Seeds, case: str
) -> None:
    content, status, slug, path = BAD_BODIES[case]
    with capture_logs() as lines:
        answer = await client.post("/v1/jobs", content=content, headers=JSON)

    problem = problem_of(answer)
    assert (problem.status, problem.type) == (status, f"/problems/{slug}"), problem
    assert [field.path for field in problem.errors or []][:1] == ([path] if path else [])
    assert len(answer.content) < 4000
    assert {"request.refused", "request.served"} <= {line["event"] for line in lines}
    assert seeds.state_of_everything() == ((), 0, ())


async def test_refusal_names_limit_and_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", json={**ORDER, "spec": {"dropout": 1.5}})
    (field,) = problem_of(answer).errors or []

    assert (field.path, field.limit, field.value) == ("spec.dropout", {"lt": 1.0}, 1.5)


async def test_long_values_come_back_shortened(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", json={**ORDER, "name": "x" * 5000})
    (field,) = problem_of(answer).errors or []

    assert isinstance(field.value, str)
    assert len(field.value) < 200
    assert "5000 characters" in field.value


async def test_unannounced_large_body_is_refused(client: httpx.AsyncClient, seeds: Seeds) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000

    answer = await client.post("/v1/jobs", content=chunks(), headers=JSON)

    assert problem_of(answer).type == "/problems/body-too-large"
    assert seeds.state_of_everything() == ((), 0, ())


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/problem+json", ""])
async def test_body_must_be_called_json(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/v1/jobs", content=body(), headers={"Content-Type": kind})
    assert problem_of(answer).type == "/problems/unsupported-media-type"


@pytest.mark.parametrize("key", ["", " ", "a b", "ü".encode(), "x" * 201])
async def test_bad_idempotency_key_is_refused(client: httpx.AsyncClient, seeds: Seeds, key: str | bytes) -> None:
    answer = await client.post("/v1/jobs", content=body(), headers={**JSON, "Idempotency-Key": key})  # type: ignore[dict-item]

    problem = problem_of(answer)
    assert problem.status == 422
    assert (problem.errors or [])[0].path.lower() == "header.idempotency-key"
    assert seeds.state_of_everything() == ((), 0, ())


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("colour=red", "query.colour"),
        ("State=queued", "query.State"),
        ("limit=201", "query.limit"),
        ("limit=ten", "query.limit"),
        ("state=lost", "query.state.0"),
        ("text=%00", "query.text"),
        ("owner=%0a", "query.owner"),
        ("tag=../x", "query.tag"),
        ("experiment=", "query.experiment"),
        ("cursor=nonsense", "query.cursor"),
        ("cursor=%00", "query.cursor"),
        ("cursor=" + "x" * 600, "query.cursor"),
        ("cursor=W10", "query.cursor"),
    ],
)
async def test_bad_query_is_refused(client: httpx.AsyncClient, query: str, path: str) -> None:
    problem = problem_of(await client.get(f"/v1/jobs?{query}"))

    assert problem.status == 422
    assert (problem.errors or [])[0].path == path


async def test_cursor_from_elsewhere_is_refused(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    seeds.run(job_id)
    seeds.job(admin)
    of_jobs = (await client.get("/v1/jobs?limit=1")).json()["next_cursor"]
    of_events = (await client.get(f"/v1/jobs/{job_id}/events?limit=1")).json()["next_cursor"]

    for path, cursor, words in [
        ("/v1/jobs", of_events, "another list"),
        (f"/v1/jobs/{job_id}/events", of_jobs, "another list"),
        ("/v1/jobs?state=queued", of_jobs, "other filters"),
    ]:
        problem = problem_of(
            await client.get(path, params={**httpx.QueryParams(path.partition("?")[2]), "cursor": cursor})
        )
        assert problem.type == "/problems/invalid-cursor"
        assert words in problem.detail


@pytest.mark.parametrize("query", ["wait=-1", "wait=nan", "wait=inf", "wait=soon"])
async def test_bad_wait_is_refused(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, query: str) -> None:
    problem = problem_of(await client.get(f"/v1/jobs/{seeds.job(admin)}?{query}"))
    assert (problem.errors or [])[0].path == "query.wait"


@pytest.mark.parametrize("tag", ['"', "garbage", 'W/"', '"a","b"', "\x7f"])
async def test_etag_from_elsewhere_gets_the_whole_answer(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, tag: str
) -> None:
    answer = await client.get(f"/v1/jobs/{seeds.job(admin)}", headers={"If-None-Match": tag})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/v1/jobs/not-an-id", 422, "invalid-request"),
        ("/v1/nothing", 404, "not-found"),
        ("/nothing", 404, "not-found"),
        ("/v1/experiments/nope", 404, "experiment-not-found"),
        ("/v1/experiments/%00", 404, "experiment-not-found"),
        ("/v1/experiments/..%2f..%2fetc", 404, "not-found"),
    ],
)
async def test_paths_that_lead_nowhere(client: httpx.AsyncClient, path: str, status: int, slug: str) -> None:
    problem = problem_of(await client.get(path))
    assert (problem.status, problem.type) == (status, f"/problems/{slug}")


async def test_wrong_method_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/jobs")

    assert problem_of(answer).type == "/problems/method-not-allowed"
    assert answer.headers["allow"] == "GET, HEAD, POST"


def _tokens(seeds: Seeds) -> dict[str, dict[str, str]]:
    revoked, expired = seeds.user("rita"), seeds.user("otto", expires_at=long_ago())
    seeds.revoke(revoked)
    return {
        "missing": {},
        "other scheme": {"Authorization": "Basic YTpi"},
        "empty": {"Authorization": "Bearer "},
        "wrong": {"Authorization": "Bearer glab_" + "A" * 43},
        "long": {"Authorization": "Bearer " + "A" * 5000},
        "revoked": revoked.headers,
        "expired": expired.headers,
    }


@pytest.mark.parametrize("case", ["missing", "other scheme", "empty", "wrong", "long", "revoked", "expired"])
async def test_without_a_good_token_nothing_happens(
    anonymous: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, case: str
) -> None:
    seeds.node()
    job_id = seeds.job(admin)
    headers = _tokens(seeds)[case]
    before = seeds.state_of_everything()
    for method, path in [
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs"),
        ("POST", f"/v1/jobs/{job_id}/cancel"),
        ("POST", "/v1/nodes/node-1/drain"),
        ("GET", "/v1/stream"),
        ("GET", "/v1/me"),
    ]:
        content = body() if path == "/v1/jobs" and method == "POST" else None
        with capture_logs() as lines:
            answer = await anonymous.request(method, path, content=content, headers={**JSON, **headers})
        assert problem_of(answer).type == "/problems/unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert all(admin.token not in str(line) and "AAAA" not in str(line) for line in lines)
    assert seeds.state_of_everything() == before


async def test_students_may_not_drain(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    before = seeds.state_of_everything()
    answer = await client.post("/v1/nodes/node-1/drain", headers=seeds.user("sam", Role.STUDENT).headers)

    assert problem_of(answer).type == "/problems/forbidden"
    assert seeds.state_of_everything() == before


@pytest.mark.parametrize("last", ["-1", "abc", "9" * 30, ""])
async def test_bad_last_event_id_is_refused(client: httpx.AsyncClient, last: str) -> None:
    answer = await client.get("/v1/stream", headers={"Last-Event-ID": last})
    assert (problem_of(answer).errors or [])[0].path == "header.Last-Event-ID"


async def test_our_own_fault_is_logged_and_shows_no_internals(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job_id: UUID) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("api.jobs.statements.by_id", broken)
    with capture_logs() as lines:
        answer = await client.get(f"/v1/jobs/{seeds.job(admin)}")

    problem = problem_of(answer)
    assert (problem.status, problem.type) == (500, "/problems/internal-error")
    assert "secret" not in answer.text
    (failed,) = [line for line in lines if line["event"] == "request.failed"]
    assert failed["exc_info"]


async def test_json_numbers_in_the_spec_keep_their_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs", content=raw_spec('{"learning_rate":1e-05,"x":[[1,2]]}'), headers=JSON)

    assert answer.status_code == 201, answer.text
    assert json.loads(answer.content)["spec"]["learning_rate"] == 1e-05


@pytest.mark.parametrize("slug", ["study-report", "memory-estimate", "gpu-constants"])
async def test_what_only_the_lab_submits_is_unknown_to_everybody(client: httpx.AsyncClient, slug: str) -> None:
    for path, order in (
        ("/v1/jobs", {"experiment": slug, "spec": {"title": "mine"}}),
        ("/v1/jobs?dry_run=true", {"experiment": slug}),
        ("/v1/estimates", {"experiment": slug, "spec": {"title": "mine"}}),
    ):
        problem = problem_of(await client.post(path, json=order))
        assert problem.type == "/problems/unknown-experiment", path
        (field,) = problem.errors or []
        assert slug not in (field.limit or {})["enum"]
    study = await client.post(
        "/v1/studies", json={"experiment": slug, "base": {"title": "x"}, "grid": {"title": ["a"]}}
    )
    assert study.status_code == 422
