"""Nodes whose worker starts again, and nodes that are given up or removed."""

from collections.abc import Callable
from typing import Any

from gpulab.states import NodeFault
from models.statements import node_health, node_tokens, nodes
from tests.integration.core.test_node_health import GIB, SILENCE, fault, happened, inspect, machine

Execute = Callable[..., list[Any]]
__all__ = ["fault", "happened", "inspect", "machine"]


def test_gpu_that_an_admin_gave_up_stays_away_until_it_works(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    node = machine("n1", "GPU-1", "GPU-2")
    node.gpus[1] |= {"healthy": False, "reason": "GPU is lost", "memory_total_bytes": None}
    node.beat()
    inspect()
    execute(node_health.undrain("n1", actor="user:admin"))
    node.beat()
    inspect()
    assert [row["uuid"] for row in execute(nodes.gpus())] == ["GPU-1"]
    assert fault() is None
    node.gpus[1] |= {"healthy": True, "reason": None, "memory_total_bytes": 40 * GIB}
    node.beat()
    inspect()
    assert len(execute(nodes.gpus())) == 2
    assert fault() is None, "a card that comes back is taken as it is"


def test_node_returns_at_once_when_its_worker_restarts_without_the_fault(
    machine: Any, inspect: Any, fault: Any, happened: Any
) -> None:
    node = machine("n1", "GPU-1")
    node.gpus[0] |= {"healthy": False, "reason": "GPU is lost"}
    node.beat()
    inspect()
    node.join()
    inspect()
    assert fault() == "gpu_lost", "it is still lost"
    node.gpus[0] |= {"healthy": True, "reason": None}
    node.join()
    inspect()
    assert fault() is None
    assert happened() == ["node.set_aside", "node.back"]


def test_node_that_waits_for_an_admin_does_not_return_by_a_restart(
    machine: Any, inspect: Any, fault: Any, execute: Execute
) -> None:
    node = machine("n1")
    execute(node_health.set_aside("n1", NodeFault.GPU_LOST, "it fell off", until=None))
    node.join()
    inspect()
    assert fault() == "gpu_lost"


def test_removed_node_is_off_the_list_until_its_worker_is_back(machine: Any, execute: Execute) -> None:
    node = machine("n1", "GPU-1")
    execute(node_tokens.add("n1", digest=b"good", actor="user:admin"))
    remove = node_health.remove("n1", silence_seconds=SILENCE, actor="user:admin")
    assert execute(remove) == [], "it is up"
    execute(nodes.leave("n1"))
    assert len(execute(remove)) == 1
    assert (execute(nodes.overview(SILENCE)), execute(nodes.gpus())) == ([], [])
    assert execute(node_tokens.good("n1", b"good")) == []
    node.beat()
    assert [row["down"] for row in execute(nodes.overview(SILENCE))] == [False], "it was only cut off"
    execute(nodes.leave("n1"))
    assert len(execute(remove)) == 1
    node.join()
    assert [row["name"] for row in execute(nodes.overview(SILENCE))] == ["n1"]
    assert [row["uuid"] for row in execute(nodes.gpus())] == ["GPU-1"]


def test_node_whose_jobs_are_not_taken_back_yet_is_not_removed(make_lease: Any, node: str, execute: Execute) -> None:
    make_lease()
    execute(nodes.leave(node))
    assert execute(node_health.remove(node, silence_seconds=SILENCE, actor="user:admin")) == []
