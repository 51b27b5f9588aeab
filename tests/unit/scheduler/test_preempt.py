"""Preemption: resumable jobs give way to a more urgent one, only if that helps, and no more than needed."""

from uuid import UUID

from gpulab.states import Priority
from scheduler.planning.plan import plan
from scheduler.planning.preempt import Running, giving_way
from scheduler.planning.room import NodeRoom
from scheduler.planning.terms import Waiting
from tests.unit.scheduler.labs import GIB, job, node, taken


def running(number: int, *gpus: str, held: int | None = None, seconds: float = 10, yielding: bool = False) -> Running:
    return Running(UUID(int=number), "n", gpus, held, seconds, yielding)


def asked(waiting: Waiting, room: NodeRoom, *those: Running) -> list[int] | None:
    """The tokens of those who are asked; None when nobody is."""
    made = plan([waiting], [room])
    found = giving_way(made, those, [room], now=0.0)
    return None if found is None else sorted(each.lease_token.int for each in found[1])


URGENT = {"priority": Priority.HIGH, "gpus": 1}


def test_the_one_that_loses_least_gives_way() -> None:
    room = taken(node(gpus=2), (0, 100.0, None), (1, 100.0, None))
    assert asked(job(**URGENT), room, running(1, "n-0", seconds=90), running(2, "n-1", seconds=5)) == [2]


def test_nobody_is_asked_for_a_job_of_normal_priority() -> None:
    room = taken(node(gpus=1), (0, 100.0, None))
    assert asked(job(gpus=1), room, running(1, "n-0")) is None


def test_nobody_is_asked_where_it_would_not_help() -> None:
    room = taken(node(gpus=2), (0, 100.0, None), (1, 100.0, None))
    assert asked(job(priority=Priority.HIGH, gpus=2), room, running(1, "n-0")) is None


def test_sharers_give_way_until_there_is_room_and_no_more() -> None:
    room = taken(node(gpus=1), (0, 100.0, 8 * GIB), (0, 100.0, 4 * GIB), (0, 100.0, 4 * GIB))
    urgent = job(**URGENT, gpu_memory_bytes=6 * GIB)
    those = [running(1, "n-0", held=4 * GIB, seconds=1), running(2, "n-0", held=4 * GIB, seconds=2)]
    assert asked(urgent, room, *those) == [1, 2]
    assert asked(job(**URGENT, gpu_memory_bytes=4 * GIB), room, *those) == [1]


def test_who_was_asked_before_is_waited_for() -> None:
    room = taken(node(gpus=2), (0, 100.0, None), (1, 100.0, None))
    assert asked(job(**URGENT), room, running(1, "n-0", yielding=True), running(2, "n-1")) is None


def test_slot_of_the_cpu_is_given_up_too() -> None:
    room = node(slots=1)
    room.slot_ends.append(100.0)
    assert asked(job(priority=Priority.HIGH), room, running(1)) == [1]
