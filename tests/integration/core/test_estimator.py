"""The estimator with a real database and a zygote that does as it is told: the machine's trouble is no question's."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, update

from models import Estimate
from models.settings import NodeSettings
from models.statements.memory import estimates
from tests.integration.core.questions import put
from worker import estimator
from worker.estimator import Estimator
from worker.runs.zygote import End

Execute = Callable[..., list[Any]]


@pytest.fixture
def answered(engine: Engine, execute: Execute, tmp_path: Path) -> Callable[..., Any]:
    """What is known of a question after an estimator with this zygote was at it."""

    def answer(known: dict[str, Any] | None = None, **zygote: Any) -> Any:
        settings = NodeSettings(
            node="n1",
            runs_folder=tmp_path,
            datasets_folder=tmp_path,
            cache_folder=tmp_path,
            database_url="postgresql://unused",
            redis_url="redis://unused",
            artifacts_url="file:///unused",
        )
        made: Any = SimpleNamespace(**zygote)
        estimate_id = asked(execute)
        if known is not None:
            execute(update(Estimate).values(prediction={}, fits=known))
        Estimator(settings, engine, made)._answer(estimate_id)
        (row,) = execute(estimates.by_id(asked_id[0]))
        return row

    asked_id: list[UUID] = []

    def asked(execute: Execute) -> UUID:
        asked_id.append(uuid4())
        wanted = {f"{name}/16": {"name": name, "total_bytes": 16} for name in ("A100", "T4")}
        question = {"id": asked_id[0], "family": "resnet", "software": "torch 1", "workload": {}, "editable": []}
        assert execute(put(question | {"wanted": wanted}))
        return asked_id[0]

    return answer


def ended(end: End | None) -> Callable[..., Any]:
    return lambda *_: SimpleNamespace(wait=lambda _: end is not None, kill=lambda: None, end=end)


@pytest.mark.parametrize("end", [End(1, "No space left on device"), End(None)])
def test_trouble_of_the_machine_counts_no_attempt(answered: Any, end: End) -> None:
    row = answered(await_warm=lambda _: True, start=ended(end))
    assert (row["state"], row["attempts"], row["token"]) == ("pending", 0, None)


def test_process_that_was_killed_counts(answered: Any) -> None:
    row = answered(await_warm=lambda _: True, start=ended(End(-9)))
    assert (row["state"], row["attempts"]) == ("pending", 1)


@pytest.mark.parametrize("warm", [False, True])
def test_time_that_runs_out_counts_only_once_the_process_runs(
    answered: Any, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    monkeypatch.setattr(estimator, "MAX_SECONDS", 0.0)
    row = answered(await_warm=lambda _: warm, start=ended(None))
    assert row["state"] == ("failed" if warm else "pending")
    assert warm or row["attempts"] == 0


def test_time_that_runs_out_over_a_further_gpu_leaves_what_was_answered(
    answered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator, "MAX_SECONDS", 0.0)
    row = answered({"T4/16": {"verdict": "fits"}}, await_warm=lambda _: True, start=ended(None))
    assert (row["state"], row["fits"]["T4/16"]["verdict"]) == ("ready", "fits")
    refused = row["fits"]["A100/16"]
    assert (refused["verdict"], refused["reason"]) == ("not_predicted", "it took longer than 0 s")
