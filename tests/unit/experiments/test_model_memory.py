"""`model-memory`: exact bytes, the four moments, and refusals."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from matplotlib.figure import Figure
from pydantic import ValidationError

from experiments.catalog.model_memory import figures
from experiments.catalog.model_memory import run as module
from experiments.catalog.model_memory.spec import EXPERIMENT, ModelMemoryResult, ModelMemorySpec
from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory
from experiments.memory.contract import Workload
from experiments.memory.processes import NotPredictedError
from experiments.torchvision_models import MODELS
from experiments.training.models import build_model, loss_of
from gpulab.schemas.memory import Prediction
from tests import predictions

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
TINY = {"model": "shufflenet_v2_x0_5", "image_size": 32, "batch_size": 2}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from a second thread, and recorded values belong to one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


LEVELS = ("allocated_bytes", "peak_allocated_bytes", "reserved_bytes", "peak_reserved_bytes")
PREDICTION = Prediction.model_validate(
    predictions.prediction(
        {"low_bytes": 2, "likely_bytes": 3, "high_bytes": 4},
        phases=[{"phase": phase} | dict.fromkeys(LEVELS, 1) for phase in ("model", "backward", "step", "second_step")],
    )
)


def execute(folder: Path, **fields: object) -> ModelMemoryResult:
    run = RunDirectory(folder)
    run.expect(lambda: PREDICTION)
    result = module.run(ModelMemorySpec.model_validate({**TINY, **fields}), run)
    run.close()
    return result


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "records.ndjson").read_text().splitlines()]


def test_the_list_of_models_is_torchvisions() -> None:
    assert sorted(MODELS) == sorted(torchvision.models.list_models(module=torchvision.models))


def test_defaults_are_the_homeworks_setup() -> None:
    spec = ModelMemorySpec()
    assert (spec.model, spec.num_classes, spec.image_size, spec.batch_size) == ("resnet152", 10, 224, 8)


def test_resnet152_has_the_sheets_size() -> None:
    with torch.device("meta"):
        model = torchvision.models.resnet152(num_classes=10)
    assert sum(parameter.numel() for parameter in model.parameters()) == 58_164_298
    assert module.parameter_bytes(model) == 232_657_192


@pytest.mark.parametrize(
    "ways",
    [
        {"precision": "bfloat16", "channels_last": True},
        {"gradient_accumulation_steps": 2, "checkpointing": True, "model": "resnet18"},
        {"optimizer": "adam", "implementation": "fused"},
        {"optimizer": "adam", "implementation": "foreach"},
    ],
)
def test_each_way_to_save_memory_is_taken_and_predicted(tmp_path: Path, ways: dict[str, object]) -> None:
    result = execute(tmp_path, **ways)
    workload = EXPERIMENT.workload_of(ModelMemorySpec.model_validate({**TINY, **ways}))
    assert isinstance(workload, Workload)
    assert {name: getattr(workload, name) for name in ways} == ways
    assert result.prediction == PREDICTION
    phases = [record["name"] for record in records(tmp_path) if record["type"] == "phase"]
    assert phases.count("backward") == 2 * workload.gradient_accumulation_steps
    assert [record["values"] for record in records(tmp_path) if record["type"] == "metric"]


def test_checkpointing_keeps_less_for_the_backward_pass(tmp_path: Path) -> None:
    plain, again = (
        execute(tmp_path / str(on), model="resnet18", batch_size=4, checkpointing=on).saved_activation_bytes
        for on in (False, True)
    )
    assert again < 0.6 * plain


@pytest.mark.parametrize(("optimizer", "states"), [("sgd", 0), ("sgd_momentum", 1), ("adam", 2), ("adamw", 2)])
def test_state_is_a_multiple_of_the_parameters_and_comes_with_the_first_step(
    tmp_path: Path, optimizer: str, states: int
) -> None:
    result = execute(tmp_path, optimizer=optimizer)
    assert result.optimizer_state_bytes == states * result.parameter_bytes
    assert result.gradient_bytes == result.parameter_bytes == 4 * result.parameter_count
    assert (result.optimizer_step_counter_bytes > 0) == (states == 2)
    assert [reading.moment for reading in result.readings] == [
        "after_model",
        "after_backward",
        "after_step",
        "after_second_step",
    ]
    assert [reading.optimizer_state_bytes for reading in result.readings] == [
        0,
        0,
        states * result.parameter_bytes,
        states * result.parameter_bytes,
    ]
    assert [reading.gradient_bytes > 0 for reading in result.readings] == [False, True, True, True]


def test_without_a_gpu_its_readings_are_null_with_a_reason(tmp_path: Path) -> None:
    result = execute(tmp_path)
    for reading in result.readings:
        assert reading.allocated_bytes is reading.device_used_bytes is reading.reserved_bytes is None
        assert reading.reason == "no GPU: the run used the CPU"
        assert reading.host_rss_bytes > 2**20
    assert result.context_bytes is result.overhead_bytes is None


def test_saved_activations_grow_with_the_batch(tmp_path: Path) -> None:
    two, four = (execute(tmp_path / str(size), batch_size=size).saved_activation_bytes for size in (2, 4))
    assert 1.9 < four / two < 2.0


def test_phases_and_metrics_are_recorded_and_progress_only_rises(tmp_path: Path) -> None:
    execute(tmp_path)
    found = records(tmp_path)
    assert [record["name"] for record in found if record["type"] == "phase"] == [
        "model",
        "forward",
        "backward",
        "step",
        "forward",
        "backward",
        "step",
    ]
    fractions = [float(str(record["fraction"])) for record in found if record["type"] == "progress"]
    assert fractions == sorted(fractions)
    assert 20 < len(fractions) < 110
    recorded = {name for record in found if record["type"] == "metric" for name in dict(record["values"])}  # type: ignore[call-overload]
    assert recorded == {metric.name for metric in EXPERIMENT.metrics}


def test_a_stop_is_seen_within_a_pass(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped):
        module.run(ModelMemorySpec.model_validate(TINY), run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "resnet"}, "resnet18"),
        ({"model": "inception_v3"}, "image_size: inception_v3 takes 299 pixels or more; it is 32"),
        ({"model": "vit_b_16", "image_size": 225}, "image_size: vit_b_16 takes multiples of 16 pixels; it is 225"),
        ({"model": "maxvit_t", "image_size": 256}, "multiples of 224"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"optimizer": "lion"}, "sgd_momentum"),
        ({"weights": "DEFAULT"}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelMemorySpec.model_validate({**TINY, **fields})


@pytest.mark.parametrize(
    ("name", "size"), [("alexnet", 63), ("squeezenet1_0", 21), ("vgg11", 32), ("swin_t", 4), ("convnext_tiny", 32)]
)
def test_the_smallest_picture_of_a_model_is_the_smallest(name: str, size: int) -> None:
    ModelMemorySpec.model_validate({"model": name, "image_size": size})
    with pytest.raises(ValidationError):
        ModelMemorySpec.model_validate({"model": name, "image_size": size - 1})
    with torch.device("meta"):
        model = torchvision.models.get_model(name, num_classes=2).train()
        model(torch.empty(2, 3, size, size))
        with pytest.raises((RuntimeError, ValueError)):
            model(torch.empty(2, 3, size - 1, size - 1))


def test_auxiliary_classifiers_take_part_in_the_loss() -> None:
    model = build_model("googlenet", 3, 32, seed=0)
    output = model(torch.rand(2, 3, 32, 32))
    loss_of("googlenet", output, torch.tensor([0, 1])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_prediction_is_recorded_and_part_of_the_result(tmp_path: Path) -> None:
    result = execute(tmp_path)
    found = records(tmp_path)
    (predicted,) = [record for record in found if record["type"] == "prediction"]
    assert result.prediction is not None
    assert predicted["allocated_bytes"] == result.prediction.peak_allocated_bytes
    assert predicted["device_likely_bytes"] == result.prediction.peak_device_bytes.likely_bytes


def test_without_a_prediction_the_rest_of_the_result_stands(tmp_path: Path) -> None:
    def fails() -> Prediction:
        raise NotPredictedError("no C compiler")

    run = RunDirectory(tmp_path)
    run.expect(fails)
    spec = ModelMemorySpec.model_validate(TINY)
    result = module.run(spec, run)
    run.close()
    assert result.prediction is None
    assert result.parameter_bytes > 0
    assert figures.draw(spec, result).keys() == {"causes", "readings"}


def test_the_seed_alone_decides_the_weights() -> None:
    first, again, other = (build_model("squeezenet1_1", 3, 32, seed=seed) for seed in (1, 1, 2))
    state = zip(first.parameters(), again.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) and (not a.any() or not torch.equal(a, c)) for a, b, c in state)


def test_values_of_seed_0_are_the_recorded_ones(tmp_path: Path) -> None:
    result = execute(tmp_path, **EXPECTED["spec"]).model_dump(mode="json")
    assert {name: result[name] for name in EXPECTED["result"]} == EXPECTED["result"]


def test_pictures_can_be_drawn_and_name_their_axes(tmp_path: Path) -> None:
    drawn = figures.draw(ModelMemorySpec.model_validate(TINY), execute(tmp_path))
    assert drawn.keys() == {"causes", "readings", "prediction"}
    for name, figure in drawn.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")
        assert all(axes.get_ylabel() and axes.get_title() for axes in figure.axes)
