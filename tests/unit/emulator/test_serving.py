"""A worker on emulated cards: refused at once where it cannot be, and cards that only prefer a GPU stay on the CPU."""

from pathlib import Path
from uuid import uuid4

import pytest

from api.experiments import service as experiments
from emulator import loading
from emulator.loading import RefusedError, serve
from gpulab.schemas import JobCreate
from server.up import LabOptions, LocalLab

EXCLUSIVE, PREFERRED, NEVER = "model-memory", "train-classifier", "dropout-ridge"


def test_a_worker_is_refused_a_card_that_is_not_known() -> None:
    with pytest.raises(RefusedError, match=f"no card '{(name := str(uuid4()))}'"):
        serve(name)


def test_a_worker_is_refused_beside_a_real_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(loading, "REAL_DRIVERS", (str(tmp_path / "nvidiactl"),))
    with pytest.raises(RefusedError, match="the emulator does not run next to it"):
        serve("T4")


@pytest.mark.parametrize(
    ("slug", "asked", "gpus"), [(PREFERRED, None, 0), (PREFERRED, 1, 1), (EXCLUSIVE, None, None), (NEVER, None, 0)]
)
def test_what_is_after_values_stays_on_the_cpu_unless_it_asks(
    monkeypatch: pytest.MonkeyPatch, slug: str, asked: int | None, gpus: int | None
) -> None:
    monkeypatch.setenv("GPULAB_EMULATE", "T4")
    assert experiments.plan(JobCreate(experiment=slug, gpus=asked)).gpus == gpus


def test_elsewhere_it_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPULAB_EMULATE", raising=False)
    assert experiments.plan(JobCreate(experiment=PREFERRED)).gpus is None


def test_every_program_of_a_lab_that_emulates_hears_of_it(tmp_path: Path) -> None:
    lab = LocalLab(LabOptions(tmp_path, emulate="T4,L4"), print)
    assert lab._environment()["GPULAB_EMULATE"] == "T4,L4"
