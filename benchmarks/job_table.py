"""The table of jobs: sorted by a result, narrowed by a parameter, grouped, and sorted by a metric, over all jobs."""

import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from api.job_table import fields, statements
from api.sql.database import sql_of
from benchmarks.figures import Figure, median_figure
from gpulab.proxies import spare_loopback
from migrations.__main__ import upgrade
from models.composed import Statement
from models.database import sync_engine
from server.embedded import EmbeddedPostgres

JOBS, USERS, POINTS, CHUNKS = 20_000, 300, 200, 4
FILL = """
INSERT INTO users (name, role) SELECT 'user ' || n, 'student' FROM generate_series(1, %(users)s) n;
INSERT INTO jobs (owner_id, experiment, spec, seed, name, tags, priority, time_limit_seconds, gpus, exclusive, datasets,
                  state, started_at, finished_at, result)
SELECT u.id, 'experiment-' || n %% 9, jsonb_build_object('lr', random(), 'model', 'm' || n %% 5), 0,
       'run ' || n, '{homework}', 'normal', 3600, 1, false, '{}', 'succeeded', now(), now(),
       jsonb_build_object('accuracy', random(), 'loss', random(), 'confusion',
                          (SELECT jsonb_agg(random()) FROM generate_series(1, 400) WHERE n > 0))
FROM generate_series(1, %(jobs)s / %(users)s + 1) n, users u LIMIT %(jobs)s;
INSERT INTO metric_chunks (job_id, attempt, name, steps, times, values)
SELECT jobs.id, 1, 'loss', array_agg(i), array_agg(i::float8), array_agg(random())
FROM jobs, generate_series(1, %(points)s) i, generate_series(1, %(chunks)s) c WHERE i %% %(chunks)s = c - 1
GROUP BY jobs.id, c;
"""
ACCURACY, RATE, MODEL, LAST, LOWEST = (
    fields.field(text, "columns")
    for text in ("result.accuracy", "spec.lr", "spec.model", "metric.loss", "metric.loss.min")
)


def measure(*, quick: bool) -> list[Figure]:
    """Statements in a database where each result has a list of 400 numbers beside the one that is sorted by."""
    jobs, rounds = (1_000, 2) if quick else (JOBS, 8)
    asked: dict[str, tuple[str, Statement[...], dict[str, Any]]] = {
        "job_table": ("sorted by a result, narrowed by a parameter", statements.page, _page(ACCURACY, "spec.lr>0.1")),
        "job_table_groups": ("grouped by a parameter", statements.groups, _groups()),
        "job_table_last": ("sorted by the last value of a metric", statements.page, _page(LAST)),
        "job_table_min": (f"sorted by the minimum of a metric of {POINTS} points", statements.page, _page(LOWEST)),
    }
    with (
        tempfile.TemporaryDirectory(prefix="gpulab-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
    ):
        _migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as connection:
            _fill(connection, jobs)
            return [
                median_figure(
                    name,
                    f"the table of {jobs:,} jobs, {what}",
                    "ms",
                    "lower",
                    [_milliseconds(connection, statement, given) for _ in range(rounds)],
                )
                for name, (what, statement, given) in asked.items()
            ]


def _migrate(url: str) -> None:
    engine = sync_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        upgrade(connection)
    engine.dispose()


def _page(order: fields.Field, *conditions: str) -> dict[str, Any]:
    return {
        "filters": {},
        "wanted": fields.conditions(conditions),
        "orders": [fields.Order(order, descending=True)],
        "columns": [ACCURACY, RATE, LAST],
        "held": [],
        "after": None,
        "limit": 101,
    }


def _groups() -> dict[str, Any]:
    return {"filters": {}, "wanted": [], "by": [MODEL], "columns": [ACCURACY], "order": None, "held": []}


def _fill(connection: Connection[Any], jobs: int) -> None:
    for text in FILL.strip().split(";\n"):
        connection.execute(text, {"users": USERS, "jobs": jobs, "points": POINTS, "chunks": CHUNKS})
    connection.execute("VACUUM ANALYZE")


def _milliseconds(connection: Connection[Any], statement: Statement[...], given: dict[str, Any]) -> float:
    start = time.perf_counter()
    asked = sql_of(statement, **given)
    assert connection.execute(asked.sql, asked.values).fetchall()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    spare_loopback()
    for figure in measure(quick=False):
        print(f"{figure.what}: {figure.value:.0f} {figure.unit} ({figure.low:.0f} to {figure.high:.0f})")
