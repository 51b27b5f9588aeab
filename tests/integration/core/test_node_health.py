"""Nodes that cannot be trusted are set aside, and come back: statements and inspection on a real database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text, update

from models import Gpu, Node, NodeEvent
from models.settings import SchedulerSettings
from models.statements import leases, node_health, node_tokens, nodes
from scheduler.inspection import inspect_nodes

Execute = Callable[..., list[Any]]
SETTINGS = SchedulerSettings(database_url="postgresql://", redis_url="redis://", artifacts_url="file:///")
SILENCE = SETTINGS.lease_seconds
GIB = 2**30


def described(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "slots": 2, "datasets": [], "versions": {}, "gpu_reason": None, **values}


def gpu_row(node: str, uuid: str, **values: Any) -> dict[str, Any]:
    plain = {"uuid": uuid, "node": node, "index": 0, "name": "G", "memory_total_bytes": 80 * GIB}
    return {**plain, "healthy": True, "reason": None, "latest": {}, **values}


class Machine:
    """A worker's heartbeats, without the worker."""

    def __init__(self, engine: Engine, name: str, *uuids: str) -> None:
        self.engine = engine
        self.name = name
        self.gpus = [gpu_row(name, uuid) for uuid in uuids]
        self.clock_off_seconds = 0.0
        self.join()

    def join(self, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(nodes.join(described(self.name, **values)))
            self._keep(connection)

    def beat(self) -> None:
        clock = datetime.now(UTC) + timedelta(seconds=self.clock_off_seconds)
        with self.engine.begin() as connection:
            connection.execute(nodes.beat(self.name, silence_seconds=SILENCE, clock=clock))
            self._keep(connection)

    def _keep(self, connection: Any) -> None:
        if not self.gpus:
            return
        kept = set(connection.execute(nodes.keep_gpus(self.gpus, silence_seconds=SILENCE)).scalars())
        if foreign := [row["uuid"] for row in self.gpus if row["uuid"] not in kept]:
            connection.execute(nodes.contest_gpus(self.name, foreign))


@pytest.fixture
def machine(engine: Engine) -> Callable[..., Machine]:
    return lambda name="n1", *uuids: Machine(engine, name, *uuids)


@pytest.fixture
def inspect(engine: Engine) -> Callable[..., None]:
    def look(**changes: Any) -> None:
        with engine.begin() as connection:
            inspect_nodes(connection, SETTINGS.model_copy(update=changes))

    return look


@pytest.fixture
def fault(execute: Execute) -> Callable[..., str | None]:
    return lambda name="n1": execute(select(Node.fault).where(Node.name == name))[0]["fault"]


@pytest.fixture
def happened(execute: Execute) -> Callable[..., list[str]]:
    def read(name: str = "n1") -> list[str]:
        return [row["type"] for row in reversed(execute(node_health.events(name, 50)))]

    return read


@pytest.fixture
def let_pass(execute: Execute) -> Callable[[float], None]:
    """Make all records about nodes this number of seconds older, except heartbeats."""

    def age(seconds: float) -> None:
        back = timedelta(seconds=seconds)
        execute(update(Node).values(fault_until=Node.fault_until - back))
        execute(update(Gpu).values(unhealthy_at=Gpu.unhealthy_at - back, xid_at=Gpu.xid_at - back))
        execute(update(Gpu).values(contested_at=Gpu.contested_at - back))
        execute(update(Node).values(untaken_at=Node.untaken_at - back))

    return age


def test_wrong_clock_sets_aside_and_the_right_one_brings_back_after_a_while(
    machine: Any, inspect: Any, fault: Any, happened: Any, let_pass: Any
) -> None:
    node = machine()
    node.clock_off_seconds = 60.0
    node.beat()
    inspect()
    assert fault() == "clock_skew"
    node.clock_off_seconds = 0.0
    node.beat()
    inspect()
    assert fault() == "clock_skew", "not before it was right for long enough"
    let_pass(SETTINGS.fault_quiet_seconds + 1)
    inspect()
    assert fault() is None
    assert happened() == ["node.set_aside", "node.back"]


def test_fault_that_goes_on_puts_the_return_off(machine: Any, inspect: Any, fault: Any, let_pass: Any) -> None:
    node = machine()
    node.clock_off_seconds = -60.0
    node.beat()
    inspect()
    let_pass(SETTINGS.fault_quiet_seconds + 1)
    inspect()
    inspect()
    assert fault() == "clock_skew"


def test_node_set_aside_often_waits_for_an_admin(
    machine: Any, inspect: Any, fault: Any, happened: Any, let_pass: Any, execute: Execute
) -> None:
    node = machine()
    for _ in range(SETTINGS.fault_limit):
        node.clock_off_seconds = 60.0
        node.beat()
        inspect()
        node.clock_off_seconds = 0.0
        node.beat()
        let_pass(SETTINGS.fault_quiet_seconds + 1)
        inspect()
    assert fault() == "clock_skew"
    assert execute(select(Node.fault_until))[0]["fault_until"] is None
    execute(node_health.undrain("n1", actor="user:admin"))
    inspect()
    assert fault() is None
    assert happened()[-1] == "node.undrained"


def test_coming_back_without_leaving_too_often_is_flapping(machine: Any, inspect: Any, fault: Any) -> None:
    node = machine()
    for _ in range(SETTINGS.flap_limit - 1):
        node.join()
    inspect()
    assert fault() is None
    node.join()
    inspect()
    assert fault() == "flapping"


def test_planned_restarts_are_no_flapping(machine: Any, inspect: Any, fault: Any, execute: Execute) -> None:
    node = machine()
    for _ in range(SETTINGS.flap_limit + 1):
        execute(nodes.leave("n1"))
        node.join()
    inspect()
    assert fault() is None


def test_silence_counts_as_a_reconnect_unless_the_database_was_away(machine: Any, execute: Execute) -> None:
    node = machine()

    def count_after_silence(since: Any) -> int:
        execute(update(Node).values(heartbeat_at=since))
        node.beat()
        return len(execute(select(Node.reconnects))[0]["reconnects"])

    # The test's server is younger than a lease may be, so a lease of no length stands for a long silence.
    beat = nodes.beat("n1", silence_seconds=0.0)
    execute(beat)
    assert len(execute(select(Node.reconnects))[0]["reconnects"]) == 1
    assert count_after_silence(func.pg_postmaster_start_time() - text("interval '1 hour'")) == 1


@pytest.fixture
def let_expire(execute: Execute, make_lease: Callable[..., Any]) -> Callable[..., None]:
    """Give the node this number of jobs; it does not start them in time."""

    def give(jobs: int = 1, *, rung_seconds: float = 60.0) -> None:
        for _ in range(jobs):
            make_lease(claimed=False, lease_seconds=-1)
        assert len(execute(leases.requeue_untaken(actor="scheduler", rung_seconds=rung_seconds))) == jobs
        # They would be given to it again, and this counts how often in a row.
        execute(text("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE state = 'queued'"))

    return give


def test_node_that_takes_up_no_job_is_set_aside_tried_again_and_then_held(
    inspect: Any, fault: Any, happened: Any, let_pass: Any, let_expire: Any, node: str, execute: Execute
) -> None:
    let_expire(jobs=2)
    let_expire()
    inspect()
    assert fault() is None, "what was given to it at once counts once"
    let_expire()
    inspect()
    assert fault() == "unresponsive"
    let_pass(SETTINGS.fault_quiet_seconds + 1)
    inspect()
    assert fault() is None
    let_expire()
    inspect()
    assert fault() == "unresponsive", "it still is the next in a row"
    assert happened() == ["node.set_aside", "node.back", "node.set_aside"]
    execute(node_health.undrain(node, actor="user:admin"))
    let_expire()
    inspect()
    assert fault() is None, "an admin's word begins the row anew"


def test_job_taken_up_or_a_worker_started_anew_ends_the_row(
    inspect: Any, fault: Any, let_expire: Any, make_lease: Any, machine: Any, node: str
) -> None:
    for _ in range(SETTINGS.untaken_limit - 1):
        let_expire()
    make_lease()
    let_expire()
    inspect()
    assert fault() is None
    let_expire()
    machine(node)
    let_expire()
    inspect()
    assert fault() is None


def test_lease_whose_bell_could_not_be_rung_says_nothing_of_the_node(
    inspect: Any, fault: Any, let_expire: Any, node: str
) -> None:
    for _ in range(SETTINGS.untaken_limit):
        let_expire(rung_seconds=0.0)
    inspect()
    assert fault() is None


def test_lost_gpu_sets_aside_and_the_node_comes_back_without_it(
    machine: Any, inspect: Any, fault: Any, let_pass: Any, execute: Execute
) -> None:
    node = machine("n1", "GPU-1", "GPU-2")
    node.gpus[1] |= {"healthy": False, "reason": "GPU is lost", "memory_total_bytes": None}
    node.beat()
    inspect()
    assert fault() == "gpu_lost"
    let_pass(SETTINGS.fault_quiet_seconds + 1)
    node.beat()
    inspect()
    assert fault() is None
    assert {row["uuid"]: row["healthy"] for row in execute(select(Gpu.uuid, Gpu.healthy))} == {
        "GPU-1": True,
        "GPU-2": False,
    }


def test_gpu_that_is_no_longer_listed_is_lost_and_forgotten_by_order(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    node = machine("n1", "GPU-1", "GPU-2")
    del node.gpus[1]
    node.beat()
    inspect()
    assert fault() == "gpu_lost"
    lost = execute(select(Gpu.healthy, Gpu.reason).where(Gpu.uuid == "GPU-2"))[0]
    assert (lost["healthy"], lost["reason"]) == (False, "the driver no longer lists it")
    execute(node_health.undrain("n1", actor="user:admin"))
    assert [row["uuid"] for row in execute(nodes.gpus())] == ["GPU-1"]
    node.beat()
    inspect()
    assert fault() is None
    node.gpus.append(gpu_row("n1", "GPU-2"))
    node.beat()
    assert [row["uuid"] for row in execute(nodes.gpus())] == ["GPU-1", "GPU-2"], "it is back as soon as it works"


def test_gpu_broken_from_the_first_is_no_loss(machine: Any, inspect: Any, fault: Any) -> None:
    node = machine()
    node.gpus = [gpu_row("n1", "GPU-1", healthy=False, reason="MIG mode is on and no instance exists")]
    node.beat()
    node.beat()
    inspect()
    assert fault() is None


def test_xid_sets_aside(machine: Any, inspect: Any, fault: Any, execute: Execute) -> None:
    machine("n1", "GPU-1")
    execute(nodes.note_xid(["GPU-1"], 79))
    inspect()
    assert fault() == "gpu_xid"


def test_changed_memory_is_a_lie_until_an_admin_accepts_it(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    node = machine("n1", "GPU-1")
    node.gpus[0]["memory_total_bytes"] = 40 * GIB
    node.beat()
    inspect()
    assert fault() == "gpu_changed"
    execute(node_health.undrain("n1", actor="user:admin"))
    node.beat()
    inspect()
    assert fault() is None


def test_two_live_nodes_with_one_gpu_are_both_set_aside(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    machine("n1", "GPU-1")
    machine("n2", "GPU-1", "GPU-2")
    inspect()
    assert (fault("n1"), fault("n2")) == ("gpu_duplicate", "gpu_duplicate")
    owners = {row["uuid"]: row["node"] for row in execute(select(Gpu.uuid, Gpu.node))}
    assert owners == {"GPU-1": "n1", "GPU-2": "n2"}


def test_gpu_that_was_moved_to_another_machine_goes_with_it(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    machine("n1", "GPU-1")
    execute(update(Gpu).values(seen_at=Gpu.seen_at - timedelta(seconds=SILENCE + 1)))
    execute(update(Node).values(heartbeat_at=Node.heartbeat_at - timedelta(seconds=SILENCE + 1)))
    machine("n2", "GPU-1")
    inspect()
    assert fault("n2") is None
    assert execute(select(Gpu.node))[0]["node"] == "n2"


def test_node_without_a_good_token_gets_in_as_soon_as_it_has_one(
    machine: Any, inspect: Any, fault: Any, happened: Any, execute: Execute
) -> None:
    node = machine()
    inspect(node_tokens_required=True)
    assert fault() == "no_token"
    execute(node_tokens.add("n1", digest=b"good", actor="user:admin"))
    assert execute(node_tokens.good("n2", b"good")) == [], "it is another node's"
    token_id = execute(node_tokens.good("n1", b"good"))[0]["id"]
    node.join(token_id=token_id)
    inspect(node_tokens_required=True)
    assert fault() is None
    assert execute(node_tokens.revoke("n1", actor="user:admin"))
    assert execute(node_tokens.good("n1", b"good")) == []
    inspect(node_tokens_required=True)
    assert fault() == "no_token"
    assert happened() == ["node.refused", "node.token_made", "node.back", "node.token_revoked", "node.refused"]


def test_drain_is_an_event_once(machine: Any, happened: Any, execute: Execute) -> None:
    machine()
    for _ in range(2):
        execute(node_health.drain("n1", reason="new fans", actor="user:admin"))
    for _ in range(2):
        execute(node_health.undrain("n1", actor="user:admin"))
    assert happened() == ["node.drained", "node.undrained"]
    assert {row["actor"] for row in execute(select(NodeEvent.actor))} == {"user:admin"}
