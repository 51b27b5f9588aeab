"""Probes, metrics, machines, tokens, and what happens while PostgreSQL is away."""

import asyncio
import re
import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from alembic import command
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, insert, text

from api.admin import ensure_token
from api.auth.principal import Principal
from api.auth.standing import Standing
from api.auth.token_secrets import digest_of
from api.limits.buckets import Buckets
from api.limits.request_rate import RequestRate
from api.users import statements as users
from experiments.registry import experiments, runnable
from gpulab.schemas import ExperimentDetail, ExperimentPage, MeRead, NodePage
from gpulab.states import FailureCause, JobState, NodeFault, Role, WaitReason
from migrations.settings import config
from models import Gpu
from models.settings import ApiSettings
from models.statements import leases, node_health, node_tokens, queue
from models.statements.readiness import LEADER_LOCK
from server.embedded import EmbeddedPostgres
from tests.integration.api.conftest import serving
from tests.integration.api.seeds import SeededUser, Seeds

OPS = Path(__file__).parents[3] / "ops"


def gpu(seeds: Seeds, uuid: str, index: int) -> None:
    described = {"name": "Test GPU", "memory_total_bytes": 1000, "healthy": True, "reason": None, "latest": {}}
    with seeds.engine.begin() as connection:
        connection.execute(insert(Gpu).values(uuid=uuid, node="node-1", index=index, **described))


async def eventually(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """The first answer with that status, within a deadline."""
    async with asyncio.timeout(30):
        while (answer := await client.get(path)).status_code != status:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
    return answer


async def test_probes_need_no_token(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_names_every_missing_part(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/readyz")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert {"scheduler", "nodes"} <= {field["path"] for field in answer.json()["errors"]}


async def test_lab_is_ready_with_a_scheduler_and_a_node(anonymous: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    with seeds.engine.connect() as leader:
        leader.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LEADER_LOCK})
        answer = await eventually(anonymous, "/readyz", 200)

    assert set(answer.json()["checks"]) == {"database", "schema", "scheduler", "nodes", "redis"}


async def test_schema_of_another_version_is_not_ready(anonymous: httpx.AsyncClient, seeds: Seeds) -> None:
    # The database outlives the test, and others look at its version too.
    with seeds.engine.begin() as connection:
        ours = connection.execute(text("SELECT version_num FROM schema_version")).scalar_one()
        connection.execute(text("UPDATE schema_version SET version_num = 'other'"))
    try:
        fields = (await anonymous.get("/readyz")).json()["errors"]
    finally:
        with seeds.engine.begin() as connection:
            connection.execute(text("UPDATE schema_version SET version_num = :ours"), {"ours": ours})

    assert any(field["path"] == "schema" and "other" in field["message"] for field in fields)


async def test_metrics_count_requests_and_waiting_jobs(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    seeds.node()
    seeds.job(admin)
    await client.get("/v1/me")
    families = {family.name: family for family in text_string_to_metric_families((await client.get("/metrics")).text)}

    requests = {tuple(sample.labels.values()): sample.value for sample in families["gpulab_http_requests"].samples}
    states = {sample.labels["state"]: sample.value for sample in families["gpulab_jobs"].samples}
    assert requests["GET", "/v1/me", "200"] == 1
    assert states == {"queued": 1, "leased": 0, "running": 0}
    assert {s.labels["state"]: s.value for s in families["gpulab_nodes"].samples} == {
        "up": 1,
        "draining": 0,
        "set_aside": 0,
        "down": 0,
    }


async def test_metrics_tell_an_operator_what_waits_fails_and_is_lost(
    app: FastAPI, client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    app.state.app.metrics.seconds = 0
    seeds.node(gpu_reason=None)
    gpu(seeds, "GPU-a", 0)
    gpu(seeds, "GPU-b", 1)
    await client.get("/metrics")
    seeds.lease(seeds.job(admin), gpu_uuids=("GPU-a",), reserved_bytes=300)
    waiting, failed, lost = seeds.job(admin), seeds.job(admin), seeds.job(admin)
    seeds.run(failed)
    seeds.finish(failed, JobState.FAILED, FailureCause.OUT_OF_MEMORY)
    seeds.run(lost)
    gone = leases.lose(seeds.tokens[lost], max_lost_attempts=3, actor="scheduler", message="not heard of in time")
    with seeds.engine.begin() as connection:
        connection.execute(gone)
        connection.execute(queue.explain([(waiting, WaitReason.NO_FREE_GPU, "every GPU is taken")]))
    text = (await client.get("/metrics")).text
    again = (await client.get("/metrics")).text

    for line in (
        'gpulab_queued_jobs{reason="no_free_gpu"} 1.0',
        'gpulab_queued_jobs{reason="next_in_line"} 1.0',
        'gpulab_job_events_total{cause="out_of_memory",type="job.failed"} 1.0',
        'gpulab_job_events_total{cause="",type="job.lost"} 1.0',
        'gpulab_gpus{state="busy"} 1.0',
        'gpulab_gpus{state="free"} 1.0',
        'gpulab_gpu_memory_bytes{kind="reserved"} 300.0',
        "gpulab_scheduler_leading 0.0",
        "gpulab_database_up 1.0",
    ):
        assert line in text.splitlines()
        assert line in again.splitlines(), "nothing is counted twice"


async def test_dashboard_and_alerts_ask_only_for_metrics_that_there_are(
    client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    await client.get("/v1/me")
    told = {
        sample.name
        for family in text_string_to_metric_families((await client.get("/metrics")).text)
        for sample in (*family.samples, *_headings(family))
    }
    for name in ("grafana-dashboard.json", "alerts.yaml"):
        asked = set(re.findall(r"gpulab_\w+", (OPS / name).read_text()))
        assert asked
        assert asked - told == set(), name


def _headings(family: Any) -> list[Any]:
    """A family without samples yet is told by its heading alone."""
    suffix = {"counter": "_total", "histogram": "_bucket"}.get(family.type, "")
    return [SimpleNamespace(name=family.name + suffix)]


async def test_metrics_are_computed_once_for_all_who_ask_within_a_second(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.state.app.metrics.seconds = 3600
    render, calls = app.state.app.telemetry.render, []
    monkeypatch.setattr(app.state.app.telemetry, "render", lambda: calls.append(1) or render())
    answers = await asyncio.gather(*(client.get("/metrics") for _ in range(20)))
    answers.append(await client.get("/metrics"))
    assert {answer.status_code for answer in answers} == {200}
    assert len(calls) == 1


async def test_strangers_have_a_limit_and_take_nothing_from_those_who_signed_in(
    app: FastAPI, anonymous: httpx.AsyncClient, admin: SeededUser, seeds: Seeds
) -> None:
    app.state.app = replace(app.state.app, stranger_rate=RequestRate(Buckets("strangers", 0.01, 10)))
    sam = seeds.user("sam", Role.STUDENT)
    assert (await anonymous.get("/v1/me", headers=sam.headers)).status_code == 200
    answers = [await anonymous.get(path) for path in ("/healthz", "/v1/me", "/nowhere", "/readyz", "/metrics") * 5]
    made_up = [
        await anonymous.get("/healthz", headers={"Authorization": "Basic eA=="}),
        await anonymous.get("/v1/me", headers={"Cookie": "gpulab_session=made-up"}),
    ]
    for answer in (*answers[-5:], *made_up):
        assert (answer.status_code, answer.json()["type"]) == (429, "/problems/too-many-requests")
        assert int(answer.headers["Retry-After"]) >= 1
    assert (await anonymous.get("/v1/me", headers=sam.headers)).status_code == 200


async def test_metrics_do_not_grow_with_made_up_paths(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.get(f"/v1/made-up/{number}")
    assert "made-up" not in (await client.get("/metrics")).text


async def test_nodes_show_what_is_taken(client: httpx.AsyncClient, admin: SeededUser, seeds: Seeds) -> None:
    seeds.node(gpu_reason=None)
    gpu(seeds, "GPU-a", 0)
    gpu(seeds, "GPU-b", 1)
    seeds.run(seeds.job(admin))
    seeds.lease(seeds.job(admin), gpu_uuids=("GPU-a",), reserved_bytes=300)
    seeds.lease(seeds.job(admin), gpu_uuids=("GPU-a",), reserved_bytes=200)
    seeds.lease(seeds.job(admin), gpu_uuids=("GPU-b",))
    (node,) = NodePage.model_validate_json((await client.get("/v1/nodes")).content).items
    gpus = (await client.get("/v1/gpus")).json()["items"]

    assert (node.state, node.slots, node.slots_used) == ("up", 2, 1)
    assert [card.memory_reserved_bytes for card in node.gpus] == [500, 1000]
    assert [card["uuid"] for card in gpus] == ["GPU-a", "GPU-b"]


async def test_drain_is_ordered_and_taken_back(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    drained = await client.post("/v1/nodes/node-1/drain", json={"reason": "new fans"})
    plain = await client.post("/v1/nodes/node-1/drain")
    back = await client.post("/v1/nodes/node-1/undrain")
    nowhere = await client.post("/v1/nodes/node-2/drain")

    assert (drained.status_code, drained.json()["state"], drained.json()["reason"]) == (200, "draining", "new fans")
    assert plain.json()["reason"] == "drained by admin"
    assert (back.json()["state"], back.json()["reason"]) == ("up", None)
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "/problems/node-not-found")


async def test_node_that_was_set_aside_says_why_and_comes_back_by_order(
    client: httpx.AsyncClient, seeds: Seeds
) -> None:
    seeds.node()
    aside = node_health.set_aside("node-1", NodeFault.GPU_XID, "GPU 0 reported Xid 79", until=None)
    with seeds.engine.begin() as connection:
        connection.execute(aside)
    (found,) = NodePage.model_validate_json((await client.get("/v1/nodes")).content).items
    back = (await client.post("/v1/nodes/node-1/undrain")).json()
    events = (await client.get("/v1/nodes/node-1/events")).json()["items"]

    assert (found.state, found.fault, found.fault_until) == ("set_aside", "gpu_xid", None)
    assert (found.reason, found.fault_at is None) == ("GPU 0 reported Xid 79", False)
    assert (back["state"], back["fault"]) == ("up", None)
    assert [(event["type"], event["actor"]) for event in events] == [
        ("node.undrained", "user:admin"),
        ("node.set_aside", "scheduler"),
    ]


async def test_node_token_is_shown_once_and_only_its_digest_is_kept(client: httpx.AsyncClient, seeds: Seeds) -> None:
    made = await client.post("/v1/nodes/gpu-7/token")
    token = made.json()["token"]
    with seeds.engine.begin() as connection:
        known = connection.execute(node_tokens.good("gpu-7", digest_of(token))).all()
        stored = connection.execute(text("SELECT * FROM node_tokens")).all()
    revoked = await client.delete("/v1/nodes/gpu-7/token")
    again = await client.delete("/v1/nodes/gpu-7/token")

    assert (made.status_code, token[:10]) == (201, "glab_node_")
    assert len(known) == 1
    assert token not in str(stored)
    assert (revoked.json(), again.json()["revoked"]) == ({"node": "gpu-7", "revoked": 1}, 0)


@pytest.mark.parametrize("role", [Role.STUDENT, Role.INSTRUCTOR])
@pytest.mark.parametrize(
    ("method", "part"),
    [("POST", "/drain"), ("POST", "/undrain"), ("POST", "/token"), ("DELETE", "/token"), ("DELETE", "")],
)
async def test_only_admins_change_nodes(
    client: httpx.AsyncClient, seeds: Seeds, role: Role, method: str, part: str
) -> None:
    seeds.node()
    answer = await client.request(method, f"/v1/nodes/node-1{part}", headers=seeds.user("x", role).headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


async def test_silent_node_is_down(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    with seeds.engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET heartbeat_at = now() - interval '1 hour'"))
    assert (await client.get("/v1/nodes")).json()["items"][0]["state"] == "down"


async def test_me_is_the_owner_of_the_token(client: httpx.AsyncClient, seeds: Seeds) -> None:
    sam = seeds.user("sam", Role.STUDENT)
    me = MeRead.model_validate_json((await client.get("/v1/me", headers=sam.headers)).content)

    assert (me.id, me.name, me.role, me.token_expires_at) == (sam.id, "sam", Role.STUDENT, None)


async def test_catalogue_explains_its_experiments(client: httpx.AsyncClient) -> None:
    page = ExperimentPage.model_validate_json((await client.get("/v1/experiments")).content)
    detail = ExperimentDetail.model_validate_json((await client.get("/v1/experiments/dropout-linear")).content)

    assert "dropout-linear" in {item.slug for item in page.items}
    assert detail.spec_schema["properties"]["dropout"]["exclusiveMaximum"] == 1
    assert detail.spec_schema["properties"]["dropout"]["description"]
    assert {metric.name for metric in detail.metrics} >= {"loss"}


async def test_listing_leaves_out_what_the_lab_itself_submits(client: httpx.AsyncClient) -> None:
    listed = {item["slug"] for item in (await client.get("/v1/experiments")).json()["items"]}
    assert listed == experiments().keys()
    assert listed < runnable().keys()


def token_works(settings: ApiSettings, token: str) -> Any:
    engine = create_engine(settings.sqlalchemy_url)
    with engine.begin() as connection:
        row = connection.execute(users.bearers([digest_of(token)])).first()
    engine.dispose()
    return row


def test_admin_token_is_made_once_and_replaced_when_it_stops_working(
    settings: ApiSettings, seeds: Seeds, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "token"

    def ensure() -> bool:
        with seeds.engine.begin() as connection:
            return ensure_token(connection, path)

    assert ensure()
    first = path.read_text()
    assert not ensure()
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    row = token_works(settings, first.strip())
    assert (row.name, row.role) == ("admin", Role.ADMIN)

    seeds.revoke(SeededUser(row.id, row.name, first.strip()))
    assert ensure()
    assert path.read_text() != first


def test_only_a_digest_of_the_token_is_stored(settings: ApiSettings, seeds: Seeds, tmp_path: Path) -> None:
    with seeds.engine.begin() as connection:
        ensure_token(connection, tmp_path / "token")
    token = (tmp_path / "token").read_text().strip()
    with seeds.engine.begin() as connection:
        rows = connection.execute(text("SELECT encode(digest, 'hex'), name FROM tokens")).all()

    assert token.startswith("glab_")
    assert len(token) >= 48
    assert all(token not in str(row) for row in rows)


def test_students_are_no_staff() -> None:
    named = dict.fromkeys(("id", "max_queued", "token_id", "token_expires_at"))
    fields = {"name": "x", "token_name": "t", "address": "here", "request_id": "r", **named}
    roles = [Principal(standing=Standing(role, None), **fields).is_staff for role in Role]  # type: ignore[arg-type]
    assert roles == [False, True, True]


async def test_outage_of_the_database_is_a_503_and_passes(
    settings: ApiSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a server of its own, since it is killed."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("outage"))
    server.start()
    try:
        own = settings.model_copy(update={"database_url": server.url})
        token_file = tmp_path_factory.mktemp("token") / "token"
        engine = create_engine(own.sqlalchemy_url)
        with engine.connect() as connection:
            _migrate(connection)
            ensure_token(connection, token_file)
            connection.commit()
        engine.dispose()
        headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
        async with serving(own) as (_, url), httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            assert (await client.get("/v1/jobs")).status_code == 200
            server.kill()
            away = await client.get("/v1/jobs")
            ready = await client.get("/readyz")
            server.start()
            await eventually(client, "/v1/jobs", 200)
            # No connection from before is left to trip over, and notices are heard again.
            answers = await asyncio.gather(*(client.get("/v1/jobs") for _ in range(20)))
            fields = [field["path"] for field in (await client.get("/readyz")).json()["errors"]]

        assert (away.status_code, away.json()["type"]) == (503, "/problems/unavailable")
        assert away.headers["retry-after"] == "1"
        assert "database" in {field["path"] for field in ready.json()["errors"]}
        assert {answer.status_code for answer in answers} == {200}
        assert "database" not in fields
    finally:
        server.stop()


def _migrate(connection: Any) -> None:
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")
    connection.commit()
