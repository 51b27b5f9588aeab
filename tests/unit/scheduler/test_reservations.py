"""What a predicted peak means for the GPUs of a lab."""

from typing import Any

import pytest

from scheduler.planning.room import GpuRoom
from scheduler.reservations import GIB, NO_OUTLOOK, Outlook, outlook, reserve

SMALL, LARGE = f"T4/{16 * GIB}", f"A100/{40 * GIB}"


def gpu(model: str, total_gib: float | None) -> GpuRoom:
    return GpuRoom(f"GPU-{model}", None if total_gib is None else int(total_gib * GIB), model=model)


def fit(
    low_gib: float, likely_gib: float, high_gib: float, edits: list[dict[str, Any]] | None = None, **verdict: Any
) -> dict[str, Any]:
    return {
        "peak_device_bytes": peak(low_gib, likely_gib, high_gib),
        "edits": edits or [],
        "verdict": "fits",
        "certain": False,
    } | verdict


REFUSED: dict[str, Any] = {"verdict": "not_predicted", "peak_device_bytes": None, "reason": "PyTorch refuses"}
TOO_LARGE: dict[str, Any] = {"verdict": "fits_up_to", "certain": True}


def peak(low_gib: float, likely_gib: float, high_gib: float) -> dict[str, int]:
    return {
        "low_bytes": int(low_gib * GIB),
        "likely_bytes": int(likely_gib * GIB),
        "high_bytes": int(high_gib * GIB),
    }


BOTH = {SMALL: gpu("T4", 16), LARGE: gpu("A100", 40)}


def test_reserved_is_the_likely_peak_and_the_margin() -> None:
    assert reserve(peak(9, 10, 12), 0, None) == pytest.approx(12 * GIB, abs=2)
    assert reserve(peak(9, 10, 12), 20, 0.0) == pytest.approx(11 * GIB, abs=2)


def test_the_gpu_model_that_needs_most_decides() -> None:
    found = outlook("resnet", {SMALL: fit(3, 4, 5), LARGE: fit(5, 6, 7)}, BOTH, {})
    assert found.reserve_bytes == pytest.approx(7 * GIB, abs=2)
    learned = outlook("resnet", {SMALL: fit(3, 4, 5), LARGE: fit(5, 6, 7)}, BOTH, {("resnet", "A100"): (180, 0.0)})
    assert learned.reserve_bytes is not None
    assert learned.reserve_bytes < 6.2 * GIB


def test_reserves_no_more_than_the_largest_gpu_has() -> None:
    found = outlook("resnet", {SMALL: fit(30, 38, 50), LARGE: fit(30, 38, 50)}, BOTH, {})
    assert (found.reserve_bytes, found.refusal) == (40 * GIB, None)


def test_refuses_only_what_can_not_fit_at_the_least() -> None:
    edit = {"fits": True, "change": {"batch_size": 8}, "peak_device_bytes": peak(9, 10, 12)}
    found = outlook(
        "resnet", {SMALL: fit(41, 50, 60, **TOO_LARGE), LARGE: fit(41, 50, 60, [edit], **TOO_LARGE)}, BOTH, {}
    )
    assert found.reserve_bytes is None
    assert found.refusal == (
        "it needs 41.0 GiB of GPU memory at least, likely 50.0 GiB, and the largest GPU of the lab, A100, has "
        "40.0 GiB; it would fit with batch_size=8 (10.0 GiB)"
    )


def test_what_may_fit_by_the_ends_of_the_interval_or_by_retries_is_not_refused() -> None:
    maybe = fit(41, 50, 60, verdict="fits_up_to", certain=False)
    found = outlook("resnet", {SMALL: fit(41, 50, 60, **TOO_LARGE), LARGE: maybe}, BOTH, {})
    assert (found.reserve_bytes, found.refusal) == (40 * GIB, None)


def test_gpu_that_hides_its_memory_is_trusted() -> None:
    assert outlook("resnet", {SMALL: fit(41, 50, 60)}, {SMALL: gpu("T4", None)}, {}) is NO_OUTLOOK


def test_gpu_without_a_prediction_leaves_the_word_to_the_others() -> None:
    alone = outlook("resnet", {LARGE: fit(3, 4, 5)}, {LARGE: BOTH[LARGE]}, {})
    assert outlook("resnet", {SMALL: fit(0, 0, 0, **REFUSED), LARGE: fit(3, 4, 5)}, BOTH, {}) == alone
    too_large = {SMALL: fit(41, 50, 60, **TOO_LARGE), LARGE: fit(0, 0, 0, **REFUSED)}
    assert outlook("resnet", too_large, BOTH, {}).refusal is None, "nobody knows about the largest"


def test_where_no_gpu_has_a_prediction_the_job_takes_a_whole_one_and_says_why() -> None:
    found = outlook("resnet", dict.fromkeys(BOTH, fit(0, 0, 0, **REFUSED)), BOTH, {})
    assert found == Outlook(None, None, "PyTorch refuses")
