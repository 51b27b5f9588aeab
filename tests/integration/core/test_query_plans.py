"""What queries read in a full lab: 100,000 queued jobs, as many that ended, 1,000 users. Rows count, not seconds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text

from api.assignments import statements as assignments
from api.audit import statements as audit
from api.jobs import statements as jobs
from api.jobs.listing import statements as listing
from api.jobs.listing.service import SEARCHED
from api.jobs.queue_position import place
from api.sql.database import sql_of
from api.users import statements as users
from models import Base, Job
from models.composed import Statement
from models.database import sync_engine
from models.statements import allowances, queue, usage
from tests.conftest import MIGRATED_COURSE

PAGE = 51
DAY = 86_400.0
FILL = """
-- Foreign keys are not looked at while this fills.
SET LOCAL session_replication_role = replica;
INSERT INTO nodes (name, slots, datasets, versions, started_at) VALUES ('n1', 8, '{}', '{}', now());
INSERT INTO users (name, role, section, team)
SELECT 'u' || n, 'student', 'section ' || n % 10, 'team ' || n % 200 FROM generate_series(1, 1000) n;
INSERT INTO tokens (user_id, name, digest) SELECT id, 'first', sha256(name::bytea) FROM users;
INSERT INTO jobs (owner_id, experiment, spec, seed, name, tags, priority, time_limit_seconds, gpus, exclusive, datasets,
                  state, finished_at)
SELECT u.id, CASE WHEN n = 50 THEN 'seldom' ELSE 'experiment-' || n % 9 END, '{}', 0, 'run ' || n,
       CASE WHEN n = 7 AND name = 'u7' THEN ARRAY['rare'] ELSE ARRAY['homework'] END,
       'normal', 3600, 1, false, '{}',
       CASE WHEN half = 0 THEN 'queued' ELSE 'succeeded' END, CASE WHEN half = 0 THEN NULL ELSE now() END
FROM generate_series(0, 1) half, generate_series(1, 100) n, users u;
INSERT INTO job_events (job_id, type, to_state, attempt, actor, message)
SELECT id, 'job.submitted', 'queued', 0, 'test', '' FROM jobs WHERE state = 'queued';
INSERT INTO leases (job_id, attempt, node, gpu_uuids, share, held_bytes, granted_at, expires_at, released_at)
SELECT id, 1, 'n1', '{a}', 0.1, 1000000, ended - interval '1 hour', ended, ended
FROM (SELECT id, now() - random() * interval '200 days' AS ended FROM jobs WHERE state = 'succeeded') j;
INSERT INTO studies (owner_id, title, definition) SELECT id, 'study', '{}' FROM users;
INSERT INTO study_runs (study_id, position, job_id, questions, cell, reused)
SELECT studies.id, n, j.id, ARRAY['question ' || n], '{}', false
FROM (SELECT id, owner_id, row_number() OVER (PARTITION BY owner_id ORDER BY id) AS n FROM jobs) j
JOIN studies USING (owner_id) WHERE n <= 20;
INSERT INTO shares SELECT id, random() * 1000, 1, now() FROM users;
INSERT INTO audit_events (at, actor, action, target, details)
SELECT TIMESTAMPTZ '2030-01-01' + n * interval '1 hour', 'user:u' || n % 1000, 'action ' || n % 50, 'job:' || n, '{}'
FROM generate_series(1, 20000) n;
"""
LONG_AGO = datetime(2030, 1, 9, tzinfo=UTC)
"""When the audit of the full lab was young; `LATELY` is near its end."""
LATELY = LONG_AGO + timedelta(days=820)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def full(_migrated: str) -> Iterator[Engine]:
    """A full lab; four in a hundred of its leases ended lately."""
    engine = sync_engine(_migrated.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in FILL.split(";\n"):
            connection.execute(text(statement))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    yield engine
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
        connection.execute(text(MIGRATED_COURSE))
    engine.dispose()


@pytest.fixture(scope="module")
def mine(full: Engine) -> dict[str, Any]:
    """Somebody, with a queued job of theirs in the middle of all."""
    with full.connect() as connection:
        owner = connection.execute(text("SELECT id FROM users WHERE name = 'u500'")).scalar_one()
        wanted = select(Job.id).where(Job.owner_id == owner, Job.state == "queued").offset(50).limit(1)
        return {"owner_id": owner, "job_id": connection.execute(wanted).scalar_one()}


def rows_read(engine: Engine, source: Statement[...], given: dict[str, Any]) -> tuple[int, Any]:
    """How many rows the statement's plan looks at, found or not, and the plan."""
    asked = sql_of(source, **given)
    with engine.connect() as connection:
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {asked.sql}"
        answer = connection.exec_driver_sql(explain, asked.values).scalar_one()
    return _read(answer[0]["Plan"]), answer


def _read(plan: dict[str, Any]) -> int:
    read = 0
    for node in _plans(plan):
        if "Relation Name" in node:
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read += round((node["Actual Rows"] + removed) * node["Actual Loops"])
    return read


def _plans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _plans(below)


LISTS: dict[str, tuple[Statement[...], dict[str, Any]]] = {
    "jobs": (listing.page, {}),
    "jobs of the owner": (listing.page, {"owner_id": ...}),
    "jobs of the owner, queued": (listing.page, {"owner_id": ..., "states": ["queued"]}),
    "jobs of the owner, none": (listing.page, {"owner_id": ..., "states": ["failed"]}),
    "jobs of one owner": (listing.page, {"owner": ...}),
    "jobs in states": (listing.page, {"states": ["queued", "running"]}),
    "jobs running": (listing.page, {"states": ["leased", "running"]}),
    "jobs by experiment": (listing.page, {"experiment": "experiment-3"}),
    "jobs by an experiment that is seldom": (listing.page, {"experiment": "seldom"}),
    "jobs by an experiment that is none": (listing.page, {"experiment": "none"}),
    "jobs by tag": (listing.page, {"tag": "homework"}),
    "jobs shared": (listing.page, {"shared_with_class": True, "shared_with_team": "team 3"}),
    "users": (users.page, {}),
    "the audit since lately": (audit.page, {"since": LATELY}),
    "the audit until long ago": (audit.page, {"until": LONG_AGO}),
    "the audit of a day": (audit.page, {"since": LONG_AGO, "until": LONG_AGO + timedelta(days=1)}),
    "the audit of a day, further on": (audit.page, {"until": LATELY, "before_at": LONG_AGO, "before": 9}),
    "the audit by actor since long ago": (audit.page, {"since": LONG_AGO, "actor": "user:u5"}),
    "users by role": (users.page, {"role": "student"}),
    "the audit": (audit.page, {}),
    "the audit by actor": (audit.page, {"actor": "user:u5"}),
    "the audit of nobody": (audit.page, {"actor": "user:nobody"}),
    "the audit by action": (audit.page, {"action": "action 3"}),
    "the audit by target": (audit.page, {"target": "job:55"}),
}


@pytest.mark.parametrize("name", LISTS)
def test_list_reads_little_more_than_a_page(full: Engine, mine: dict[str, Any], name: str) -> None:
    source, filters = LISTS[name]
    given = {key: mine["owner_id"] if value is ... else value for key, value in filters.items()}
    read, plan = rows_read(full, source, {"limit": PAGE, **given})
    # The owner's own jobs, or a chance of one in nine of each row, at most.
    assert read <= 20 * PAGE, plan


SINGLE: dict[str, tuple[Statement[...], tuple[str, ...], dict[str, Any]]] = {
    "a job": (jobs.by_id, ("job_id",), {}),
    "a job's standing": (jobs.standing, ("job_id",), {}),
    "a job under its key": (jobs.by_idempotency_key, ("owner_id",), {"key": "k"}),
    "a job's events": (jobs.events, ("job_id",), {"after": 0, "limit": 100}),
    "what a stream of a job missed": (jobs.notices, ("job_id",), {"after": 0, "limit": 1000}),
    "what a stream of all missed": (jobs.notices, (), {"after": 99_900, "limit": 1000}),
    "the newest event": (jobs.latest_event, (), {}),
    "a job's newest event": (jobs.latest_event, ("job_id",), {}),
    "how many of theirs wait": (allowances.queue, ("owner_id",), {}),
    "what their files take": (allowances.stored_bytes, ("owner_id",), {}),
    "who holds a token": (users.bearers, (), {"digests": [b"x" * 32]}),
    "who holds a session": (users.sessions, (), {"digests": [b"x" * 32]}),
}


@pytest.mark.parametrize("name", SINGLE)
def test_question_about_one_thing_reads_what_belongs_to_it(full: Engine, mine: dict[str, Any], name: str) -> None:
    source, own, more = SINGLE[name]
    named = {"owner_id": "user_id"} if source in {allowances.queue, allowances.stored_bytes} else {}
    given = {**{named.get(key, key): mine[key] for key in own}, **more}
    read, plan = rows_read(full, source, given)
    assert read <= 300, plan


def test_search_for_text_looks_through_so_many_jobs_a_page(full: Engine, mine: dict[str, Any]) -> None:
    with full.connect() as connection:
        end = connection.execute(listing.last_of(SEARCHED)).scalar_one()
        assert connection.execute(listing.last_of(1_000, owner_id=mine["owner_id"])).first() is None
    read, plan = rows_read(full, listing.page, {"limit": PAGE, "text": "found nowhere", "down_to": end})
    # Each with its owner.
    assert read <= 2 * SEARCHED + 1_000, plan


def test_submission_reads_no_other_job(full: Engine, mine: dict[str, Any]) -> None:
    order = f'[{{"ordinal": 0, "owner_id": "{mine["owner_id"]}", "idempotency_key": "k"}}]'
    submit = sql_of(jobs.submit_many, orders=order, questions="[]", max_queued=5000)
    with full.connect() as connection:
        answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {submit.sql}", submit.values).scalar_one()
    read = {plan.get("Relation Name") for plan in _plans(answer[0]["Plan"]) if plan["Node Type"] == "Seq Scan"}
    assert not read & {"jobs", "job_events", "users"}, answer


@pytest.mark.parametrize(("experiments", "questions"), [(["seldom"], ["none"]), ([], ["question 3"])])
def test_class_is_looked_over_by_the_jobs_of_its_assignment(
    full: Engine, experiments: list[str], questions: list[str]
) -> None:
    given = {"assignment_id": UUID(int=1), "experiments": experiments, "questions": questions, "limit": PAGE}
    read, plan = rows_read(full, assignments.overview, given)
    # A run or two of each of 1,000 users, their studies, and the users.
    assert read <= 10_000, plan


def test_long_queue_is_read_and_summed_up_by_indexes(full: Engine, mine: dict[str, Any]) -> None:
    since = {"since": datetime.now(UTC) - timedelta(days=8)}
    _, plan = rows_read(full, usage.finished, {**since, "half_life_seconds": DAY, "window_seconds": 7 * DAY})
    scans = [node for node in _plans(plan[0]["Plan"]) if node.get("Relation Name") == "leases"]
    assert all(node["Node Type"] != "Seq Scan" for node in scans), plan
    read, plan = rows_read(full, usage.live, {})
    assert read <= 10, plan
    read, plan = rows_read(full, queue.waiting, {})
    assert read <= 100_010, "the jobs, and the courses once"
    with full.connect() as connection:
        row = connection.execute(place(mine["job_id"], foresight_seconds=1800, silence_seconds=600)).one()
        assert 1 <= row.place <= 100_000
        assert len(connection.execute(queue.waiting()).all()) == 100_000
