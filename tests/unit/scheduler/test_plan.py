"""The planner: what fits is placed, in order; nothing is over-reserved; what waits knows why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.states import Priority
from scheduler.plan import GpuRoom, NodeRoom, Plan, Waiting, plan

START = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 2**30


def job(number: int = 1, **given: object) -> Waiting:
    base = Waiting(
        id=UUID(int=number),
        owner_id=UUID(int=0),
        priority=Priority.NORMAL,
        gpus=0,
        gpu_memory_bytes=None,
        exclusive=False,
        datasets=frozenset(),
        time_limit_seconds=60,
        submitted_at=START + timedelta(seconds=number),
    )
    return replace(base, **given)  # type: ignore[arg-type]


def node(name: str = "n", *, slots: int = 1, gpus: int = 0, total_bytes: int = 16 * GIB, **given: object) -> NodeRoom:
    rooms = [GpuRoom(f"{name}-{index}", total_bytes) for index in range(gpus)]
    return NodeRoom(name, slots, gpus=rooms, datasets=frozenset(), **given)  # type: ignore[arg-type]


def placed(made: Plan) -> list[int]:
    return [placement.job_id.int for placement in made.placements]


def reason(made: Plan, number: int = 1) -> str:
    return made.waits[UUID(int=number)].reason


def test_older_goes_first_and_the_rest_waits_for_a_slot() -> None:
    made = plan([job(3), job(1), job(2)], [node(slots=2)])
    assert placed(made) == [1, 2]
    assert reason(made, 3) == "no_free_slot"


def test_priority_comes_before_age() -> None:
    made = plan([job(1), job(2, priority=Priority.HIGH), job(3, priority=Priority.LOW)], [node(slots=2)])
    assert placed(made) == [2, 1]


def test_no_node_and_draining_nodes_give_no_room() -> None:
    assert reason(plan([job()], [])) == "no_node"
    assert reason(plan([job()], [node(draining=True)])) == "no_node"


def test_missing_data_set_is_named() -> None:
    made = plan([job(datasets=frozenset({"cifar10", "digits"}))], [node()])
    assert reason(made) == "dataset_missing"
    assert "cifar10, digits" in made.waits[UUID(int=1)].message


def test_unstated_gpu_takes_one_where_the_lab_has_any() -> None:
    assert plan([job(gpus=None)], [node(gpus=1)]).placements[0].gpu_uuids == ("n-0",)
    assert plan([job(gpus=None)], [node()]).placements[0].gpu_uuids == ()


def test_unknown_need_takes_the_whole_gpu() -> None:
    made = plan([job(1, gpus=1), job(2, gpus=1)], [node(gpus=1)])
    assert placed(made) == [1]
    assert reason(made, 2) == "no_free_gpu"


def test_jobs_that_say_what_they_need_share_a_gpu() -> None:
    jobs = [job(n, gpus=1, gpu_memory_bytes=6 * GIB) for n in (1, 2, 3)]
    assert placed(plan(jobs, [node(gpus=1)])) == [1, 2]


def test_exclusive_job_shares_with_nobody() -> None:
    jobs = [job(1, gpus=1, gpu_memory_bytes=GIB), job(2, gpus=1, gpu_memory_bytes=GIB, exclusive=True)]
    assert placed(plan(jobs, [node(gpus=1)])) == [1]
    assert placed(plan(jobs[::-1], [node(gpus=2)])) == [1, 2]


def test_best_fit_keeps_the_large_hole_whole() -> None:
    tight = NodeRoom("tight", 0, frozenset(), gpus=[GpuRoom("t", 16 * GIB, reserved_bytes=12 * GIB, leases=1)])
    made = plan([job(gpus=1, gpu_memory_bytes=3 * GIB)], [node(gpus=1), tight])
    assert made.placements[0].gpu_uuids == ("t",)


@pytest.mark.parametrize(
    ("wanted", "slug"), [({"gpus": 3}, "no_gpu"), ({"gpus": 1, "gpu_memory_bytes": 99 * GIB}, "cannot_fit")]
)
def test_what_can_never_run_says_so(wanted: dict[str, object], slug: str) -> None:
    assert reason(plan([job(**wanted)], [node(gpus=2)])) == slug


JOBS = st.lists(
    st.builds(
        lambda gpus, needs, exclusive, priority: (gpus, needs, exclusive, priority),
        st.sampled_from([None, 0, 1, 2]),
        st.none() | st.integers(1, 20 * GIB),
        st.booleans(),
        st.sampled_from(Priority),
    ),
    max_size=25,
)
NODES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4)


@given(JOBS, NODES)
def test_no_room_is_given_twice_and_every_job_is_answered(
    asked: list[tuple[int | None, int | None, bool, Priority]], sizes: list[tuple[int, int]]
) -> None:
    jobs = [
        job(n, gpus=gpus, gpu_memory_bytes=needs, exclusive=exclusive, priority=priority)
        for n, (gpus, needs, exclusive, priority) in enumerate(asked, 1)
    ]
    nodes = [node(f"n{index}", slots=slots, gpus=gpus) for index, (slots, gpus) in enumerate(sizes)]
    totals = {gpu.uuid: gpu.total_bytes or 0 for room in nodes for gpu in room.gpus}
    slots = {room.name: room.slots_free for room in nodes}
    made = plan(jobs, nodes)
    assert sorted([*placed(made), *(waiting.int for waiting in made.waits)]) == [each.id.int for each in jobs]
    assert all(sum(not p.gpu_uuids and p.node == name for p in made.placements) <= n for name, n in slots.items())
    for uuid, total in totals.items():
        here = [p for p in made.placements if uuid in p.gpu_uuids]
        whole = [p for p in here if p.reserved_bytes is None]
        assert not whole or len(here) == 1
        assert sum(p.reserved_bytes or 0 for p in here) <= total
    assert all(len(set(p.gpu_uuids)) == len(p.gpu_uuids) for p in made.placements)


@given(JOBS, NODES)
def test_what_waits_would_not_have_fitted_alone_in_what_was_left(
    asked: list[tuple[int | None, int | None, bool, Priority]], sizes: list[tuple[int, int]]
) -> None:
    """Work conserving: the room that is left serves none of those who wait."""
    jobs = [job(n, gpus=g, gpu_memory_bytes=m, exclusive=e, priority=p) for n, (g, m, e, p) in enumerate(asked, 1)]
    nodes = [node(f"n{index}", slots=slots, gpus=gpus) for index, (slots, gpus) in enumerate(sizes)]
    made = plan(jobs, nodes)
    assert plan([each for each in jobs if each.id in made.waits], nodes).placements == ()
