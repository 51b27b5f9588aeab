"""What holds of every plan, whatever the queue and the machines."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gpulab.states import Priority
from scheduler.planning.plan import plan
from scheduler.planning.room import NodeRoom, Stay
from scheduler.planning.terms import Limits, Policy, User, Waiting
from tests.unit.scheduler.labs import GIB, PROMPT, job, machines, node, placed, queues

POLICIES = st.builds(
    Policy,
    reservations=st.integers(0, 3),
    patience_seconds=st.sampled_from([0.0, 7200.0]),
    estimates=st.sampled_from([0, 5]),
)
NO_PROMISES = Policy(reservations=0)


def leased_bytes(rooms: list[NodeRoom]) -> dict[str, int]:
    return {gpu.uuid: (gpu.total_bytes or 0) - gpu.free_bytes for room in rooms for gpu in room.gpus}


@given(queues(), machines(), POLICIES)
def test_no_gpu_is_over_reserved_and_no_job_is_placed_twice(
    jobs: list[Waiting], rooms: list[NodeRoom], policy: Policy
) -> None:
    before, slots = leased_bytes(rooms), {room.name: room.slots for room in rooms}
    alone = {gpu.uuid for room in rooms for gpu in room.gpus if gpu.whole}
    homes = {gpu.uuid: room.name for room in rooms for gpu in room.gpus}
    made = plan(jobs, rooms, policy=policy)
    assert sorted([*placed(made), *(waiting.int for waiting in made.waits)]) == [each.id.int for each in jobs]
    assert len(made.waiting) == len(made.waits)
    for name, count in slots.items():
        assert sum(not p.gpu_uuids and p.node == name for p in made.placements) <= count
    for uuid, held in before.items():
        here = [p for p in made.placements if uuid in p.gpu_uuids]
        whole = [p for p in here if p.reserved_bytes is None]
        assert not (here and uuid in alone)
        assert not whole or (len(here) == 1 and held == 0)
        assert held + sum(p.reserved_bytes or 0 for p in here) <= 16 * GIB
    for placement in made.placements:
        assert len(set(placement.gpu_uuids)) == len(placement.gpu_uuids)
        assert {homes[uuid] for uuid in placement.gpu_uuids} <= {placement.node}


@given(queues(), machines())
def test_work_conserving_but_for_promises(jobs: list[Waiting], rooms: list[NodeRoom]) -> None:
    """The room that is left serves none of those who wait, unless it is promised to another."""
    made = plan(jobs, rooms, policy=NO_PROMISES)
    left = [each for each in jobs if each.id in made.waits]
    assert plan(left, rooms, policy=NO_PROMISES).placements == ()


@given(queues(), machines())
def test_promise_keeps_room_from_those_alone_who_would_be_in_its_way(
    jobs: list[Waiting], rooms: list[NodeRoom]
) -> None:
    made = plan(jobs, rooms, policy=PROMPT)
    kept = {job_id for job_id, wait in made.waits.items() if wait.reason == "reserved_for_another"}
    left = [each for each in jobs if each.id in made.waits and each.id not in kept]
    for room in rooms:
        for gpu in room.gpus:
            gpu.booked.clear()
    assert plan(left, rooms, policy=NO_PROMISES).placements == ()
    assert not kept or made.starts


@given(queues(), machines())
def test_promised_start_is_kept_if_nothing_ends_early_and_nothing_new_comes(
    jobs: list[Waiting], rooms: list[NodeRoom]
) -> None:
    first = plan(jobs, rooms, policy=PROMPT)
    ((job_id, start),) = first.starts.items() or (((UUID(int=0), 0.0),))
    if not job_id.int:
        return
    promised = next(each for each in jobs if each.id == job_id)
    later = deepcopy(rooms)
    for room in later:
        room.slot_ends.clear()
        for gpu in room.gpus:
            stays = [stay for stay in gpu.stays if stay.end > start]
            gpu.__init__(gpu.uuid, gpu.total_bytes, stays)  # type: ignore[misc]
    assert placed(plan([promised], later, now=start)) == [job_id.int]


@given(queues(), machines())
def test_order_is_respected_among_jobs_that_ask_for_the_same(jobs: list[Waiting], rooms: list[NodeRoom]) -> None:
    """Nobody passes a job of their own and of a course of the same weight. Nor, at equal use, the first job of another,
    by the same needs and limit.
    """
    needs = jobs[0].needs if jobs else None
    same = [replace(each, needs=needs, time_limit_seconds=60.0) for each in jobs]
    made = plan(same, rooms)
    lines: dict[tuple[User, Priority, float], list[bool]] = defaultdict(list)
    for each in same:
        lines[each.user, each.priority, each.course_weight].append(each.id in made.waits)
    assert all(waits == sorted(waits) for waits in lines.values())
    waiting_classes = [list(Priority).index(each.priority) for each in same if each.id in made.waits]
    placed_classes = [list(Priority).index(each.priority) for each in same if each.id not in made.waits]
    assert not (waiting_classes and placed_classes) or max(placed_classes) <= min(waiting_classes)


@given(queues(), machines(), st.integers(0, 3))
def test_nobody_runs_more_than_their_limit(jobs: list[Waiting], rooms: list[NodeRoom], most: int) -> None:
    for each in jobs:
        each.user.limits = Limits(running=most)
    owners = {each.id: each.user.id for each in jobs}
    made = plan(jobs, rooms)
    started = [owners[placement.job_id] for placement in made.placements]
    assert all(started.count(owner) <= most for owner in set(started))


@given(st.integers(1, 4), st.lists(st.sampled_from([5.0, 20.0, 40.0]), min_size=1, max_size=6))
def test_large_job_does_not_starve_under_a_stream_of_small_ones(gpus: int, limits: list[float]) -> None:
    """New small jobs come as fast as anything ends, for ever; the one that needs every GPU starts all the same."""
    large = job(1, gpus=gpus, time_limit_seconds=60)
    stays: list[tuple[int, Stay]] = [(index, Stay(0.0, limits[index % len(limits)], None)) for index in range(gpus)]
    now, number = 0.0, 2
    promised_by = max(limits)
    while True:
        small = [
            job(number + n, gpus=1, time_limit_seconds=limits[n % len(limits)], submitted_time=now + 1)
            for n in range(2 * gpus)
        ]
        number += len(small)
        room = node(gpus=gpus)
        for index, stay in stays:
            room.gpus[index].take(stay)
        made = plan([large, *small], [room], now=now, policy=PROMPT)
        if 1 in placed(made):
            break
        seconds = {each.id: each.time_limit_seconds for each in small}
        for placement in made.placements:
            stay = Stay(now, now + seconds[placement.job_id], None)
            stays += [(int(uuid.rpartition("-")[2]), stay) for uuid in placement.gpu_uuids]
        now = min(stay.end for _, stay in stays)
        stays = [(index, stay) for index, stay in stays if stay.end > now]
        assert now <= promised_by
