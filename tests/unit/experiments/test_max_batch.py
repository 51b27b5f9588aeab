"""`max-batch`: the emulated card's answer, the ends of its interval, and real steps that confirm it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from pydantic import ValidationError

from experiments.catalog.max_batch import figures
from experiments.catalog.max_batch import run as module
from experiments.catalog.max_batch.run import confirm, real_step
from experiments.catalog.max_batch.spec import MaxBatchResult, MaxBatchSpec, RealStep, workload
from experiments.contract import Stopped
from experiments.hosting.run_directory import RunDirectory

EXPECTED = json.loads((Path(module.__file__).parent / "expected.json").read_text())
MIB = 1 << 20
TINY: dict[str, Any] = {"model": "shufflenet_v2_x0_5", "image_size": 64, "gpu": None, "memory_bytes": 620 * MIB}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def execute(folder: Path, **fields: object) -> MaxBatchResult:
    run = RunDirectory(folder)
    result = module.run(MaxBatchSpec.model_validate({**TINY, **fields}), run)
    run.close()
    return result


def test_values_of_the_defaults_are_the_recorded_ones(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    result = module.run(MaxBatchSpec.model_validate(EXPECTED["spec"]), run).model_dump(mode="json")
    run.close()
    assert {name: result[name] for name in EXPECTED["result"]} == EXPECTED["result"]
    assert result["reason"] == "no GPU: the run used the CPU"
    sizes = [probe["batch_size"] for probe in result["probes"]]
    assert sizes == sorted(set(sizes))
    assert result["largest_batch_size"] in sizes


def test_the_ends_of_the_interval_enclose_the_answer(tmp_path: Path) -> None:
    result = execute(tmp_path, memory_bytes=2500 * MIB)
    assert result.certain_batch_size is not None
    assert result.largest_batch_size is not None
    assert result.possible_batch_size is not None
    assert result.largest_without_retries is not None
    assert result.certain_batch_size <= result.largest_batch_size <= result.possible_batch_size
    assert result.largest_without_retries <= result.largest_batch_size


def test_memory_that_is_too_small_for_any_batch_is_an_answer(tmp_path: Path) -> None:
    result = execute(tmp_path, memory_bytes=100 * MIB)
    assert (result.largest_batch_size, result.certain_batch_size, result.possible_batch_size) == (None, None, None)


@pytest.mark.parametrize(("true_size", "predicted"), [(100, 100), (100, 130), (100, 80), (1, 40), (9, 8)])
def test_real_steps_close_in_on_the_truth_and_are_bounded(true_size: int, predicted: int) -> None:
    tried: list[int] = []

    def takes(size: int) -> RealStep:
        tried.append(size)
        fits = size <= true_size
        return RealStep(batch_size=size, fits=fits, peak_allocated_bytes=None, peak_reserved_bytes=None)

    steps = confirm(takes, predicted)
    assert tried[0] == predicted
    assert len(tried) == len(set(tried)) <= module.MAX_REAL_STEPS
    fitted = [step.batch_size for step in steps if step.fits]
    assert true_size - max(fitted) <= 2


@pytest.mark.parametrize(
    ("total_mib", "confirmed"),
    [(14_930, True), (40_326, True), (11_000, False)],
    ids=["torch's own count of a T4", "larger", "smaller"],
)
def test_real_steps_are_taken_where_the_run_has_the_gpu_that_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total_mib: int, confirmed: bool
) -> None:
    total = total_mib * MIB
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=total))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    spec = MaxBatchSpec(gpu="Tesla T4")
    run = RunDirectory(tmp_path, device="cuda")
    assert (module._why_not_confirmed(spec, run, 451) is None) is confirmed
    with module._capped(spec.budget_bytes, 450 * MIB):
        assert shares[0] * total == pytest.approx(min(total, spec.budget_bytes) - 450 * MIB)
    assert shares[1:] == [1.0]
    run.close()


def test_it_can_be_stopped_between_real_steps(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.ask_to_stop()
    with pytest.raises(Stopped):
        real_step(workload(MaxBatchSpec.model_validate(TINY)), 2, run)
    run.close()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpu": "T5"}, "gpu: 'T5' is unknown; known are T4"),
        ({"gpu": None, "memory_bytes": None}, "set gpu or memory_bytes"),
        ({"memory_bytes": 5}, "greater than or equal to 1048576"),
        ({"model": "vgg11", "image_size": 16}, "image_size: vgg11 takes 32 pixels or more; it is 16"),
        ({"batch_size": 4}, "Extra inputs are not permitted"),
    ],
)
def test_a_bad_spec_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MaxBatchSpec.model_validate({**TINY, **fields})


def test_picture_can_be_drawn_and_names_its_axes(tmp_path: Path) -> None:
    (figure,) = figures.draw(MaxBatchSpec.model_validate(TINY), execute(tmp_path)).values()
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "peaks.png")
    assert all(axes.get_ylabel() and axes.get_xlabel() and axes.get_title() for axes in figure.axes)
