"""A run that runs out of memory says in which phase and layer, what was alive, and what would fit."""

import json
import signal
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch

from experiments.catalog.model_memory import run as model_memory
from experiments.catalog.model_memory.spec import ModelMemorySpec
from experiments.contract import SPEC_FILE
from experiments.hosting import host
from experiments.memory.postmortem import requested_bytes, stayed_inside
from gpulab.schemas.memory import OutOfMemoryRead
from tests.probe.gpulab_probe.limited import LimitedMemory, LimitReached

MIB = 1 << 20
SPEC = {"model": "resnet18", "image_size": 64, "optimizer": "adam"}
Order = Callable[[int, int], OutOfMemoryRead]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Order]:
    """Run `model-memory` in a memory of so many MiB; what the last record says of its failure."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()
    whole = model_memory.run

    @cache
    def order(limit_mib: int, batch_size: int) -> OutOfMemoryRead:
        def limited(*arguments: Any) -> Any:
            with LimitedMemory(limit_mib * MIB):
                return whole(*arguments)

        folder = tmp_path_factory.mktemp("run")
        given = {
            "experiment": "model-memory",
            "spec": SPEC | {"batch_size": batch_size},
            "seed": 0,
            "device": "cpu",
            "threads": 1,
            "datasets_folder": str(folder),
            "cache_folder": str(folder),
        }
        (folder / SPEC_FILE).write_text(json.dumps(given))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model_memory, "run", limited)
            assert host.execute(folder) == host.EXIT_FAILED
        last = json.loads((folder / "records.ndjson").read_text().splitlines()[-1])
        assert (last["type"], last["cause"]) == ("error", "out_of_memory")
        assert json.loads((folder / "artifacts" / "out-of-memory.json").read_text()) == last["failure"]
        assert last["message"].startswith("out of memory in ")
        return OutOfMemoryRead.model_validate(last["failure"])

    yield order
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("limit_mib", "batch_size", "phase", "module"),
    [
        (20, 16, "model", "ResNet"),
        (70, 64, "forward", "bn1 (BatchNorm2d)"),
        (90, 16, "backward", "layer4.0.conv2 (Conv2d)"),
        (150, 16, "step", None),
    ],
)
def test_place_is_the_phase_and_the_layer(
    failed: Order, limit_mib: int, batch_size: int, phase: str, module: str | None
) -> None:
    found = failed(limit_mib, batch_size)
    assert found.phase == phase
    assert found.module == module or (phase == "model" and found.module)
    assert found.limit_bytes == limit_mib * MIB
    assert found.reserved_bytes is not None
    assert found.allocated_bytes is not None
    assert found.requested_bytes is not None
    assert found.allocated_bytes <= found.reserved_bytes <= limit_mib * MIB
    assert found.reserved_bytes + found.requested_bytes > limit_mib * MIB - 512


def test_largest_tensors_are_named_by_what_they_are_to_the_model(failed: Order) -> None:
    found = failed(105, 16)
    sizes = [tensor.size_bytes for tensor in found.largest_tensors]
    assert (len(sizes), sizes) == (10, sorted(sizes, reverse=True))
    names = {(tensor.kind, tensor.name) for tensor in found.largest_tensors}
    assert ("parameter", "layer4.1.conv2.weight") in names
    assert ("gradient", "layer4.1.conv2.weight") in names


def test_activations_that_only_autograd_holds_are_found(failed: Order) -> None:
    kept = {tensor.name: tensor for tensor in failed(70, 64).largest_tensors if tensor.kind == "activation"}
    assert kept["input of conv1"].shape == [64, 3, 64, 64]
    assert any(name.startswith("output of conv1") for name in kept)


def test_state_of_the_optimizer_is_named_by_its_parameter(failed: Order) -> None:
    names = {tensor.name for tensor in failed(160, 16).largest_tensors if tensor.kind == "optimizer_state"}
    assert "exp_avg of layer4.0.conv2.weight" in names


def test_edits_are_of_the_spec_and_fit_by_their_predicted_peak(failed: Order) -> None:
    found = failed(300, 128)
    assert found.predicted_peak_bytes is not None
    assert len(found.edits) >= 2
    for edit in found.edits:
        assert edit.change.keys() <= ModelMemorySpec.model_fields.keys()
        assert edit.peak_device_bytes.likely_bytes < found.predicted_peak_bytes
    assert found.edits[0].fits


def test_every_null_has_its_reason(failed: Order) -> None:
    found = failed(150, 16)
    nulls = {name for name, value in found.model_dump().items() if value is None}
    assert nulls <= found.reasons.keys()
    assert "no GPU" in found.reasons["snapshot"]


def test_step_that_fits_is_left_alone() -> None:
    with LimitedMemory(16 * MIB) as memory:
        kept = [torch.ones(MIB // 4) for _ in range(3)]
        assert memory.held_bytes == 3 * MIB
        kept.clear()
        assert memory.held_bytes == 0
        torch.ones(8 * MIB // 4 // 8)
        with pytest.raises(LimitReached):
            torch.ones(32 * MIB)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 14.58 GiB", 5 * 2**29),
        ("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 14.76 GiB total capacity)", 20 * MIB),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes.", 4096),
        ("the probe was told to run out", None),
    ],
)
def test_request_is_read_from_the_message(message: str, expected: int | None) -> None:
    assert requested_bytes(RuntimeError(message)) == expected


@pytest.mark.parametrize(
    ("reservation", "reserved", "requested", "inside"),
    [
        (None, 10, 1, None),
        (100, None, 1, None),
        (100, 60, 40, True),
        (100, 60, 41, False),
        (100, 101, None, False),
    ],
)
def test_inside_is_what_was_held_and_asked_for_within_the_reservation(
    reservation: int | None, reserved: int | None, requested: int | None, *, inside: bool | None
) -> None:
    assert stayed_inside(reservation, reserved, requested) is inside
