"""A run's own prediction, made in its process and put beside its measurements."""

import torch

from experiments.contract import Run
from experiments.memory.contract import Prediction, Workload
from experiments.memory.devices import Gpu, gpu_of_device
from experiments.memory.estimate import estimate


def own_gpu(run: Run) -> Gpu | None:
    """The GPU of a run, with what its node measured of it; None where it runs on the CPU."""
    return gpu_of_device(torch.cuda.get_device_name(), run.gpu_constants) if run.device == "cuda" else None


def predict(run: Run, workload: Workload) -> Prediction:
    """Predict the memory of a run's training step and record it; the run's random numbers stay what they were."""
    with torch.random.fork_rng(devices=[]):
        found = Prediction.of(estimate(workload, own_gpu(run)))
    run.prediction(found.levels())
    return found
