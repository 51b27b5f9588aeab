"""Metric points from run directories to Postgres, by one shipper as a node runs one a job."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from api.jobs import statements as jobs
from api.users import statements as users
from benchmarks.figures import Figure, median_figure
from experiments.hosting.run_directory import RunDirectory
from migrations.__main__ import upgrade
from models.database import sync_engine
from models.statements import leases, nodes
from models.store import open_store
from server.embedded import EmbeddedPostgres
from worker.runs.folder import RunFolder
from worker.shipping.shipper import Shipper

NAMES = ("train/loss", "train/accuracy", "learning_rate", "gradient_norm")
BATCH_ROWS = 1000
ROW = "INSERT INTO bare_points (job_id, name, step, time, value) VALUES (%s, %s, %s, %s, %s)"
TABLE = "CREATE TABLE bare_points (job_id uuid, name text, step bigint, time double precision, value double precision)"


def measure(*, quick: bool) -> list[Figure]:
    rounds, points = (2, 20_000) if quick else (5, 500_000)
    fours: list[float] = []
    ones: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="gpulab-bench-") as name, database(Path(name)) as (engine, url):
        for number in range(rounds):
            fours.append(shipped(engine, Path(name) / f"four-{number}", points, NAMES))
            ones.append(shipped(engine, Path(name) / f"one-{number}", points, NAMES[:1]))
            bare.append(row_a_point(url, min(points, 20_000)))
    beside = {
        "one_value_a_record_points_per_s": median_figure("", "", "", "higher", ones).value,
        "row_a_point_in_batches_of_1000_points_per_s": median_figure("", "", "", "higher", bare).value,
    }
    what = "metric points shipped to Postgres by one node, four values a record, durable"
    return [median_figure("shipping", what, "points/s", "higher", fours, bar=50_000, aim=100_000, beside=beside)]


@contextmanager
def database(folder: Path) -> Iterator[tuple[Engine, str]]:
    """A migrated Postgres that syncs its commits."""
    with EmbeddedPostgres(folder / "postgres", durable=True) as server:
        engine = sync_engine(server.url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            upgrade(connection)
        with engine.begin() as connection:
            connection.execute(
                nodes.join({"name": "n1", "slots": 1, "datasets": [], "versions": {}, "gpu_reason": None})
            )
        with psycopg.connect(server.url, autocommit=True) as bare:
            bare.execute(TABLE)
        yield engine, server.url
        engine.dispose()


def shipped(engine: Engine, folder: Path, points: int, names: tuple[str, ...]) -> float:
    """Points a second of a directory that lies ready."""
    directory = RunDirectory(folder)
    for step in range(points // len(names)):
        directory.metrics(step, dict.fromkeys(names, step / 7))
    directory.close()
    job_id, token = claimed(engine)
    store = open_store((folder / "store").as_uri())
    shipper = Shipper(
        engine,
        store,
        RunFolder(folder),
        token,
        job_id,
        1,
        actor="node:n1",
        log_limit_bytes=2**20,
        max_artifact_bytes=None,
    )
    start = time.perf_counter()
    while shipper.turn():
        pass
    return points / (time.perf_counter() - start)


def claimed(engine: Engine) -> tuple[UUID, UUID]:
    """A job under a live lease: its id and token."""
    with engine.begin() as connection:
        owner = connection.execute(users.ensure_user("someone", "student")).scalar_one()
        values = {
            "owner_id": owner,
            "experiment": "stopwatch",
            "spec": {},
            "seed": 0,
            "tags": [],
            "priority": "normal",
            "time_limit_seconds": 60,
            "gpus": 0,
            "exclusive": False,
            "datasets": [],
        }
        job_id = connection.execute(jobs.submit(values, actor="user:someone")).one().id
        grant = leases.grant(job_id, node="n1", gpu_uuids=[], reserved_bytes=None, lease_seconds=600)
        token = connection.execute(grant).one().token
        connection.execute(leases.claim(job_id, token, actor="node:n1", lease_seconds=600))
    return job_id, token


def row_a_point(url: str, points: int) -> float:
    """The same content the plain way: a row for each point, a transaction for each thousand."""
    job_id = UUID(int=0)
    start = time.perf_counter()
    with psycopg.connect(url) as connection:
        for first in range(0, points, BATCH_ROWS):
            rows = [(job_id, NAMES[0], step, 0.0, step / 7) for step in range(first, first + BATCH_ROWS)]
            connection.cursor().executemany(ROW, rows)
            connection.commit()
    return points / (time.perf_counter() - start)
