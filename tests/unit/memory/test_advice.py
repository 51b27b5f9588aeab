"""The largest batch is the largest; verdicts and edits hold what they promise."""

import pytest

from experiments.memory import scaling
from experiments.memory.advice import Change, _in_vain, fits, lowered, max_batch
from experiments.memory.contract import Workload
from experiments.memory.estimate import estimate
from experiments.memory.scaling import TraceFamily
from experiments.memory.step import trace_steps
from experiments.torchvision_models import _BY_MEMORY, MODELS, smaller_models

MIB = 1 << 20
WORKLOAD = Workload(model="resnet18", batch_size=512, optimizer="adam", image_size=224)
SMALL_GPU_BYTES = 4096 * MIB


@pytest.mark.parametrize(
    "workload",
    [
        WORKLOAD,
        WORKLOAD.model_copy(update={"precision": "bfloat16", "evaluation_batch_size": 8}),
        WORKLOAD.model_copy(update={"model": "vit_b_32"}),
        WORKLOAD.model_copy(update={"model": "mobilenet_v3_small", "checkpointing": True}),
    ],
    ids=["resnet18", "resnet18 bfloat16", "vit_b_32", "mobilenet_v3_small checkpointing"],
)
def test_every_block_is_linear_in_the_batch(workload: Workload) -> None:
    assert TraceFamily(workload).at(48) == trace_steps(workload.model_copy(update={"batch_size": 48}))


def test_largest_batch_fits_and_the_next_does_not() -> None:
    largest = max_batch(WORKLOAD, SMALL_GPU_BYTES)
    assert largest is not None
    peaks = [
        estimate(WORKLOAD.model_copy(update={"batch_size": size})).peak_device.likely_bytes
        for size in (largest, largest + 1)
    ]
    assert peaks[0] <= SMALL_GPU_BYTES < peaks[1]


def test_too_large_a_batch_fits_up_to_a_smaller_one_and_every_edit_fits() -> None:
    found = fits(estimate(WORKLOAD), SMALL_GPU_BYTES)
    assert found.verdict == "fits_up_to"
    assert found.certain
    assert len(found.edits) == 3
    for edit in found.edits:
        changed = WORKLOAD.model_copy(update=edit.change)
        assert edit.fits
        assert estimate(changed).peak_device == edit.peak_device
        assert edit.peak_device.likely_bytes <= SMALL_GPU_BYTES
    assert found.edits[0].change == {"batch_size": found.largest_batch_size}


def test_spec_without_precision_or_optimizer_still_gets_three_edits_that_fit() -> None:
    workload = WORKLOAD.model_copy(update={"batch_size": 1024})
    found = fits(estimate(workload), SMALL_GPU_BYTES, editable={"model", "batch_size", "image_size"})
    assert [edit.fits for edit in found.edits] == [True] * 3
    assert [edit.change.get("image_size") for edit in found.edits] == [None, 96, 32]
    assert "5.4 times" in found.edits[1].reason
    assert "batch_size" in found.edits[1].change, "96 pixels alone are too many"


@pytest.mark.parametrize("model", ["resnet18", "vit_b_32"])
def test_change_that_is_not_traced_would_not_have_fitted(model: str) -> None:
    workload = Workload(model=model, batch_size=512, optimizer="adam", image_size=224)
    found = estimate(workload)
    room_bytes = found.peak_device.likely_bytes * 2 // 5
    largest = max_batch(workload, room_bytes)
    changes: list[Change] = [{"precision": "bfloat16"}, {"optimizer": "sgd_momentum"}, {"optimizer": "sgd"}]
    assert all(_in_vain(change, found, largest, room_bytes) for change in changes)
    for change in changes:
        changed = estimate(Workload.model_validate({**workload.model_dump(), **change}))
        assert changed.peak_device.likely_bytes > room_bytes


def test_change_that_may_fit_is_traced() -> None:
    found = estimate(WORKLOAD)
    room_bytes = found.peak_device.likely_bytes - found.split.optimizer_state_bytes
    largest = max_batch(WORKLOAD, room_bytes)
    assert not any(
        _in_vain(change, found, largest, room_bytes) for change in ({"precision": "bfloat16"}, {"optimizer": "sgd"})
    )


def test_second_gpu_of_a_kind_costs_no_further_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[Workload] = []
    monkeypatch.setattr(scaling, "trace_steps", lambda *a, **k: traced.append(a[0]) or trace_steps(*a, **k))
    workload = WORKLOAD.model_copy(update={"batch_size": 500})
    family = TraceFamily(workload)
    answers = [fits(estimate(workload, gpu, family), SMALL_GPU_BYTES, family=family) for gpu in ("T4", "V100-16GB")]
    assert all(each.edits for each in answers)
    assert len(traced) == len({each.model_dump_json() for each in traced})


def test_small_batch_fits_without_edits() -> None:
    found = fits(estimate(WORKLOAD.model_copy(update={"batch_size": 8})), SMALL_GPU_BYTES)
    assert (found.verdict, found.edits) == ("fits", [])
    assert found.largest_batch_size is not None
    assert found.largest_batch_size > 8


@pytest.mark.parametrize(("model", "room_bytes"), [("vgg11", 1024 * MIB), ("resnet152", 1024 * MIB)])
def test_model_of_which_no_picture_fits_gets_three_edits_that_fit(model: str, room_bytes: int) -> None:
    workload = Workload(model=model, batch_size=8, optimizer="adam", image_size=224)
    found = fits(estimate(workload), room_bytes)
    assert (found.verdict, found.largest_batch_size) == ("cannot_fit", None)
    assert [edit.fits for edit in found.edits] == [True] * 3
    for edit in found.edits:
        assert estimate(workload.model_copy(update=edit.change)).peak_device == edit.peak_device
        assert edit.peak_device.likely_bytes <= room_bytes


def test_model_that_must_stay_cannot_fit_and_the_nearest_edits_say_so() -> None:
    workload = Workload(model="vgg11", batch_size=1, optimizer="adam", image_size=224)
    found = fits(estimate(workload), 1280 * MIB, editable={"batch_size", "optimizer", "precision", "checkpointing"})
    assert found.verdict == "cannot_fit"
    assert found.edits
    peaks = [edit.peak_device.likely_bytes for edit in found.edits]
    assert not any(edit.fits for edit in found.edits)
    assert peaks == sorted(peaks)


def test_smaller_models_take_less() -> None:
    for kind in _BY_MEMORY:
        *_, largest = kind
        assert all(name in MODELS for name in kind)
        assert smaller_models(kind[0])[:1] != [kind[0]]
        assert largest not in smaller_models(largest)
    assert smaller_models("resnet152") == ["resnet101", "resnet34", "resnet18", "mobilenet_v3_small", "squeezenet1_1"]
    peaks = [
        estimate(Workload(model=model, batch_size=8)).peak_allocated_bytes
        for model in ("resnet152", *smaller_models("resnet152")[:3])
    ]
    assert peaks == sorted(peaks, reverse=True)


def test_prediction_that_a_run_proved_too_low_counts_as_too_low_for_its_edits() -> None:
    found = estimate(WORKLOAD.model_copy(update={"batch_size": 8}))
    likely = found.peak_device.likely_bytes
    assert lowered(10 * likely, found) == round(0.9 * likely)
    assert lowered(likely, found, 2 * likely) == likely // 2, "twice what was predicted"
    assert lowered(10 * likely, found, 2 * likely) == round(0.9 * likely)
    assert lowered(likely, found, likely // 2) == round(0.9 * likely), "the neighbours had the rest"


def test_batch_of_one_that_batch_norm_refuses_is_not_asked_for() -> None:
    workload = Workload(model="resnet18", batch_size=8, optimizer="sgd", image_size=32)
    assert max_batch(workload, 2048 * MIB) is not None
    assert max_batch(workload, 100 * MIB) is None
