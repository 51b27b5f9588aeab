"""The planner: what fits is placed, in order, and what waits knows why."""

from collections import Counter
from copy import deepcopy
from uuid import UUID

import pytest

from gpulab.states import Priority
from scheduler.planning.order import Queue
from scheduler.planning.plan import plan
from scheduler.planning.room import GpuRoom, NodeRoom, Stay
from scheduler.planning.terms import Limits, Policy, User
from tests.unit.scheduler.labs import GIB, PROMPT, job, node, placed, reason, taken


def test_older_goes_first_and_the_rest_waits_for_a_slot() -> None:
    made = plan([job(1), job(2), job(3)], [node(slots=2)])
    assert placed(made) == [1, 2]
    assert reason(made, 3) == "no_free_slot"


def test_priority_comes_before_age() -> None:
    made = plan([job(1), job(2, priority=Priority.HIGH), job(3, priority=Priority.LOW)], [node(slots=2)])
    assert placed(made) == [2, 1]


def test_who_used_less_goes_first_and_weight_divides_use() -> None:
    heavy, light = User(UUID(int=1), used_seconds=900), User(UUID(int=2), used_seconds=100)
    jobs = [job(1, user=heavy), job(2, user=light)]
    assert placed(plan(jobs, [node(slots=1)])) == [2]
    heavy.weight = 10.0
    assert placed(plan(jobs, [node(slots=1)])) == [1]


def test_weight_of_a_course_multiplies_that_of_its_users_and_another_course_of_theirs_keeps_its_own() -> None:
    heavy, light = User(UUID(int=1), used_seconds=90.0), User(UUID(int=2), used_seconds=40.0)
    waiting = [
        job(1, user=heavy),
        job(2, user=heavy, course_weight=3.0),
        job(3, user=light),
    ]
    first = Queue(waiting, Policy()).first(3, lambda _: 1.0)
    # 90 / 3, then 40, then 90.
    assert [one.id.int for one in first] == [2, 3, 1]


@pytest.mark.parametrize("weight", [0.5, 1.0, 15.0])
def test_courses_that_all_wait_share_by_weight_and_number_of_users(weight: float) -> None:
    """One slot, turn by turn: 3 users of a course of weight 1 beside one user of another course."""
    users = [User(UUID(int=n)) for n in range(1, 5)]
    served: Counter[User] = Counter()
    for _ in range(2000):
        waiting = [job(n, user=user, course_weight=weight if n == 4 else 1.0) for n, user in enumerate(users, 1)]
        (chosen,) = Queue(waiting, Policy()).first(1, lambda _: 1.0)
        served[chosen.user] += 1
        chosen.user.used_seconds += 1.0
    assert served[users[3]] / 2000 == pytest.approx(weight / (weight + 3), abs=0.002)


def test_users_of_equal_use_take_turns_however_many_jobs_one_has() -> None:
    many, one = User(UUID(int=1)), User(UUID(int=2))
    jobs = [*(job(n, user=many) for n in range(1, 6)), job(6, user=one)]
    assert placed(plan(jobs, [node(slots=3)])) == [1, 6, 2]


def test_deadline_gives_a_boost_that_a_large_difference_of_use_outweighs() -> None:
    near, other = User(UUID(int=1), used_seconds=120, deadline_near=True), User(UUID(int=2), used_seconds=100)
    jobs = [job(1, user=other), job(2, user=near)]
    assert placed(plan(jobs, [node(slots=1)])) == [2]
    near.used_seconds = 1000
    assert placed(plan(jobs, [node(slots=1)])) == [1]


def test_limit_of_running_jobs_counts_what_this_plan_starts() -> None:
    limited = User(UUID(int=1), running=1, limits=Limits(running=2))
    made = plan([job(1, user=limited), job(2, user=limited), job(3)], [node(slots=3)])
    assert placed(made) == [1, 3]
    assert reason(made, 2) == "limit_running"
    assert "may run 2 jobs at the same time" in made.waits[UUID(int=2)].message
    limited.limits = Limits(running=1)
    assert "may run 1 job at the same time" in plan([job(2, user=limited)], [node(slots=1)]).waits[UUID(int=2)].message
    limited.limits = Limits(running=0)
    assert "staff can raise it" in plan([job(2, user=limited)], [node(slots=1)]).waits[UUID(int=2)].message


@pytest.mark.parametrize(
    ("user", "slug"),
    [
        (User(UUID(int=1), gpu_hours=10, limits=Limits(gpu_hours=10)), "limit_gpu_hours"),
        (User(UUID(int=1), gib_hours=99, limits=Limits(gib_hours=64)), "limit_gib_hours"),
    ],
)
def test_used_up_hours_keep_a_user_from_gpus_and_not_from_cpus(user: User, slug: str) -> None:
    made = plan([job(1, user=user, gpus=1), job(2, user=user)], [node(gpus=1)])
    assert placed(made) == [2]
    assert reason(made, 1) == slug


def test_no_node_and_draining_nodes_give_no_room() -> None:
    assert reason(plan([job()], [])) == "no_node"
    assert reason(plan([job()], [node(draining=True)])) == "no_node"


def test_what_no_node_can_run_waits_with_the_reasons() -> None:
    refusing = node("a", refuses={"script": "bubblewrap is not installed"})
    made = plan([job(1, experiment="script"), job(2)], [refusing])
    assert placed(made) == [2]
    assert reason(made) == "no_sandbox"
    assert "a: bubblewrap is not installed" in made.waits[UUID(int=1)].message


def test_what_some_nodes_cannot_run_goes_to_another() -> None:
    refusing = node("a", slots=5, refuses={"script": "no sandbox"})
    assert plan([job(experiment="script")], [refusing, node("b")]).placements[0].node == "b"
    assert reason(plan([job(experiment="script")], [refusing, node("b", draining=True)])) == "no_sandbox"


def test_missing_data_set_is_named() -> None:
    made = plan([job(datasets=frozenset({"cifar10", "digits"}))], [node()])
    assert reason(made) == "dataset_missing"
    assert "cifar10, digits" in made.waits[UUID(int=1)].message


def test_unstated_gpu_takes_one_where_the_lab_has_any() -> None:
    assert plan([job(gpus=None)], [node(gpus=1)]).placements[0].gpu_uuids == ("n-0",)
    assert plan([job(gpus=None)], [node()]).placements[0].gpu_uuids == ()


def test_job_for_a_gpu_if_there_is_one_does_not_turn_to_the_cpu_because_the_gpu_broke() -> None:
    broken = node(lost_gpus=["GPU 0 of n: it fell off the bus"])
    waits = plan([job(gpus=None)], [broken]).waits[UUID(int=1)]
    assert waits.reason == "no_gpu"
    assert "submit it with 0 GPUs (GPU 0 of n: it fell off the bus)" in waits.message
    assert placed(plan([job(gpus=0)], [broken])) == [1]
    assert plan([job(gpus=None)], [broken, node("m", gpus=1)]).placements[0].node == "m"
    assert "that many that work (GPU 0 of n" in plan([job(gpus=1)], [broken]).waits[UUID(int=1)].message


def test_job_larger_than_every_gpu_is_told_how_large_they_are() -> None:
    message = plan([job(gpus=1, gpu_memory_bytes=99 * GIB)], [node(gpus=1)]).waits[UUID(int=1)].message
    assert message == "it requests 99.0 GiB on its GPU, and the largest that could run it has 16.0 GiB"


def test_unknown_need_takes_the_whole_gpu() -> None:
    made = plan([job(1, gpus=1), job(2, gpus=1)], [node(gpus=1)])
    assert placed(made) == [1]
    assert reason(made, 2) == "no_free_gpu"


def test_jobs_that_say_what_they_need_share_a_gpu() -> None:
    jobs = [job(n, gpus=1, gpu_memory_bytes=6 * GIB) for n in (1, 2, 3)]
    assert placed(plan(jobs, [node(gpus=1)])) == [1, 2]


def test_exclusive_job_shares_with_nobody() -> None:
    small = job(1, gpus=1, gpu_memory_bytes=GIB)
    alone = job(2, gpus=1, gpu_memory_bytes=GIB, exclusive=True)
    assert placed(plan([small, alone], [node(gpus=1)])) == [1]
    assert placed(plan([small, alone], [node(gpus=2)])) == [1, 2]


def test_several_gpus_come_from_one_node() -> None:
    made = plan([job(1, gpus=2), job(2, gpus=2)], [node("a", gpus=1), node("b", gpus=3)])
    assert [(p.node, len(p.gpu_uuids)) for p in made.placements] == [("b", 2)]


def test_best_fit_keeps_the_large_hole_whole() -> None:
    tight = NodeRoom("tight", 0, frozenset(), gpus=[GpuRoom("t", 16 * GIB, [Stay(0.0, 60.0, 12 * GIB)])])
    made = plan([job(gpus=1, gpu_memory_bytes=3 * GIB)], [node(gpus=1), tight])
    assert made.placements[0].gpu_uuids == ("t",)


@pytest.mark.parametrize(
    ("wanted", "slug"), [({"gpus": 3}, "no_gpu"), ({"gpus": 1, "gpu_memory_bytes": 99 * GIB}, "cannot_fit")]
)
def test_what_can_never_run_says_so(wanted: dict[str, object], slug: str) -> None:
    assert reason(plan([job(**wanted)], [node(gpus=2)])) == slug


def test_first_that_does_not_fit_holds_a_start_and_only_short_jobs_pass_it() -> None:
    room = taken(node(gpus=2), (0, 100.0, None))
    jobs = [job(1, gpus=2), job(2, gpus=1, time_limit_seconds=101), job(3, gpus=1, time_limit_seconds=100)]
    made = plan(jobs[:2], deepcopy([room]), policy=PROMPT)
    assert placed(made) == []
    assert made.starts[UUID(int=1)] == 100.0
    assert (reason(made, 1), reason(made, 2)) == ("no_free_gpu", "reserved_for_another")
    assert placed(plan(jobs, [room], policy=PROMPT)) == [3]


def test_who_waited_long_is_promised_a_start_though_a_younger_job_of_the_same_kind_is_ahead() -> None:
    light, heavy = User(UUID(int=1)), User(UUID(int=2), used_seconds=100)
    needs = job(gpus=2).needs
    jobs = [
        job(1, user=heavy, needs=needs, submitted_time=0),
        job(2, user=light, needs=needs, submitted_time=90),
        job(3, user=heavy, gpus=1, time_limit_seconds=9000, submitted_time=95),
    ]
    made = plan(jobs, [taken(node(gpus=2), (0, 500.0, None))], now=100, policy=Policy(patience_seconds=60))
    assert made.starts == {UUID(int=1): 500.0}
    assert placed(made) == []


def test_estimates_hold_nothing_and_change_no_reason() -> None:
    room = taken(node(gpus=2), (0, 100.0, None), (1, 200.0, None))
    made = plan([job(n, gpus=1) for n in (1, 2)], [room], policy=Policy(estimates=2))
    assert made.starts == {UUID(int=1): 100.0, UUID(int=2): 160.0}
    assert {of.int: site.node for of, site in made.sites.items()} == {1: room.name, 2: room.name}
    assert made.sites[UUID(int=1)].gpu_uuids == (room.gpus[0].uuid,)
    assert {wait.reason for wait in made.waits.values()} == {"no_free_gpu"}
    assert not any(gpu.booked for gpu in room.gpus)


def test_exclusive_job_goes_to_a_gpu_as_large_as_it_says() -> None:
    small, large = node("small", gpus=1, total_bytes=16 * GIB), node("large", gpus=1, total_bytes=40 * GIB)
    made = plan([job(1, gpus=1, gpu_memory_bytes=20 * GIB, exclusive=True)], [small, large])
    assert [placement.node for placement in made.placements] == ["large"]
    made = plan([job(1, gpus=1, gpu_memory_bytes=20 * GIB, exclusive=True)], [small])
    assert reason(made) == "cannot_fit"


def test_start_is_held_only_for_who_waited_long_enough() -> None:
    room = taken(node(gpus=2), (0, 5000.0, None))
    jobs = [job(1, gpus=2, submitted_time=0), job(2, gpus=1, time_limit_seconds=9000, submitted_time=0)]
    patient = Policy(patience_seconds=100)
    assert placed(plan(jobs, deepcopy([room]), now=99, policy=patient)) == [2]
    assert placed(plan(jobs, [room], now=100, policy=patient)) == []


def test_long_job_passes_where_it_fits_beside_the_promised_one() -> None:
    room = taken(node(gpus=1), (0, 100.0, 10 * GIB))
    jobs = [
        job(1, gpus=1, gpu_memory_bytes=12 * GIB),
        job(2, gpus=1, gpu_memory_bytes=5 * GIB, time_limit_seconds=1000),
        job(3, gpus=1, gpu_memory_bytes=4 * GIB, time_limit_seconds=1000),
    ]
    assert placed(plan(jobs, [room], policy=PROMPT)) == [3]


def test_what_can_never_run_promises_nothing_and_holds_nobody_up() -> None:
    jobs = [job(1, gpus=9), job(2, gpus=1, time_limit_seconds=10**6)]
    assert placed(plan(jobs, [node(gpus=1)])) == [2]


def test_starts_are_estimated_in_order_from_the_ends_of_what_runs() -> None:
    room = taken(node(gpus=1), (0, 50.0, None))
    made = plan([job(n, gpus=1, time_limit_seconds=20) for n in (1, 2, 3)], [room], policy=Policy(estimates=3))
    assert [made.starts[UUID(int=n)] for n in (1, 2, 3)] == [50.0, 70.0, 90.0]


def test_share_is_of_the_capacity() -> None:
    made = plan([job(1, gpus=1, gpu_memory_bytes=4 * GIB), job(2)], [node(slots=4, gpus=2)])
    assert [placement.share for placement in made.placements] == [1 / 8, 1 / 4]
