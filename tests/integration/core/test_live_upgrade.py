"""A lab one version behind is upgraded while its processes go on submitting, leasing and shipping without a pause."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any, Self

import psycopg
import pytest
from psycopg.types.json import Json
from sqlalchemy import Connection, create_engine, text

from migrations import steps
from migrations.__main__ import upgrade
from tests.migrating import differences, step_back, version_of

MAX_WAIT = "2s"
"""That anybody may wait for a lock; docs/operating.md states it."""

Session = psycopg.Connection[Any]

SUBMIT = """
WITH job AS (
    INSERT INTO jobs (owner_id, experiment, spec, seed, tags, priority, time_limit_seconds, exclusive, datasets, state)
    SELECT users.id, 'probe', '{}', 1, '{}', 'normal', 60, false, '{}', 'queued'
    FROM tokens JOIN users ON users.id = tokens.user_id WHERE digest = %s
    RETURNING id
)
INSERT INTO job_events (job_id, type, to_state, attempt, actor, message)
SELECT id, 'job.submitted', 'queued', 0, 'user:ada', '' FROM job RETURNING job_id
"""
GRANT = """
WITH job AS (
    UPDATE jobs SET state = 'leased', attempt = attempt + 1, node = 'n1', version = version + 1
    WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, attempt
), lease AS (
    INSERT INTO leases (job_id, attempt, node, gpu_uuids, expires_at)
    SELECT id, attempt, 'n1', '{}', now() + interval '1 minute' FROM job RETURNING job_id, token
)
INSERT INTO job_events (job_id, type, from_state, to_state, attempt, actor, message)
SELECT id, 'job.leased', 'queued', 'leased', job.attempt, 'scheduler', '' FROM job JOIN lease ON job_id = id
RETURNING job_id
"""
BEAT = "UPDATE nodes SET heartbeat_at = now() WHERE name = 'n1'"
GPU = """
INSERT INTO gpus (uuid, node, index, name, healthy, latest) VALUES ('GPU-1', 'n1', 0, 'T4', true, %s)
ON CONFLICT (uuid) DO UPDATE SET latest = excluded.latest
"""
RENEW = """
UPDATE leases SET expires_at = now() + interval '1 minute' FROM jobs
WHERE job_id = %s AND released_at IS NULL AND jobs.id = job_id RETURNING token, jobs.cancel_requested_at
"""
ADVANCE = "UPDATE leases SET records_offset = records_offset + 9 WHERE job_id = %s AND released_at IS NULL"
METRICS = (
    "INSERT INTO metric_chunks (job_id, attempt, name, steps, times, values) VALUES (%s, 1, 'a', '{1}', '{1}', '{1}')"
)
OUTPUT = "INSERT INTO log_chunks (job_id, start, attempt, data) VALUES (%s, %s, 1, 'x')"
PROGRESS = "UPDATE jobs SET progress_fraction = 0.5, version = version + 1 WHERE id = %s"
FINISH = """
WITH released AS (UPDATE leases SET released_at = now(), outcome = 'succeeded' WHERE job_id = %s RETURNING job_id),
job AS (
    UPDATE jobs SET state = 'succeeded', finished_at = now() FROM released WHERE id = job_id RETURNING id, attempt
)
INSERT INTO job_events (job_id, type, from_state, to_state, attempt, actor, message)
SELECT id, 'job.succeeded', 'leased', 'succeeded', attempt, 'node:n1', '' FROM job
"""
CLASS = """
INSERT INTO nodes (name, slots, datasets, versions, started_at) VALUES ('n1', 2, '{}', '{}', now());
INSERT INTO users (name, role) VALUES ('ada', 'student');
INSERT INTO tokens (user_id, name, digest) SELECT id, 'first', 'digest' FROM users;
INSERT INTO jobs (owner_id, experiment, spec, seed, tags, priority, time_limit_seconds, exclusive, datasets, state,
                  finished_at)
SELECT id, 'probe', '{}', n, '{}', 'normal', 60, false, '{}', 'succeeded', now()
FROM users, generate_series(1, 5000) AS n;
INSERT INTO leases (job_id, attempt, node, gpu_uuids, expires_at, released_at)
SELECT id, 1, 'n1', '{}', now(), now() FROM jobs;
"""
REPORT = "SELECT count(*), pg_sleep(0.1) FROM users JOIN jobs ON owner_id = users.id JOIN leases ON job_id = jobs.id"


def submit(session: Session) -> None:
    assert session.execute(SUBMIT, [b"digest"]).fetchone() is not None


def work(session: Session) -> None:
    """Lease a job, keep it, ship what it records, end it: each step a transaction, as the processes do it."""
    with session.transaction():
        found = session.execute(GRANT).fetchone()
    if found is None:
        return
    with session.transaction():
        session.execute(BEAT)
        session.execute(GPU, [Json({})])
        assert session.execute(RENEW, found).fetchone() is not None
    for start in range(3):
        with session.transaction():
            assert session.execute(ADVANCE, found).rowcount == 1
            session.execute(METRICS, found)
            session.execute(OUTPUT, [*found, start])
            session.execute(PROGRESS, found)
    with session.transaction():
        assert session.execute(FINISH, found).rowcount == 1


def report(session: Session) -> None:
    session.execute(REPORT)


class Processes:
    """Threads that go through their part again and again, with prepared statements, until they fail or are stopped."""

    def __init__(self, url: str, *parts: Callable[[Session], None]) -> None:
        self.rounds = [0] * len(parts)
        self.failed: list[Exception] = []
        self._url = url
        self._stop = Event()
        self._threads = [Thread(target=self._go_on, args=each) for each in enumerate(parts)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, number: int, part: Callable[[Session], None]) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True, prepare_threshold=0) as session:
                session.execute(f"SET lock_timeout = '{MAX_WAIT}'")
                while not self._stop.is_set():
                    part(session)
                    self.rounds[number] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            self.failed.append(error)


@pytest.fixture
def connection(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """To a lab of the version before, with a class that has worked."""
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        step_back(connection, monkeypatch)
        with psycopg.connect(empty_database_url) as session:
            session.execute(CLASS)
        yield connection
    engine.dispose()


def test_programs_that_never_pause_neither_fail_nor_wait_long(connection: Connection, empty_database_url: str) -> None:
    with Processes(empty_database_url, submit, submit, work, work, report) as processes:
        before = list(processes.rounds)
        upgrade(connection)
        during = [now - then for now, then in zip(processes.rounds, before, strict=True)]
    assert processes.failed == []
    assert min(during) > 0, during
    assert differences(connection) == []
    unchecked = "SELECT conname FROM pg_constraint WHERE NOT convalidated UNION SELECT indexrelid::regclass::text"
    unchecked += " FROM pg_index WHERE NOT indisvalid"
    assert connection.execute(text(unchecked)).all() == []


class CutOffError(Exception):
    """The upgrade's process was killed."""


def test_upgrade_that_is_cut_off_after_any_statement_goes_on_the_next_time(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = steps.OneByOne._exec
    left = 0

    def cut_off(self: steps.OneByOne, construct: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        answer = whole(self, construct, *args, **kwargs)
        left -= 1
        if left == 0:
            raise CutOffError
        return answer

    monkeypatch.setattr(steps.OneByOne, "_exec", cut_off)
    revision, done, is_whole = version_of(connection), 0, False
    while not is_whole:
        # One statement further than the time before, into each migration anew.
        left = done = done + 1
        try:
            upgrade(connection)
            is_whole = True
        except CutOffError:
            if (reached := version_of(connection)) != revision:
                revision, done = reached, 0
    assert differences(connection) == []
