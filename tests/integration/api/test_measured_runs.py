"""What a program took is what its next run reserves, whatever fractions it is given."""

from math import ceil
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, insert, update

from experiments.program_host.shape import shape
from gpulab.schemas import DryRunRead, JobRead
from gpulab.states import JobState
from models import Job, SampleChunk
from tests.integration.api.seeds import Seeds
from tests.integration.api.study_calls import jobs_of
from tests.integration.api.study_calls import submitted as study_submitted

GIB = 2**30


@pytest.fixture
async def program(client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/programs", files=[("files", ("train.py", b"print(1)"))])
    sha: str = answer.json()["sha256"]
    return sha


def order(program: str, **parameters: Any) -> dict[str, Any]:
    spec = {"program": program, "command": ["python", "train.py", "--rate", "0.5"], "parameters": parameters}
    return {"experiment": "script", "spec": spec, "gpus": 1}


async def submitted(client: httpx.AsyncClient, order: dict[str, Any]) -> JobRead:
    answer = await client.post("/v1/jobs", json=order)
    assert answer.status_code == 201, answer.text
    return JobRead.model_validate_json(answer.content)


def ran(seeds: Seeds, job_id: UUID, source: str, values: dict[str, list[int | None]], state: JobState) -> None:
    """As a worker would leave it."""
    ended = {"state": state, "attempt": 1, "gpu_uuids": ["GPU-1"], "finished_at": func.now(), "started_at": func.now()}
    result: dict[str, Any] = {"result": {}} if state is JobState.SUCCEEDED else {"cause": "error"}
    chunk = {"job_id": job_id, "attempt": 1, "source": source, "gpu_uuid": None, "times": [1.0, 2.0], "reasons": {}}
    with seeds.engine.begin() as connection:
        connection.execute(update(Job).where(Job.id == job_id).values(**ended, **result))
        connection.execute(insert(SampleChunk).values(**chunk, values=values))


async def test_next_run_reserves_what_the_one_before_took(
    client: httpx.AsyncClient, seeds: Seeds, program: str
) -> None:
    first = await submitted(client, order(program, lr=0.1, batch=8))
    assert first.gpu_memory_bytes is None
    ran(seeds, first.id, "gpu", {"process_used_bytes": [None, 2 * GIB]}, JobState.SUCCEEDED)

    again = await submitted(client, order(program, lr=0.01, batch=8))
    assert again.gpu_memory_bytes == pytest.approx(2 * GIB * 1.15, abs=1)
    dry = await client.post("/v1/jobs?dry_run=true", json=order(program, lr=0.3, batch=8))
    estimate = DryRunRead.model_validate_json(dry.content).estimate
    assert estimate is not None
    assert (
        estimate.reason == "an earlier run of this program used 2.00 GiB of GPU memory, so this run reserves 2.30 GiB"
    )

    other_shape = await submitted(client, order(program, lr=0.1, batch=16))
    assert other_shape.gpu_memory_bytes is None
    said = await submitted(client, order(program, lr=0.1, batch=8) | {"gpu_memory_bytes": GIB})
    assert said.gpu_memory_bytes == GIB
    whole = await submitted(client, order(program, lr=0.1, batch=8) | {"exclusive": True})
    assert whole.gpu_memory_bytes is None


async def test_runs_of_a_study_reserve_it_each_by_its_own_shape(
    client: httpx.AsyncClient, seeds: Seeds, program: str
) -> None:
    first = await submitted(client, order(program, lr=0.1, batch=8))
    ran(seeds, first.id, "gpu", {"process_used_bytes": [GIB]}, JobState.SUCCEEDED)
    grid = {"parameters.lr": [0.3, 0.2], "parameters.batch": [8, 16]}
    study = await study_submitted(client, experiment="script", base=order(program)["spec"], grid=grid, seeds=[1])
    runs = [JobRead.model_validate_json((await client.get(f"/v1/jobs/{id_}")).content) for id_ in jobs_of(seeds, study)]
    reserved = {(run.spec["parameters"]["lr"], run.spec["parameters"]["batch"]): run.gpu_memory_bytes for run in runs}
    took = ceil(GIB * 1.15)
    assert reserved == {(0.3, 8): took, (0.2, 8): took, (0.3, 16): None, (0.2, 16): None}

    more = await client.post(f"/v1/studies/{study.id}/seeds", json={"seeds": [2]})
    assert more.is_success, more.text
    runs = [JobRead.model_validate_json((await client.get(f"/v1/jobs/{id_}")).content) for id_ in jobs_of(seeds, study)]
    assert sorted((run.seed, run.gpu_memory_bytes) for run in runs if run.spec["parameters"]["batch"] == 8) == [
        (1, took),
        (1, took),
        (2, took),
        (2, took),
    ]


async def test_allocator_counts_where_the_driver_says_nothing_and_failures_never(
    client: httpx.AsyncClient, seeds: Seeds, program: str
) -> None:
    failed = await submitted(client, order(program, lr=0.1))
    ran(seeds, failed.id, "gpu", {"process_used_bytes": [9 * GIB, 9 * GIB]}, JobState.FAILED)
    assert (await submitted(client, order(program, lr=0.1))).gpu_memory_bytes is None
    good = await submitted(client, order(program, lr=0.1))
    ran(seeds, good.id, "allocator", {"reserved_bytes": [GIB, None]}, JobState.SUCCEEDED)
    reserved = (await submitted(client, order(program, lr=0.2))).gpu_memory_bytes
    assert reserved is not None
    assert GIB < reserved < 3 * GIB


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"parameters": {"lr": 0.1}}, {"parameters": {"lr": 1e-5}}, True),
        ({"arguments": ["--lr", "0.1"]}, {"arguments": ["--lr", "1e-3"]}, True),
        ({"parameters": {"batch": 8}}, {"parameters": {"batch": 16}}, False),
        ({"arguments": ["--batch", "8"]}, {"arguments": ["--batch", "16"]}, False),
        ({"parameters": {"model": "a"}}, {"parameters": {"model": "b"}}, False),
        ({"parameters": {"deep": True}}, {"parameters": {"deep": False}}, False),
        ({"notebook": "a.ipynb"}, {"notebook": "b.ipynb"}, False),
        ({"program": "a"}, {"program": "b"}, False),
    ],
)
def test_shape_leaves_out_the_values_of_fractions(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (shape(one) == shape(other)) is same
