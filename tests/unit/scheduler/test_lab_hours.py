"""Lab hours: nobody else starts into them, theirs start when they begin, guests leave, unused GPUs are open to all."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.states import Priority
from scheduler.planning.guests import leaving
from scheduler.planning.plan import plan
from scheduler.planning.preempt import Running, giving_way
from scheduler.planning.room import NodeRoom, Stay
from scheduler.planning.terms import LabHours, Limits, Policy, User, Waiting
from tests.unit.scheduler.labs import GIB, job, machines, node, placed, queues, reason

SECTION, OTHER = UUID(int=1001), UUID(int=1002)
EVERYBODY = Policy(estimates=10)


def hours(start: float = 100.0, end: float = 200.0, gpus: int | None = 1, **given: object) -> LabHours:
    return replace(LabHours(SECTION, start, end, gpus, give_back_seconds=30.0), **given)  # type: ignore[arg-type]


def theirs(number: int = 1, *lab_hours: UUID, **given: object) -> Waiting:
    """A job of one GPU that may use the GPUs of lab hours, of `SECTION` if none are named."""
    made = job(number, **{"gpus": 1, **given})
    return replace(made, needs=replace(made.needs, lab_hours=frozenset(lab_hours or {SECTION})))


def kept(room: NodeRoom) -> list[str]:
    return [gpu.uuid for gpu in room.gpus if gpu.kept]


@pytest.mark.parametrize(
    ("now", "seconds", "starts"),
    [(0.0, 100.0, True), (0.0, 101.0, False), (100.0, 1.0, False), (129.0, 1.0, False), (200.0, 5000.0, True)],
)
def test_nobody_else_starts_into_them(now: float, seconds: float, starts: bool) -> None:
    made = plan([job(gpus=1, time_limit_seconds=seconds)], [node(gpus=1)], now=now, lab_hours=[hours()])
    assert placed(made) == ([1] if starts else [])
    if not starts:
        assert reason(made) == "lab_hours"


@pytest.mark.parametrize(("now", "starts"), [(40.0, True), (41.0, False), (100.0, True), (150.0, True)])
def test_theirs_start_when_they_begin_and_not_into_them(now: float, starts: bool) -> None:
    made = plan([theirs(time_limit_seconds=60.0)], [node(gpus=1)], now=now, lab_hours=[hours()])
    assert placed(made) == ([1] if starts else [])


def test_theirs_take_the_kept_gpu_and_leave_the_other() -> None:
    room = node(gpus=2)
    room.gpus[1].take(Stay(0.0, 120.0, 15 * GIB))
    small = theirs(2, gpu_memory_bytes=GIB)
    made = plan([small, job(3, gpus=1, gpu_memory_bytes=GIB)], [room], now=100.0, lab_hours=[hours()])
    assert {p.job_id.int: p.gpu_uuids for p in made.placements} == {2: ("n-0",), 3: ("n-1",)}


def test_a_long_job_takes_the_gpu_that_is_not_kept() -> None:
    room = node(gpus=2)
    made = plan(
        [job(1, gpus=1, time_limit_seconds=900.0), job(2, gpus=1, time_limit_seconds=900.0)],
        [room],
        lab_hours=[hours()],
    )
    assert (placed(made), reason(made, 2)) == ([1], "lab_hours")
    # Looked at again, the free GPU is the kept one.
    again = node(gpus=2)
    taken = made.placements[0].gpu_uuids[0]
    next(gpu for gpu in again.gpus if gpu.uuid == taken).take(Stay(0.0, 900.0, None))
    assert placed(plan([job(2, gpus=1, time_limit_seconds=900.0)], [again], lab_hours=[hours()])) == []
    assert set(kept(again)) == {"n-0", "n-1"} - {taken}


def test_gpus_of_one_node_are_kept_where_one_has_enough() -> None:
    rooms = [node("a", gpus=1), node("b", gpus=3)]
    plan([job()], rooms, lab_hours=[hours(gpus=2)])
    assert (kept(rooms[0]), kept(rooms[1])) == ([], ["b-0", "b-1"])


def test_gpus_of_several_nodes_are_kept_where_none_has_enough() -> None:
    rooms = [node("a", gpus=1), node("b", gpus=2)]
    plan([job()], rooms, lab_hours=[hours(gpus=3)])
    assert [kept(room) for room in rooms] == [["a-0"], ["b-0", "b-1"]]


def test_a_node_that_takes_no_jobs_has_none_to_keep() -> None:
    rooms = [node("a", gpus=2, draining=True), node("b", gpus=1)]
    plan([job()], rooms, lab_hours=[hours(gpus=2)])
    assert [kept(room) for room in rooms] == [[], ["b-0"]]


def test_whole_node_is_kept_before_others_choose() -> None:
    rooms = [node("a", gpus=2), node("b", gpus=2)]
    early = hours(50.0, 150.0, gpus=2, id=OTHER)
    plan([job()], rooms, lab_hours=[early, hours(gpus=None, node="a")])
    assert {each.lab_hours for gpu in rooms[0].gpus for each in gpu.kept} == {SECTION}
    assert {each.lab_hours for gpu in rooms[1].gpus for each in gpu.kept} == {OTHER}


def test_the_gpu_that_is_free_soonest_is_kept() -> None:
    room = node(gpus=2)
    room.gpus[0].take(Stay(0.0, 190.0, None))
    room.gpus[1].take(Stay(0.0, 110.0, None))
    plan([job()], [room], lab_hours=[hours()])
    assert kept(room) == ["n-1"]


def test_gpu_that_they_use_counts_as_theirs() -> None:
    room = node(gpus=2)
    room.gpus[1].take(Stay(105.0, 400.0, None, frozenset({SECTION})))
    made = plan([job(gpus=1, time_limit_seconds=900.0)], [room], now=110.0, lab_hours=[hours()])
    assert (kept(room), placed(made)) == (["n-1"], [1])


def test_job_of_theirs_that_began_before_does_not_use_them_up() -> None:
    room = node(gpus=2)
    room.gpus[0].take(Stay(0.0, 400.0, None, frozenset({SECTION})))
    assert placed(plan([theirs()], [room], now=110.0, lab_hours=[hours()])) == [1]
    assert kept(room) == ["n-1"]


@pytest.mark.parametrize(("now", "starts"), [(129.0, False), (130.0, True)])
def test_unused_gpu_is_given_back(now: float, starts: bool) -> None:
    made = plan([job(gpus=1, time_limit_seconds=900.0)], [node(gpus=1)], now=now, lab_hours=[hours()])
    assert placed(made) == ([1] if starts else [])


@pytest.mark.parametrize(
    ("limits", "gpus", "starts"),
    [(Limits(), 1, False), (Limits(running=0), 1, True), (Limits(), 3, True)],
    ids=["waits for it", "reached a limit", "can never fit"],
)
def test_gpu_that_theirs_wait_for_is_not_given_back(limits: Limits, gpus: int, starts: bool) -> None:
    """Two small ones of theirs wait for the other half of the lab; only one that may start keeps it."""
    room = node(gpus=1)
    room.gpus[0].take(Stay(0.0, 180.0, 12 * GIB))
    waits = theirs(1, user=User(UUID(int=7), limits=limits), gpus=gpus)
    made = plan([waits, job(2, gpus=1, gpu_memory_bytes=GIB)], [room], now=150.0, lab_hours=[hours()])
    assert placed(made) == ([2] if starts else [])


def test_gpu_that_they_use_is_not_given_back() -> None:
    room = node(gpus=1)
    room.gpus[0].take(Stay(105.0, 400.0, GIB, frozenset({SECTION})))
    assert placed(plan([job(gpus=1, gpu_memory_bytes=GIB)], [room], now=150.0, lab_hours=[hours()])) == []


def test_starts_are_expected_around_them() -> None:
    jobs = [theirs(1, time_limit_seconds=150.0), job(2, gpus=1, time_limit_seconds=150.0)]
    made = plan(jobs, [node(gpus=1)], policy=EVERYBODY, lab_hours=[hours()])
    assert made.starts == {UUID(int=1): 100.0, UUID(int=2): 250.0}


def test_a_job_of_two_gpus_waits_until_both_are_free_of_them() -> None:
    rooms = [node(gpus=2)]
    made = plan([job(gpus=2, time_limit_seconds=150.0)], rooms, policy=EVERYBODY, lab_hours=[hours()])
    assert (reason(made), made.starts) == ("lab_hours", {UUID(int=1): 200.0})


def guest(number: int, uuid: str = "n-0", *lab_hours: UUID, yielding: bool = False, seconds: float = 10) -> Running:
    return Running(UUID(int=number), "n", (uuid,), None, seconds, yielding, False, frozenset(lab_hours))


def asked(jobs: list[Waiting], room: NodeRoom, *running: Running, now: float = 110.0, **given: object) -> list[int]:
    made = plan(jobs, [room], now=now, lab_hours=[hours(**given)])  # type: ignore[arg-type]
    return [each.lease_token.int for _, each in leaving(made, running, [room], now=now)]


def busy(gpus: int = 1) -> NodeRoom:
    room = node(gpus=gpus)
    for gpu in room.gpus:
        gpu.take(Stay(0.0, 900.0, None))
    return room


def test_guest_leaves_when_theirs_wait() -> None:
    assert asked([theirs()], busy(), guest(1)) == [1]


@pytest.mark.parametrize("now", [99.0, 200.0])
def test_nobody_is_asked_before_or_after(now: float) -> None:
    assert asked([theirs()], busy(), guest(1), now=now) == []


def test_nobody_is_asked_for_the_job_of_another() -> None:
    assert asked([job(gpus=1)], busy(), guest(1)) == []


def test_one_of_theirs_is_no_guest() -> None:
    assert asked([theirs()], busy(), guest(1, "n-0", SECTION)) == []


def test_guest_that_was_asked_is_waited_for() -> None:
    assert asked([theirs()], busy(), guest(1, yielding=True)) == []


def test_nobody_is_asked_for_a_gpu_whose_other_guest_cannot_resume() -> None:
    room = node(gpus=1)
    room.gpus[0].take(Stay(0.0, 900.0, 8 * GIB))
    room.gpus[0].take(Stay(0.0, 900.0, 8 * GIB))
    assert asked([theirs()], room, guest(1)) == []


def test_as_many_guests_leave_as_jobs_wait() -> None:
    running = [guest(number, f"n-{number}") for number in range(3)]
    assert len(asked([theirs(1), theirs(2)], busy(3), *running, gpus=3)) == 2


def test_guest_stays_where_theirs_would_run_into_the_hours_of_others() -> None:
    both = [hours(gpus=None, node="n"), hours(200.0, 300.0, gpus=None, node="n", id=OTHER)]
    room = busy()
    made = plan([theirs(time_limit_seconds=100.0)], [room], now=110.0, lab_hours=both)
    assert leaving(made, [guest(1)], [room], now=110.0) == []


def test_urgent_job_of_others_stops_nobody_on_a_kept_gpu() -> None:
    room = busy()
    made = plan([job(gpus=1, priority=Priority.HIGH)], [room], now=110.0, lab_hours=[hours()])
    low = replace(guest(1), is_low=True)
    assert giving_way(made, [low], [room], now=110.0) is None


CALENDARS = st.lists(
    st.builds(
        LabHours,
        id=st.sampled_from([SECTION, OTHER]),
        start=st.sampled_from([0.0, 30.0, 100.0, 400.0]),
        end=st.sampled_from([500.0, 700.0]),
        gpus=st.none() | st.integers(1, 3),
        node=st.sampled_from(["n0", "n1"]),
        give_back_seconds=st.sampled_from([0.0, 50.0]),
    ),
    max_size=3,
)


@given(queues(), machines(), CALENDARS, st.sampled_from([0.0, 40.0, 120.0]), st.data())
def test_no_plan_breaks_into_lab_hours(
    jobs: list[Waiting], rooms: list[NodeRoom], calendar: list[LabHours], now: float, data: st.DataObject
) -> None:
    entitled = [data.draw(st.sets(st.sampled_from([SECTION, OTHER]))) for _ in jobs]
    jobs = [
        replace(each, needs=replace(each.needs, lab_hours=frozenset(ids)))
        for each, ids in zip(jobs, entitled, strict=True)
    ]
    made = plan(jobs, rooms, now=now, policy=EVERYBODY, lab_hours=calendar)
    by_id = {each.id: each for each in jobs}
    gpus = {gpu.uuid: gpu for room in rooms for gpu in room.gpus}
    for placement in made.placements:
        waiting = by_id[placement.job_id]
        for uuid in placement.gpu_uuids:
            for each in gpus[uuid].kept:
                ends_before = now + waiting.time_limit_seconds <= each.start
                uses_them = each.start <= now and each.lab_hours in waiting.needs.lab_hours
                assert ends_before or uses_them or each.end <= now
    for start, site in ((made.starts[one], made.sites[one]) for one in made.sites):
        assert start >= now
        assert site.node in {room.name for room in rooms}
    for one in calendar:
        alone = all(other is one or other.end <= one.start or other.start >= one.end for other in calendar)
        if alone and now < one.start + one.give_back_seconds:
            there = sum(len(room.gpus) for room in rooms if one.node == room.name)
            mine = [kept for gpu in gpus.values() for kept in gpu.kept if kept == (one.start, one.end, one.id)]
            assert len(mine) == (there if one.gpus is None else min(one.gpus, there))
