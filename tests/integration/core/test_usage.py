"""Use and places from the rows: the same as the planner's own arithmetic, and by indexes however long the queue."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from models import Gpu, Job, Lease, User
from models.database import sync_engine
from models.settings import SchedulerSettings
from models.statements import allowances, queue, usage
from models.statements.place import place
from scheduler.lab import Lab
from scheduler.order import charge, first, lines
from scheduler.reading import Reader, policy_of
from scheduler.use import decayed

Execute = Callable[[Any], list[Any]]
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


def test_person_has_past_use_and_what_runs(
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
    person = seen.people[owner]
    running = 0.5 * 60  # its time limit is shorter than the foresight
    assert person.used_seconds == pytest.approx(decayed(0.5, 7200, 3600, DAY) + running, rel=1e-3)
    assert (person.running, person.limits.running) == (1, 5), "the lab's limit holds where the person has none"
    assert (person.weight, person.limits.gpu_hours) == (2.0, 7.0)
    execute(update(Lease).where(Lease.token == token).values(released_at=func.now()))
    with engine.begin() as connection:
        again = reader.look(connection)
    assert again is not None
    assert again.people[owner].used_seconds == pytest.approx(decayed(0.5, 7200, 3600, DAY), rel=0.05)


def test_place_is_the_one_in_the_planners_order(
    execute: Execute, engine: Engine, make_job: Callable[..., UUID], node: str, settings: SchedulerSettings
) -> None:
    gpu = {"node": node, "name": "G", "healthy": True, "latest": {}, "memory_total_bytes": 16 * GIB}
    execute(insert(Gpu).values([{"uuid": f"G{n}", "index": n, **gpu} for n in range(2)]))
    people = [execute(insert(User).values(name=f"p{n}", role="student").returning(User.id))[0]["id"] for n in range(3)]
    for index in range(24):
        make_job(
            owner_id=people[index % 7 % 3],
            gpus=(None, 0, 1, 2)[index % 4],
            gpu_memory_bytes=(None, 4 * GIB, 10 * GIB)[index % 3],
            exclusive=index % 5 == 0,
            priority=("normal", "high", "low", "normal")[index // 6],
            time_limit_seconds=(60, 1000, 10_000)[index % 3],
        )
    past(execute, make_job(owner_id=people[0]), began_ago=900, ended_ago=9, share=1.0, held_bytes=GIB)
    policy = policy_of(settings, estimates=0)
    with engine.begin() as connection:
        seen = Reader(settings).look(connection)
        assert seen is not None
        connection.execute(usage.keep_shares({p.id: (p.used_seconds, p.weight) for p in seen.people.values()}))
        lab = Lab(seen.rooms, seen.now, policy)
        order = first(
            list(lines(seen.jobs, policy)),
            len(seen.jobs),
            lambda job: charge(lab.ask(job.needs).share, job.time_limit_seconds, policy),
        )
        places = [
            connection.execute(place(job.id, foresight_seconds=policy.foresight_seconds, silence_seconds=600)).one()
            for job in order
        ]
    assert [row.place for row in places] == list(range(1, 26))


@pytest.fixture(scope="module")
def long_queue(_migrated: str) -> Iterator[Engine]:
    """100,000 queued jobs of 1,000 people; 100,000 leases that ended, four in a hundred of them lately."""
    engine = sync_engine(_migrated.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO nodes (name, slots, datasets, versions, started_at) VALUES ('n1', 8, '{}', '{}', now())")
        )
        connection.execute(
            text("INSERT INTO users (name, role) SELECT 'u' || n, 'student' FROM generate_series(1, 1000) n")
        )
        connection.execute(text(FILL_JOBS))
        connection.execute(text(FILL_LEASES))
        connection.execute(text("INSERT INTO shares SELECT id, random() * 1000, 1, now() FROM users"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs, leases, users, shares"))
    yield engine
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, leases, users, nodes, shares CASCADE"))
    engine.dispose()


FILL_JOBS = """
INSERT INTO jobs (owner_id, experiment, spec, seed, tags, priority, time_limit_seconds, gpus, exclusive, datasets,
                  state, finished_at)
SELECT u.id, 'probe', '{}', 0, '{}', 'normal', 3600, 1, false, '{}',
       CASE WHEN half = 0 THEN 'queued' ELSE 'succeeded' END, CASE WHEN half = 0 THEN NULL ELSE now() END
FROM generate_series(0, 1) half, generate_series(1, 100) n, users u
"""
FILL_LEASES = """
INSERT INTO leases (job_id, attempt, node, gpu_uuids, share, held_bytes, granted_at, expires_at, released_at)
SELECT id, 1, 'n1', '{a}', 0.1, 1000000, ended - interval '1 hour', ended, ended
FROM (SELECT id, now() - random() * interval '200 days' AS ended FROM jobs WHERE state = 'succeeded') j
"""


def explained(engine: Engine, statement: Any) -> str:
    compiled = statement.compile(engine, compile_kwargs={"render_postcompile": True})
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.params)
        return "\n".join(row[0] for row in rows)


@pytest.mark.slow
def test_long_queue_is_read_and_summed_up_by_indexes(long_queue: Engine) -> None:
    since = func.now() - timedelta(days=8)
    plans = {
        "ix_leases_released_at": usage.finished(since, half_life_seconds=DAY, window_seconds=7 * DAY),
        "uq_leases_live_job_id|ix_leases_live_node": usage.live(),
        "ix_jobs_queued_owner_id": allowances.queued(UUID(int=1)),
    }
    for names, statement in plans.items():
        found = explained(long_queue, statement)
        assert any(name in found for name in names.split("|")), found
        assert "Seq Scan on leases" not in found
    with long_queue.connect() as connection:
        job_id = connection.execute(select(Job.id).where(Job.state == "queued").limit(1)).scalar_one()
        row = connection.execute(place(job_id, foresight_seconds=1800, silence_seconds=600)).one()
        assert 1 <= row.place <= 100_000
        assert len(connection.execute(queue.waiting()).all()) == 100_000
