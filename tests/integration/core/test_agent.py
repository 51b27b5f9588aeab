"""A heartbeat with a real database and a driver that answers as it is told."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from models import Gpu, GpuMinute
from models.settings import NodeSettings
from models.statements import gpu_minutes
from worker.agent import Agent
from worker.measuring.gpu_overhead import UNKNOWN
from worker.measuring.nvml import GpuInfo, GpuReading

Execute = Callable[..., list[Any]]


class Driver:
    """Tells one fault, once; notes how many connections were in use when it was asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.in_use: list[int] = []
        self.xids: list[tuple[int, int]] = []

    def gpus(self) -> list[GpuInfo]:
        self._note()
        return [GpuInfo("GPU-1", 0, "G", 80, None, None, mig=False, healthy=True, reason=None)]

    def new_xids(self) -> list[tuple[int, int]]:
        self._note()
        found, self.xids = self.xids, []
        return found

    def _note(self) -> None:
        pool: Any = self._engine.pool
        self.in_use.append(pool.checkedout())


@pytest.fixture
def driver(engine: Engine) -> Driver:
    return Driver(engine)


@pytest.fixture
def agent(engine: Engine, driver: Driver, tmp_path: Path) -> Agent:
    settings = NodeSettings(
        node="n1",
        runs_folder=tmp_path,
        datasets_folder=tmp_path,
        cache_folder=tmp_path,
        database_url="postgresql://unused",
        redis_url="redis://unused",
        artifacts_url="file:///unused",
    )
    any_of: Any = SimpleNamespace
    constants = any_of(of=lambda _: UNKNOWN)
    driven: Any = driver
    made = Agent(settings, engine, any_of(attempts={}), driven, any_of(latest=dict), constants)
    made._datasets.look()
    made.join()
    return made


def test_driver_is_asked_while_no_transaction_is_open(agent: Agent, driver: Driver) -> None:
    agent._beat()
    assert driver.in_use == [0, 0, 0, 0], "at the join and at the heartbeat"


def test_fault_of_a_gpu_is_kept_although_the_first_commit_fails(
    agent: Agent, driver: Driver, engine: Engine, execute: Execute
) -> None:
    def break_commit(_: Any) -> None:
        event.remove(engine, "commit", break_commit)
        raise OperationalError("commit", {}, Exception("connection lost"))

    driver.xids = [(0, 79)]
    event.listen(engine, "commit", break_commit)
    with pytest.raises(OperationalError):
        agent._beat()
    assert execute(select(Gpu.xid))[0]["xid"] is None
    agent._beat()
    assert execute(select(Gpu.xid))[0]["xid"] == 79


def test_heartbeats_of_a_minute_become_one_row_with_means_and_peaks(execute: Execute) -> None:
    nothing = dict.fromkeys(("utilization_percent", "power_watts", "memory_used_bytes", "temperature_celsius"))
    readings = [
        {**nothing, "utilization_percent": 10.0, "memory_used_bytes": 700, "temperature_celsius": 50.0},
        nothing,
        {**nothing, "utilization_percent": 40.0, "memory_used_bytes": 300, "temperature_celsius": 61.0},
    ]
    # One transaction has one time, and so one minute.
    for reading in readings:
        execute(gpu_minutes.keep([{**reading, "gpu_uuid": "GPU-1", "node": "n1"}]))
    rows = execute(select(*GpuMinute.__table__.c).order_by(GpuMinute.minute))
    assert sum(row["readings"] for row in rows) == 3
    assert max(row["memory_used_bytes"] for row in rows) == 700
    assert max(row["temperature_celsius"] for row in rows) == 61
    assert {row["power_watts"] for row in rows} == {None}


def test_heartbeat_keeps_what_the_sampler_read(agent: Agent, execute: Execute) -> None:
    assert execute(select(GpuMinute.gpu_uuid)) == [], "nothing was read at the join"
    reading: Any = GpuReading(uuid="GPU-1", time=0.0, utilization_percent=75, device_used_bytes=40)
    sampler: Any = SimpleNamespace(latest=lambda: {"GPU-1": reading})
    agent._sampler = sampler
    agent._beat()
    (row,) = execute(select(*GpuMinute.__table__.c))
    assert (row["gpu_uuid"], row["node"], row["utilization_percent"], row["memory_used_bytes"]) == (
        "GPU-1", "n1", 75.0, 40
    )  # fmt: skip
