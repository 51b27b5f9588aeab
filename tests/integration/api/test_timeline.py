"""The timeline of the lab and the history of a node."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert, update

from api.timeline import service
from api.timeline.readings import MAX_CELLS, MAX_HOURS, Window
from gpulab.states import Role
from models import Gpu, GpuMinute, Lease
from models.statements import usage
from tests.integration.api.seeds import NODE, SeededUser, Seeds

GPUS = ("GPU-a", "GPU-b")


@pytest.fixture
def lab(seeds: Seeds) -> Seeds:
    seeds.node(gpu_reason=None)
    described = {"name": "Test GPU", "memory_total_bytes": 1000, "healthy": True, "reason": None, "latest": {}}
    with seeds.engine.begin() as connection:
        for index, uuid in enumerate(GPUS):
            connection.execute(insert(Gpu).values(uuid=uuid, node=NODE, index=index, **described))
    return seeds


def read(seeds: Seeds, gpu_uuid: str, minutes_ago: float, **values: Any) -> None:
    minute = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).replace(second=0, microsecond=0)
    with seeds.engine.begin() as connection:
        connection.execute(insert(GpuMinute).values(minute=minute, gpu_uuid=gpu_uuid, node=NODE, readings=12, **values))


async def test_a_job_names_its_gpus_in_their_order(client: httpx.AsyncClient, admin: SeededUser, lab: Seeds) -> None:
    with lab.engine.begin() as connection:
        connection.execute(update(Gpu).where(Gpu.uuid == "GPU-b").values(name="emulated T4"))
    both, forgotten, none = (lab.job(admin, gpus=count) for count in (2, 1, 0))
    lab.lease(both, gpu_uuids=("GPU-b", "GPU-a"))
    lab.lease(forgotten, gpu_uuids=("GPU-gone",))
    found = [(await client.get(f"/v1/jobs/{job}")).json()["gpu_names"] for job in (both, forgotten, none)]
    assert found == [["emulated T4", "Test GPU"], [], []]


async def test_students_see_names_of_their_own_runs_alone_and_staff_of_all(
    client: httpx.AsyncClient, lab: Seeds
) -> None:
    ada, grace = lab.user("ada", Role.STUDENT), lab.user("grace", Role.STUDENT)
    own, other = lab.job(ada, name="mine", gpus=1), lab.job(grace, name="secret", gpus=1)
    lab.lease(own, gpu_uuids=("GPU-a",))
    lab.lease(other, gpu_uuids=("GPU-a", "GPU-b"))
    ahead = lab.job(grace, name="secret too", gpus=1)
    with lab.engine.begin() as connection:
        starts = {ahead: time.time() + 100}
        connection.execute(usage.estimated_starts(starts, {ahead: (NODE, ("GPU-b",))}))

    seen = (await client.get("/v1/timeline", headers=ada.headers)).json()
    by_name = {run["name"]: run for run in seen["runs"]}
    assert set(by_name) == {"mine", None}
    assert by_name["mine"]["job_id"] == str(own)
    assert by_name["mine"]["own"]
    assert by_name[None] == by_name[None] | {"own": False, "job_id": None, "owner": None, "gpu_uuids": [*GPUS]}
    (expected,) = seen["expected"]
    assert (expected["name"], expected["node"], expected["gpu_uuids"]) == (None, NODE, ["GPU-b"])
    assert "secret" not in (await client.get("/v1/timeline", headers=ada.headers)).text

    for_staff = (await client.get("/v1/timeline")).json()
    assert {(run["name"], run["owner"]) for run in for_staff["runs"]} == {("mine", "ada"), ("secret", "grace")}
    assert [run["job_id"] for run in for_staff["expected"]] == [str(ahead)]


async def test_ended_runs_are_shown_within_the_hours_and_the_longest_when_there_are_many(
    client: httpx.AsyncClient, lab: Seeds, admin: SeededUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = lab.job(admin, name="done")
    lab.run(done)
    lab.finish(done)
    before = lab.job(admin, name="before")
    lab.run(before)
    lab.finish(before)
    running = lab.job(admin, name="runs")
    lab.run(running)
    with lab.engine.begin() as connection:
        began, ended = (datetime.now(UTC) - timedelta(hours=hours) for hours in (9, 2))
        connection.execute(update(Lease).where(Lease.job_id == before).values(granted_at=began, released_at=ended))
        connection.execute(update(Lease).where(Lease.job_id == running).values(granted_at=began))
    both = (await client.get("/v1/timeline?hours=1")).json()
    assert {run["name"]: (run["outcome"], run["end"] is None) for run in both["runs"]} == {
        "done": ("succeeded", False),
        "runs": (None, True),
    }
    monkeypatch.setattr(service, "MAX_RUNS", 1)
    one = (await client.get("/v1/timeline?hours=1")).json()
    assert ([run["name"] for run in one["runs"]], one["runs_left_out"]) == (["runs"], 1)


async def test_cells_hold_the_mean_and_the_peak_and_nothing_where_nothing_was_read(
    client: httpx.AsyncClient, lab: Seeds
) -> None:
    # Both within one cell of four minutes, whenever the test runs.
    cell = Window.of(16, time.time())
    assert cell.cell_seconds == 240
    offset = (time.time() - cell.start.timestamp()) % 240 / 60
    read(lab, "GPU-a", offset + 3.9 + 240, utilization_percent=20.0, memory_used_bytes=400, power_watts=100.0)
    read(lab, "GPU-a", offset + 2.9 + 240, utilization_percent=40.0, memory_used_bytes=900, power_watts=None)
    seen = (await client.get("/v1/timeline?hours=16")).json()
    first, second = seen["gpus"]
    assert [value for value in first["utilization_percent"] if value is not None] == [30]
    assert [value for value in first["memory_percent"] if value is not None] == [90]
    assert set(second["utilization_percent"]) == {None}
    assert len(first["utilization_percent"]) == len(second["memory_percent"]) <= MAX_CELLS + 2

    history = (await client.get(f"/v1/nodes/{NODE}/history?hours=16")).json()
    assert max(value for value in history["gpus"][0]["memory_used_bytes"] if value is not None) == 900
    assert [value for value in history["gpus"][0]["power_watts"] if value is not None] == [100]
    assert set(history["gpus"][0]["temperature_celsius"]) == {None}


@pytest.mark.parametrize("hours", [1, 6, 24, MAX_HOURS])
def test_window_ends_now_and_its_cells_are_few_and_start_on_whole_minutes(hours: int) -> None:
    now = 1_700_000_123.4
    window = Window.of(hours, now)
    start = window.start.timestamp()
    assert window.cells <= MAX_CELLS + 2
    assert start % window.cell_seconds == 0
    assert start <= now - hours * 3600
    assert start + (window.cells - 1) * window.cell_seconds <= now < start + window.cells * window.cell_seconds


@pytest.mark.parametrize("hours", ["0", "169", "x"])
async def test_other_lengths_are_refused(client: httpx.AsyncClient, hours: str) -> None:
    answer = await client.get(f"/v1/timeline?hours={hours}")
    assert answer.status_code == 422
    assert "query.hours" in answer.json()["detail"]


async def test_unknown_node_has_no_history(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/v1/nodes/{uuid4()}/history")).status_code == 404
