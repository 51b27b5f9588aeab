"""Predictions and failures of memory, as a person reads them in a terminal."""

from typing import Any

import pytest

from gpulab.cli.estimate import phase_in_words, show
from gpulab.cli.jobs.out_of_memory import print_failure
from gpulab.errors import explain
from gpulab.schemas import EstimateRead, OutOfMemoryRead, Problem
from tests.predictions import PARTS
from tests.predictions import verdict as a_verdict

GIB = 2**30
INTERVAL = {"low_bytes": 12 * GIB, "likely_bytes": 13 * GIB, "high_bytes": 14 * GIB}
MEASURED = {
    "gpu": "Tesla T4",
    "driver_version": "580.65",
    "cuda_version": "13.0",
    "torch_version": "2.14.1",
    "context_bytes": GIB,
    "libraries_bytes": GIB,
    "cublas_workspace_bytes": GIB,
    "convolution_workspace_bytes": GIB,
    "measured_at": "2026-01-01T00:00:00Z",
}


def verdict(**changes: Any) -> dict[str, Any]:
    constants = {"source": "measured", "cuda_context": INTERVAL, "measured": MEASURED}
    largest = {"max_batch_size": 74, "max_batch_size_without_retries": 70}
    return a_verdict(INTERVAL, total_bytes=15 * GIB, in_lab=True, constants=constants, **largest | changes)


def estimate(*verdicts: dict[str, Any], **changes: Any) -> EstimateRead:
    parts = {f"{name}_bytes": GIB for name in PARTS} | {"cuda_context": INTERVAL}
    known = {
        "state": "ready",
        "peak_allocated_bytes": GIB,
        "peak_reserved_bytes": 2 * GIB,
        "peak_device_bytes": INTERVAL,
        "peak_phase": "second_backward",
        "parts": parts,
        "gpus": verdicts,
        "gpus_pending": [],
    }
    return EstimateRead.model_validate(dict.fromkeys(EstimateRead.model_fields) | known | changes)


def test_verdicts_that_are_there_are_shown_with_what_is_still_measured(capsys: pytest.CaptureFixture[str]) -> None:
    show(estimate(verdict(), state="pending", gpus_pending=["L4", "A10"]))
    assert "Tesla T4 (15.0 GiB): fits" in (shown := capsys.readouterr().out)
    assert shown.endswith("Still being measured: L4, A10. Ask again for their verdicts.\n")
    show(estimate(verdict(), state="failed", reason="no worker"))
    assert capsys.readouterr().out.endswith("Other GPUs were not measured: no worker\n")


def test_estimate_tells_the_peak_its_parts_and_where_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    show(estimate(verdict()))
    lines = capsys.readouterr().out.splitlines()
    facts = dict(line.split("  ", 1) for line in lines if "  " in line.strip())
    assert facts["peak on the device"].strip() == "13.0 GiB (12.0 GiB to 14.0 GiB)"
    assert facts["reached in"].strip() == "backward of the second step"
    assert {name.replace("_", " ") for name in PARTS} | {"CUDA context"} <= facts.keys()
    assert lines[-3] == "Tesla T4 (15.0 GiB): fits, up to batch 74; without retries of the allocator up to batch 70"
    assert lines[-2] == "  peak 13.0 GiB, by PyTorch's allocator on an emulated T4"
    assert lines[-1].endswith("measured by a node with driver 580.65, CUDA 13.0, torch 2.14.1")


def test_gpu_that_refuses_the_step_says_why_and_leaves_the_others_their_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = verdict(name="Old", verdict="not_predicted", reason="PyTorch refuses.") | {"peak_device_bytes": None}
    show(estimate(refused, verdict()))
    out = capsys.readouterr().out
    assert "\nOld (15.0 GiB): not predicted. PyTorch refuses.\n\nTesla T4 (15.0 GiB): fits" in out


def test_program_is_shown_without_parts_and_batch_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    own = {"parts": None, "claimed_by_program": True, "assumptions": ["the values read at a.py:3 do not matter"]}
    program = verdict(certain=False, max_batch_size=None, max_batch_size_without_retries=None)
    show(estimate(program).model_copy(update=own))
    out = capsys.readouterr().out
    assert "peak on the device  13.0 GiB" in out
    assert "The program measured this itself" in out
    assert "Assumed: the values read at a.py:3 do not matter" in out
    assert "Tesla T4 (15.0 GiB): likely fits\n" in out
    assert "batch" not in out


def test_edit_that_is_not_enough_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    edits = [
        {"change": {"batch_size": 8}, "reason": "It fits.", "peak_device_bytes": INTERVAL, "fits": True},
        {"change": {"optimizer": "sgd"}, "reason": "No state.", "peak_device_bytes": INTERVAL, "fits": False},
    ]
    show(
        estimate(
            verdict(
                verdict="fits_up_to", certain=False, max_batch_size=8, max_batch_size_without_retries=8, edits=edits
            )
        )
    )
    first, _, _, *edits_told = capsys.readouterr().out.splitlines()[-5:]
    assert first == "Tesla T4 (15.0 GiB): likely too large; batch 8 fits"
    assert edits_told == ["  batch_size=8: 13.0 GiB. It fits.", "  optimizer=sgd: 13.0 GiB, still too large. No state."]


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("forward", "forward of the first step"),
        ("second_zero_grad", "zero grad of the second step"),
        ("model", "model"),
        ("evaluation", "evaluation"),
        (None, None),
    ],
)
def test_phase_says_which_step(phase: str | None, words: str | None) -> None:
    assert phase_in_words(phase) == words


def test_what_is_not_known_of_a_failure_is_no_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(OutOfMemoryRead.model_fields)
    reasons = {"edits": "nothing was predicted", "largest_tensors": "the run ended before a snapshot was taken"}
    claimed = ["allocated_bytes", "module"]
    known = {"device": "cuda", "limit_bytes": GIB, "allocated_bytes": 1, "module": "fc", "claimed_by_program": claimed}
    known |= {"largest_tensors": [], "edits": [], "reasons": reasons}
    print_failure(OutOfMemoryRead.model_validate(nothing | {"ended_by": "watchdog"} | known))
    said = capsys.readouterr().out
    assert "layer *" in said
    assert "allocated *" in said
    assert "limit *" not in said
    assert "LARGEST TENSORS" not in said
    assert "CHANGE" not in said
    assert all(reason in said for reason in reasons.values())


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"pattern": "^[a-z]+$"}, "spec.model: not allowed (got 'resnet15')"),
        ({"expected": "'adam' or 'sgd'"}, "spec.model: not allowed (expected 'adam' or 'sgd', got 'resnet15')"),
        (
            {"expected": ", ".join(f"'resnet{n}'" for n in (18, 34, 50, 101, 152, 200, 269, 300, 400))},
            "spec.model: 'resnet15' is not one of the 9 known values; similar: resnet152, resnet50, resnet18",
        ),
        (
            {"enum": [f"V{n}" for n in range(10)]},
            "spec.model: 'resnet15' is not one of the 10 known values, such as V0, V1, V2, V3, V4, V5, V6, V7",
        ),
    ],
)
def test_wrong_choice_among_many_is_told_by_those_near_it(limit: dict[str, Any], said: str) -> None:
    error = {"path": "spec.model", "message": "not allowed", "limit": limit, "value": "resnet15"}
    about = {"type": "/problems/invalid-spec", "title": "Wrong", "status": 422, "detail": "", "errors": [error]}
    assert explain(Problem.model_validate(about)) == said


@pytest.mark.parametrize(
    ("path", "message", "limit", "said"),
    [
        ("role", "input should be 'a' or 'b'", {"expected": "'a' or 'b'"}, "role: input should be 'a' or 'b' (got 7)"),
        ("gpus", "the lab has 2 GPUs", {"le": 2}, "gpus: the lab has 2 GPUs (got 7)"),
        ("points", "must be between 0 and 10", {"le": 10.0}, "points: must be between 0 and 10 (got 7)"),
        ("file", "must not be empty", {"min_length": 1}, "file: must not be empty (got 7)"),
        ("gpus", "the lab has 12 GPUs", {"le": 2}, "gpus: the lab has 12 GPUs (le 2, got 7)"),
        ("csv.3.email", "is empty", None, "line 3, email: is empty (got 7)"),
        ("csv.1", "the heading has no column email", None, "line 1: the heading has no column email (got 7)"),
    ],
)
def test_limit_that_the_message_has_is_not_said_again(
    path: str, message: str, limit: dict[str, Any] | None, said: str
) -> None:
    error = {"path": path, "message": message, "limit": limit, "value": 7}
    about = {"type": "/problems/invalid-spec", "title": "Wrong", "status": 422, "detail": "", "errors": [error]}
    assert explain(Problem.model_validate(about)) == said
