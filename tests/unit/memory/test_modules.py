"""Every byte at the peak is of a module and has a cause; what modules hold of weights is what their weights take."""

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.memory.attribution.folding import rows_of
from experiments.memory.contract import Workload
from experiments.memory.devices import GPUS
from experiments.memory.predictor import predict
from experiments.memory.processes import call
from experiments.memory.step import Category, blank_model
from gpulab.schemas.memory import ModuleMemory, Parts, Prediction

MODELS = ("resnet18", "mobilenet_v3_small", "vit_b_32", "swin_t", "shufflenet_v2_x0_5", "densenet121", "googlenet")
ALLOCATORS = {"rounding_bytes", "fragmentation_bytes"}


def random_workload(seed: int) -> Workload:
    draw = Random(seed)
    model = MODELS[seed % len(MODELS)]
    return Workload(
        model=model,
        image_size=224 if model == "vit_b_32" else draw.choice((64, 96)),
        batch_size=draw.randint(2, 24),
        optimizer=draw.choice(("sgd", "sgd_momentum", "adam", "adamw")),
        precision=draw.choice(("float32", "bfloat16", "float16")),
        checkpointing=draw.random() < 0.3,
        channels_last=draw.random() < 0.3,
        gradient_accumulation_steps=draw.choice((1, 2, 5)),
        evaluation_batch_size=draw.choice((None, 40)),
        set_to_none=draw.random() < 0.7,
    )


@cache
def prediction(workload: Workload) -> Prediction:
    found: Prediction = call(predict, workload, GPUS["A100-40GB"])
    return found


def by_cause(rows: list[ModuleMemory]) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.held_bytes)
    return total


def by_module(rows: list[ModuleMemory], cause: str) -> Counter[str]:
    return Counter({row.path: row.held_bytes.get(cause, 0) for row in rows if row.path is not None and not row.folded})


@pytest.mark.parametrize("seed", range(8))
def test_modules_add_up_to_the_peak_to_the_byte_and_each_cause_to_its_part(seed: int) -> None:
    found = prediction(random_workload(seed))
    assert isinstance(found.parts, Parts)
    assert found.modules is not None
    held = by_cause(found.modules)
    parts = {name: size for name, size in found.parts.model_dump().items() if isinstance(size, int)}
    assert held == Counter({name: size for name, size in parts.items() if name not in ALLOCATORS and size})
    assert held.total() + found.parts.rounding_bytes == found.peak_allocated_bytes
    assert held.total() + sum(parts[name] for name in ALLOCATORS) == found.peak_reserved_bytes


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "resnet18", "optimizer": "adam", "batch_size": 2, "image_size": 32},
        {"model": "mobilenet_v3_small", "optimizer": "sgd_momentum", "set_to_none": False, "image_size": 32},
        {"model": "vit_b_32", "optimizer": "adamw", "implementation": "foreach", "batch_size": 2},
    ],
)
def test_each_module_holds_its_own_weights_gradients_and_optimizer_state(changes: dict[str, Any]) -> None:
    """Counted from the model's definition, which knows no allocator."""
    workload = Workload.model_validate(changes)
    found = prediction(workload)
    assert found.modules is not None
    weights: Counter[str] = Counter()
    for name, parameter in blank_model(workload).named_parameters():
        weights[name.rpartition(".")[0]] += parameter.numel() * 4
    copies = 1 if workload.optimizer == "sgd_momentum" else 2
    for cause, times in (("parameters_bytes", 1), ("gradients_bytes", 1), ("optimizer_state_bytes", copies)):
        shown = by_module(found.modules, cause)
        named = {path for path, size in shown.items() if size}
        assert {path: shown[path] for path in named} == {path: times * weights[path] for path in named}
        assert by_cause(found.modules)[cause] == times * weights.total()
        assert len(named) > 10


def test_activations_are_of_the_layer_that_made_them_and_temporary_bytes_of_the_one_that_computes() -> None:
    rows = prediction(Workload(model="resnet18", batch_size=64, optimizer="sgd")).modules
    assert rows is not None
    activations = by_module(rows, "activations_bytes")
    feature_map = 64 * 64 * 112 * 112 * 4
    assert activations["conv1"] == feature_map
    assert activations["bn1"] == feature_map + 2 * 64 * 4, "its output, and the batch's mean and deviation"
    assert activations["relu"] == 0, "it writes into its input"
    outside = [row for row in rows if row.path is None]
    assert [row.held_bytes["batch_bytes"] for row in outside] == [64 * (3 * 224 * 224 * 4 + 8)]
    assert (
        by_module(rows, "temporary_bytes").total()
        == by_cause(rows)["temporary_bytes"] - outside[0].held_bytes["temporary_bytes"]
    ), "gradients of activations are of modules"


def test_what_the_optimizer_makes_and_drops_is_of_no_module() -> None:
    workload = Workload(model="resnet18", batch_size=2, image_size=32, optimizer="adam", implementation="foreach")
    rows = prediction(workload).modules
    assert rows is not None
    temporary = {row.path: row.held_bytes.get("temporary_bytes", 0) for row in rows}
    weights = sum(each.numel() for each in blank_model(workload).parameters()) * 4
    assert temporary.pop(None) >= 0.99 * weights, "the update of every parameter at once"
    assert sum(temporary.values()) == 0


names = st.lists(st.sampled_from("abcd"), max_size=4).map(lambda parts: "." + ".".join(parts)) | st.just("")
held_bytes = st.dictionaries(st.tuples(names, st.sampled_from(Category)), st.integers(1, 2**40), max_size=60)


@given(held=held_bytes, most=st.integers(1, 12))
def test_folding_keeps_every_byte_and_bounds_the_rows(held: dict[tuple[str, Category], int], most: int) -> None:
    paths = {"": "Model"}
    for name in sorted(name[1:] for name, _ in held if name):
        parts = name.split(".") if name else []
        paths |= {".".join(parts[: depth + 1]): "Part" for depth in range(len(parts))}
    rows = rows_of(held, paths, most)
    expected: Counter[str] = Counter()
    for (_, cause), size in held.items():
        expected[f"{cause}_bytes"] += size
    assert by_cause(rows) == expected
    assert len({row.path for row in rows} - {None}) <= most
    hidden = {name for name, _ in held if name} - {"." + row.path for row in rows if row.path is not None and row.kind}
    assert sum(row.folded for row in rows) == len(hidden)


def test_small_modules_are_counted_at_the_nearest_one_that_is_shown() -> None:
    held = {
        (".features.0", Category.ACTIVATIONS): 900,
        (".features.1", Category.ACTIVATIONS): 5,
        (".features.1.weight", Category.BUFFERS): 4,
        (".head", Category.PARAMETERS): 3,
        ("", Category.BATCH): 50,
    }
    kinds = dict.fromkeys(("", "features", "features.0", "features.1", "features.1.weight", "head"), "Linear")
    assert [(row.path, row.kind, row.folded, row.held_bytes) for row in rows_of(held, kinds, 3)] == [
        ("features.0", "Linear", 0, {"activations_bytes": 900}),
        ("", None, 1, {"parameters_bytes": 3}),
        ("features", None, 2, {"activations_bytes": 5, "buffers_bytes": 4}),
        (None, None, 0, {"batch_bytes": 50}),
    ]
