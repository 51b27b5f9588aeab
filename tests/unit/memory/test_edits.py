"""The largest batch is the largest; verdicts and edits hold what they promise."""

from collections.abc import Collection
from functools import cache
from typing import Any

import pytest

from experiments.memory.card import Attempt, EmulatedCard
from experiments.memory.contract import Workload
from experiments.memory.devices import CONTEXT, GpuAsked
from experiments.memory.edits import lowered
from experiments.memory.largest import MAX_BATCH_SIZE, _last
from experiments.memory.predictor import judge, predict
from experiments.memory.processes import call, each
from experiments.torchvision_models import _BY_MEMORY, MODELS, smaller_models
from gpulab.schemas.memory import GpuVerdict

MIB = 1 << 20
WORKLOAD = Workload(model="resnet18", batch_size=512, optimizer="adam", image_size=224)
SMALL_GPU_BYTES = 4096 * MIB


def judged(workload: Workload, total_bytes: int, editable: Collection[str] | None = None, **asked: Any) -> GpuVerdict:
    asks = GpuAsked(name="T4", total_bytes=total_bytes, **asked)
    return answer(workload.model_dump_json(), asks.model_dump_json(), None if editable is None else frozenset(editable))


@cache
def answer(workload: str, asked: str, editable: frozenset[str] | None) -> GpuVerdict:
    """Once for all tests that ask the same."""
    return call(judge, Workload.model_validate_json(workload), GpuAsked.model_validate_json(asked), editable)


def attempts(workload: Workload, sizes: Collection[int], total_bytes: int) -> list[Attempt]:
    limit_bytes = total_bytes - CONTEXT.likely_bytes
    sized = [workload.model_copy(update={"batch_size": size}) for size in sizes]
    return call(fresh, "T4", [(one, limit_bytes) for one in sized])


def fresh(card: str, runs: Collection[tuple[Workload, int]]) -> list[Attempt]:
    """Each in a process of its own."""
    return list(each(attempted, [(card, *one) for one in runs]))


def attempted(card: str, workload: Workload, limit_bytes: int) -> Attempt:
    return EmulatedCard(card).attempted(workload, limit_bytes)


@pytest.mark.parametrize(
    ("workload", "total_bytes"),
    [
        (WORKLOAD, SMALL_GPU_BYTES),
        (Workload(model="mobilenet_v3_small", batch_size=8, optimizer="sgd"), 2048 * MIB),
        (Workload(model="vit_b_32", batch_size=300, optimizer="adam", precision="bfloat16"), SMALL_GPU_BYTES),
        (Workload(model="resnet18", batch_size=64, image_size=64, evaluation_batch_size=400), 1024 * MIB),
    ],
    ids=["resnet18", "mobilenet_v3_small", "vit_b_32 bfloat16", "with an evaluation"],
)
def test_largest_batch_fits_and_the_next_does_not(workload: Workload, total_bytes: int) -> None:
    found = judged(workload, total_bytes, editable=())
    largest, smooth = found.max_batch_size, found.max_batch_size_without_retries
    assert largest is not None
    assert smooth is not None
    assert smooth <= largest
    fits, too_large, at_once, tried_again = attempts(workload, (largest, largest + 1, smooth, smooth + 1), total_bytes)
    assert (fits.fits, too_large.fits) == (True, False)
    assert (at_once.is_smooth, tried_again.is_smooth) == (True, False)


def test_too_large_a_batch_fits_up_to_a_smaller_one_and_every_edit_fits() -> None:
    found = judged(WORKLOAD, SMALL_GPU_BYTES)
    assert found.verdict == "fits_up_to"
    assert found.certain
    assert len(found.edits) == 3
    assert found.edits[0].change == {"batch_size": found.max_batch_size}
    for edit in found.edits:
        changed = judged(WORKLOAD.model_copy(update=edit.change), SMALL_GPU_BYTES, editable=())
        assert edit.fits
        assert changed.verdict == "fits"
        assert changed.peak_device_bytes == edit.peak_device_bytes
        assert edit.peak_device_bytes.likely_bytes <= SMALL_GPU_BYTES


def test_spec_without_precision_or_optimizer_still_gets_three_edits_that_fit() -> None:
    workload = WORKLOAD.model_copy(update={"batch_size": 1024})
    found = judged(workload, SMALL_GPU_BYTES, {"model", "batch_size", "image_size"})
    assert [edit.fits for edit in found.edits] == [True] * 3
    assert [edit.change.get("image_size") for edit in found.edits] == [None, 96, 32]
    assert "5.4 times" in found.edits[1].reason
    assert "batch_size" in found.edits[1].change, "96 pixels alone are too many"


def test_batch_that_only_retries_make_fit_fits_and_is_not_certain() -> None:
    found = judged(WORKLOAD, SMALL_GPU_BYTES, editable=())
    assert found.max_batch_size is not None
    between = judged(WORKLOAD.model_copy(update={"batch_size": found.max_batch_size}), SMALL_GPU_BYTES, editable=())
    assert (between.verdict, between.certain, between.edits) == ("fits", False, [])
    assert between.peak_device_bytes.likely_bytes <= SMALL_GPU_BYTES


def test_small_batch_fits_without_edits() -> None:
    found = judged(WORKLOAD.model_copy(update={"batch_size": 8}), SMALL_GPU_BYTES)
    assert (found.verdict, found.certain, found.edits) == ("fits", True, [])
    assert found.max_batch_size is not None
    assert found.max_batch_size > 8


@pytest.mark.parametrize(("model", "room_bytes"), [("vgg11", 1024 * MIB), ("resnet152", 1024 * MIB)])
def test_model_of_which_no_image_fits_gets_three_edits_that_fit(model: str, room_bytes: int) -> None:
    workload = Workload(model=model, batch_size=8, optimizer="adam", image_size=224)
    found = judged(workload, room_bytes)
    assert (found.verdict, found.max_batch_size) == ("cannot_fit", None)
    assert [edit.fits for edit in found.edits] == [True] * 3
    assert all(edit.peak_device_bytes.likely_bytes <= room_bytes for edit in found.edits)


def test_model_that_must_stay_cannot_fit_and_the_nearest_edits_say_so() -> None:
    workload = Workload(model="vgg11", batch_size=1, optimizer="adam", image_size=224)
    found = judged(workload, 1280 * MIB, {"batch_size", "optimizer", "precision", "checkpointing"})
    assert found.verdict == "cannot_fit"
    assert found.edits
    peaks = [edit.peak_device_bytes.likely_bytes for edit in found.edits]
    assert not any(edit.fits for edit in found.edits)
    assert peaks == sorted(peaks)


def test_run_that_ran_out_gets_edits_that_lower_the_prediction_though_it_seemed_to_fit() -> None:
    workload = WORKLOAD.model_copy(update={"batch_size": 32})
    fitted = judged(workload, SMALL_GPU_BYTES)
    outgrown = judged(workload, SMALL_GPU_BYTES, {"batch_size", "optimizer"}, outgrown=True)
    assert (fitted.verdict, fitted.edits) == ("fits", [])
    assert outgrown.edits
    for edit in outgrown.edits:
        lower = edit.peak_device_bytes.likely_bytes <= 0.9 * fitted.peak_device_bytes.likely_bytes
        assert lower or not edit.fits


def test_smaller_models_take_less() -> None:
    for kind in _BY_MEMORY:
        *_, largest = kind
        assert all(name in MODELS for name in kind)
        assert smaller_models(kind[0])[:1] != [kind[0]]
        assert largest not in smaller_models(largest)
    assert smaller_models("resnet152") == ["resnet101", "resnet34", "resnet18", "mobilenet_v3_small", "squeezenet1_1"]
    peaks = [
        call(predict, Workload(model=model, batch_size=8)).peak_allocated_bytes
        for model in ("resnet152", *smaller_models("resnet152")[:3])
    ]
    assert peaks == sorted(peaks, reverse=True)


def test_prediction_that_a_run_proved_too_low_counts_as_too_low_for_its_edits() -> None:
    found = call(predict, WORKLOAD.model_copy(update={"batch_size": 8}))
    likely = found.peak_device_bytes.likely_bytes
    assert lowered(10 * likely, found) == round(0.9 * likely)
    assert lowered(likely, found, 2 * likely) == likely // 2, "twice what was predicted"
    assert lowered(10 * likely, found, 2 * likely) == round(0.9 * likely)
    assert lowered(likely, found, likely // 2) == round(0.9 * likely), "the neighbours had the rest"


def test_batch_of_one_that_batch_norm_refuses_is_not_asked_for() -> None:
    workload = Workload(model="resnet18", batch_size=8, optimizer="sgd", image_size=32)
    assert judged(workload, 2048 * MIB, editable=()).max_batch_size is not None
    assert judged(workload, 480 * MIB, editable=()).max_batch_size is None


@pytest.mark.parametrize("truth", [0, 1, 2, 57, 1000, MAX_BATCH_SIZE])
@pytest.mark.parametrize("guess", [0, 1, 60, 999, MAX_BATCH_SIZE])
def test_search_ends_at_the_last_size_and_asks_few_when_the_guess_is_near(truth: int, guess: int) -> None:
    asked: list[int] = []

    def holds(size: int) -> bool:
        asked.append(size)
        return size <= truth

    assert _last(guess, holds) == truth
    assert all(1 <= size <= MAX_BATCH_SIZE for size in asked)
    assert len(asked) == len(set(asked)) <= 2 + 2 * (abs(truth - guess) + 1).bit_length()
