"""Use and places from the rows: the same as the planner's own arithmetic, and by indexes however long the queue."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, func, insert, select, update

from api.jobs.queue_position import place
from models import Assignment, Extension, Gpu, Job, Lease, Study, StudyRun, User
from models.settings import SchedulerSettings
from models.statements import queue, usage
from models.statements.memory import estimates
from models.tables.courses import DEFAULT_COURSE_ID, Course
from scheduler.planning.cluster import Cluster
from scheduler.planning.order import Queue, charge
from scheduler.planning.use import decayed
from scheduler.reading import Reader, policy_of
from tests.integration.core.questions import put
from tests.predictions import verdict

Execute = Callable[..., list[Any]]
DAY = 86_400.0
GIB = 2**30


@pytest.fixture
def settings(database_url: str) -> SchedulerSettings:
    return SchedulerSettings(
        database_url=database_url, redis_url="redis://", artifacts_url="file:///", max_running=5, lease_seconds=600
    )


def past(execute: Execute, job: UUID, *, began_ago: float, ended_ago: float, share: float, held_bytes: int) -> None:
    """The lease of a job that held two GPUs for a while."""
    execute(
        insert(Lease).values(
            job_id=job,
            attempt=99,
            node="n1",
            gpu_uuids=["a", "b"],
            share=share,
            held_bytes=held_bytes,
            granted_at=func.now() - timedelta(seconds=began_ago),
            released_at=func.now() - timedelta(seconds=ended_ago),
            expires_at=func.now(),
        )
    )


def test_use_decays_as_the_planner_has_it_and_hours_end_at_the_window(
    execute: Execute, make_job: Callable[..., UUID], node: str, owner: UUID
) -> None:
    past(execute, make_job(), began_ago=7200, ended_ago=3600, share=0.5, held_bytes=8 * GIB)
    past(execute, make_job(), began_ago=3 * DAY, ended_ago=2 * DAY, share=0.25, held_bytes=8 * GIB)
    since = func.now() - timedelta(days=8)
    (row,) = execute(usage.finished(since, half_life_seconds=DAY, window_seconds=5400.0))
    expected = decayed(0.5, 7200, 3600, DAY) + decayed(0.25, 3 * DAY, 2 * DAY, DAY)
    assert row["owner_id"] == owner
    assert row["used_seconds"] == pytest.approx(expected, rel=1e-3)
    assert row["gpu_hours"] == pytest.approx(2 * 0.5, rel=1e-2)
    assert row["gib_hours"] == pytest.approx(8 * 0.5, rel=1e-2)


def test_user_has_past_use_and_what_runs(
    execute: Execute,
    engine: Engine,
    make_job: Callable[..., UUID],
    make_lease: Callable[..., Any],
    owner: UUID,
    settings: SchedulerSettings,
) -> None:
    past(execute, make_job(), began_ago=7200, ended_ago=3600, share=0.5, held_bytes=GIB)
    execute(update(User).where(User.id == owner).values(weight=2.0, max_gpu_hours=7.0))
    _, token = make_lease()
    execute(update(Lease).where(Lease.token == token).values(share=0.5))
    make_job()
    reader = Reader(settings)
    with engine.begin() as connection:
        seen = reader.look(connection)
    assert seen is not None
    user = seen.users[owner]
    running = 0.5 * 60  # its time limit is shorter than the foresight
    assert user.used_seconds == pytest.approx(decayed(0.5, 7200, 3600, DAY) + running, rel=1e-3)
    assert (user.running, user.limits.running) == (1, 5), "the lab's limit holds where the user has none"
    assert (user.weight, user.limits.gpu_hours) == (2.0, 7.0)
    execute(update(Lease).where(Lease.token == token).values(released_at=func.now()))
    with engine.begin() as connection:
        again = reader.look(connection)
    assert again is not None
    assert again.users[owner].used_seconds == pytest.approx(decayed(0.5, 7200, 3600, DAY), rel=0.05)


def test_boost_is_for_students_with_a_deadline_near_and_no_success(
    execute: Execute, make_job: Callable[..., UUID]
) -> None:
    def student(name: str, **given: Any) -> UUID:
        found: UUID = execute(insert(User).values(name=name, role="student").values(**given).returning(User.id))[0][
            "id"
        ]
        return found

    def ran(owner: UUID, state: str, experiment: str = "homework") -> UUID:
        made = make_job(owner_id=owner, experiment=experiment)
        ended = None if state == "queued" else func.now()
        cause = "error" if state == "failed" else None
        execute(update(Job).where(Job.id == made).values(state=state, finished_at=ended, cause=cause))
        return made

    stuck, fresh, done, in_study = (student(name) for name in ("stuck", "fresh", "done", "in-study"))
    gone = student("gone", disabled_at=func.now())
    teacher = student("teacher", role="instructor")
    ran(stuck, "failed")
    ran(done, "succeeded")
    run = ran(in_study, "succeeded", "other")
    study = execute(insert(Study).values(owner_id=in_study, title="t", definition={}).returning(Study.id))[0]["id"]
    execute(insert(StudyRun).values(study_id=study, position=0, job_id=run, questions=["1b"], cell={}, reused=False))

    def assign(name: str, days: float) -> None:
        due = func.now() + timedelta(days=days)
        work = {"templates": [], "questions": ["1b"], "experiments": ["homework"], "tolerance": 0.0}
        execute(insert(Assignment).values(name=name, deadline=due, **work))

    def near() -> set[UUID]:
        made_here = {stuck, fresh, done, in_study, gone, teacher}
        return {row["id"] for row in execute(usage.deadline_near(3.0))} & made_here

    assign("over", -1)
    assign("far", 4)
    assert near() == set()
    extended = select(Assignment.id).where(Assignment.name == "over").scalar_subquery()
    later = {"deadline": func.now() + timedelta(days=1), "reason": None}
    execute(insert(Extension).values(assignment_id=extended, user_id=fresh, **later))
    assert near() == {fresh}, "the deadline of one student is later"
    assign("near", 2)
    assert near() == {stuck, fresh}


def test_place_is_the_one_in_the_planners_order(
    execute: Execute, engine: Engine, make_job: Callable[..., UUID], node: str, settings: SchedulerSettings
) -> None:
    gpu = {"node": node, "name": "G", "healthy": True, "latest": {}, "memory_total_bytes": 16 * GIB}
    execute(insert(Gpu).values([{"uuid": f"G{n}", "index": n, **gpu} for n in range(2)]))
    users = [execute(insert(User).values(name=f"p{n}", role="student").returning(User.id))[0]["id"] for n in range(3)]
    heavy = execute(insert(Course).values(name="heavy", weight=3.0).returning(Course.id))[0]["id"]
    for index in range(24):
        make_job(
            owner_id=users[index % 7 % 3],
            course_id=(None, DEFAULT_COURSE_ID, heavy, heavy, DEFAULT_COURSE_ID)[index % 5],
            gpus=(None, 0, 1, 2)[index % 4],
            gpu_memory_bytes=(None, 4 * GIB, 10 * GIB)[index % 3],
            exclusive=index % 5 == 0,
            priority=("normal", "high", "low", "normal")[index // 6],
            time_limit_seconds=(60, 1000, 10_000)[index % 3],
        )
    past(execute, make_job(owner_id=users[0]), began_ago=900, ended_ago=9, share=1.0, held_bytes=GIB)
    policy = policy_of(settings, estimates=0)
    with engine.begin() as connection:
        seen = Reader(settings).look(connection)
        assert seen is not None
        connection.execute(usage.keep_shares({p.id: (p.used_seconds, p.weight) for p in seen.users.values()}))
        if seen.counted:
            connection.execute(queue.count_bytes(seen.counted))
        lab = Cluster(seen.rooms, seen.now)
        order = Queue(seen.jobs, policy).first(
            len(seen.jobs), lambda job: charge(lab.ask(job.needs).share, job.time_limit_seconds, policy)
        )
        places = [
            connection.execute(place(job.id, foresight_seconds=policy.foresight_seconds, silence_seconds=600)).one()
            for job in order
        ]
    assert [row.place for row in places] == list(range(1, 26))


def test_job_with_a_prediction_is_charged_its_part_by_planner_and_queue_alike(
    execute: Execute, engine: Engine, make_job: Callable[..., UUID], node: str, settings: SchedulerSettings
) -> None:
    gpu = {"node": node, "name": "T4", "healthy": True, "latest": {}, "memory_total_bytes": 16 * GIB}
    execute(insert(Gpu).values([{"uuid": "G0", "index": 0, **gpu}]))
    predicted, whole = (execute(insert(User).values(name=n, role="student").returning(User.id))[0]["id"] for n in "ab")
    question = uuid4()
    key = f"T4/{16 * GIB}"
    asked = {"family": "resnet", "software": "", "workload": {}, "editable": [], "wanted": {key: {"name": "T4"}}}
    execute(put({"id": question, **asked}))
    token = execute(estimates.claim(question, node="n1", lease_seconds=60))[0]["token"]
    peak = {"low_bytes": GIB, "likely_bytes": GIB, "high_bytes": GIB}
    execute(estimates.answer(question, token, prediction={}, fits={key: verdict(peak)}))
    first, second = (make_job(owner_id=whole, gpus=1, gpu_memory_bytes=16 * GIB) for _ in range(2))
    small = [make_job(owner_id=predicted, gpus=1, estimate_id=question) for _ in range(4)]

    def place_of(job_id: UUID) -> int:
        with engine.begin() as connection:
            seen = Reader(settings).look(connection)
            assert seen is not None
            if seen.counted:
                connection.execute(queue.count_bytes(seen.counted))
            row = connection.execute(place(job_id, foresight_seconds=1800, silence_seconds=600)).one()
            return int(row.place)

    assert place_of(first) == 1
    assert [place_of(job) for job in small] == [2, 3, 4, 5], "together they take less than the second whole GPU"
    assert place_of(second) == 6
