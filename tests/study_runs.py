"""Finished runs to judge: the real results of cheap experiments."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
import torch

from experiments.hosting.run_directory import RunDirectory
from experiments.registry import runnable
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan

Finish = Callable[..., list[RunOutcome]]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finish:
    """Runs plans in this process; a run that was asked for before is not run again."""
    known: dict[str, dict[str, Any]] = {}

    def finish(runs: Sequence[RunPlan]) -> list[RunOutcome]:
        return [outcome_of(run, _result(run, known, tmp_path_factory)) for run in runs]

    return finish


def outcome_of(run: RunPlan, result: dict[str, Any] | None, **changes: Any) -> RunOutcome:
    return RunOutcome(
        experiment=run.experiment,
        spec=run.spec,
        seed=run.seed,
        cell=dict(run.cell or {}),
        questions=run.questions,
        result=result,
        **{"device": "cpu", "versions": {"torch": "0"}, "duration_seconds": 1.0, **changes},
    )


def _result(run: RunPlan, known: dict[str, dict[str, Any]], folders: pytest.TempPathFactory) -> dict[str, Any]:
    if run.key not in known:
        experiment = runnable()[run.experiment]
        module, _, name = experiment.run.partition(":")
        directory = RunDirectory(folders.mktemp("run"), seed=run.seed)
        torch.manual_seed(run.seed)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            result = getattr(import_module(module), name)(experiment.spec.model_validate(run.spec), directory)
        finally:
            torch.set_num_threads(threads)
            directory.close()
        known[run.key] = result.model_dump(mode="json")
    return known[run.key]
