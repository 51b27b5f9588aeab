"""A heartbeat with a real database and a driver that answers as it is told."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from models import Gpu, GpuMinute, Node, NodeEvent
from models.settings import NodeSettings, SchedulerSettings
from models.statements import gpu_minutes, nodes
from sandbox import MigInstance
from scheduler.inspection import inspect_nodes
from worker.agent import Agent, DriverLoadedError
from worker.measuring.gpu_overhead import UNKNOWN
from worker.measuring.nvml import GpuInfo, GpuReading, NvmlAbsent

Execute = Callable[..., list[Any]]


class Driver:
    """Tells one fault, once; notes how many connections were in use when it was asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.in_use: list[int] = []
        self.xids: list[tuple[int, int]] = []
        self.cards = {"GPU-1": "G"}

    def gpus(self) -> list[GpuInfo]:
        self._note()
        return [
            GpuInfo(uuid, index, name, 80, None, None, mig=False, healthy=True, reason=None)
            for index, (uuid, name) in enumerate(self.cards.items())
        ]

    def mig_instance(self, uuid: str) -> MigInstance:
        return MigInstance("GPU-1", int(uuid.removeprefix("MIG-")), 0)

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


@pytest.fixture
def start_with(agent: Agent, driver: Driver, engine: Engine) -> Callable[..., None]:
    """The worker leaves and starts again on a machine with these cards, or with no driver; the scheduler looks."""
    settings = SchedulerSettings(database_url="postgresql://", redis_url="redis://", artifacts_url="file:///")

    def start(cards: dict[str, str] | str) -> None:
        agent.leave()
        here: Any = driver
        if isinstance(cards, str):
            here = NvmlAbsent(cards)
        else:
            driver.cards = cards
        agent._nvml = here
        agent.join()
        agent._beat()
        with engine.begin() as connection:
            inspect_nodes(connection, settings)

    return start


@pytest.fixture
def machine(execute: Execute) -> Callable[[], tuple[str | None, dict[str, str | None]]]:
    """The node's fault, and its GPUs with why they do not work."""

    def read() -> tuple[str | None, dict[str, str | None]]:
        return execute(select(Node.fault))[0]["fault"], {row["uuid"]: row["reason"] for row in execute(nodes.gpus())}

    return read


def test_emulated_card_that_is_switched_off_is_no_loss(start_with: Any, machine: Any, execute: Execute) -> None:
    start_with({"GPU-1": "emulated T4"})
    start_with("no NVIDIA driver is installed")
    assert machine() == (None, {})
    start_with({"GPU-2": "emulated L4"})
    assert machine() == (None, {"GPU-2": None})
    start_with({"GPU-1": "emulated T4"})
    assert machine() == (None, {"GPU-1": None})
    told = [row["message"] for row in execute(select(NodeEvent.message).order_by(NodeEvent.id))]
    assert told[0] == "gone: GPU 0 (emulated T4, GPU-1)"
    assert told[-1] == "gone: GPU 0 (emulated L4, GPU-2); new: GPU 0 (emulated T4, GPU-1)"


def test_card_that_is_missing_at_the_start_is_named_and_the_others_work(start_with: Any, machine: Any) -> None:
    start_with({"GPU-1": "T4", "GPU-2": "T4"})
    start_with({"GPU-2": "T4"})
    assert machine() == (None, {"GPU-1": "not found when the worker started", "GPU-2": None})
    start_with("reboot after a driver update")
    not_found = "not found when the worker started"
    assert machine() == (None, {"GPU-1": not_found, "GPU-2": f"{not_found}: reboot after a driver update"})
    start_with({"GPU-1": "T4", "GPU-2": "T4"})
    assert machine() == (None, {"GPU-1": None, "GPU-2": None})


def test_card_that_is_divided_by_mig_is_its_instances(start_with: Any, machine: Any) -> None:
    start_with({"MIG-1": "A100 MIG 1g.10gb", "MIG-2": "A100 MIG 1g.10gb"})
    assert machine() == (None, {"MIG-1": None, "MIG-2": None})
    start_with({"GPU-1": "G"})
    assert machine() == (None, {"GPU-1": None})


def test_card_lost_at_work_is_a_fault_until_a_start_without_it(
    agent: Agent, driver: Driver, engine: Engine, start_with: Any, machine: Any
) -> None:
    start_with({"GPU-1": "T4", "GPU-2": "T4"})
    del driver.cards["GPU-2"]
    agent._beat()
    settings = SchedulerSettings(database_url="postgresql://", redis_url="redis://", artifacts_url="file:///")
    with engine.begin() as connection:
        inspect_nodes(connection, settings)
    assert machine()[0] == "gpu_lost"
    start_with({"GPU-1": "T4"})
    assert machine() == (None, {"GPU-1": None, "GPU-2": "not found when the worker started"})


def test_worker_that_came_before_its_driver_ends_once_it_is_idle(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = False
    monkeypatch.setattr("worker.agent.is_loaded", lambda: loaded)
    absent: Any = NvmlAbsent("no NVIDIA driver is installed")
    late = Agent(agent._settings, agent._engine, agent._supervisor, absent, agent._sampler, agent._constants)
    late._datasets.look()
    late.join()
    late._beat()
    loaded = True
    late._supervisor.attempts[uuid4()] = SimpleNamespace(stop=lambda _: None)  # type: ignore[assignment]
    late._beat()
    late._supervisor.attempts.clear()
    with pytest.raises(DriverLoadedError):
        late._beat()
    agent._beat()
