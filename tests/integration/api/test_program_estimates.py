"""The memory verdict of a student's program over HTTP: who may ask, who may read it, and when it is asked for."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, insert, select, update

from gpulab.schemas import DryRunRead, EstimateRead, JobRead
from gpulab.states import Role
from models import Estimate, Gpu, Job
from models.channels import ESTIMATES
from models.tables.estimate import PROGRAM
from tests.integration.api.seeds import Seeds
from tests.integration.api.study_calls import jobs_of
from tests.integration.api.study_calls import submitted as study_submitted
from tests.predictions import prediction, verdict

MIB = 2**20
INTERVAL = {"low_bytes": 1, "likely_bytes": 2, "high_bytes": 3}
KEY = f"Tesla T4/{15_360 * MIB}"


@pytest.fixture
def lab(seeds: Seeds) -> Seeds:
    """A node with a GPU."""
    seeds.node(gpu_reason=None)
    described = {"name": "Tesla T4", "memory_total_bytes": 15_360 * MIB, "healthy": True, "latest": {}}
    with seeds.engine.begin() as connection:
        connection.execute(insert(Gpu).values(uuid="GPU-a", node="node-1", index=0, **described))
    return seeds


@pytest.fixture
async def program(client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/programs", files=[("files", ("train.py", b"print(1)"))])
    sha: str = answer.json()["sha256"]
    return sha


def order(program: str, **parameters: Any) -> dict[str, Any]:
    spec = {"program": program, "command": ["python", "train.py"], "parameters": parameters}
    return {"experiment": "script", "spec": spec}


def answered(seeds: Seeds, estimate_id: UUID) -> None:
    own = {"claimed_by_program": True, "parts": None, "phases": None, "peak_phase": None, "reasons": {"parts": "why"}}
    fit = verdict(INTERVAL, certain=False, max_batch_size=None, max_batch_size_without_retries=None, **own)
    values = {"state": "ready", "prediction": prediction(INTERVAL, **own), "fits": {KEY: fit}}
    with seeds.engine.begin() as connection:
        connection.execute(update(Estimate).where(Estimate.id == estimate_id).values(**values))


def known(seeds: Seeds, estimate_id: UUID, fits: dict[str, Any], **values: Any) -> None:
    """What a worker has found out so far."""
    values |= {"fits": fits, "prediction": prediction(INTERVAL)}
    with seeds.engine.begin() as connection:
        connection.execute(update(Estimate).where(Estimate.id == estimate_id).values(**values))
        connection.execute(select(func.pg_notify(ESTIMATES, f"{estimate_id} pending")))


def asked(seeds: Seeds) -> list[Any]:
    with seeds.engine.connect() as connection:
        return list(connection.execute(select(Estimate)))


async def ask(client: httpx.AsyncClient, question: dict[str, Any], **more: Any) -> httpx.Response:
    return await client.post("/v1/estimates", json=question, **more)


async def test_question_about_a_program_is_answered_without_parts(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    pending = EstimateRead.model_validate_json((await ask(client, order(program, lr=0.1))).content)
    assert pending.state == "pending"
    assert pending.id is not None
    answered(lab, pending.id)

    found = EstimateRead.model_validate_json((await ask(client, order(program, lr=0.5))).content)
    assert (found.id, found.state, found.experiment) == (pending.id, "ready", "script"), "its shape is the same"
    assert (found.claimed_by_program, found.parts, found.phases, found.peak_phase) == (True, None, None, None)
    assert found.reasons == {"parts": "why"}
    (gpu,) = found.gpus
    assert (gpu.in_lab, gpu.max_batch_size, gpu.certain) == (True, None, False)
    (row,) = asked(lab)
    assert (row.family, row.workload["experiment"], list(row.wanted)) == (PROGRAM, "script", [KEY])


async def test_estimate_of_a_program_is_for_those_who_may_read_it(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    bob, staff = lab.user("bob", Role.STUDENT), lab.user("ina", Role.INSTRUCTOR)
    found = EstimateRead.model_validate_json((await ask(client, order(program))).content)

    refused = await ask(client, order(program), headers=bob.headers)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "spec.program")
    dry = await client.post("/v1/jobs?dry_run=true", json=order(program), headers=bob.headers)
    assert dry.status_code == 422
    stranger = await client.get(f"/v1/estimates/{found.id}", headers=bob.headers)
    unknown = await client.get(f"/v1/estimates/{UUID(int=1)}", headers=bob.headers)
    assert stranger.status_code == unknown.status_code == 404
    assert stranger.json()["detail"].replace(str(found.id), "") == unknown.json()["detail"].replace(
        str(UUID(int=1)), ""
    )
    assert (await client.get(f"/v1/estimates/{found.id}", headers=staff.headers)).status_code == 200

    await client.post("/v1/programs", files=[("files", ("train.py", b"print(1)"))], headers=bob.headers)
    assert (await client.get(f"/v1/estimates/{found.id}", headers=bob.headers)).status_code == 200


async def test_program_without_its_file_is_refused_before_it_is_asked_about(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    question = order(program)
    question["spec"]["command"] = ["python", "other.py"]
    assert (await ask(client, question)).status_code == 422
    assert asked(lab) == []


async def test_dry_run_asks_and_a_submission_notes_the_same_question(
    client: httpx.AsyncClient, lab: Seeds, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.service.DRY_RUN_WAIT_SECONDS", 0.0)
    dry = DryRunRead.model_validate_json(
        (await client.post("/v1/jobs?dry_run=true", json=order(program, batch=8))).content
    )
    assert dry.estimate is not None
    assert dry.estimate.state == "pending"
    job = JobRead.model_validate_json((await client.post("/v1/jobs", json=order(program, batch=8))).content)
    assert job.estimate is not None
    assert job.estimate.id == dry.estimate.id
    other = JobRead.model_validate_json((await client.post("/v1/jobs", json=order(program, batch=9))).content)
    assert other.estimate is not None
    assert other.estimate.id != dry.estimate.id


async def test_program_is_not_measured_in_a_lab_without_a_gpu(
    client: httpx.AsyncClient, seeds: Seeds, program: str
) -> None:
    seeds.node()
    assert (await client.post("/v1/jobs", json=order(program))).json()["estimate"] is None
    assert asked(seeds) == []


async def test_run_that_takes_no_gpu_is_not_measured(client: httpx.AsyncClient, lab: Seeds, program: str) -> None:
    without = order(program) | {"gpus": 0}
    dry = DryRunRead.model_validate_json((await client.post("/v1/jobs?dry_run=true", json=without)).content)
    assert dry.estimate is not None
    assert (dry.estimate.state, dry.estimate.reason) == ("not_predicted", "the run takes no GPU")
    assert (await client.post("/v1/jobs", json=without)).json()["estimate"] is None
    assert asked(lab) == []


async def test_users_with_the_same_program_see_their_own_parameters_alone(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    bob = lab.user("bob", Role.STUDENT)
    await client.post("/v1/programs", files=[("files", ("train.py", b"print(1)"))], headers=bob.headers)
    first = EstimateRead.model_validate_json((await ask(client, order(program, lr=0.1))).content)
    answer = await ask(client, order(program, lr=0.5), headers=bob.headers)
    found = EstimateRead.model_validate_json(answer.content)
    assert found.id == first.id
    assert found.workload is not None
    assert found.workload["spec"]["parameters"] == {"lr": 0.5}
    by_id = (await client.get(f"/v1/estimates/{first.id}", headers=bob.headers)).json()
    assert by_id["workload"] == {"experiment": "script", "spec": {"program": program}}


async def test_runs_of_a_study_ask_once_for_each_shape(client: httpx.AsyncClient, lab: Seeds, program: str) -> None:
    grid = {"parameters.lr": [0.1, 0.2], "parameters.batch": [8, 16]}
    study = await study_submitted(client, experiment="script", base=order(program)["spec"], grid=grid, seeds=[1])
    assert len(jobs_of(lab, study)) == 4
    assert len(asked(lab)) == 2
    with lab.engine.connect() as connection:
        assert None not in connection.scalars(select(Job.estimate_id)).all()


async def test_verdict_on_one_gpu_is_shown_while_another_is_measured(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    question = order(program) | {"gpus": ["L4"]}
    first = EstimateRead.model_validate_json((await ask(client, question)).content)
    assert (first.state, first.gpus, first.gpus_pending) == ("pending", [], ["Tesla T4", "L4"])
    assert first.id is not None
    held = asyncio.create_task(ask(client, question, params={"wait": 20}))
    # The request looks first: what it found then ends no wait.
    while not (await asyncio.wait([held], timeout=0.2))[0]:
        known(lab, first.id, {KEY: verdict(INTERVAL)})
    answer = held.result()
    found = EstimateRead.model_validate_json(answer.content)
    assert (answer.status_code, found.state, found.gpus_pending) == (202, "pending", ["L4"])
    assert ([gpu.name for gpu in found.gpus], found.peak_device_bytes is None) == (["Tesla T4"], False)
    others = EstimateRead.model_validate_json((await ask(client, order(program))).content)
    assert (others.state, others.gpus_pending) == ("ready", []), "who asks about that one alone has the answer"


async def test_model_that_could_not_be_measured_leaves_the_others_their_answer(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    question = order(program) | {"gpus": ["L4"]}
    first = EstimateRead.model_validate_json((await ask(client, question)).content)
    assert first.id is not None
    ended = {"state": "failed", "reason": "3 workers were lost while predicting it", "finished_at": func.now()}
    known(lab, first.id, {KEY: verdict(INTERVAL)}, **ended)
    found = EstimateRead.model_validate_json((await ask(client, question)).content)
    assert (found.state, found.reason, len(found.gpus)) == ("failed", "3 workers were lost while predicting it", 1)
    others = EstimateRead.model_validate_json((await ask(client, order(program))).content)
    assert (others.state, others.reason, len(others.gpus)) == ("ready", None, 1)


async def test_program_is_asked_about_again_where_a_model_could_not_be_measured(
    client: httpx.AsyncClient, lab: Seeds, program: str
) -> None:
    first = EstimateRead.model_validate_json((await ask(client, order(program))).content)
    assert first.id is not None
    refused = verdict(INTERVAL, verdict="not_predicted", reason="it did not end within 60 s", certain=False)
    known(lab, first.id, {KEY: refused}, state="ready", finished_at=func.now())
    assert (await ask(client, order(program))).json()["state"] == "ready", "it was tried just now"
    long_ago = func.now() - func.make_interval(0, 0, 0, 1)
    known(lab, first.id, {KEY: refused}, finished_at=long_ago)
    assert (await ask(client, order(program))).json()["gpus_pending"] == ["Tesla T4"]
