"""What is asked of the estimator: how specs become workloads, and which questions are the same."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from experiments.catalog.batch_size.spec import BatchSizeSpec
from experiments.catalog.model_memory.spec import ModelMemorySpec
from experiments.catalog.train_classifier.spec import TrainClassifierSpec
from experiments.contract import Spec, Unpredicted
from experiments.internal.memory_estimate.run import run
from experiments.internal.memory_estimate.spec import MemoryEstimateSpec
from experiments.memory.contract import ProgramRun, Workload, estimate_id, family_of
from experiments.memory.devices import (
    GPUS,
    GpuAsked,
    allocator_limit,
    gpu_named,
    gpu_of_device,
    held_at_least,
    known_model,
    models_called,
)
from experiments.registry import experiments
from gpulab.schemas.memory import Constants

WORKLOAD = Workload(model="resnet18", batch_size=4, optimizer="adam", image_size=64)
MIB = 2**20


def workload_of(slug: str, spec: Spec) -> Workload:
    found = experiments()[slug].workload_of(spec)
    assert isinstance(found, Workload)
    return found


def test_memory_experiment_says_which_optimizer_steps_it_takes() -> None:
    found = workload_of("model-memory", ModelMemorySpec(model="vgg11", optimizer="adamw", implementation="for_loop"))
    assert (found.model, found.optimizer, found.implementation) == ("vgg11", "adamw", "for_loop")
    assert found.evaluation_batch_size is None


def test_training_counts_its_evaluation() -> None:
    found = workload_of("batch-size", BatchSizeSpec(images=100, image_size=224, validation_images=10))
    assert (found.optimizer, found.evaluation_batch_size) == ("sgd_momentum", 64)


def test_classifier_brings_its_precision_and_accumulation() -> None:
    spec = TrainClassifierSpec(dataset="flowers", precision="bfloat16", gradient_accumulation_steps=3)
    found = workload_of("train-classifier", spec)
    assert (found.precision, found.gradient_accumulation_steps) == ("bfloat16", 3)


@pytest.mark.parametrize("slug", sorted(experiments()))
def test_every_experiment_says_what_it_trains_or_why_not(slug: str) -> None:
    experiment = experiments()[slug]
    if slug in {"model-memory", "batch-size", "train-classifier"}:
        assert isinstance(experiment.workload_of(experiment.spec()), Workload)
    elif experiment.sandboxed:
        found = experiment.workload_of(experiment.spec.model_construct())
        assert isinstance(found, ProgramRun)
        assert found.experiment == slug
    else:
        found = experiment.workload_of(experiment.spec.model_construct())
        assert isinstance(found, Unpredicted)
        assert found.reason


def test_question_is_the_same_exactly_when_its_answer_is() -> None:
    first = estimate_id(WORKLOAD, ["batch_size", "optimizer"], "torch 1")
    decayed = WORKLOAD.model_copy(update={"weight_decay": 0.1})
    assert first == estimate_id(WORKLOAD, ["optimizer", "batch_size"], "torch 1")
    assert estimate_id(decayed, [], "t") == estimate_id(WORKLOAD.model_copy(update={"weight_decay": 0.2}), [], "t")
    others = [
        estimate_id(WORKLOAD, ["batch_size"], "torch 1"),
        estimate_id(WORKLOAD, ["batch_size", "optimizer"], "torch 2"),
        *(
            estimate_id(WORKLOAD.model_copy(update=change), ["batch_size", "optimizer"], "torch 1")
            for change in (
                {"batch_size": 5},
                {"weight_decay": 0.1},
                {"implementation": "fused"},
                {"channels_last": True},
                {"evaluation_batch_size": 1},
            )
        ),
    ]
    assert len({first, *others}) == len(others) + 1


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("resnet152", "resnet"),
        ("resnext50_32x4d", "resnext"),
        ("wide_resnet50_2", "wide_resnet"),
        ("efficientnet_b0", "efficientnet"),
        ("efficientnet_v2_s", "efficientnet_v2"),
        ("swin_v2_b", "swin_v2"),
        ("vgg11_bn", "vgg"),
        ("regnet_x_1_6gf", "regnet"),
        ("vit_b_16", "vit"),
    ],
)
def test_family(model: str, family: str) -> None:
    assert family_of(model) == family


@pytest.mark.parametrize(
    ("device", "model"),
    [
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA GeForce RTX 2080 Ti", "RTX-2080-Ti"),
        ("NVIDIA L40S", None),
    ],
)
def test_device_is_known_by_what_its_driver_calls_it(device: str, model: str | None) -> None:
    assert known_model(device) == model


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("T4", ["T4"]),
        ("tesla t4", ["T4"]),
        ("NVIDIA A100-SXM4-40GB", ["A100-40GB"]),
        ("NVIDIA A100 80GB PCIe", ["A100-80GB"]),
        ("A100", ["A100-40GB", "A100-80GB"]),
        ("NVIDIA H100 80GB HBM3", ["H100"]),
        ("NVIDIA H200 141GB", ["H200"]),
        ("H100 94GB", []),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", []),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", []),
        ("NVIDIA", []),
        ("80GB", []),
    ],
)
def test_model_goes_by_what_people_and_drivers_call_it(name: str, models: list[str]) -> None:
    assert models_called(name) == models


def test_name_that_leaves_the_memory_open_is_no_single_gpu() -> None:
    assert all(gpu_named(name) is gpu for name, gpu in GPUS.items())
    with pytest.raises(ValueError, match="gpu: 'V100' may be V100-16GB or V100-32GB"):
        gpu_named("V100")


def test_answer_judges_each_gpu_by_its_own_card_and_constants() -> None:
    measured = Constants(
        gpu="Tesla T4", driver_version="1", cuda_version="2", torch_version="3", context_bytes=200 * MIB,
        libraries_bytes=30 * MIB, cublas_workspace_bytes=16 * MIB, convolution_workspace_bytes=700 * MIB,
        measured_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    small = GpuAsked(name="Tesla T4", total_bytes=800 * MIB)
    gpus = [small, small.model_copy(update={"constants": measured}), GpuAsked(name="H100", total_bytes=80_000 * MIB)]
    assert gpus[1].key == f"Tesla T4/{800 * MIB}/driver 1, CUDA 2, torch 3"
    found = run(MemoryEstimateSpec(workload=WORKLOAD, gpus=gpus, editable=["batch_size"]), None)  # type: ignore[arg-type]
    default, known, large = found.gpus

    assert [gpu.card for gpu in found.gpus] == ["T4", "T4", "H100"]
    assert (found.prediction.card, found.prediction.peak_reserved_bytes) == ("T4", default.peak_reserved_bytes)
    assert (default.constants.source, default.model, default.constants.measured) == ("default", "T4", None)
    context = known.constants.cuda_context
    assert [context.low_bytes, context.likely_bytes, context.high_bytes] == [200 * MIB, 230 * MIB, 260 * MIB]
    assert known.constants.source == "measured"
    assert known.peak_device_bytes == context.plus(known.peak_reserved_bytes)
    assert default.max_batch_size is not None
    assert known.max_batch_size is not None
    assert known.max_batch_size > default.max_batch_size, "a smaller context leaves room for more"
    assert large.parts.workspace_bytes > default.parts.workspace_bytes, "cuBLAS keeps more on Hopper"
    assert (large.verdict, large.edits) == ("fits", [])
    assert {field for edit in default.edits for field in edit.change} <= {"batch_size"}


def test_gpu_that_no_card_is_known_for_has_a_stand_in_and_its_own_memory() -> None:
    gpu = gpu_of_device("NVIDIA L40S")
    assert (gpu.name, gpu.card, gpu.room_of(48 * 2**30)) == ("NVIDIA L40S", "A100-40GB", 48 * 2**30)
    assert gpu_of_device("typical").card == "T4"
    assert gpu_of_device("Tesla T4").room_of(15_360 * MIB) == 15_828_320_256, "the driver keeps the rest"
    assert gpu_of_device("Tesla T4").room_of(4096 * MIB) == 4096 * MIB, "a reservation is what it is"


def test_allocator_is_left_what_a_context_does_not_take_of_a_reservation() -> None:
    assert allocator_limit(1000 * MIB, None) == 850 * MIB
    assert allocator_limit(100 * MIB, None) == 2 * MIB


@pytest.mark.parametrize(
    ("failure", "held_mib"),
    [
        ({"reserved_bytes": 800 * MIB, "allocated_bytes": 700 * MIB, "requested_bytes": 100 * MIB}, 1050),
        ({"reserved_bytes": None, "allocated_bytes": 700 * MIB, "requested_bytes": None}, 850),
        ({"reserved_bytes": 800 * MIB, "process_used_bytes": 2000 * MIB}, 2000),
        ({"process_used_bytes": None}, None),
    ],
)
def test_what_a_run_held_is_its_tensors_its_request_and_a_context_or_what_the_driver_saw(
    failure: dict[str, int | None], held_mib: int | None
) -> None:
    assert held_at_least(failure) == (None if held_mib is None else held_mib * MIB)


def test_programs_question_is_that_of_its_shape() -> None:
    def asked(**changes: object) -> UUID:
        spec = {"program": "0" * 64, "command": ["python", "a.py"], "parameters": {"lr": 0.1, "batch": 8}, **changes}
        return estimate_id(ProgramRun(experiment="script", spec=spec), (), "torch 2")

    same = asked()
    assert asked(parameters={"lr": 0.2, "batch": 8}) == same
    assert len({same, asked(parameters={"lr": 0.1, "batch": 9}), asked(program="1" * 64), asked(datasets=["x"])}) == 4
