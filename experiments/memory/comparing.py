"""A run's own prediction, made in its process and put beside its measurements."""

import torch

from experiments.contract import Run
from experiments.memory.contract import Prediction, Workload
from experiments.memory.devices import known_model
from experiments.memory.estimate import estimate


def predict(run: Run, workload: Workload) -> Prediction:
    """Predict the memory of a run's training step and record it; the run's random numbers stay what they were."""
    with torch.random.fork_rng(devices=[]):
        gpu = known_model(torch.cuda.get_device_name()) if run.device == "cuda" else None
        found = Prediction.of(estimate(workload, gpu))
    run.prediction(found.levels())
    return found
