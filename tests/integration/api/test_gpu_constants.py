"""What nodes measured of their GPUs, over HTTP: shown with the GPU and in the verdicts of estimates."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select, update

from experiments.memory.devices import GPUS, models_called
from gpulab.schemas import EstimateRead, GpuModelsRead, GpuPage
from gpulab.schemas.memory import Constants
from models import Estimate, Gpu, Node
from models.statements.memory import estimates
from tests.integration.api.seeds import Seeds
from tests.predictions import prediction, verdict

MIB = 2**20
MEASURED = Constants(
    gpu="Tesla T4",
    driver_version="580.65.06",
    cuda_version="13.0",
    torch_version="2.14.1",
    context_bytes=250 * MIB,
    libraries_bytes=50 * MIB,
    cublas_workspace_bytes=8 * MIB,
    convolution_workspace_bytes=70 * MIB,
    measured_at=datetime(2026, 1, 1, tzinfo=UTC),
)
KEY = f"Tesla T4/{15_360 * MIB}/driver 580.65.06, CUDA 13.0, torch 2.14.1"
INTERVAL = {"low_bytes": 1, "likely_bytes": 2, "high_bytes": 3}
QUESTION = {"experiment": "model-memory", "spec": {"model": "resnet18"}}


@pytest.fixture
def lab(seeds: Seeds) -> Seeds:
    """A node with a GPU whose constants were measured, and one whose were not."""
    seeds.node(gpu_reason=None)
    known = {"constants": MEASURED.model_dump(mode="json"), "constants_of": MEASURED.provenance}
    for index, (uuid, more) in enumerate({"GPU-a": known, "GPU-b": {"constants_reason": "the GPU is in use"}}.items()):
        described = {"name": "Tesla T4", "memory_total_bytes": 15_360 * MIB, "healthy": True, "latest": {}}
        with seeds.engine.begin() as connection:
            connection.execute(insert(Gpu).values(uuid=uuid, node="node-1", index=index, **described, **more))
    return seeds


async def test_gpu_shows_what_was_measured_of_it_or_why_not(client: httpx.AsyncClient, lab: Seeds) -> None:
    known, unknown = GpuPage.model_validate_json((await client.get("/v1/gpus")).content).items

    assert known.constants is not None
    assert known.constants.context_bytes == 250 * MIB
    assert known.constants.driver_version == "580.65.06"
    assert known.constants_reason is None
    assert (unknown.constants, unknown.constants_reason) == (None, "the GPU is in use")


async def test_card_that_the_node_has_no_longer_is_in_no_list_and_its_model_can_be_asked_for(
    client: httpx.AsyncClient, lab: Seeds
) -> None:
    with lab.engine.begin() as connection:
        connection.execute(update(Gpu).where(Gpu.uuid == "GPU-a").values(healthy=False, gone_at=func.now()))
    (left,) = GpuPage.model_validate_json((await client.get("/v1/gpus")).content).items
    assert left.uuid == "GPU-b"
    await client.post("/v1/estimates", json=QUESTION)
    assert set(all_wanted(lab)) == {f"Tesla T4/{15_360 * MIB}"}


async def test_estimate_is_asked_for_by_measured_constants_and_says_so(client: httpx.AsyncClient, lab: Seeds) -> None:
    pending = EstimateRead.model_validate_json((await client.post("/v1/estimates", json=QUESTION)).content)
    wanted = all_wanted(lab)
    assert set(wanted) == {KEY, f"Tesla T4/{15_360 * MIB}"}
    assert Constants.model_validate(wanted[KEY]["constants"]) == MEASURED

    assert pending.id is not None
    answer(lab, pending.id, wanted)
    found = EstimateRead.model_validate_json((await client.get(f"/v1/estimates/{pending.id}")).content)
    by_source = {gpu.constants.source: gpu for gpu in found.gpus}
    assert set(by_source) == {"measured", "default"}
    assert by_source["measured"].constants.measured == MEASURED
    assert by_source["measured"].in_lab


@pytest.mark.parametrize("name", ["T4", "Tesla T4"])
async def test_named_model_is_the_labs_own_gpu_where_it_has_one(
    client: httpx.AsyncClient, lab: Seeds, name: str
) -> None:
    named = {**QUESTION, "gpus": [name, "A100", "NVIDIA H100 80GB HBM3"]}
    asked = EstimateRead.model_validate_json((await client.post("/v1/estimates", json=named)).content)
    wanted = all_wanted(lab)
    documented = {f"{model}/{GPUS[model].usable_bytes}" for model in ("A100-40GB", "A100-80GB", "H100")}
    assert set(wanted) == {KEY, f"Tesla T4/{15_360 * MIB}", *documented}

    assert asked.id is not None
    answer(lab, asked.id, wanted)
    found = EstimateRead.model_validate_json((await client.post("/v1/estimates", json=named)).content)
    assert [(gpu.model, gpu.in_lab) for gpu in found.gpus] == [
        ("T4", True),
        ("T4", True),
        ("A100-40GB", False),
        ("A100-80GB", False),
        ("H100", False),
    ]


async def test_named_model_counts_as_it_was_measured_while_its_node_is_away(
    client: httpx.AsyncClient, lab: Seeds
) -> None:
    with lab.engine.begin() as connection:
        connection.execute(update(Node).values(stopped_at=func.now()))
    lab.node("node-2")
    await client.post("/v1/estimates", json={**QUESTION, "gpus": ["T4"]})
    assert set(all_wanted(lab)) == {KEY}


async def test_unknown_model_is_refused_with_those_that_are_known(client: httpx.AsyncClient, lab: Seeds) -> None:
    answer = await client.post("/v1/estimates", json={**QUESTION, "gpus": ["T4", "T5"]})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["path"], error["value"]) == ("gpus.1", "T5")
    assert {"T4", "H100", "Tesla T4"} <= set(error["limit"]["enum"])


def all_wanted(lab: Seeds) -> dict[str, Any]:
    with lab.engine.begin() as connection:
        wanted: dict[str, Any] = connection.execute(select(Estimate.wanted)).scalar_one()
    return wanted


def answer(lab: Seeds, estimate_id: Any, wanted: dict[str, Any]) -> None:
    """As a worker does, with verdicts that matter to no test here."""
    fits = {
        key: verdict(
            INTERVAL,
            name=gpu["name"],
            model=next(iter(models_called(gpu["name"])), None),
            total_bytes=gpu["total_bytes"],
            constants={
                "source": "measured" if gpu["constants"] else "default",
                "cuda_context": INTERVAL,
                "measured": gpu["constants"],
            },
        )
        for key, gpu in wanted.items()
    }
    with lab.engine.begin() as connection:
        token = connection.execute(estimates.claim(estimate_id, node="node-1", lease_seconds=60)).one().token
        connection.execute(estimates.answer(estimate_id, token, prediction=prediction(INTERVAL), fits=fits)).one()


async def test_models_that_an_estimate_can_name_are_listed_and_taken(client: httpx.AsyncClient, lab: Seeds) -> None:
    found = GpuModelsRead.model_validate_json((await client.get("/v1/estimates/gpus")).content).items
    sizes = [model.total_bytes for model in found]
    assert sizes == sorted(sizes)
    assert {"T4", "A100-40GB", "A100-80GB", "H100"} <= {model.name for model in found}
    order = {"experiment": "model-memory", "spec": {}, "gpus": [model.name for model in found]}
    assert (await client.post("/v1/estimates", json=order)).status_code == 202
