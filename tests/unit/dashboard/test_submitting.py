"""The form of a new job: which fields come first, and whether the run fits."""

from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module

GIB = 2**30


def gpu(verdict: str, total_gib: int, max_batch_size: int | None = None, needs_gib: int = 745) -> dict[str, Any]:
    peak = {"likely_bytes": needs_gib * GIB}
    return {
        "verdict": verdict,
        "total_bytes": total_gib * GIB,
        "max_batch_size": max_batch_size,
        "peak_device_bytes": peak,
    }


@pytest.mark.parametrize(
    ("gpus", "batch_size", "fits", "text"),
    [
        ([gpu("fits", 16), gpu("fits", 80)], 64, True, "Fits: needs 745 GiB of 80 GiB."),
        (
            [gpu("cannot_fit", 16), gpu("fits_up_to", 80, 433)],
            4096,
            False,
            "Too large: 4,096 needs 745 GiB. Batch 433 fits.",
        ),
        ([gpu("fits_up_to", 80, 433)], None, False, "Too large: this batch needs 745 GiB. Batch 433 fits."),
        ([gpu("cannot_fit", 80)], 4096, False, "Cannot fit: needs 745 GiB of 80 GiB."),
        ([gpu("fits_up_to", 80, 9), gpu("fits", 141)], 64, True, "Fits: needs 745 GiB of 141 GiB."),
        # What it takes depends on the GPU.
        ([gpu("fits", 16, needs_gib=9), gpu("fits", 80, needs_gib=11)], 64, True, "Fits: needs 11 GiB of 80 GiB."),
    ],
)
def test_the_verdict_is_that_of_the_best_gpu(
    gpus: list[dict[str, Any]], batch_size: int | None, fits: bool, text: str
) -> None:
    estimate = {"gpus": gpus, "peak_device_bytes": {"likely_bytes": 745 * GIB}}
    body = "const { fits, text } = module.verdictOf(...given); return { fits, text };"
    assert run_module("pages/submit/verdict.ts", body, [estimate, batch_size]) == {"fits": fits, "text": text}


def test_while_a_gpu_is_still_measured_only_a_fit_is_a_verdict() -> None:
    body = "return given.map((estimate) => module.verdictOf(estimate, 1)?.fits ?? null);"
    open_ = {"state": "pending", "peak_device_bytes": {"likely_bytes": 20 * GIB}}
    estimates = [open_ | {"gpus": [gpu("cannot_fit", 16)]}, open_ | {"gpus": [gpu("cannot_fit", 16), gpu("fits", 80)]}]
    assert run_module("pages/submit/verdict.ts", body, estimates) == [None, True]


def test_without_a_prediction_or_a_gpu_there_is_no_verdict() -> None:
    body = "return given.map((estimate) => module.verdictOf(estimate, 1));"
    estimates = [
        {"gpus": [gpu("fits", 80)], "peak_device_bytes": None},
        {"gpus": [], "peak_device_bytes": {"likely_bytes": 1}},
        {"gpus": [gpu("not_predicted", 16) | {"peak_device_bytes": None}], "peak_device_bytes": {"likely_bytes": 1}},
    ]
    assert run_module("pages/submit/verdict.ts", body, estimates) == [None, None, None]


def test_a_gpu_without_a_prediction_leaves_the_word_to_the_others() -> None:
    unknown = gpu("not_predicted", 999) | {"peak_device_bytes": None}
    estimate = {"gpus": [unknown, gpu("cannot_fit", 80)], "peak_device_bytes": {"likely_bytes": 745 * GIB}}
    body = "return module.verdictOf(given, 64).text;"
    assert run_module("pages/submit/verdict.ts", body, estimate) == "Cannot fit: needs 745 GiB of 80 GiB."


def test_a_long_form_folds_what_is_neither_basic_nor_set() -> None:
    fields = [
        "dataset",
        "model",
        "epochs",
        "batch_size",
        "flip",
        "crop_padding",
        "normalize",
        "patience",
        "schedule",
        "warmup",
    ]
    body = "return module.foldedOf(given[0], new Set(given[1]));"
    folded = run_module("pages/submit/basics.ts", body, [fields, ["schedule", ""]])
    assert folded == ["flip", "crop_padding", "normalize", "patience", "warmup"]
    assert run_module("pages/submit/basics.ts", body, [fields[:9], []]) == [], "a short form is shown whole"
    bulky = "return module.foldedOf(given[0], new Set(given[1]), new Set(given[2]));"
    form = [["x", "dropout", "y"], ["y"], ["x", "y"]]
    assert run_module("pages/submit/basics.ts", bulky, form) == ["x"], "a long list is folded unless it is needed"
    unknown = [f"field_{number}" for number in range(12)]
    assert run_module("pages/submit/basics.ts", body, [unknown, []]) == unknown[8:], "the first ones of an unknown form"
